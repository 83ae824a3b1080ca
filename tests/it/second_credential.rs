//! A second credential on its way to an upstream that goes on checking: what nobody here has proven must not
//! be what the upstream believes.

use crate::credentials::{ACC, BASIC, INNER, KEY};
use crate::house::{TestGateway, open};
use crate::upstream::Upstream;

const ID: &str = "8ded5a89051a9a01a389bcdf1e174";

fn house(upstream: &Upstream) -> TestGateway {
    let route = |name: &str, who: &str, credential: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{*rest}}\"\nauthenticate = \"{who}\"\nforward = \"api\"\n\
             credential = \"{credential}\"\nscope = {{ read = [\"all\", \"client\"] }}\n"
        )
    };
    let routes = route("camera", "camera", "keep")
        + &route("any", "license or camera", "keep")
        + &route("both", "license and camera", "keep")
        + &route("page", "api or page", "keep")
        + &route("taken", "license or camera", "remove")
        + &route("client", "page", "remove")
        + &route("here", "here", "remove")
        + &route("kept", "here", "keep")
        + &route("open", "open", "remove")
        + &route("opened", "open", "keep");
    let rest = format!(
        r#"
[scheme.camera.acc]
[scheme.license.lkey]
[scheme.page.key]
[scheme.here.ip]
networks = ["127.0.0.1"]
[scheme.api.basic]
tls_only = false

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "{KEY}" }}, {{ id = "off", key = "v3.off00000000000", disabled = true }}]
camera = [{{ id = "248527", tokens = ["{INNER}"] }}]
api_client = [{{ id = "{ID}", secret = "99176b1d244c484ed65dd792abc1" }}]
"#
    );
    TestGateway::alone(&format!("{}{routes}{rest}", open(upstream, "")))
}

#[test]
fn what_goes_on_to_an_upstream_that_checks_again_was_proven_here() {
    let upstream = Upstream::start();
    let gateway = house(&upstream);
    let token = format!("token={INNER}");
    let (acc, key, off) = (format!("Acc {ACC}"), format!("LKey {KEY}"), "LKey v3.off00000000000".to_owned());
    let (basic, wrong) = (format!("Basic {BASIC}"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
    let strange = token.replace("4NuL", "5NuL");
    for (what, path, query, field, status) in [
        ("a token in the query", "camera", token.as_str(), "", 200),
        ("the same in the header", "camera", &token, acc.as_str(), 200),
        ("a session that is not served", "camera", &token, "SkyVR anything", 401),
        ("a key that nobody looks at", "camera", &token, &key, 401),
        ("a key that is switched off", "any", &token, &off, 401),
        ("a key, and nobody's token", "any", &strange, &key, 401),
        ("a key, and a token that nobody needed", "any", &token, &key, 401),
        ("the same behind a semicolon", "any", &format!("x=1;{token}"), &key, 401),
        ("in other letters", "any", &token.replace("token", "TOKEN"), &key, 401),
        ("a key alone", "any", "", &key, 200),
        ("both are asked for", "both", &token, &key, 200),
        ("one client, named twice", "page", &format!("apiKey={ID}"), &basic, 200),
        ("somebody else's secret", "page", &format!("apiKey={ID}"), &wrong, 401),
        ("nothing goes on", "taken", &token, &off, 200),
    ] {
        let before = upstream.seen().len();
        let field = if field.is_empty() { String::new() } else { format!("Authorization: {field}\r\n") };
        let request = format!("GET /{path}/x?{query} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        assert_eq!(gateway.connect().ask(request).status, status, "{what}");
        assert_eq!(upstream.seen().len() - before, usize::from(status == 200), "{what}");
    }
}

/// VXG's clients name the account that a camera is to be moved to in a field of its own, which is not served.
#[test]
fn a_second_field_of_vxgs_is_refused_wherever_it_comes() {
    let upstream = Upstream::start();
    let gateway = house(&upstream);
    for (path, field) in
        [("any", format!("LKey {KEY}")), ("taken", format!("LKey {KEY}")), ("camera", format!("Acc {ACC}"))]
    {
        for second in ["Authorization2: LKey v3.another", "AUTHORIZATION2: x", "authorization2:"] {
            let ask = |more: &str| {
                let request = format!("GET /{path}/x HTTP/1.1\r\nHost: a\r\nAuthorization: {field}\r\n{more}\r\n");
                gateway.connect().ask(request).status
            };
            assert_eq!([ask(""), ask(&format!("{second}\r\n"))], [200, 401], "{path}: {second}");
        }
    }
    assert!(upstream.seen().iter().all(|request| request.header("authorization2").is_none()));
}

#[test]
fn where_credentials_are_removed_so_is_one_that_nobody_asked_for() {
    let upstream = Upstream::start();
    let gateway = house(&upstream);
    let identifier = format!("apiKey={ID}");
    for (path, query, goes_on) in [
        ("client", identifier.as_str(), false),
        ("here", "", false),
        ("kept", "", true),
        ("open", "", false),
        ("opened", "", true),
    ] {
        for value in ["SkyVR session", "Lic 12345", "FB token", &format!("LKey {KEY}"), "anything", ""] {
            let field = format!("AUTHORIZATION: {value}\r\n");
            let answer = gateway.connect().ask(format!("GET /{path}/x?{query} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
            assert_eq!(answer.status, 200, "{path}: {value}");
            let received = upstream.seen().pop().expect("it came");
            assert_eq!(received.header("authorization"), goes_on.then_some(value), "{path}");
        }
    }
}
