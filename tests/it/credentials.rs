//! One credential, proven or not, through the sockets: what each vendor's clients send, what they get
//! for it, and what a caller who has proven nothing can learn.

use std::time::Duration;

use vidgate::record::{Account, Details, Directory, Key, Kind, Record, Standing};

use crate::house::{START, TestGateway, open};
use crate::upstream::Upstream;
use crate::wire::Answer;

pub const INNER: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4";
/// Another camera's, on record as well.
const OTHER: &str = "share.eyJzaSI6IDExfQ.61a964c3tbc1fab00.uB6jD0tTpYxVOJsY2vpntxX7yDY";
/// `camid`, `access` and the inner token above.
pub const ACC: &str = "eyJjYW1pZCI6IDI0ODUyNywgImNtbmdyaWQiOiAyNDg5NjQsICJhY2Nlc3MiOiAiYWxsIiwgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURJek5UWXpPWDAuNjFhOTY0YzN0YmMxZmFiMDAuNE51TDFxcDhqY0luQ3FwMFJHblFHSk9RdG00IiwgImFwaSI6ICJ3ZWIuZXhhbXBsZS50ZXN0IiwgImNhbSI6ICJjYW0uZXhhbXBsZS50ZXN0In0=";
/// A group's token.
pub const SI: &str = "eyJ0b2tlbiI6ICJzaGFyZS5leUp6YVNJNklERTRmUS42NTE1ZWNjYXRiYzFmYWIwMC5YVi1UdFMyOHUtRWVDUFY1dEZZcEpRR0J0X1EiLCAiYXBpIjogIndlYi5leGFtcGxlLnRlc3QifQ==";
/// `watch` on record: the camera of `OTHER`.
pub const WATCH: &str = "eyJjYW1pZCI6IDExLCAiYWNjZXNzIjogIndhdGNoIiwgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURFeGZRLjYxYTk2NGMzdGJjMWZhYjAwLnVCNmpEMHRUcFl4Vk9Kc1kydnBudHhYN3lEWSJ9";
pub const KEY: &str = "v3.X9tKpuXq0btatj";
/// SecureVideo's own example, 80 characters.
pub const BASIC: &str = "OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==";

/// A house of two vendors; callers who use `office` come from elsewhere.
fn two_vendors(upstream: &Upstream) -> String {
    let route = |name: &str, path: &str, who: &str, dialect: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}/{{*rest}}\"\nauthenticate = \"{who}\"\nforward = \"api\"\n\
             dialect = \"{dialect}\"\nmax_body = \"1 KiB\"\nmethods = [\"GET\", \"PUT\"]\n\n"
        )
    };
    let routes = route("v4", "/api/v4", "camera", "vxg")
        + &route("v3", "/api/v3", "license", "vxg")
        + &route("sv", "/sv", "api", "message")
        + &route("here", "/here", "api and office", "message")
        + &route("jwt", "/jwt", "service", "problem")
        + &route("any", "/any", "camera or license or api or service", "problem")
        + &route("mixed", "/mixed", "(office and camera) or license", "problem");
    let more = format!(
        r#"
[scheme.camera.acc]
verification_key = "vxg-lab-secret"

[scheme.license.lkey]

[scheme.api.basic]
tls_only = false

[scheme.service.jwt]

[scheme.office.ip]
networks = ["198.51.100.1"]

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "{KEY}" }}]
camera = [
    {{ id = "248527", tokens = ["{INNER}"] }},
    {{ id = "11", tokens = ["{OTHER}"], scopes = ["watch"] }},
]
api_client = [{{ id = "8ded5a89051a9a01a389bcdf1e174", secret = "99176b1d244c484ed65dd792abc1" }}]
"#
    );
    open(upstream, "").replace("address", "dialect = \"problem\"\naddress") + &routes + &more
}

/// A house of two vendors.
pub struct House {
    pub gateway: TestGateway,
    pub upstream: Upstream,
}

impl House {
    /// It runs.
    pub fn start() -> Self {
        let upstream = Upstream::start();
        // Without the open route of the plain house, which would take what the others leave.
        let toml = two_vendors(&upstream).replace("path = \"/{*rest}\"", "path = \"/open/{*rest}\"");
        Self { gateway: TestGateway::alone(&toml), upstream }
    }

    /// Sends a head by a connection of its own.
    pub fn ask(&self, line: &str, fields: &[&str]) -> Answer {
        let line = format!("{line} HTTP/1.1");
        let lines = [&[line.as_str(), "Host: a"], fields, &["", ""]].concat();
        self.gateway.connect().ask(lines.join("\r\n"))
    }

