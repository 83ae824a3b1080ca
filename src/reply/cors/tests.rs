use super::*;
use crate::record::Wall;
use crate::scheme::stage::Request;

fn rule(hosts: Option<&[&str]>) -> Rule {
    plain(hosts.map_or(Readers::App, |hosts| Readers::Hosts(Hosts::new(hosts).unwrap())))
}

fn plain(readers: Readers) -> Rule {
    let methods = HeaderValue::from_static("GET, POST");
    Rule { readers, methods, headers: None, exposed: None, credentials: false, max_age: MAX_AGE.into() }
}

fn origins(texts: &[&str]) -> Readers {
    let mut origins = Origins::default();
    for text in texts {
        origins.add(text).unwrap();
    }
    Readers::Origins(origins)
}

fn app(hosts: &[&str], cross_origin: bool) -> App {
    App {
        public_key: "123-456-789".into(),
        signers: Box::default(),
        hosts: Hosts::new(hosts).unwrap(),
        publish: false,
        playback: false,
        expiration_only: false,
        wall: Wall::None,
        legacy_200: false,
        cross_origin,
    }
}

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let field =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.iter().map(field).collect()
}

/// The fields as lines, sorted by name; several of a name in their order.
fn lines(fields: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort_by_key(|line| line.split(':').next().unwrap().to_owned());
    lines
}

/// What an answer with these fields becomes for a page of this origin.
fn stamped(origin: &str, answer: &[(&'static str, &'static str)]) -> Vec<String> {
    let request = Request::get("/").header("Origin", origin);
    let grant = rule(Some(&["mysite.com"])).grant(&request.head(), None).unwrap();
    let mut answer = fields(answer);
    grant.stamp(&mut answer);
    lines(&answer)
}

const ANCESTORS: &str = "content-security-policy: frame-ancestors mysite.com:* *.mysite.com:*";
const EXPOSES: &str = "access-control-expose-headers: x-request-id, ratelimit, ratelimit-policy, retry-after, \
                        accept-ranges, content-range";

#[test]
fn the_very_origin_is_said_and_only_to_pages_of_authorized_hosts() {
    for origin in ["https://mysite.com", "http://a.MYSITE.com:8080"] {
        let said = format!("access-control-allow-origin: {origin}");
        assert_eq!(stamped(origin, &[]), [&said, EXPOSES, ANCESTORS, "vary: Origin"], "{origin}");
    }
    for origin in ["https://evil.com", "https://mysite.com.evil.com", "null", "", "https://mysite.com/p", "*"] {
        assert_eq!(stamped(origin, &[]), [ANCESTORS, "vary: Origin"], "{origin}");
    }
}

#[test]
fn what_the_upstream_says_of_the_same_is_replaced_and_the_rest_stays() {
    let of_upstream = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "X-Total"),
        ("vary", "Accept-Encoding"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'self'; Frame-Ancestors\t'none' ;img-src *"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("content-security-policy", "a b, frame-ancestors *, c"),
        ("content-type", "text/plain"),
    ];
    let policies =
        ["content-security-policy: default-src 'self';img-src *", "content-security-policy: a b,, c", ANCESTORS];
    let (rest, vary) = ("content-type: text/plain", ["vary: Accept-Encoding", "vary: Origin"]);
    let exposed = "access-control-expose-headers: X-Total";
    let evil: Vec<&str> = [exposed].into_iter().chain(policies).chain([rest]).chain(vary).collect();
    assert_eq!(stamped("https://evil.com", &of_upstream), evil);
    let own: Vec<&str> = ["access-control-allow-origin: https://mysite.com", exposed, EXPOSES]
        .into_iter()
        .chain(policies)
        .chain([rest])
        .chain(vary)
        .collect();
    assert_eq!(stamped("https://mysite.com", &of_upstream), own);
}

#[test]
fn a_preflight_is_an_options_request_of_a_page_for_one_method() {
    let options = |request: Request| request.method(Method::OPTIONS);
    let get = || Request::get("/");
    for (what, request, expected) in [
        ("one", options(get().header("Origin", "x").header("Access-Control-Request-Method", "PUT")), Some("PUT")),
        ("another method", get().header("Origin", "x").header("Access-Control-Request-Method", "PUT"), None),
        ("no page", options(get().header("Access-Control-Request-Method", "PUT")), None),
        ("no method", options(get().header("Origin", "x")), None),
        ("no token", options(get().header("Origin", "x").header("Access-Control-Request-Method", "P T")), None),
        (
            "two methods",
            options(
                get()
                    .header("Origin", "x")
                    .header("Access-Control-Request-Method", "PUT")
                    .header("Access-Control-Request-Method", "GET"),
            ),
            None,
        ),
    ] {
        assert_eq!(asked(&request.head()).as_ref().map(Method::as_str), expected, "{what}");
    }
}

