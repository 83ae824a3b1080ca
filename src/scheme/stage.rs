//! What tests of schemes and expressions stand on: a request from nowhere and a register of made-up accounts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::clock::UnixTime;
use crate::edge::client_certificate::ClientCertificate;
use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::{Connection, ListenerId, Tls};
use crate::edge::head::Head;
use crate::edge::preface::{Announced, Preface};
use crate::invalid::Invalid;
use crate::key_set::{KeySet, Known};
use crate::record::{Account, Details, Digest, Directory, Holding, Key, Kind, Proof, Record, Standing, Verdict};
use crate::scheme::issuer::Stranger;
use crate::scheme::jwt::Verified;
use crate::scheme::{Examine, Fetching, Kit, Principal, Rejection, Scene};
use crate::secret::{Secret, SecretSource};

/// The caller whom this record proves.
pub(crate) fn principal(record: Arc<Record>) -> Principal {
    Principal::of_record(record.kind().name(), record)
}

/// A request whose head can be looked at.
pub(crate) struct Request {
    parts: Parts,
    connection: Connection,
    preface: Preface,
}

impl Request {
    pub(crate) fn get(target: &str) -> Self {
        let request = http::Request::get(target).header("host", "api.example.test").body(()).unwrap();
        let connection = connection("203.0.113.9");
        Self { parts: request.into_parts().0, connection, preface: Preface::EMPTY }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.bytes(name, value.as_bytes())
    }

    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.parts.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub(crate) fn method(mut self, method: http::Method) -> Self {
        self.parts.method = method;
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.connection = connection(address);
        self
    }

    /// The same over TLS, with this client certificate.
    pub(crate) fn certificate(mut self, certificate: ClientCertificate) -> Self {
        self.connection.tls = Some(Tls { client_certificate: Some(Rc::new(certificate)), ..Tls::default() });
        self
    }

    /// The same with this form in its body, URL-encoded.
    pub(crate) fn form(mut self, body: &str) -> Self {
        self.preface = Preface::read(Announced::UrlEncoded, body.to_owned().into()).unwrap();
        self
    }

    pub(crate) fn secure(mut self) -> Self {
        self.connection.tls = Some(Tls::default());
        self
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head::new(&self.parts, &self.connection, &TrustedProxies::default(), usize::MAX).unwrap()
    }
}

fn connection(address: &str) -> Connection {
    let peer: IpAddr = address.parse().unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 8443));
    Connection::new(SocketAddr::new(peer, 40_000), local, ListenerId(0), None)
}

type Records = HashMap<(Kind, [u8; 32]), Arc<Record>>;

/// Who exists, in a test.
pub(crate) struct Register {
    accounts: RefCell<HashMap<String, Arc<Account>>>,
    records: RefCell<Records>,
    /// By id: the account, or `None` where it is switched off.
    cameras: RefCell<HashMap<String, Option<Arc<Account>>>>,
}

impl Register {
    pub(crate) fn new() -> Self {
        Self { accounts: RefCell::default(), records: RefCell::default(), cameras: RefCell::default() }
    }

    /// Puts an account on file, or changes the one that is there.
    pub(crate) fn account(&self, id: &str, parent: Option<&str>) -> Arc<Account> {
        self.account_with(id, parent, false)
    }

    pub(crate) fn account_with(&self, id: &str, parent: Option<&str>, disabled: bool) -> Arc<Account> {
        let parent = parent.map(|parent| self.known(parent));
        let account = self.known(id);
        account.stand(Standing { parent, disabled, terms: None, ..Standing::default() });
        account
    }

    fn known(&self, id: &str) -> Arc<Account> {
        let new = || Arc::new(Account::new(id, Standing::default()).unwrap());
        Arc::clone(self.accounts.borrow_mut().entry(id.into()).or_insert_with(new))
    }

    /// Takes an account off the file.
    pub(crate) fn close(&self, id: &str) {
        self.accounts.borrow_mut().remove(id).unwrap();
    }

    /// Puts a camera on file; without an account it is switched off.
    pub(crate) fn camera(&self, id: &str, account: Option<&str>) {
        self.cameras.borrow_mut().insert(id.into(), account.map(|account| self.known(account)));
    }

    /// Puts a credential on file that is found by `text`.
    pub(crate) fn enrol(&self, kind: Kind, id: &str, account: &str, text: &str, adjust: impl FnOnce(&mut Details)) {
        let digest = digest(text.as_bytes());
        let account = Arc::clone(&self.accounts.borrow()[account]);
        let mut details = Details::new(Key { kind, digest }, id, account);
        details.subject = format!("{}:{id}", kind.name());
        adjust(&mut details);
        self.records.borrow_mut().insert((kind, digest.0), Arc::new(Record::new(details).unwrap()));
    }

    /// The caller whom a credential on file stands for, as a scheme that believed it would say.
    pub(crate) fn caller(&self, kind: Kind, text: &str) -> Principal {
        Principal::of_record(kind.name(), self.look_up(kind, text.as_bytes()).unwrap())
    }

    /// Takes a credential off the file.
    pub(crate) fn revoke(&self, kind: Kind, text: &str) {
        self.records.borrow_mut().remove(&(kind, digest(text.as_bytes()).0)).unwrap();
    }
}

/// A caller who is known by a circumstance alone.
pub(crate) fn passer_by() -> Principal {
    Principal::ambient("ip", HeaderValue::from_static("address:office"))
}