    /// Asks, and holds that an upstream hears of it only if it is taken.
    fn status(&self, line: &str, authorization: &[&str]) -> u16 {
        let fields: Vec<String> = authorization.iter().map(|value| format!("Authorization: {value}")).collect();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let before = self.upstream.seen().len();
        let status = self.ask(line, &fields).status;
        let reached = self.upstream.seen().len() - before;
        assert_eq!(reached, usize::from(status == 200), "{line} {authorization:?}: {status}");
        status
    }

    fn challenges(answer: &Answer) -> Vec<&str> {
        answer.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str()).collect()
    }
}

#[test]
fn vxgs_clients_get_what_their_tokens_are_worth() {
    let house = House::start();
    let watch = "/api/v4/live/watch/";
    let lower = format!("acc {ACC}");
    for (what, line, authorization, status) in [
        ("1: a camera's token", format!("GET {watch}"), vec![format!("Acc {ACC}")], 200),
        ("2: two spaces", format!("GET {watch}"), vec![format!("Acc  {ACC}")], 200),
        ("2: lower case", format!("GET {watch}"), vec![lower], 200),
        ("4: the inner token in the query", format!("GET /api/v4/storage/records/?token={INNER}"), vec![], 200),
        (
            "4: over",
            "GET /api/v4/x?token=share.eyJzaSI6IDd9.61a964c3te10.OA4E4yprqa1DKc6RW7twtANotcY".into(),
            vec![],
            401,
        ),
        ("5: a MAC changed", format!("GET {watch}?token={}5", &INNER[..INNER.len() - 1]), vec![], 401),
        ("5: read by `watch`", format!("GET {watch}"), vec![format!("Acc {WATCH}")], 200),
        ("5: written by `watch`", format!("PUT {watch}"), vec![format!("Acc {WATCH}")], 403),
        ("6: a licence key", "GET /api/v3/channels/".into(), vec![format!("LKey {KEY}")], 200),
        ("6: a licence key on v4", format!("GET {watch}"), vec![format!("LKey {KEY}")], 401),
        ("6: no key", "GET /api/v3/channels/".into(), vec!["LKey".into()], 401),
        ("6: a camera's token on v3", "GET /api/v3/channels/".into(), vec![format!("Acc {ACC}")], 401),
        ("7: a group's token as a camera's", format!("GET {watch}"), vec![format!("Acc {SI}")], 401),
        ("7: a camera's token as a group's", format!("GET {watch}"), vec![format!("SI {ACC}")], 401),
        ("10: v4 up to v3", "GET /api/v4/../v3/channels/".into(), vec![format!("Acc {ACC}")], 401),
        ("10: v3 up to v4", "GET /api/v3/../v4/x".into(), vec![format!("LKey {KEY}")], 401),
        ("11: two fields", format!("GET {watch}"), vec![format!("Acc {ACC}"), format!("LKey {KEY}")], 401),
        ("12: a token of 9 KiB", format!("GET {watch}"), vec![format!("Acc {}", "A".repeat(9 * 1024))], 401),
        ("12: not UTF-8", format!("GET {watch}"), vec!["Acc //////8=".into()], 401),
        ("12: a depth bomb", format!("GET {watch}"), vec![format!("Acc {}", "W1tb".repeat(400))], 401),
    ] {
        let authorization: Vec<&str> = authorization.iter().map(String::as_str).collect();
        assert_eq!(house.status(&line, &authorization), status, "{what}");
    }
    for received in house.upstream.seen() {
        assert!(!format!("{received:?}").contains("share."), "no token goes further: {received:?}");
    }
}

#[test]
fn securevideos_clients_get_what_their_secrets_are_worth() {
    let house = House::start();
    let folded = format!("Basic {} {}", &BASIC[..76], &BASIC[76..]);
    for (what, authorization, status) in [
        ("1: the example", vec![format!("Basic {BASIC}")], 200),
        ("1: lower case", vec![format!("basic {BASIC}")], 200),
        ("2: no field", vec![], 401),
        ("2: no token", vec!["Basic".into()], 401),
        ("2: not base64", vec!["Basic !!!!".into()], 401),
        ("2: no colon", vec!["Basic OGRlZDVh".into()], 401),
        ("2: a wrong secret", vec!["Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6eA==".into()], 401),
        ("2: an unknown identifier", vec!["Basic eDo5OTE3NmIxZDI0NGM0ODRlZDY1ZGQ3OTJhYmMx".into()], 401),
        ("4: folded by a MIME encoder", vec![folded], 200),
        ("5: the padding left out", vec![format!("Basic {}", BASIC.trim_end_matches('='))], 401),
        ("5: bits behind the end", vec![format!("Basic {}R==", &BASIC[..77])], 401),
        ("a key for another door", vec![format!("LKey {KEY}")], 401),
    ] {
        let authorization: Vec<&str> = authorization.iter().map(String::as_str).collect();
        assert_eq!(house.status("GET /sv/user", &authorization), status, "{what}");
    }
    let split = format!("Basic {}\r\n {}", &BASIC[..76], &BASIC[76..]);
    assert_eq!(house.status("GET /sv/user", &[&split]), 400, "4: a fold that was left in");
}

