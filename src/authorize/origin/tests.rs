use bytes::Bytes;

use super::*;
use crate::clock::UnixTime;
use crate::edge::preface::Announced;
use crate::record::{App, Attributes, Kind, Wall};
use crate::scheme::Fetching;
use crate::scheme::jwt::Verified;
use crate::scheme::stage::{Register, Request, passer_by};

const NOW: u64 = 1_700_000_000;

fn app(hosts: &[&str]) -> Attributes {
    Attributes::App(Box::new(App {
        public_key: "123-456-789".into(),
        signers: Box::default(),
        hosts: Hosts::new(hosts).unwrap(),
        publish: false,
        playback: false,
        expiration_only: false,
        wall: Wall::None,
        legacy_200: false,
        cross_origin: false,
    }))
}

fn register() -> Register {
    let register = Register::new();
    register.account("acme", None);
    register.enrol(Kind::App, "listed", "acme", "listed", |record| record.attributes = app(&["mysite.com"]));
    register.enrol(Kind::App, "any", "acme", "any", |record| record.attributes = app(&[]));
    register.enrol(Kind::App, "off", "acme", "off", |record| {
        record.attributes = app(&["mysite.com"]);
        record.disabled = true;
    });
    register.enrol(Kind::App, "over", "acme", "over", |record| {
        record.attributes = app(&["mysite.com"]);
        record.expires = Some(UnixTime(NOW));
    });
    register
}

fn rule(hosts: Option<&[&str]>) -> Rule {
    let hosts = hosts.map(|hosts| Hosts::new(hosts).unwrap());
    Rule { hosts, parameters: vec!["referer".into(), "page_url".into()], required: true }
}

/// What is said of a request where the route names this app; nothing is said of what passes.
fn said(rule: &Rule, principal: &Principal, request: &Request, form: &str, app: Option<&str>) -> String {
    let (register, verified) = (register(), Verified::new(1));
    let scene = Scene {
        directory: &register,
        verified: &verified,
        guard: None,
        fetching: Fetching::Asked,
        app,
        now: UnixTime(NOW),
    };
    let form = Preface::read(Announced::UrlEncoded, Bytes::from(form.to_owned())).unwrap();
    match rule.check(principal, (&request.head(), &form), &scene) {
        Ok(()) => String::new(),
        Err(refusal) => {
            assert_eq!(refusal.cause, Cause::OriginRefused);
            refusal.detail.to_owned()
        }
    }
}

/// The same on a route with hosts of its own; fields are `name: value`.
fn told(target: &str, fields: &[&str], form: &str) -> String {
    let request = fields.iter().fold(Request::get(target), |request, field| {
        let (name, value) = field.split_once(": ").unwrap();
        request.header(name, value)
    });
    said(&rule(Some(&["mysite.com"])), &passer_by(), &request, form, None)
}

#[test]
fn whatever_tells_of_a_page_must_tell_of_an_authorised_one() {
    let (other, none, two) = ("another host", "no address", "two fields");
    for (target, fields, form, expected) in [
        ("/", &["Origin: https://mysite.com"][..], "", ""),
        ("/", &["Referer: https://a.b.mysite.com:8443/p"], "", ""),
        ("/?referer=https%3A%2F%2Fmysite.com%2Fp", &[], "", ""),
        ("/?referer=https://mysite.com/a;b=c", &[], "", ""),
        ("/", &[], "referer=https%3A%2F%2Fmysite.com%2Fp%3Fq%3Da+b", ""),
        ("/", &[], "", "nothing says"),
        ("/?refererx=https://evil.com&xreferer=https://evil.com", &[], "a=b", "nothing says"),
        // What one place says does not excuse another.
        ("/?referer=https://mysite.com/", &["Referer: https://evil.com/"], "", other),
        ("/", &["Referer: https://evil.com/"], "referer=https://mysite.com/", other),
        ("/", &["Referer: https://evil.com/"], "referer=mysite.com", other),
        ("/", &["Origin: https://mysite.com", "Referer: https://evil.com/"], "", other),
        ("/", &["Origin: https://evil.com", "Referer: https://mysite.com/"], "", other),
        ("/?referer=https://evil.com/", &["Origin: https://mysite.com"], "", other),
        ("/", &["Origin: https://mysite.com"], "referer=https://evil.com/", other),
        ("/?referer=https://mysite.com/", &[], "referer=https://evil.com/", other),
        ("/?referer=https://mysite.com/&referer=https://evil.com/", &[], "", other),
        ("/?referer=https://evil.com/&referer=https://mysite.com/", &[], "", other),
        ("/", &[], "referer=https://mysite.com/&referer=https://evil.com/", other),
        ("/", &["Origin: null"], "", none),
        ("/", &["Origin: "], "", none),
        ("/", &["Referer: /p"], "", none),
        ("/?referer=", &[], "", none),
        ("/?referer", &["Origin: https://mysite.com"], "", none),
        ("/?referer=%ff", &["Origin: https://mysite.com"], "", none),
        ("/", &["Origin: https://mysite.com", "Origin: https://mysite.com"], "", two),
        ("/", &["Referer: https://mysite.com/", "Referer: https://mysite.com/"], "", two),
    ] {
        let said = told(target, fields, form);
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{target} {fields:?} {form}: {said}"
        );
    }
}