#[test]
fn a_preflight_is_told_what_the_route_takes() {
    let rule = rule(Some(&["mysite.com"]));
    let common = ["access-control-allow-methods: GET, POST", "access-control-max-age: 600"];
    let vary = "vary: Access-Control-Request-Method, Access-Control-Request-Headers";
    let long = "a,".repeat(LONGEST_LIST / 2) + "aa";
    for (requested, echoed) in [
        (&[][..], false),
        (&["authorization, x-a"], true),
        (&["content-type"], true),
        (&["x a"], false),
        (&["x-a: b"], false),
        (&["x-a,,x-b"], false),
        (&["*, \"x\""], false),
        (&["x-\u{e9}"], false),
        (&["a", "b"], false),
        (&[&long[..LONGEST_LIST - 1]], true),
        (&[&long[..=LONGEST_LIST]], false),
    ] {
        let request = requested.iter().fold(Request::get("/").header("Origin", "https://mysite.com"), |all, list| {
            all.header("Access-Control-Request-Headers", list)
        });
        let grant = rule.grant(&request.head(), None).unwrap();
        let answer = rule.preflight(&request.head(), &grant).unwrap();
        assert_eq!(answer.status(), 204);
        let echo = requested.first().filter(|_| echoed).map(|list| format!("access-control-allow-headers: {list}"));
        let expected: Vec<String> = echo.into_iter().chain(common.map(Into::into)).chain([vary.to_owned()]).collect();
        assert_eq!(lines(answer.headers()), expected, "{requested:?}");
    }
    let evil = Request::get("/").header("Origin", "https://evil.com");
    let grant = rule.grant(&evil.head(), None).unwrap();
    assert_eq!(rule.preflight(&evil.head(), &grant).unwrap_err().cause, Cause::OriginRefused);
    let two = evil.header("Origin", "https://mysite.com");
    let grant = rule.grant(&two.head(), None).unwrap();
    assert!(rule.preflight(&two.head(), &grant).is_err());
}

#[test]
fn the_flag_goes_with_the_hosts() {
    let request = Request::get("/").header("Origin", "https://mysite.com");
    let (own, apps) = (Some(&["mysite.com"][..]), None);
    for (what, hosts, app, told) in [
        ("the route's", own, None, true),
        ("the route's, and an app that says nothing", own, Some(app(&[], false)), true),
        ("the app's", apps, Some(app(&["mysite.com"], true)), true),
        ("an app that does not want it", apps, Some(app(&["mysite.com"], false)), false),
        ("an app without a list", apps, Some(app(&[], true)), false),
        ("nobody's", apps, None, false),
    ] {
        let grant = rule(hosts).grant(&request.head(), app.as_ref());
        assert_eq!(grant.is_some_and(|grant| grant.origin.is_some()), told, "{what}");
    }
    let nowhere = rule(Some(&["[::1]"])).grant(&request.head(), None).unwrap();
    assert_eq!(nowhere.policy.unwrap(), "frame-ancestors 'none'");
}

/// What an answer of an upstream that says everything itself becomes.
fn restamped(rule: &Rule, origins: &[&str]) -> Vec<String> {
    let request = origins.iter().fold(Request::get("/"), |request, origin| request.header("Origin", origin));
    let mut answer = fields(&[
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "DELETE"),
        ("access-control-allow-headers", "*"),
        ("access-control-max-age", "9"),
        ("access-control-expose-headers", "X-Total"),
        ("vary", "Accept-Encoding, origin"),
        ("x-frame-options", "DENY"),
    ]);
    rule.grant(&request.head(), None).unwrap().stamp(&mut answer);
    lines(&answer)
}

#[test]
fn a_list_of_origins_says_who_reads_and_nothing_of_frames() {
    let exposed = Some(HeaderValue::from_static("x-request-id, x-own"));
    let listed = Rule { exposed, credentials: true, ..plain(origins(&["https://a.example", "https://*.b.example"])) };
    let (vary, frames) = ("vary: Accept-Encoding, origin", "x-frame-options: DENY");
    for origin in ["https://a.example", "https://x.b.example"] {
        let said = [
            "access-control-allow-credentials: true",
            &format!("access-control-allow-origin: {origin}"),
            "access-control-expose-headers: x-request-id, x-own",
            vary,
            frames,
        ];
        assert_eq!(restamped(&listed, &[origin]), said);
    }
    for others in [&["https://evil.com"][..], &["null"], &["*"], &[], &["https://a.example", "https://a.example"]] {
        assert_eq!(restamped(&listed, others), [vary, frames], "{others:?}");
    }
    let anyone = plain(Readers::Anyone);
    let total = "access-control-expose-headers: X-Total";
    for others in [&["https://evil.com"][..], &[]] {
        let said = ["access-control-allow-origin: *", total, EXPOSES, vary, frames];
        assert_eq!(restamped(&anyone, others), said, "{others:?}");
    }
}

#[test]
fn a_preflight_is_told_what_is_listed() {
    let rule = Rule {
        headers: Some(HeaderValue::from_static("authorization")),
        max_age: 60.into(),
        ..plain(origins(&["https://a.example"]))
    };
    let request = Request::get("/").method(Method::OPTIONS).header("Origin", "https://a.example");
    let request =
        request.header("Access-Control-Request-Method", "PUT").header("Access-Control-Request-Headers", "x-a");
    let grant = rule.grant(&request.head(), None).unwrap();
    let mut answer = rule.preflight(&request.head(), &grant).unwrap();
    grant.stamp(answer.headers_mut());
    assert_eq!(
        lines(answer.headers()),
        [
            "access-control-allow-headers: authorization",
            "access-control-allow-methods: GET, POST",
            "access-control-allow-origin: https://a.example",
            EXPOSES,
            "access-control-max-age: 60",
            "vary: Access-Control-Request-Method, Access-Control-Request-Headers",
            "vary: Origin",
        ]
    );
}
