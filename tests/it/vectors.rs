//! Every vector of `tests/vectors/` once more, through the sockets: what a scheme decides on its own is what a caller
//! gets, an upstream hears of the proven ones alone, and no secret comes back or goes further.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use vidgate::clock::UnixTime;

use crate::house::{TestGateway, open};
use crate::upstream::Upstream;
use crate::wire::Answer;

#[derive(Deserialize)]
struct Vectors {
    table: String,
    accounts: Vec<Account>,
    records: Vec<Record>,
    secrets: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    parent: Option<String>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct Record {
    kind: String,
    id: String,
    account: String,
    text: String,
    #[serde(default)]
    aliases: Vec<String>,
    subject: String,
    secret: Option<String>,
    public_key: Option<String>,
    app: Option<App>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    disabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
}

#[derive(Deserialize)]
struct App {
    public_key: String,
    secrets: Vec<(String, Option<u64>)>,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    playback: bool,
    #[serde(default)]
    expiration_only: bool,
}

impl App {
    fn entry(&self) -> Option<String> {
        // A secret that has been replaced is in no configuration.
        let [(secret, None)] = &self.secrets[..] else { return None };
        let Self { public_key, publish, playback, expiration_only, .. } = self;
        Some(format!(
            "public_key = {public_key:?}\nsecret = {secret:?}\nsignatures = {{ publish = {publish}, playback = {playback}, \
             expiration_only = {expiration_only} }}"
        ))
    }
}

#[derive(Deserialize)]
struct Case {
    what: String,
    table: Option<String>,
    /// Which app the route is for, and a form of parts: other tests' business.
    app: Option<String>,
    mixed: Option<serde_json::Value>,
    #[serde(default)]
    authorization: Vec<String>,
    bearer: Option<String>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    form: String,
    /// Whether it comes over TLS, which is another test's business.
    #[serde(default)]
    secure: bool,
    now: u64,
    expect: String,
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(kind)
}

fn load(kind: &str) -> Vectors {
    let text = std::fs::read_to_string(folder(kind).join("vectors.json")).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

impl Record {
    /// The entry in its account; `None` for one that no configuration can hold.
    fn entry(&self) -> Option<String> {
        let (list, own) = match self.kind.as_str() {
            "license_key" => ("license_key", format!("key = {:?}", self.text)),
            "api_client" => {
                let secret = self.secret.as_ref().filter(|secret| !secret.is_empty())?;
                ("api_client", format!("secret = {secret:?}\naliases = {:?}", self.aliases))
            }
            "camera_token" => ("camera", format!("tokens = [{:?}]", self.text)),
            "group_token" => ("camera_group", format!("tokens = [{:?}]\ncameras = []", self.text)),
            // An app is found under its id and under its key, and is one entry.
            "app" if self.text == self.id => ("app", self.app.as_ref()?.entry()?),
            // A key that is too small never gets past the configuration.
            "service_account_key" if self.id != "kid-small" => {
                ("service_account", format!("public_key = {:?}", self.public_key.as_ref()?))
            }
            _ => return None,
        };
        let mut entry = format!("[[account.{list}]]\nid = {:?}\n{own}\ndisabled = {}\n", self.id, self.disabled);
        if let Some(scopes) = &self.scopes {
            let _ = writeln!(entry, "scopes = {scopes:?}");
        }
        for (name, moment) in [("not_before", self.not_before), ("expires", self.expires)] {
            if let Some(moment) = moment.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
                let _ = writeln!(entry, "{name} = \"{moment}\"");
            }
        }
        Some(entry)
    }
}

impl Vectors {
    /// Everything on file, and one route for callers whom this kind of scheme proves.
    fn toml(&self, kind: &str, table: &str, upstream: &Upstream) -> String {
        let scopes = r#"["all", "watch", "client", "publish", "playback"]"#;
        let mut more = format!("scope = {{ read = {scopes}, write = {scopes} }}\n\n[scheme.it.{kind}]\n{table}\n");
        for account in &self.accounts {
            let _ = writeln!(more, "[[account]]\nid = {:?}\ndisabled = {}", account.id, account.disabled);
            if let Some(parent) = &account.parent {
                let _ = writeln!(more, "parent = {parent:?}");
            }
            let own = self.records.iter().filter(|record| record.account == account.id);
            more.extend(own.filter_map(Record::entry));
        }
        open(upstream, &more).replace("\"open\"", "\"it\"")
    }

