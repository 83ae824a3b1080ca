//! Forms in parts: what clients send of them, and what some would read otherwise.

use super::*;

/// What curl 7.88.1, urllib3 2.7.0 (requests), Node 20's `FormData`, Chromium, .NET's `MultipartFormDataContent`, the npm
/// package form-data (axios), `OkHttp`, Apache's client for Java, and Go's `mime/multipart` send.
const CLIENTS: [(&str, &str, &str); 9] = [
    (
        "multipart/form-data; boundary=------------------------5721070c2f75c8b9",
        "--------------------------5721070c2f75c8b9\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n\
         --------------------------5721070c2f75c8b9\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n1;2\n\r\n--------------------------5721070c2f75c8b9--\r\n",
        "1;2\n",
    ),
    (
        "multipart/form-data; boundary=0f1e",
        "--0f1e\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n--0f1e\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nx\ny\r\n--0f1e--\r\n",
        "x\ny",
    ),
    (
        "multipart/form-data; boundary=----formdata-undici-070120760927",
        "------formdata-undici-070120760927\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n\
         ------formdata-undici-070120760927\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x \
         %22y%22.csv\"\r\nContent-Type: application/octet-stream\r\n\r\na;b\r\n------formdata-undici-070120760927--\r\n",
        "a;b",
    ),
    (
        "multipart/form-data; boundary=----WebKitFormBoundaryp5QNVXbXTfDBQUbR",
        "------WebKitFormBoundaryp5QNVXbXTfDBQUbR\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n\
         ------WebKitFormBoundaryp5QNVXbXTfDBQUbR\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"\u{e9}.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n\
         ------WebKitFormBoundaryp5QNVXbXTfDBQUbR--\r\n",
        "",
    ),
    (
        "multipart/form-data; boundary=\"0c6bdb1e-9b1f-4f6e-9b8e-5a4f0f5d5c11\"",
        "--0c6bdb1e-9b1f-4f6e-9b8e-5a4f0f5d5c11\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: \
         form-data; name=cmd\r\n\r\nGetUsers\r\n--0c6bdb1e-9b1f-4f6e-9b8e-5a4f0f5d5c11\r\nContent-Disposition: form-data; \
         name=file; filename=a.txt; filename*=utf-8''a.txt\r\n\r\nx\r\n--0c6bdb1e-9b1f-4f6e-9b8e-5a4f0f5d5c11--\r\n",
        "x",
    ),
    (
        "multipart/form-data; boundary=--------------------------814603452196754038457093",
        "----------------------------814603452196754038457093\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\n\
         GetUsers\r\n----------------------------814603452196754038457093\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n7\r\n8\r\n\
         ----------------------------814603452196754038457093--\r\n",
        "7\r\n8",
    ),
    (
        "multipart/form-data; boundary=a7f2c1d0-0c7e-4bb4-9b7d-8d9a7e1f2a3b",
        "--a7f2c1d0-0c7e-4bb4-9b7d-8d9a7e1f2a3b\r\nContent-Disposition: form-data; name=\"cmd\"\r\nContent-Length: \
         8\r\n\r\nGetUsers\r\n--a7f2c1d0-0c7e-4bb4-9b7d-8d9a7e1f2a3b\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"a\"\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n\r\n\r\n\
         --a7f2c1d0-0c7e-4bb4-9b7d-8d9a7e1f2a3b--\r\n",
        "\r\n",
    ),
    (
        "multipart/form-data; boundary=tGVzdA_-x; charset=ISO-8859-1",
        "--tGVzdA_-x\r\nContent-Disposition: form-data; name=\"cmd\"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nGetUsers\r\n--tGVzdA_-x\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"C:\\dir\\a\"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         -\r\n--tGVzdA_-x--\r\n",
        "-",
    ),
    (
        "multipart/form-data; boundary=9d3f6c0d1c1d77a2d0",
        "--9d3f6c0d1c1d77a2d0\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n--9d3f6c0d1c1d77a2d0\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: \
         application/octet-stream\r\n\r\n--\r\n--9d3f6c0d1c1d77a2d0--\r\n",
        "--",
    ),
];

#[test]
fn what_clients_send_is_read() {
    for (kind, body, file) in CLIENTS {
        let form = Preface::read(announced(kind).unwrap(), body.into());
        let expected = [("cmd", "GetUsers"), ("file", file)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told(form), Ok(expected.to_vec()), "{kind}");
    }
    assert_eq!(told(multipart("")), Ok(Vec::new()));
    let bare = Preface::read(Announced::Multipart("bb".into()), "--bb--".into());
    assert_eq!(told(bare), Ok(Vec::new()));
}

