//! Forms as clients write them, and as nobody does.

mod multipart;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

fn announced(kind: &str) -> Result<Announced, Cause> {
    let headers: HeaderMap = [(http::header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())].into_iter().collect();
    Announced::of(&headers).map_err(|refusal| refusal.cause)
}

fn url_encoded(body: &str) -> Result<Preface, Refusal> {
    Preface::read(Announced::UrlEncoded, body.to_owned().into())
}

/// Every field, or why there is none.
fn told(form: Result<Preface, Refusal>) -> Result<Vec<(String, String)>, &'static str> {
    let text = |field: &Field| (field.name.to_string(), String::from_utf8_lossy(&field.value).into_owned());
    form.map(|form| form.fields().map(text).collect()).map_err(|refusal| {
        assert_eq!(refusal.cause, Cause::InvalidContent);
        refusal.detail
    })
}

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

/// A body with this boundary, of parts as [`part`] makes them.
fn multipart(parts: &str) -> Result<Preface, Refusal> {
    Preface::read(Announced::Multipart("bb".into()), format!("{parts}--bb--\r\n").into())
}

fn part(head: &str, value: &str) -> String {
    format!("--bb\r\n{head}\r\n\r\n{value}\r\n")
}

#[test]
fn a_form_is_announced_once_and_uncoded() {
    let multipart = |boundary: &str| Ok(Announced::Multipart(boundary.into()));
    let seventy = "b".repeat(70);
    for (kind, expected) in [
        ("application/x-www-form-urlencoded", Ok(Announced::UrlEncoded)),
        ("Application/X-WWW-Form-UrlEncoded;charset=UTF-8", Ok(Announced::UrlEncoded)),
        ("application/x-www-form-urlencoded; charset=\"iso-8859-1\"", Ok(Announced::UrlEncoded)),
        // .NET quotes it, Java's samples do not.
        ("multipart/form-data; boundary=\"0c6bdb1e-9b1f\"", multipart("0c6bdb1e-9b1f")),
        ("multipart/form-data; boundary====1712===", multipart("===1712===")),
        ("multipart/form-data; charset=utf-8; Boundary=\"a,b(c)\"", multipart("a,b(c)")),
        (&format!("multipart/form-data; boundary={seventy}"), multipart(&seventy)),
    ] {
        assert_eq!(announced(kind), expected, "{kind}");
    }
    for kind in [
        "application/json",
        "text/plain",
        "",
        "multipart/mixed; boundary=a",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a b\"",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=a; boundary=a",
        "multipart/form-data; boundary=a; Boundary=b",
        "multipart/form-data; boundary=a; boundary*=utf-8''b",
        "multipart/form-data; boundary*0=a; boundary*1=b",
        "multipart/form-data; boundary=a, multipart/form-data; boundary=b",
        "multipart/form-data, application/x-www-form-urlencoded; boundary=a",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a\\\"b\"",
        "multipart/form-data boundary=a",
        "multipart/form-data; boundary=a; charset=utf-16",
        "application/x-www-form-urlencoded; charset=utf-16le",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/x-www-form-urlencoded, text/plain",
        &format!("multipart/form-data; boundary={seventy}b"),
    ] {
        assert_eq!(announced(kind), Err(Cause::UnsupportedMediaType), "{kind}");
    }
}

#[test]
fn coded_and_twice_announced_forms_are_refused() {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let of = |fields: &[(http::HeaderName, &HeaderValue)]| {
        let mut all = HeaderMap::new();
        for (name, value) in fields {
            all.append(name.clone(), (*value).clone());
        }
        Announced::of(&all).map_err(|refusal| refusal.cause)
    };
    let (kind, coding) = (http::header::CONTENT_TYPE, http::header::CONTENT_ENCODING);
    assert_eq!(of(&[(kind.clone(), &form)]), Ok(Announced::UrlEncoded));
    assert_eq!(of(&[]), Err(Cause::UnsupportedMediaType));
    assert_eq!(of(&[(kind.clone(), &form), (kind.clone(), &form)]), Err(Cause::UnsupportedMediaType));
    let (gzip, identity) = (HeaderValue::from_static("gzip"), HeaderValue::from_static("identity"));
    assert_eq!(of(&[(kind.clone(), &form), (coding.clone(), &gzip)]), Err(Cause::UnsupportedMediaType));
    assert_eq!(of(&[(kind, &form), (coding, &identity)]), Err(Cause::UnsupportedMediaType));
}

#[test]
fn pairs_are_read_as_forms_write_them() {
    for (body, expected) in [
        ("", &[][..]),
        ("&&", &[]),
        ("cmd=GetUsers&count=20", &[("cmd", "GetUsers"), ("count", "20")]),
        ("a=1&a=2", &[("a", "1"), ("a", "2")]),
        ("a&b=&=c", &[("a", ""), ("b", ""), ("", "c")]),
        ("c%6Dd=a+b%2Bc%3d&x=a=b", &[("cmd", "a b+c="), ("x", "a=b")]),
        // Voximplant's lists, as `curl -d` leaves them and as every library writes them.
        ("role_id=1;2", &[("role_id", "1;2")]),
        ("role_id=1%3B2", &[("role_id", "1;2")]),
        ("x=%FF%00", &[("x", "\u{fffd}\0")]),
        ("\u{e9}=\u{e9}", &[("\u{e9}", "\u{e9}")]),
        ("_charset_=UTF-8&a=b", &[("_charset_", "UTF-8"), ("a", "b")]),
    ] {
        let expected: Vec<(String, String)> =
            expected.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        assert_eq!(told(url_encoded(body)), Ok(expected), "{body}");
    }
}