/// A caller whom a foreign issuer knows by this name, for an account. Two of one issuer share `keys`.
pub(crate) fn stranger(name: &str, account: Option<Arc<Account>>, keys: &Arc<KeySet>) -> Principal {
    let Known::Key(key) = keys.find("issuer-1", UnixTime(0)) else { panic!("the issuer has this key") };
    let subject = HeaderValue::try_from(format!("jwt:staff:{name}")).unwrap();
    let stranger = Stranger { key, keys: Arc::clone(keys), subject, account, scopes: None, fields: Arc::default() };
    Principal::of_stranger("jwt", &Arc::new(stranger))
}

/// The keys of a foreign issuer.
pub(crate) fn issuers_keys() -> Arc<KeySet> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt/issuer.jwks");
    Arc::new(KeySet::read(&std::fs::read(file).unwrap()).unwrap())
}

fn digest(text: &[u8]) -> Digest {
    Digest(Sha256::digest(text).into())
}

/// Secrets as a register knows them, with their ends.
pub(crate) fn proofs<T: AsRef<str>>(secrets: impl IntoIterator<Item = (T, Option<u64>)>) -> Box<[Proof]> {
    let proof = |(secret, expires): (T, Option<u64>)| Proof {
        number: 0,
        pepper: 0,
        digest: digest(secret.as_ref().as_bytes()),
        expires: expires.map(UnixTime),
    };
    secrets.into_iter().map(proof).collect()
}

impl Directory for Register {
    fn look_up(&self, kind: Kind, text: &[u8]) -> Option<Arc<Record>> {
        self.records.borrow().get(&(kind, digest(text).0)).cloned()
    }

    fn look_up_secret(&self, text: &[u8]) -> Option<Arc<Record>> {
        let is_its = |record: &&Arc<Record>| {
            record.kind() == Kind::ApiClient && record.proofs().iter().any(|proof| proof.digest == digest(text))
        };
        self.records.borrow().values().find(is_its).cloned()
    }

    fn proves_by(&self, text: &[u8], proofs: &[Proof], now: UnixTime) -> (Verdict, u8) {
        let mut equal = proofs.iter().enumerate().filter(|(_, proof)| proof.digest == digest(text)).peekable();
        match (equal.peek().is_some(), equal.find(|(_, proof)| proof.expires.is_none_or(|end| now < end))) {
            (_, Some((place, _))) => (Verdict::Proven, u8::try_from(place).unwrap()),
            (true, None) => (Verdict::Over, 0),
            (false, None) => (Verdict::Wrong, 0),
        }
    }

    fn proven(&self, _: &Record, _: &[u8]) {}

    fn is_current(&self, record: &Arc<Record>) -> bool {
        let key = record.key();
        self.records.borrow().get(&(key.kind, key.digest.0)).is_some_and(|current| Arc::ptr_eq(current, record))
    }

    fn successor(&self, record: &Arc<Record>) -> Option<Arc<Record>> {
        let key = record.key();
        let current = self.records.borrow().get(&(key.kind, key.digest.0)).cloned();
        current.filter(|current| current.id() == record.id())
    }

    fn changes(&self) -> u64 {
        0
    }

    fn account(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.borrow().get(id).cloned()
    }

    fn camera_end(&self, _: &str) -> Option<UnixTime> {
        None
    }

    fn camera(&self, id: &str, account: &Account, _: UnixTime) -> Holding {
        match self.cameras.borrow().get(id) {
            None => Holding::Unknown,
            Some(None) => Holding::Disabled,
            Some(Some(owner)) if owner.id == account.id || owner.is_below(account) => Holding::Held,
            Some(Some(_)) => Holding::Elsewhere,
        }
    }
}

fn literal(source: &SecretSource) -> Result<Secret, Invalid> {
    match source {
        SecretSource::Literal(secret) => Ok(secret.clone()),
        SecretSource::File(_) | SecretSource::Env(_) => Err(Invalid::new("tests write their secrets out")),
    }
}

fn vector(path: &Path) -> Result<Vec<u8>, Invalid> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path);
    std::fs::read(&path).map_err(|error| Invalid::new(format!("{}: {error}", path.display())))
}

/// A kit whose secrets are written out, and whose files are vectors.
pub(crate) fn kit(name: &str) -> Kit<'_> {
    Kit { name, resolve: &literal, file: &vector }
}

/// A scheme of this kind under the name `tested`, from its table in TOML.
pub(crate) fn build(kind: &str, table: &str) -> Box<dyn Examine> {
    named(kind, "tested", table)
}

/// A scheme of this kind under a name, from its table in TOML.
pub(crate) fn named(kind: &str, name: &str, table: &str) -> Box<dyn Examine> {
    let entry = super::KINDS.iter().find(|entry| entry.kind == kind).unwrap();
    (entry.build)(toml::Value::Table(table.parse().unwrap()), &kit(name)).unwrap()
}

/// Examines one request at one instant, with a memory of its own.
pub(crate) fn examine(
    scheme: &dyn Examine,
    request: &Request,
    register: &Register,
    now: u64,
) -> Result<Option<Principal>, Rejection> {
    examine_for(scheme, request, (register, None), now)
}

/// The same on a route that says which app it is for.
pub(crate) fn examine_for(
    scheme: &dyn Examine,
    request: &Request,
    (register, app): (&Register, Option<&str>),
    now: u64,
) -> Result<Option<Principal>, Rejection> {
    let verified = Verified::new(8);
    let scene = Scene {
        directory: register,
        verified: &verified,
        guard: None,
        fetching: Fetching::Asked,
        app,
        now: UnixTime(now),
    };
    scheme.examine(&request.head(), &request.preface, &scene)
}