#[test]
fn the_answer_does_not_tell_a_known_identifier_from_an_unknown_one() {
    let house = House::start();
    let told = |token: &str| {
        let answer = house.ask("GET /sv/user", &[&format!("Authorization: Basic {token}")]);
        let headers: Vec<_> =
            answer.headers.into_iter().filter(|(name, _)| name != "x-request-id" && name != "date").collect();
        (answer.status, headers, answer.body)
    };
    let known = told("OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6eA==");
    assert_eq!(known.0, 401);
    for other in ["eDo5OTE3NmIxZDI0NGM0ODRlZDY1ZGQ3OTJhYmMx", "!!!!", "", "OnB3"] {
        assert_eq!(told(other), known, "{other}");
    }
}

#[test]
fn two_credentials_are_never_settled_by_the_first_or_the_last() {
    let house = House::start();
    let (good, bad) = (format!("LKey {KEY}"), "LKey v3.wrong".to_owned());
    let api = format!("Basic {BASIC}");
    for (what, path, fields) in [
        ("the same twice", "/api/v3/x", vec![good.clone(), good.clone()]),
        ("good and bad", "/api/v3/x", vec![good.clone(), bad.clone()]),
        ("bad and good", "/api/v3/x", vec![bad.clone(), good.clone()]),
        ("good and empty", "/api/v3/x", vec![good.clone(), String::new()]),
        ("two kinds", "/api/v3/x", vec![good.clone(), api.clone()]),
        ("two kinds, either of which would do", "/any/x", vec![good.clone(), api.clone()]),
        ("two kinds, the other way round", "/any/x", vec![api.clone(), good.clone()]),
        ("joined by a comma", "/api/v3/x", vec![format!("{good}, {good}")]),
        ("joined, two kinds", "/any/x", vec![format!("{good},{api}")]),
        ("where nobody is asked", "/open/x", vec![good.clone(), good.clone()]),
        ("joined, where nobody is asked", "/open/x", vec![format!("{good}, {api}")]),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(house.status(&format!("GET {path}"), &fields), 401, "{what}");
    }
    let mixed = house.ask("GET /api/v3/x", &[&format!("authorization: {good}"), &format!("AUTHORIZATION: {good}")]);
    assert_eq!(mixed.status, 401);
}

#[test]
fn header_and_query_with_the_very_same_token_are_one_credential() {
    let house = House::start();
    let header = format!("Acc {ACC}");
    for (what, query, status) in [
        ("the same", format!("token={INNER}"), 200),
        ("the same, encoded", format!("a=b&%74oken={}", INNER.replace('.', "%2E")), 200),
        ("the same, twice", format!("token={INNER}&token={INNER}"), 200),
        ("another", format!("token={OTHER}"), 401),
        ("the same and another", format!("token={INNER}&token={OTHER}"), 401),
        ("nothing", "token=".into(), 401),
        ("the whole token", format!("token={ACC}"), 401),
    ] {
        assert_eq!(house.status(&format!("GET /api/v4/x?{query}"), &[&header]), status, "{what}");
        assert!(house.upstream.seen().iter().all(|received| !received.target.contains("oken=")), "{what}");
    }
    assert_eq!(house.upstream.seen()[1].target, "/api/v4/x?a=b", "the rest of the query stays");
}

