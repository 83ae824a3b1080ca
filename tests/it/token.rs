//! `POST /Token` from the street: logins in every spelling, one refusal for all that is wrong, tokens that
//! hold from the next request on and go with their user. The ciphertexts are openssl's.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use vidgate::clock::{Clock, UnixTime};
use vidgate::config;
use vidgate::store::{Actor, Filter, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

use crate::house::{START, TestGateway};
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::Answer;

const GUARDED: &str = "[limit.logins]\nrate = \"1000/1s\"\nper = \"address\"\n";
const ONE_PAIR: &str = "keys = [{ key = { file = \"pair.key\" } }]";

const REFUSED: &str = r#"{"error":"invalid_grant"}"#;
const UNSUPPORTED: &str = r#"{"error":"unsupported_grant_type"}"#;
const INVALID: &str = r#"{"error":"invalid_request"}"#;

struct Ground {
    gateway: TestGateway,
    vectors: Value,
    _upstream: Upstream,
    _folder: tempfile::TempDir,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/token")
}

fn toml(upstream: &Upstream, told: &str, limit: &str) -> String {
    format!(
        r#"
trusted_proxies = ["127.0.0.1"]
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://{}"]
[scheme.token.opaque]
[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
[endpoint.token]
{told}
{limit}
[[route]]
name = "token"
path = "/Token"
case_sensitive = false
authenticate = "open"
endpoint = "token"
limits = ["logins"]
dialect = "oauth"
[[route]]
name = "api"
path = "/api/{{*rest}}"
authenticate = "token"
forward = "api"
dialect = "multicam"
[[route]]
name = "studio"
path = "/studio/{{*rest}}"
authenticate = "token"
roles = ["operator"]
forward = "api"
dialect = "multicam"
"#,
        upstream.address()
    )
}

impl Ground {
    fn new() -> Self {
        Self::with(ONE_PAIR, GUARDED)
    }

    fn with(told: &str, limit: &str) -> Self {
        let (base, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
        std::fs::write(base.path().join("master.key"), key.to_text().expose()).expect("written");
        for pair in ["pair.key", "next.key"] {
            std::fs::copy(folder().join(pair), base.path().join(pair)).expect("copied");
        }
        let text = std::fs::read_to_string(folder().join("vectors.json")).expect("the vectors");
        let vectors: Value = serde_json::from_str(&text).expect("JSON");
        let settings = Settings { path: base.path().join("vidgate.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        processes::settle();
        let store = Store::open(&settings, Master { key, file: None }, Clock::manual(START), Purpose::Serve);
        let store = store.expect("it opens");
        create(&store, Resource::Account, json!({ "id": "acme" }));
        for (id, login, key) in [("john", "john@example.com", &vectors["key"]), ("eva", "eva", &json!("eva's key"))] {
            create(&store, Resource::User, json!({ "id": id, "account": "acme", "login": login, "key": key }));
        }
        drop(store);
        let gateway = TestGateway::start_in(&toml(&upstream, told, limit), base.path(), 2);
        Self { gateway, vectors, _upstream: upstream, _folder: base }
    }

    fn vector(&self, name: &str) -> &str {
        self.vectors[name].as_str().expect("a vector")
    }

    fn post(&self, path: &str, more: &str, body: &str) -> Answer {
        self.gateway.connect().ask(format!(
            "POST {path} HTTP/1.1\r\nHost: gw.example.test\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn form(&self, body: &str) -> Answer {
        self.post("/Token", FORM, body)
    }

    fn log_in(&self, user: &str, password: &str) -> Answer {
        self.form(&login(user, password))
    }

    /// The token of a login that works.
    fn token(&self) -> String {
        let answer = self.log_in("john@example.com", self.vector("good"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        body["access_token"].as_str().expect("a token").to_owned()
    }

    fn call(&self, target: &str, more: &str) -> Answer {
        self.gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: gw.example.test\r\n{more}\r\n"))
    }

    fn opens(&self, token: &str) -> u16 {
        self.call("/api/application/system", &format!("Authorization: Bearer {token}\r\n")).status
    }

    fn change(&self, operation: Operation) {
        let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
        self.gateway.store().apply(request).expect("it is done");
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn login(user: &str, password: &str) -> String {
    let [user, password] = [user, password].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    format!("grant_type=password&username={user}&password={password}")
}

fn create(store: &Store, resource: Resource, document: Value) {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    let operations = vec![Operation::Create { resource, document, versions: Vec::new() }];
    store.apply(Request { actor: Actor("local:0".to_owned()), operations, idempotency: None }).expect("it is done");
}

fn bytes(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).expect("base64")
}

#[test]
fn a_login_is_answered_as_katana_answers_it() {
    let ground = Ground::new();
    let answer = ground.log_in("john@example.com", ground.vector("good"));
    let text = answer.text();
    let token = text.strip_prefix("{\"access_token\":\"").and_then(|rest| rest.split_once('"')).expect("a token").0;
    assert_eq!(text, format!("{{\"access_token\":\"{token}\",\"token_type\":\"bearer\",\"expires_in\":1209599}}"));
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("content-type", "application/json;charset=UTF-8"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("expires", "-1"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_ciphertext_is_taken_in_every_spelling() {
    let ground = Ground::new();
    let good = bytes(ground.vector("good"));
    let hex = |separator: &str, upper: bool| {
        let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        good.iter().map(digits).collect::<Vec<_>>().join(separator)
    };
    let short = bytes(ground.vector("short"));
    assert_eq!(short.len(), 255);
    for (what, password) in [
        ("base64", ground.vector("good").to_owned()),
        ("without padding", ground.vector("good").trim_end_matches('=').to_owned()),
        ("hex", hex("", false)),
        ("hex in upper case", hex("", true)),
        ("as BitConverter writes it", hex("-", true)),
        ("a byte short", ground.vector("short").to_owned()),
        ("a byte short, in hex", data_encoding::HEXLOWER.encode(&short)),
    ] {
        assert_eq!(ground.log_in("john@example.com", &password).status, 200, "{what}");
    }
    let raw = format!("grant_type=password&username=john%40example.com&password={}", ground.vector("good"));
    assert!(raw.contains('+'), "a form turns it into a blank");
    assert_eq!(ground.form(&raw).status, 200);
    for path in ["/token", "/TOKEN"] {
        assert_eq!(ground.post(path, FORM, &raw).status, 200, "{path}");
    }
    let charset = "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n";
    assert_eq!(ground.post("/Token", charset, &raw).status, 200);
}

/// All of the answer but the id of the request, and how many more there may be.
fn all_of(mut answer: Answer) -> (u16, Vec<(String, String)>, String) {
    answer.headers.retain(|(name, _)| !["x-request-id", "date", "ratelimit"].contains(&name.as_str()));
    let text = answer.text().to_owned();
    (answer.status, answer.headers, text)
}

#[test]
fn whatever_is_wrong_with_a_login_is_one_refusal() {
    let ground = Ground::with(ONE_PAIR, GUARDED);
    for patch in [json!({ "disabled": true }), json!({ "disabled": false, "expires": "2025-01-01T00:00:00Z" })] {
        let Value::Object(patch) = patch else { unreachable!() };
        ground.change(Operation::Change { resource: Resource::User, id: "john".into(), patch, revision: None });
        let (status, _, text) = all_of(ground.log_in("john@example.com", ground.vector("good")));
        assert_eq!((status, &*text), (400, REFUSED), "off, or over");
    }
    let Value::Object(patch) = json!({ "expires": null }) else { unreachable!() };
    ground.change(Operation::Change { resource: Resource::User, id: "john".into(), patch, revision: None });
    let first = all_of(ground.log_in("john@example.com", ground.vector("wrong")));
    let field = |name: &str| first.1.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(field("content-type"), Some("application/json;charset=UTF-8"));
    assert_eq!(
        [field("cache-control"), field("pragma"), field("expires")],
        [Some("no-cache"), Some("no-cache"), Some("-1")]
    );
    assert_eq!((first.0, &*first.2), (400, REFUSED));
    let good = bytes(ground.vector("good"));
    let tampered: Vec<u8> = good.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 99)).collect();
    for (what, user, password) in [
        ("an unknown user", "jon@example.com", ground.vector("good").to_owned()),
        ("another case", "John@example.com", ground.vector("good").to_owned()),
        ("another user's name", "eva", ground.vector("good").to_owned()),
        ("a longer key", "john@example.com", ground.vector("longer").to_owned()),
        ("another pair", "john@example.com", ground.vector("next").to_owned()),
        ("OAEP, which is off", "john@example.com", ground.vector("oaep").to_owned()),
        ("bad padding", "john@example.com", STANDARD.encode(&tampered)),
        ("256 bytes of anything", "john@example.com", STANDARD.encode([0x5a; 256])),
        ("larger than the modulus", "john@example.com", STANDARD.encode([0xff; 256])),
        ("zeros", "john@example.com", STANDARD.encode([0; 256])),
        ("255 bytes", "john@example.com", STANDARD.encode(&good[..255])),
        ("257 bytes, with a zero before", "john@example.com", STANDARD.encode([&[0][..], &good].concat())),
        ("257 bytes, with a zero behind", "john@example.com", STANDARD.encode([&good[..], &[0]].concat())),
        ("one byte", "john@example.com", "AA==".to_owned()),
        ("4000 bytes", "john@example.com", STANDARD.encode([7; 4000])),
        ("the key in clear", "john@example.com", ground.vector("key").to_owned()),
        ("neither hex nor base64", "john@example.com", "***".to_owned()),
        ("no password", "john@example.com", String::new()),
        ("no user", "", ground.vector("good").to_owned()),
    ] {
        assert_eq!(all_of(ground.log_in(user, &password)), first, "{what}");
    }
    assert_eq!(ground.log_in("john@example.com", ground.vector("good")).status, 200, "and that one is good");
}

#[test]
fn what_asks_for_no_token_in_a_form_is_refused() {
    let ground = Ground::new();
    let login = login("john@example.com", ground.vector("good"));
    let rest = login.strip_prefix("grant_type=password").expect("it begins so");
    for (what, body, expected) in [
        ("another case", format!("grant_type=Password{rest}"), UNSUPPORTED),
        ("another grant", "grant_type=client_credentials".to_owned(), UNSUPPORTED),
        ("none", rest.trim_start_matches('&').to_owned(), UNSUPPORTED),
        ("nothing", String::new(), UNSUPPORTED),
        ("no password", "grant_type=password&username=john".to_owned(), REFUSED),
        ("a parameter twice", format!("{login}&username=eva"), INVALID),
    ] {
        let answer = ground.form(&body);
        assert_eq!((answer.status, answer.text()), (400, expected), "{what}");
    }
    let json = r#"{"grant_type":"password","username":"john@example.com","password":"x"}"#;
    let answer = ground.post("/Token", "Content-Type: application/json\r\n", json);
    assert_eq!((answer.status, answer.text()), (400, INVALID));
    let answer = ground.call("/Token", "");
    assert_eq!((answer.status, answer.text()), (400, UNSUPPORTED));
    let answer = ground.call(&format!("/Token?{login}"), "");
    assert_eq!((answer.status, answer.text()), (400, UNSUPPORTED), "the query is not read");
    let answer = ground.form(&format!("{login}&x={}", "a".repeat(16 << 10)));
    assert_eq!((answer.status, answer.text()), (400, INVALID), "more than 16 KiB");
}

#[test]
fn a_token_opens_from_the_next_request_on_and_only_as_it_was_given() {
    let ground = Ground::new();
    let token = ground.token();
    for field in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER   {token} ")] {
        // On whichever worker the connection is.
        for _ in 0..4 {
            assert_eq!(ground.call("/api/x", &format!("Authorization: {field}\r\n")).status, 200, "{field}");
        }
    }
    let altered = format!("{}{}", &token[..token.len() - 1], if token.ends_with('a') { 'b' } else { 'a' });
    for (what, target, more) in [
        ("altered", "/api/x", format!("Authorization: Bearer {altered}\r\n")),
        ("in the query", &*format!("/api/x?access_token={token}"), String::new()),
        ("as another word", "/api/x", format!("Authorization: Token {token}\r\n")),
        ("nothing", "/api/x", String::new()),
    ] {
        let answer = ground.call(target, &more);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{what}");
    }
    ground.gateway.advance(Duration::from_secs(1_209_599));
    assert_eq!(ground.opens(&token), 200);
    ground.gateway.advance(Duration::from_secs(1));
    assert_eq!(ground.opens(&token), 401);
}

#[test]
fn a_token_goes_with_its_user_at_once() {
    let ground = Ground::new();
    let token = ground.token();
    let switch = |disabled: bool| {
        let Value::Object(patch) = json!({ "disabled": disabled }) else { unreachable!() };
        Operation::Change { resource: Resource::User, id: "john".into(), patch, revision: None }
    };
    assert_eq!(ground.opens(&token), 200);
    ground.change(switch(true));
    assert_eq!(ground.opens(&token), 401, "the user is off");
    ground.change(switch(false));
    assert_eq!(ground.opens(&token), 200);
    ground.change(Operation::Delete { resource: Resource::User, id: "john".into(), revision: None });
    assert_eq!(ground.opens(&token), 401, "the user is gone");
    let left = ground.gateway.store().list(Resource::BearerToken, &Filter::default(), None, 10).expect("a list");
    assert!(left.items.is_empty());
}

#[test]
fn a_token_opens_what_asks_for_a_role_as_long_as_its_user_has_that() {
    let ground = Ground::new();
    let token = ground.token();
    let studio = || ground.call("/studio/scenes", &format!("Authorization: Bearer {token}\r\n")).status;
    let give = |roles: Value| {
        let Value::Object(patch) = json!({ "roles": roles }) else { unreachable!() };
        ground.change(Operation::Change { resource: Resource::User, id: "john".into(), patch, revision: None });
    };
    assert_eq!((studio(), ground.opens(&token)), (403, 200), "a user has no role unless one is given");
    give(json!(["Operator"]));
    assert_eq!(studio(), 200);
    give(json!(["viewer"]));
    assert_eq!(studio(), 403);
    give(json!([]));
    assert_eq!((studio(), ground.opens(&token)), (403, 200), "who loses the last role wins nothing");
}

#[test]
fn a_token_that_is_revoked_is_refused_and_the_user_may_log_in_again() {
    let ground = Ground::new();
    let (first, second) = (ground.token(), ground.token());
    let own = Filter { user: Some("john".to_owned()), ..Filter::default() };
    let listed = ground.gateway.store().list(Resource::BearerToken, &own, None, 10).expect("a list").items;
    assert_eq!(listed.len(), 2);
    for entry in listed {
        assert!(!format!("{:?}", entry.document).contains(&first), "no token is shown again");
        ground.change(Operation::Delete { resource: Resource::BearerToken, id: entry.id, revision: None });
    }
    assert_eq!((ground.opens(&first), ground.opens(&second)), (401, 401));
    assert_eq!(ground.opens(&ground.token()), 200);
    let others = Filter { user: Some("eva".to_owned()), ..Filter::default() };
    assert!(ground.gateway.store().list(Resource::BearerToken, &others, None, 10).expect("a list").items.is_empty());
}

#[test]
fn one_token_too_many_retires_the_oldest() {
    let ground = Ground::with(&format!("{ONE_PAIR}\ntokens = 3"), GUARDED);
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(ground.token());
        ground.gateway.advance(Duration::from_secs(1));
    }
    let open: Vec<u16> = tokens.iter().map(|token| ground.opens(token)).collect();
    assert_eq!(open, [401, 401, 200, 200, 200]);
}

#[test]
fn two_pairs_open_during_a_rotation_and_oaep_where_it_is_on() {
    let both =
        "keys = [{ key = { file = \"pair.key\" }, oaep = true }, { key = { file = \"next.key\" } }]\nlifetime = \"1h\"";
    let ground = Ground::with(both, GUARDED);
    for name in ["good", "next", "oaep"] {
        let answer = ground.log_in("john@example.com", ground.vector(name));
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.text().ends_with("\"expires_in\":3599}"), "{name}");
    }
    for name in ["wrong", "longer"] {
        assert_eq!(ground.log_in("john@example.com", ground.vector(name)).status, 400, "{name}");
    }
}

#[test]
fn wrong_logins_count_for_the_guard_and_a_good_one_takes_back_its_own_alone() {
    let guard = "[limit.logins]\nfailures = 3\nfirst = \"1m\"\n";
    let ground = Ground::with(ONE_PAIR, guard);
    let from = |address: &str, user: &str, name: &str| {
        let more = format!("{FORM}X-Forwarded-For: {address}\r\n");
        ground.post("/Token", &more, &login(user, ground.vector(name))).status
    };
    let wrong = |address: &str, user: &str| from(address, user, "wrong");
    let good = |address: &str| from(address, "john@example.com", "good");
    // A good login takes back what was wrong for it, and not what was tried on others; nor does an open route.
    assert_eq!([wrong("203.0.113.1", "john@example.com"), wrong("203.0.113.1", "john@example.com")], [400, 400]);
    assert_eq!(good("203.0.113.1"), 200);
    assert_eq!([wrong("203.0.113.1", "eva"), wrong("203.0.113.1", "nobody")], [400, 400]);
    assert_eq!(good("203.0.113.1"), 200);
    assert_eq!(wrong("203.0.113.1", "nobody else"), 400, "the third guess is the last");
    assert_eq!([good("203.0.113.1"), wrong("203.0.113.1", "eva")], [429, 429]);
    assert_eq!(good("198.51.100.1"), 200, "elsewhere");
    // For one name from one network, whatever the addresses.
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(wrong(address, "john@example.com"), 400);
    }
    assert_eq!(good("192.0.2.4"), 429);
    assert_eq!(wrong("192.0.2.4", "eva"), 400);
    ground.gateway.advance(Duration::from_secs(61));
    assert_eq!(good("192.0.2.4"), 200);
}

/// What is wrong with a configuration.
fn mistakes(told: &str, limit: &str) -> String {
    let upstream = Upstream::start();
    let text = toml(&upstream, told, limit);
    match config::load_text("test.toml", &text, &folder(), Purpose::Look) {
        Ok(_) => String::new(),
        Err(report) => report.render(false),
    }
}

#[test]
fn a_route_to_it_needs_a_key_and_something_that_slows_down_who_guesses() {
    for (told, limit, expected) in [
        ("", GUARDED, "vidgate multicam key"),
        (ONE_PAIR, "[limit.logins]\nrate = \"9/1s\"\nper = \"route\"\n", "anyone may guess"),
        (ONE_PAIR, "[limit.logins]\nfailures = 3\nlog_only = true\n", "anyone may guess"),
        ("keys = [{ key = { file = \"pair.pub.pem\" } }]", GUARDED, "no PKCS#8 key"),
        (&format!("{ONE_PAIR}\ntokens = 0"), GUARDED, "1 to 1024"),
        (&format!("{ONE_PAIR}\nlifetime = \"1s\""), GUARDED, "2 seconds to 366 days"),
        (&ONE_PAIR.replace("}]", "}, { key = \"a\" }, { key = \"b\" }]"), GUARDED, "two keys at most"),
    ] {
        let said = mistakes(told, limit);
        assert!(said.contains(expected), "{told}\n{limit}\n{said}");
    }
}

#[test]
fn the_printed_line_logs_in() {
    let ground = Ground::new();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), ground.vector("key")).expect("written");
    let url = format!("http://{}/Token", ground.gateway.address("public"));
    let mut sign = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    sign.args(["sign", "token", "--user", "john@example.com", "--key-file"]).arg(folder.path().join("key"));
    sign.arg("--public-key").arg(self::folder().join("pair.pub.pem")).args(["--url", &url]);
    let signed = processes::run(&mut sign);
    let line = String::from_utf8(signed.stdout).expect("text");
    let answer = processes::run(Command::new("sh").args(["-c", &line]));
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"expires_in\":1209599}"), "{line}{text}");
    // As before: the clock of the gateway stands still.
    assert_eq!(ground.gateway.clock.unix(), UnixTime(START.0));
}