#[test]
fn a_body_has_its_delimiter_where_a_part_ends_and_nowhere_else() {
    let cmd = part("Content-Disposition: form-data; name=\"cmd\"", "A");
    assert!(multipart(&cmd).is_ok());
    for (what, body) in [
        ("nothing", String::new()),
        ("no end", cmd.clone()),
        ("a preamble", format!("x\r\n{cmd}--bb--\r\n")),
        ("a line break before all", format!("\r\n{cmd}--bb--\r\n")),
        ("an epilogue", format!("{cmd}--bb--\r\nx")),
        ("an epilogue with a part", format!("{cmd}--bb--\r\n{cmd}--bb--\r\n")),
        ("two line breaks at the end", format!("{cmd}--bb--\r\n\r\n")),
        ("blanks behind the delimiter", cmd.replacen("--bb\r", "--bb \r", 1) + "--bb--\r\n"),
        ("blanks behind the end", format!("{cmd}--bb-- \r\n")),
        ("a bare line feed behind the delimiter", cmd.replacen("--bb\r\n", "--bb\n", 1) + "--bb--\r\n"),
        ("another boundary that begins alike", cmd.replace('A', "A\r\n--bbb\r\nB") + "--bb--\r\n"),
        ("a delimiter behind a bare line feed", cmd.replace('A', "A\n--bb\r\nB") + "--bb--\r\n"),
        ("a delimiter within a line", cmd.replace('A', "A --bb\r\n") + "--bb--\r\n"),
        ("a delimiter in a head", cmd.replace("\"cmd\"", "\"--bb\"") + "--bb--\r\n"),
        ("no head at all", "--bb\r\n\r\nA\r\n--bb--\r\n".into()),
        ("no line for the head to end", "--bb\r\nA\r\n--bb--\r\n".into()),
        ("nothing between delimiters", "--bb\r\n--bb--\r\n".into()),
        ("another boundary", cmd.replace("bb", "bc") + "--bc--\r\n"),
        ("another case", cmd.replace("bb", "BB") + "--BB--\r\n"),
    ] {
        let form = Preface::read(Announced::Multipart("bb".into()), body.into());
        assert!(told(form).is_err(), "{what}");
    }
}

#[test]
fn the_head_of_a_part_says_which_field_it_is() {
    let cmd = "Content-Disposition: form-data; name=\"cmd\"";
    let many = format!("{cmd}{}", "\r\nX-A: b".repeat(7));
    let long = format!("{cmd}\r\nX-A: {}", "b".repeat(4096 - cmd.len() - 7));
    for head in [
        cmd,
        "content-disposition:form-data;name=cmd",
        "Content-Disposition: Form-Data; Name=\"cmd\"; filename=\"a;b\"; size=7",
        "Content-Disposition: form-data; name=\"cmd\"; filename=\"\"; filename*=utf-8''a%22",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: text/plain;charset=US-ASCII",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type:",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Transfer-Encoding: 7BIT\r\nX-A: b\r\nX-A: c",
        &many,
        &long,
    ] {
        assert_eq!(told(multipart(&part(head, "A"))), Ok(vec![("cmd".into(), "A".into())]), "{head}");
    }
    for head in [&format!("{many}\r\nX-A: b"), &format!("{long}b")] {
        assert!(told(multipart(&part(head, "A"))).is_err(), "{head}");
    }
    let charset = part("Content-Disposition: form-data; name=\"_charset_\"", "utf-16");
    assert!(told(multipart(&charset)).is_err());
}

#[test]
fn a_head_that_some_would_read_otherwise_is_none() {
    for head in [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data;",
        "Content-Disposition: attachment; name=\"cmd\"",
        "Content-Disposition: form-data; filename=\"cmd\"",
        "Content-Disposition: form-data; filename=\"a\"; name=\"cmd\"",
        "Content-Disposition: form-data; name=\"cmd\"; name=\"cmd\"",
        "Content-Disposition: form-data; name=\"cmd\"; NAME=cmd",
        "Content-Disposition: form-data; name=\"cmd\"; name*=utf-8''x",
        "Content-Disposition: form-data; name*=utf-8''cmd",
        "Content-Disposition: form-data; name*0=c; name*1=md",
        "Content-Disposition: form-data; name=\"cmd\"; filename=\"a\"; filename=\"b\"",
        "Content-Disposition: form-data; name=\"x\"; filename=\"a; name=cmd\"",
        "Content-Disposition: form-data; name=\"x\"; filename=\"a\\\"; name=\\\"cmd\"",
        "Content-Disposition: form-data; name=\"c%6Dd\"",
        "Content-Disposition: form-data; name=\"c\\md\"",
        "Content-Disposition: form-data; name=\"=?utf-8?q?cmd?=\"",
        "Content-Disposition: form-data; name=\"cmd",
        "Content-Disposition: form-data; name=\"\u{feff}cmd\"",
        "Content-Disposition: form-data; name=c md",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Disposition: form-data; name=\"cmd\"",
        "Content-Disposition: form-data;\r\n name=\"cmd\"",
        "Content-Disposition: form-data; name=\"x\"\r\n\t; name=\"cmd\"",
        "Content-Disposition: form-data; name=\"x\"\nContent-Disposition: form-data; name=\"cmd\"",
        "Content-Disposition: form-data; name=\"x\0cmd\"",
        "Content-Disposition : form-data; name=\"cmd\"",
        "X\r\nContent-Disposition: form-data; name=\"cmd\"",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Transfer-Encoding: quoted-printable",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 7bit",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Encoding: gzip",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: multipart/mixed; boundary=x",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: message/rfc822",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: text/plain; charset=utf-16",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: text/plain; charset=\"utf-7",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Type: text/plain\r\nContent-Type: text/plain",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Length: 2",
        "Content-Disposition: form-data; name=\"cmd\"\r\nContent-Length: +1",
    ] {
        assert!(told(multipart(&part(head, "A"))).is_err(), "{head}");
    }
}

#[test]
fn nothing_is_taken_out_of_a_multipart_form() {
    let disposition = |name: &str| part(&format!("Content-Disposition: form-data; name=\"{name}\""), "x");
    let listed = names(&["api_key"]);
    for name in ["api_key", "API_KEY", "api_key[]", " api_key"] {
        let form = multipart(&(disposition("cmd") + &disposition(name))).unwrap();
        assert_eq!(form.without(&listed).unwrap_err().cause, Cause::InvalidContent, "{name}");
    }
    let form = multipart(&(disposition("cmd") + &disposition("api_keys"))).unwrap();
    assert_eq!(form.without(&listed).unwrap(), form.body());
}
