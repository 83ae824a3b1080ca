//! Who the caller is, told to the upstream by vidgate alone: nothing that a caller writes
//! passes for it, in no spelling and at no place of the message.

use crate::house::{TestGateway, open};
use crate::upstream::{Received, Upstream};
use crate::wire::Answer;

/// An account with a licence key, whose upstream has a credential of its own.
fn licensed(upstream: &Upstream, credential: &str) -> String {
    open(
        upstream,
        &format!(
            r#"
credential = "{credential}"

[scheme.license.lkey]

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "v3.X9tKpuXq0btatj" }}]
"#
        ),
    )
    .replace("\"open\"", "\"license\"")
    .replace("[[route]]", "credential = { header = \"Authorization\", value = \"Own key\" }\n\n[[route]]")
}

/// Sends one request with a licence key and these fields, and says what reached the upstream.
fn passed(credential: &str, fields: &str, body: &str) -> Received {
    let upstream = Upstream::start();
    let gateway = TestGateway::alone(&licensed(&upstream, credential));
    let answer: Answer = gateway
        .connect()
        .ask(format!("POST /case HTTP/1.1\r\nHost: a\r\nAuthorization: LKey v3.X9tKpuXq0btatj\r\n{fields}\r\n{body}"));
    assert_eq!(answer.status, 200, "{fields}: {answer:?}");
    upstream.only()
}