#[test]
fn no_spelling_hides_a_parameter() {
    let good = ["Origin: https://mysite.com"];
    for query in [
        "REFERER",
        "r%65ferer",
        "%20referer",
        "+referer",
        "referer[]",
        "referer%5B0%5D",
        "%5Breferer%5D",
        "%22referer%22",
        "referer%00x",
        "page.url",
        "page%20url",
        "page+url",
        "page_url",
    ] {
        assert!(!told(&format!("/?{query}=https://evil.com/"), &good, "").is_empty(), "{query}");
        assert!(told(&format!("/?{query}=https://mysite.com/"), &good, "").is_empty(), "{query}");
    }
    for query in ["a=b;referer=https://evil.com/", "a=b;referer=https://mysite.com/", "a;%72eferer"] {
        assert!(told(&format!("/?{query}"), &good, "").contains("semicolon"), "{query}");
    }
    for form in ["Referer=https://evil.com/", "+referer=https://evil.com/", "referer%5B%5D=https://evil.com/"] {
        assert!(!told("/", &good, form).is_empty(), "{form}");
    }
    let long = format!("https://mysite.com/{}", "a".repeat(crate::record::LONGEST_PAGE));
    assert!(!told(&format!("/?referer={long}"), &good, "").is_empty());
}

#[test]
fn the_routes_hosts_come_before_the_apps_and_the_speakers_app_before_the_paths() {
    let register = register();
    let speaker = |text: &str| register.caller(Kind::App, text);
    let page = |host: &str| Request::get("/").header("Origin", &format!("https://{host}"));
    let (own, apps) = (Some(&["other.com"][..]), None);
    for (what, hosts, principal, named, host, passes) in [
        ("the route's", own, speaker("listed"), Some("listed"), "other.com", true),
        ("not the app's", own, speaker("listed"), Some("listed"), "mysite.com", false),
        ("the speaker's", apps, speaker("listed"), Some("any"), "mysite.com", true),
        ("not the path's", apps, speaker("listed"), Some("any"), "other.com", false),
        ("no list", apps, speaker("any"), None, "other.com", true),
        ("the path's", apps, passer_by(), Some("listed"), "mysite.com", true),
        ("the path's alone", apps, passer_by(), Some("listed"), "other.com", false),
        ("the path's, without a list", apps, passer_by(), Some("any"), "other.com", true),
        ("an app that is switched off", apps, passer_by(), Some("off"), "mysite.com", false),
        ("an app that is over", apps, passer_by(), Some("over"), "mysite.com", false),
        ("nobody's app", apps, passer_by(), Some("nobody"), "mysite.com", false),
        ("no app", apps, passer_by(), None, "mysite.com", false),
    ] {
        let said = said(&rule(hosts), &principal, &page(host), "", named);
        assert_eq!(said.is_empty(), passes, "{what}: {said}");
    }
}

#[test]
fn silence_is_refused_only_where_it_is_asked_for_and_hosts_are_listed() {
    let silent = Request::get("/");
    for (named, required, passes) in
        [("listed", true, false), ("listed", false, true), ("any", true, true), ("any", false, true)]
    {
        let rule = Rule { required, ..rule(None) };
        assert_eq!(said(&rule, &passer_by(), &silent, "", Some(named)).is_empty(), passes, "{named} {required}");
        let evil = Request::get("/").header("Origin", "https://evil.com");
        assert_eq!(said(&rule, &passer_by(), &evil, "", Some(named)).is_empty(), named == "any", "{named}");
    }
}
