//! What every kind of scheme must hold to, checked over the registry; and the vectors of `tests/vectors/<kind>/`, which
//! come from the vendors, RFCs and openssl, never from this code. A new kind fails here until it has vectors.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jsonwebtoken::DecodingKey;
use proptest::prelude::*;
use serde::Deserialize;

use crate::clock::UnixTime;
use crate::edge::tls::noted_of;
use crate::record::{App, Attributes, Group, Hosts, Kind, PublicKey, Signer, Wall};
use crate::scheme::stage::{self, Register, Request};
use crate::scheme::{Examine, KINDS, Principal, Rejection};
use crate::secret::Secret;

/// A file of vectors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    /// Where they come from, for the reader.
    #[expect(dead_code, reason = "said to whoever reads the file")]
    source: String,
    /// The table of the scheme, in TOML.
    table: String,
    accounts: Vec<AccountOnFile>,
    records: Vec<RecordOnFile>,
    /// Files beside this one that client certificates are judged by, as a listener has them.
    client_ca: Option<String>,
    client_crl: Option<String>,
    /// Texts that must never be printed.
    secrets: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountOnFile {
    id: String,
    parent: Option<String>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordOnFile {
    kind: String,
    id: String,
    account: String,
    subject: String,
    /// What the record is found by.
    text: String,
    /// What else it is found by.
    #[serde(default)]
    aliases: Vec<String>,
    camera: Option<String>,
    secret: Option<String>,
    /// A file beside this one.
    public_key: Option<String>,
    app: Option<AppOnFile>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    disabled: bool,
    not_before: Option<u64>,
    expires: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppOnFile {
    public_key: String,
    /// What it signs with, and until when.
    secrets: Vec<(String, Option<u64>)>,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    playback: bool,
    #[serde(default)]
    expiration_only: bool,
}

impl AppOnFile {
    fn app(&self) -> App {
        let signer = |(secret, expires): &(String, Option<u64>)| {
            Signer::new(&Secret::new(secret.clone().into_bytes()), expires.map(UnixTime))
        };
        App {
            public_key: self.public_key.as_str().into(),
            signers: self.secrets.iter().map(signer).collect(),
            hosts: Hosts::default(),
            publish: self.publish,
            playback: self.playback,
            expiration_only: self.expiration_only,
            wall: Wall::None,
            legacy_200: false,
            cross_origin: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    what: String,
    /// The table of the scheme, where it is another.
    table: Option<String>,
    #[serde(default)]
    authorization: Vec<String>,
    /// A file beside this one that holds a Bearer token.
    bearer: Option<String>,
    #[serde(default)]
    query: String,
    /// Other header fields.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// A form in the body, URL-encoded.
    #[serde(default)]
    form: String,
    /// The app that the route says it is for.
    app: Option<String>,
    /// Whether the credential of another kind stands beside it.
    #[serde(default)]
    mixed: bool,
    #[serde(default = "elsewhere")]
    address: String,
    /// A file beside this one: the client certificate of the connection.
    certificate: Option<String>,
    /// Whether the listener names no authority.
    #[serde(default)]
    no_authority: bool,
    /// When the connection began, where that is not `now`.
    since: Option<u64>,
    /// Whether it came over TLS.
    #[serde(default)]
    secure: bool,
    now: u64,
    /// `none`, a subject with its account behind an `@`, or the name of a reason.
    expect: String,
}

fn elsewhere() -> String {
    "203.0.113.9".into()
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(kind)
}

fn load(kind: &str) -> Vec<Vectors> {
    let files = std::fs::read_dir(folder(kind)).unwrap_or_else(|_| panic!("`{kind}` has no vectors"));
    let mut vectors = Vec::new();
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        vectors.push(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    }
    assert!(!vectors.is_empty(), "`{kind}` has no vectors");
    vectors
}

impl Vectors {
    fn register(&self, kind: &str) -> Register {
        let register = Register::new();
        for account in &self.accounts {
            register.account_with(&account.id, account.parent.as_deref(), account.disabled);
        }
        for on_file in &self.records {
            on_file.enrol(&register, kind);
        }
        register
    }
}

impl RecordOnFile {
    fn enrol(&self, register: &Register, folder_of: &str) {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == self.kind).unwrap();
        for text in [&self.text].into_iter().chain(&self.aliases) {
            self.enrol_by(text, kind, register, folder_of);
        }
    }

    fn enrol_by(&self, text: &str, kind: Kind, register: &Register, folder_of: &str) {
        register.enrol(kind, &self.id, &self.account, text, |record| {
            record.subject.clone_from(&self.subject);
            record.disabled = self.disabled;
            record.not_before = self.not_before.map(UnixTime);
            record.expires = self.expires.map(UnixTime);
            record.scopes = self.scopes.as_ref().map(|scopes| scopes.iter().collect());
            if let Some(app) = &self.app {
                record.attributes = Attributes::App(Box::new(app.app()));
                return;
            }
            record.attributes = match (&self.camera, &self.secret, &self.public_key) {
                (Some(camera), None, None) => Attributes::Camera(camera.as_str().into()),
                (None, Some(secret), None) => Attributes::Proofs(stage::proofs([(secret, None)])),
                (None, None, Some(file)) => {
                    let pem = std::fs::read(folder(folder_of).join(file)).unwrap();
                    Attributes::PublicKey(Box::new(PublicKey(DecodingKey::from_rsa_pem(&pem).unwrap())))
                }
                _ if kind == Kind::GroupToken => Attributes::Group(Box::new(Group {
                    id: self.id.as_str().into(),
                    cameras: std::iter::empty::<&str>().collect(),
                })),
                _ => Attributes::None,
            };
        });
    }
}

impl Case {
    fn request(&self, kind: &str, vectors: &Vectors) -> Request {
        let target = if self.query.is_empty() { "/".into() } else { format!("/?{}", self.query) };
        let mut request = Request::get(&target).from(&self.address);
        if self.secure {
            request = request.secure();
        }
        for field in &self.authorization {
            request = request.header("authorization", field);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.form.is_empty() {
            request = request.form(&self.form);
        }
        if let Some(file) = &self.bearer {
            let token = std::fs::read_to_string(folder(kind).join(file)).unwrap();
            request = request.header("authorization", &format!("Bearer {}", token.trim()));
        }
        if let Some(file) = &self.certificate {
            let path = |file: &String| folder(kind).join(file);
            let ca = vectors.client_ca.as_ref().filter(|_| !self.no_authority).map(path);
            let crl = vectors.client_crl.as_ref().map(path);
            let began = UnixTime(self.since.unwrap_or(self.now));
            request = request.certificate(noted_of(&path(file), ca.as_deref(), crl.as_deref(), began));
        }
        request
    }

    fn examine(&self, scheme: &dyn Examine, kind: &str, vectors: &Vectors) -> Result<Option<Principal>, Rejection> {
        let (request, register) = (self.request(kind, vectors), vectors.register(kind));
        stage::examine_for(scheme, &request, (&register, self.app.as_deref()), self.now)
    }
}

fn told(answer: &Result<Option<Principal>, Rejection>) -> String {
    match answer {
        Ok(None) => "none".into(),
        Ok(Some(principal)) => {
            let mut text = principal.subject().to_owned();
            if let Some(account) = principal.account() {
                write!(text, "@{}", account.id.0).unwrap();
            }
            text
        }
        Err(rejection) => rejection.reason.name().into(),
    }
}

/// Every case of every kind.
fn each(mut visit: impl FnMut(&'static str, &Vectors, &Case, &dyn Examine)) {
    for entry in KINDS {
        for vectors in load(entry.kind) {
            for case in &vectors.cases {
                let scheme = stage::build(entry.kind, case.table.as_ref().unwrap_or(&vectors.table));
                visit(entry.kind, &vectors, case, &*scheme);
            }
        }
    }
}

#[test]
fn every_vector_is_answered_as_it_says() {
    each(|kind, vectors, case, scheme| {
        let answer = case.examine(scheme, kind, vectors);
        assert_eq!(told(&answer), case.expect, "{kind}: {}: {answer:?}", case.what);
    });
}

#[test]
fn every_kind_has_a_vector_that_proves_and_one_that_does_not() {
    for entry in KINDS {
        let expected: Vec<String> =
            load(entry.kind).into_iter().flat_map(|file| file.cases).map(|case| case.expect).collect();
        assert!(expected.iter().any(|expect| expect.contains(':')), "{}", entry.kind);
        assert!(expected.iter().any(|expect| !expect.contains(':')), "{}", entry.kind);
    }
}

#[test]
fn where_nothing_is_presented_no_scheme_speaks() {
    each(|kind, vectors, _, scheme| {
        let answer = stage::examine(scheme, &Request::get("/"), &vectors.register(kind), 1_700_000_000);
        assert_eq!(told(&answer), "none", "{kind}");
    });
}

#[test]
fn the_credential_of_another_kind_is_not_mine() {
    for entry in KINDS {
        let own = &load(entry.kind)[0];
        let (scheme, register) = (stage::build(entry.kind, &own.table), own.register(entry.kind));
        each(|kind, vectors, case, _| {
            // Two credentials at once are everybody's business, and what is not of the kind itself may be another's.
            let others = case.mixed || ["none", "credential_ambiguous"].contains(&&*case.expect);
            if kind == entry.kind || kind == "ip" || others {
                return;
            }
            let answer = stage::examine(&*scheme, &case.request(kind, vectors), &register, case.now);
            assert_eq!(told(&answer), "none", "{} given {kind}: {}", entry.kind, case.what);
        });
    }
}

#[test]
fn debug_shows_no_secret() {
    each(|kind, vectors, case, scheme| {
        let answer = case.examine(scheme, kind, vectors);
        let shown = format!("{scheme:?} {answer:?}");
        for secret in &vectors.secrets {
            assert!(!shown.contains(secret.as_str()), "{kind}: {}: {secret} in {shown}", case.what);
        }
    });
}

#[test]
fn every_kind_has_a_schema_and_refuses_a_key_it_does_not_know() {
    for entry in KINDS {
        let schema = (entry.schema)(&mut schemars::SchemaGenerator::default());
        assert!(schema.as_object().is_some(), "{}", entry.kind);
        let table = toml::Value::Table("no_such_key = 1".parse().unwrap());
        let invalid = (entry.build)(table, &stage::kit("tested")).unwrap_err();
        assert!(invalid.message.contains("no_such_key"), "{}: {invalid}", entry.kind);
    }
}

#[test]
fn a_credential_says_where_it_stands() {
    each(|kind, _, case, scheme| {
        let places = scheme.places();
        if !case.mixed && (!case.authorization.is_empty() || case.bearer.is_some()) {
            assert!(places.headers.contains(&http::header::AUTHORIZATION), "{kind}: {}", case.what);
        }
        if case.expect.contains(':') && case.authorization.is_empty() {
            for (place, names) in [(&case.query, &places.query), (&case.form, &places.form)] {
                assert!(place.is_empty() || !names.is_empty(), "{kind}: {}", case.what);
            }
            let mut headers = case.headers.iter();
            assert!(
                headers.all(|(name, _)| places.headers.iter().any(|own| own.as_str().eq_ignore_ascii_case(name))),
                "{kind}: {}",
                case.what
            );
        }
    });
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![Just("Acc"), Just("SI"), Just("LKey"), Just("Basic"), Just("Bearer"), Just("")].prop_map(String::from)
}

/// Bytes that a header value may hold.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let any_byte = prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')];
    let base64 = "[A-Za-z0-9+/=._-]{0,120}".prop_map(String::into_bytes);
    let jwt = ("[A-Za-z0-9_-]{0,60}", "[A-Za-z0-9_-]{0,60}", "[A-Za-z0-9_-]{0,60}")
        .prop_map(|(header, payload, signature)| format!("{header}.{payload}.{signature}").into_bytes());
    let json = "[\\[\\]{}\",:a-z0-9 ]{0,80}".prop_map(|text| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(text).into_bytes()
    });
    prop_oneof![prop::collection::vec(any_byte, 0..200), base64, jwt, json]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn random_bytes_never_panic_and_never_prove(word in words(), token in tokens(), query in "[a-z0-9=&%.+]{0,60}") {
        let field = [word.as_bytes(), b" ", &token].concat();
        let request = Request::get(&format!("/?apikey=x{query}&token={query}")).bytes("authorization", &field);
        for entry in KINDS {
            let vectors = &load(entry.kind)[0];
            let scheme = stage::build(entry.kind, &vectors.table);
            let answer = stage::examine(&*scheme, &request, &Register::new(), 1_700_000_000);
            prop_assert!(!matches!(answer, Ok(Some(_))), "{}", entry.kind);
        }
    }
}