#[test]
fn what_some_would_read_otherwise_is_no_form() {
    for body in [
        "a=%",
        "a=%4",
        "a=%zz",
        "%u0063md=x",
        "a=%4&b=1",
        "%FF=a",
        "cmd%00x=a",
        "cmd=a\r\n",
        "a=\0",
        "\u{feff}cmd=a",
        "%EF%BB%BFcmd=a",
        "_charset_=utf-16&a=b",
        "a=b;_charset_=utf-16",
        "_CHARSET_=utf-7",
    ] {
        assert!(told(url_encoded(body)).is_err(), "{body:?}");
    }
    assert!(Preface::read(Announced::UrlEncoded, Bytes::from_static(b"a=\xff")).is_err());
    assert!(Preface::read(Announced::UrlEncoded, Bytes::from_static(b"\xff\xfec\0m\0d\0=\0a\0")).is_err());
}

#[test]
fn a_form_has_a_bounded_number_of_fields() {
    assert!(url_encoded(&"a&".repeat(1024)).is_ok());
    assert!(url_encoded(&"a&".repeat(1025)).is_err());
    assert!(url_encoded(&format!("a={}", ";b".repeat(1024))).is_ok());
    assert!(url_encoded(&format!("a={}", ";b".repeat(1025))).is_err());
    assert_eq!(
        told(multipart(&part("Content-Disposition: form-data; name=\"a\"", "").repeat(256))).unwrap().len(),
        256
    );
    assert!(multipart(&part("Content-Disposition: form-data; name=\"a\"", "").repeat(257)).is_err());
}

#[test]
fn no_name_is_long_enough_to_be_compared_for_long() {
    let named = |letter: &str, length: usize| url_encoded(&format!("{}=1", letter.repeat(length))).map(drop);
    assert!(named("a", 256).is_ok() && named("+", 256).is_ok() && named("%20", 85).is_ok());
    assert!(named("a", 257).is_err() && named("+", 257).is_err() && named("%20", 86).is_err());
    assert!(url_encoded(&format!("a=1;{}", "+".repeat(257))).is_err());
    // Values are as long as they like.
    assert!(url_encoded(&format!("a={}", "+".repeat(4096))).is_ok());
}

#[test]
fn every_value_counts_that_anybody_could_read() {
    let one: Result<Option<&str>, Differing> = Ok(Some("A"));
    for (body, values, value) in [
        ("a=1", &[][..], Ok(None)),
        ("cmds=1&cm=2&xcmd=3&a=cmd", &[], Ok(None)),
        ("cmd=A", &["A"], one),
        ("cmd=A&cmd=A", &["A", "A"], one),
        ("cmd=A&CMD=A&cmd[]=A", &["A", "A", "A"], one),
        ("cmd=A&a=b;cmd=A", &["A", "A"], one),
        ("cmd=A&cmd=B", &["A", "B"], Err(Differing)),
        ("cmd=A&Cmd=B", &["A", "B"], Err(Differing)),
        ("cmd=A&c%4Dd[x]=B", &["A", "B"], Err(Differing)),
        ("cmd=A&cmd", &["A", ""], Err(Differing)),
        // Only some would find it.
        ("CMD=A", &["A"], Err(Differing)),
        ("cmd[]=A", &["A"], Err(Differing)),
        ("cmd%5B0%5D=A", &["A"], Err(Differing)),
        ("+cmd=A", &["A"], Err(Differing)),
        ("a=b;cmd=A", &["A"], Err(Differing)),
        ("a=b;c%6Dd=A;d", &["A"], Err(Differing)),
        ("a;cmd=A", &["A"], Err(Differing)),
        ("cmd;a=A", &[""], Err(Differing)),
        ("cmd=A&a=b;cmd", &["A", ""], Err(Differing)),
        ("cmd=A&a=b%3Bcmd=B", &["A"], one),
    ] {
        let form = url_encoded(body).unwrap();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        assert_eq!(form.values("cmd").map(text).collect::<Vec<_>>(), values, "{body}");
        assert_eq!(form.value("cmd"), value.map(|value| value.map(str::as_bytes)), "{body}");
    }
}