/// What an upstream that cannot tell `_` or `.` from `-` finds under a name.
fn read_leniently<'a>(received: &'a Received, name: &str) -> Vec<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    let fields = received.headers.iter().chain(&received.trailers);
    fields.filter(|(own, _)| plain(own) == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn nobody_names_themselves_in_any_spelling() {
    let mut fields = String::new();
    for name in ["subject", "account", "scheme", "scopes"] {
        for spelling in [
            format!("X-Vidgate-{name}"),
            format!("x-vidgate-{name}"),
            format!("X-VIDGATE-{}", name.to_uppercase()),
            format!("X_Vidgate_{name}"),
            format!("X-Vidgate_{name}"),
            format!("X.Vidgate.{name}"),
            format!("X!Vidgate~{name}"),
            format!("X-Vidgate-{name}"),
        ] {
            fields.extend([spelling.as_str(), ": evil\r\n"]);
        }
    }
    fields += "X-Vidgate-Role: evil\r\nX-Vidgate: evil\r\n";
    let received = passed("remove", &fields, "");
    for (name, expected) in [
        ("x-vidgate-subject", vec!["license_key:main"]),
        ("x-vidgate-account", vec!["acme"]),
        ("x-vidgate-scheme", vec!["lkey"]),
        ("x-vidgate-scopes", vec![]),
        ("x-vidgate-role", vec![]),
        ("x-vidgate", vec![]),
    ] {
        assert_eq!(read_leniently(&received, name), expected, "{name}");
    }
    assert!(!format!("{received:?}").contains("evil"), "{received:?}");
}

#[test]
fn names_with_an_underscore_go_no_further() {
    let fields = "X_Forwarded_For: evil\r\napi_key: evil\r\n_: evil\r\nRemote_User: evil\r\nX-A: b\r\n";
    let received = passed("remove", fields, "");
    assert_eq!(received.header("x-a"), Some("b"));
    assert!(!format!("{received:?}").contains("evil"), "{received:?}");
}

#[test]
fn connection_takes_away_what_is_the_callers_and_nothing_else() {
    let fields = "Connection: X-Mine, close, X-Vidgate-Account, X-Vidgate-Subject, X-Request-Id, Authorization, Host, \
                  Content-Length, Content-Type, Cookie, X-Forwarded-For, X-Forwarded-Proto, Forwarded, Via, Origin\r\n\
                  Connection: x-yours\r\nX-Mine: 1\r\nX-Yours: 2\r\nX-Kept: 3\r\nCookie: a=b\r\nOrigin: http://a\r\n\
                  Content-Type: text/plain\r\nContent-Length: 5\r\n";
    let received = passed("keep", fields, "hello");
    for (name, expected) in [
        ("x-mine", None),
        ("x-yours", None),
        ("connection", None),
        ("x-kept", Some("3")),
        ("host", Some("a")),
        ("authorization", Some("LKey v3.X9tKpuXq0btatj")),
        ("cookie", Some("a=b")),
        ("origin", Some("http://a")),
        ("content-type", Some("text/plain")),
        ("content-length", Some("5")),
        ("x-vidgate-account", Some("acme")),
        ("x-vidgate-subject", Some("license_key:main")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("via", Some("1.1 vidgate")),
    ] {
        assert_eq!(received.header(name), expected, "{name}");
    }
    assert!(received.header("x-request-id").is_some());
    assert_eq!(received.body, b"hello");
}

#[test]
fn connection_does_not_touch_the_framing_of_chunks() {
    let fields = "Connection: Transfer-Encoding, Trailer\r\nTransfer-Encoding: chunked\r\n";
    let received = passed("remove", fields, "5\r\nhello\r\n0\r\n\r\n");
    assert_eq!((received.body.as_slice(), received.header("transfer-encoding")), (&b"hello"[..], Some("chunked")));
}

#[test]
fn a_credential_is_removed_kept_or_translated_whatever_connection_says() {
    for (credential, expected) in
        [("remove", None), ("keep", Some("LKey v3.X9tKpuXq0btatj")), ("translate", Some("Own key"))]
    {
        for fields in ["", "Connection: Authorization\r\n", "Connection: close, AUTHORIZATION\r\n"] {
            assert_eq!(passed(credential, fields, "").header("authorization"), expected, "{credential} {fields}");
        }
    }
}

#[test]
fn what_belongs_to_the_hop_before_ends_there() {
    let fields = "Keep-Alive: timeout=5\r\nTE: gzip, trailers\r\nProxy-Authorization: Basic x\r\nProxy-Connection: close\r\n\
                  Proxy: http://evil\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 0\r\n";
    let received = passed("remove", fields, "");
    for name in ["keep-alive", "proxy-authorization", "proxy-connection", "proxy", "upgrade", "expect"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("te"), Some("trailers"));
}

#[test]
fn nothing_has_the_upstream_see_another_request_line() {
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X_HTTP_METHOD_OVERRIDE",
        "X.Http.Method.Override",
        "X-Original-URL",
        "X-Original-URI",
        "X-Original-Method",
        "X-Rewrite-URL",
        "x-rewrite.url",
    ] {
        let received = passed("remove", &format!("{name}: /api/v2/admin/\r\n"), "");
        assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/case"));
        assert!(!format!("{received:?}").contains("admin"), "{name}: {received:?}");
    }
}

#[test]
fn trailers_are_passed_on_but_carry_no_identity_no_framing_and_no_credential() {
    let trailers = "X-Checksum: abc\r\nX-Vidgate-Account: evil\r\nx_vidgate_account: evil\r\nAuthorization: evil\r\n\
                    Content-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: evil\r\nCookie: evil\r\nX-Forwarded-For: evil\r\n\
                    X-HTTP-Method-Override: evil\r\nX-Request-Id: evil\r\nSet-Cookie: evil\r\nX-Real-IP: evil\r\n\
                    X-Original-URL: evil\r\n";
    let names: Vec<&str> = trailers.split("\r\n").filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let fields = format!("Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: {}\r\n", names.join(", "));
    let received = passed("remove", &fields, &format!("5\r\nhello\r\n0\r\n{trailers}\r\n"));
    assert_eq!(received.trailers, [("x-checksum".to_owned(), "abc".to_owned())]);
    assert_eq!(received.header("x-vidgate-account"), Some("acme"));
    assert_eq!(received.header("x-checksum"), None, "trailers are never merged");
}

#[test]
fn on_an_open_route_a_caller_is_anyone_and_no_more() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\nX-Vidgate-Account: evil\r\nX-Vidgate-Scopes: all\r\n\r\n");
    let received = upstream.only();
    assert_eq!(received.header("x-vidgate-subject"), Some("anyone"));
    assert_eq!((received.header("x-vidgate-account"), received.header("x-vidgate-scopes")), (None, None));
}