    /// Whether the case is about a record that no configuration can hold.
    fn is_out_of_reach(&self, case: &Case) -> bool {
        let subject = case.expect.split('@').next();
        let mut own = self.records.iter().filter(|record| Some(record.subject.as_str()) == subject).peekable();
        own.peek().is_some() && own.all(|record| record.entry().is_none())
    }

    fn keeps_secrets(&self, what: &str, told: &str) {
        for secret in &self.secrets {
            assert!(!told.contains(secret.as_str()), "{what}: {secret:?} stands in {told}");
        }
    }
}

impl Case {
    fn request(&self, kind: &str) -> String {
        let method = if self.form.is_empty() { "GET" } else { "POST" };
        let mut head = format!("{method} /?{} HTTP/1.1\r\nHost: a\r\n", self.query);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.form.is_empty() {
            let length = self.form.len();
            let _ = write!(head, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n");
        }
        for field in &self.authorization {
            let _ = write!(head, "Authorization: {field}\r\n");
        }
        if let Some(file) = &self.bearer {
            let token = std::fs::read_to_string(folder(kind).join(file)).expect("the token is there");
            let _ = write!(head, "Authorization: Bearer {}\r\n", token.trim());
        }
        head + "\r\n" + &self.form
    }

    fn is_told_by_the_request(&self) -> bool {
        !self.secure && self.app.is_none() && self.mixed.is_none()
    }

    fn status(&self) -> u16 {
        match self.expect.as_str() {
            "credential_contradicted" | "credential_insecure" => 403,
            proven if proven.contains('@') => 200,
            _ => 401,
        }
    }
}

/// Plays the cases that share a table and a time.
fn play(vectors: &Vectors, kind: &str, table: &str, now: u64, cases: &[&Case]) {
    let upstream = Upstream::start();
    let gateway = TestGateway::start_at(UnixTime(now), &vectors.toml(kind, table, &upstream), &folder(kind), 1);
    for case in cases {
        let before = upstream.seen().len();
        let answer: Answer = gateway.connect().ask(case.request(kind));
        let what = format!("{kind}: {}", case.what);
        assert_eq!(answer.status, case.status(), "{what}: {answer:?}");
        vectors.keeps_secrets(&what, &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body)));
        let reached = upstream.seen().split_off(before);
        vectors.keeps_secrets(&what, &format!("{reached:?}"));
        let told: Vec<String> = reached
            .iter()
            .map(|received| {
                let said = |name| received.header(name).expect("every request says so");
                format!("{}@{}", said("x-vidgate-subject"), said("x-vidgate-account"))
            })
            .collect();
        let expected: Vec<&str> = Some(case.expect.as_str()).filter(|_| case.status() == 200).into_iter().collect();
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn every_vector_is_answered_through_the_sockets_as_its_scheme_decides() {
    for kind in ["lkey", "acc", "si", "basic", "key", "jwt", "account_key", "apikey", "signature"] {
        let vectors = load(kind);
        let mut together: BTreeMap<(&str, u64), Vec<&Case>> = BTreeMap::new();
        for case in vectors.cases.iter().filter(|case| case.is_told_by_the_request() && !vectors.is_out_of_reach(case))
        {
            together.entry((case.table.as_deref().unwrap_or(&vectors.table), case.now)).or_default().push(case);
        }
        for ((table, now), cases) in together {
            play(&vectors, kind, table, now, &cases);
        }
    }
}

#[test]
fn a_token_that_is_remembered_ends_all_the_same() {
    let vectors = load("jwt");
    let case = &vectors.cases[0];
    assert_eq!(case.bearer.as_deref(), Some("exact-hour.jwt"), "issued at `now`, for an hour");
    let upstream = Upstream::start();
    let toml = vectors.toml("jwt", "", &upstream);
    let gateway = TestGateway::start_at(UnixTime(case.now + 3597), &toml, &folder("jwt"), 1);
    for _ in 0..2 {
        assert_eq!(gateway.connect().ask(case.request("jwt")).status, 200);
    }
    // Less than any connection may take for its head.
    gateway.advance(Duration::from_secs(3));
    assert_eq!(gateway.connect().ask(case.request("jwt")).status, 401);
    assert_eq!(upstream.seen().len(), 2);
}