#[test]
fn a_caller_who_presents_nothing_is_offered_every_way_in() {
    let house = House::start();
    for (path, expected) in [
        ("/api/v4/x", vec!["Acc"]),
        ("/api/v3/x", vec!["LKey"]),
        ("/sv/x", vec!["Basic realm=\"SecureVideo\", charset=\"UTF-8\""]),
        ("/jwt/x", vec!["Bearer"]),
        ("/any/x", vec!["Acc", "LKey", "Basic realm=\"SecureVideo\", charset=\"UTF-8\"", "Bearer"]),
        ("/mixed/x", vec!["Acc", "LKey"]),
        ("/here/x", vec!["Basic realm=\"SecureVideo\", charset=\"UTF-8\""]),
    ] {
        for fields in
            [&[][..], &["Authorization: Bearer x"], &["Authorization: LKey x"], &["Authorization: Digest a=b"]]
        {
            let answer = house.ask(&format!("GET {path}"), fields);
            assert_eq!((answer.status, House::challenges(&answer)), (401, expected.clone()), "{path} {fields:?}");
        }
    }
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_caller_with_bad_credentials_never_learns_the_list_of_addresses() {
    let house = House::start();
    let (good, wrong) = (format!("Basic {BASIC}"), "Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6eA==");
    for (what, path, authorization, status) in [
        ("nothing", "/here/x", None, 401),
        ("a wrong secret", "/here/x", Some(wrong.to_owned()), 401),
        ("a credential of another kind", "/here/x", Some(format!("LKey {KEY}")), 401),
        ("proven, from elsewhere", "/here/x", Some(good), 412),
        ("nothing, where one branch has an address", "/mixed/x", None, 401),
        ("a wrong key, where one branch has an address", "/mixed/x", Some("LKey x".into()), 401),
        ("a camera, from elsewhere", "/mixed/x", Some(format!("Acc {ACC}")), 403),
        ("the other branch", "/mixed/x", Some(format!("LKey {KEY}")), 200),
    ] {
        for forged in ["X-A: b", "X-Forwarded-For: 198.51.100.1", "X-Real-IP: 198.51.100.1"] {
            let authorization = authorization.as_ref().map(|value| format!("Authorization: {value}"));
            let fields: Vec<&str> = authorization.as_deref().into_iter().chain([forged]).collect();
            let answer = house.ask(&format!("GET {path}"), &fields);
            assert_eq!(answer.status, status, "{what}, {forged}");
            assert!(!answer.text().contains("198.51.100"), "{what}");
            assert!(status == 412 || !answer.text().to_lowercase().contains("whitelist"), "{what}");
        }
    }
}

#[test]
fn a_refused_head_has_the_fields_of_the_refusal_and_no_body() {
    let house = House::start();
    let mut wire = house.gateway.connect();
    let upstream_head = wire.send("HEAD /api/v3/x HTTP/1.1\r\nHost: a\r\n\r\n").head();
    assert_eq!((upstream_head.status, upstream_head.header("www-authenticate")), (401, Some("LKey")));
    // The next answer begins where a body would.
    let next = wire.ask(format!("GET /api/v3/x HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {KEY}\r\n\r\n"));
    assert_eq!(next.status, 200);
}

#[test]
fn only_an_admitted_request_counts_as_a_use() {
    let house = House::start();
    let used = |kind, text: &str| house.gateway.directory.look_up(kind, text.as_bytes()).unwrap().used();
    house.gateway.advance(Duration::from_secs(119));
    let minute = vidgate::clock::UnixTime(START.0 + 60);
    // The key is proven and speaks on a route where a camera's token is asked for; the token may not write.
    assert_eq!(house.status("GET /api/v4/x", &[&format!("LKey {KEY}")]), 401);
    assert_eq!(house.status("PUT /api/v4/x", &[&format!("Acc {WATCH}")]), 403);
    assert_eq!((used(Kind::LicenseKey, KEY), used(Kind::CameraToken, OTHER)), (None, None));
    assert_eq!(house.status("GET /api/v3/x", &[&format!("LKey {KEY}")]), 200);
    assert_eq!((used(Kind::LicenseKey, KEY), used(Kind::CameraToken, OTHER)), (Some(minute), None));
}

#[test]
fn what_changes_in_the_index_holds_for_the_next_request() {
    let house = House::start();
    let (index, ask) = (&house.gateway.directory, |key: &str| house.status("GET /api/v3/x", &[&format!("LKey {key}")]));
    let acme = index.account("acme").unwrap();
    let parent = index.insert_account(Account::new("parent", Standing::default()).unwrap()).unwrap();
    acme.stand(Standing { parent: Some(parent.clone()), ..Standing::default() });
    assert_eq!(ask(KEY), 200);
    parent.stand(Standing { disabled: true, ..Standing::default() });
    assert_eq!(ask(KEY), 401);
    parent.stand(Standing::default());
    assert_eq!((ask(KEY), ask("added")), (200, 401));
    let details = |text: &str| {
        let key = Key { kind: Kind::LicenseKey, digest: index.digest(text.as_bytes()) };
        Details::new(key, text, acme.clone())
    };
    let added = index.insert(Record::new(details("added")).unwrap()).unwrap();
    assert_eq!((ask(KEY), ask("added")), (200, 200));
    index.publish(Record::new(Details { disabled: true, ..details("added") }).unwrap());
    assert_eq!((ask(KEY), ask("added")), (200, 401));
    index.remove(Kind::LicenseKey, &added.key().digest).unwrap();
    assert_eq!((ask(KEY), ask("added")), (200, 401));
}