#[test]
fn what_stays_here_is_taken_out_and_the_rest_is_left_as_it_is() {
    for (body, expected) in [
        ("a=1&b=%2f+%7E&c", Some("a=1&b=%2f+%7E&c")),
        ("api_key=x", Some("")),
        ("api_key", Some("")),
        ("a=1&api_key=x&b=%2f&&c=", Some("a=1&b=%2f&&c=")),
        ("API%5Fkey=x&a&Api_Key=y&", Some("a&")),
        ("api_key[]=x&api_key%5B0%5D=y&api.key=z&a=1", Some("a=1")),
        ("session_id=1&a=api_key&api_keys=2", Some("a=api_key&api_keys=2")),
        ("a=1;2&session_id=3", Some("a=1;2")),
        ("a=1;api_key=2", None),
        ("a;api_key=2", None),
        ("api_key=2;a", Some("")),
    ] {
        let form = url_encoded(body).unwrap();
        let left = form.without(&names(&["api_key", "Session_ID"])).ok();
        assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{body}");
    }
    // As it came, and not a copy.
    let form = url_encoded("a=1").unwrap();
    assert_eq!(form.without(&names(&["b"])).unwrap().as_ptr(), form.body().as_ptr());
}

#[test]
fn debug_shows_no_value() {
    let form = url_encoded("api_key=hunter2&a=b;api_key=hunter2").unwrap();
    let shown = format!("{form:?}");
    assert!(shown.contains("api_key") && !shown.contains("hunter2"), "{shown}");
}

/// Bytes that come near a form.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("--bb"),
        Just("\r\n"),
        Just("--"),
        Just("Content-Disposition: form-data; name=\"cmd\""),
        Just("\r\n\r\n"),
        Just("Content-Type: text/plain"),
        Just("&"),
        Just("="),
        Just(";"),
        Just("cmd"),
        Just("CMD[]"),
        Just("%63"),
        Just("%"),
        Just("+"),
        Just("\""),
        Just("\\"),
        Just("a"),
        Just("\n"),
        Just("api_key"),
        Just("\u{e9}"),
        Just("\0"),
    ];
    let pieces = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![4 => pieces, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn no_soup_is_too_thick_and_what_is_left_reads_as_the_rest(soup in soup()) {
        let listed = names(&["api_key", "cmd"]);
        let is_listed = |field: &&Field| listed.iter().any(|name| name::reads_as(&field.name, name));
        for kind in [Announced::UrlEncoded, Announced::Multipart("bb".into())] {
            let Ok(form) = Preface::read(kind.clone(), soup.clone().into()) else { continue };
            prop_assert_eq!(&form.body()[..], &soup[..]);
            let Ok(left) = form.without(&listed) else { continue };
            let again = Preface::read(kind, left).unwrap();
            let rest: Vec<&Field> = form.fields().filter(|field| !is_listed(field)).collect();
            prop_assert_eq!(again.fields().collect::<Vec<_>>(), rest);
            prop_assert!(listed.iter().all(|name| again.values(name).next().is_none()));
        }
    }

    #[test]
    fn fields_of_a_form_are_found_again(
        fields in prop::collection::vec(("[a-z]{1,6}", prop::collection::vec(any::<u8>(), 0..40)), 0..8)
    ) {
        let boundary = "----------------------------7c1d";
        let mut body = Vec::new();
        for (name, value) in &fields {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), value, b"\r\n"].concat());
        }
        body.extend(format!("--{boundary}--\r\n").bytes());
        let encoded: Vec<String> = fields.iter().map(|(name, value)| {
            let value = percent_encoding::percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        }).collect();
        for (kind, body) in [
            (Announced::Multipart(boundary.into()), body),
            (Announced::UrlEncoded, encoded.join("&").into_bytes()),
        ] {
            let form = Preface::read(kind, body.into()).unwrap();
            let found: Vec<_> = form.fields().map(|field| (field.name.to_string(), field.value.to_vec())).collect();
            prop_assert_eq!(&found, &fields);
        }
    }
}

#[test]
fn a_large_form_is_read_in_pieces() {
    let pieces = |kind: Announced, body: String| {
        let mut reading = Reading::new(kind, Bytes::from(body));
        for pieces in 1.. {
            if let Some(form) = reading.go_on().unwrap() {
                return (pieces, form.fields().count());
            }
        }
        unreachable!("it has an end")
    };
    let pair = format!("a={}&", "%41".repeat(340));
    assert_eq!(pieces(Announced::UrlEncoded, pair.repeat(1000)), (16, 1000));
    assert_eq!(pieces(Announced::UrlEncoded, pair.repeat(10)), (1, 10));
    // One field is one piece.
    assert_eq!(pieces(Announced::UrlEncoded, format!("a={}&b=1", "+".repeat(1 << 20))), (2, 2));
    let part = format!("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n", "b".repeat(4000));
    let (pieces, fields) = pieces(Announced::Multipart("x".into()), format!("{}--x--", part.repeat(250)));
    assert!((15..=16).contains(&pieces) && fields == 250, "{pieces}");
}

#[test]
fn nobody_is_kept_busy_by_what_holds_no_field() {
    assert!(url_encoded(&"&".repeat(2048)).is_ok());
    assert!(url_encoded(&"&".repeat(2049)).is_err());
    assert!(url_encoded(&format!("{}a=1", "&".repeat(1 << 20))).is_err());
}
