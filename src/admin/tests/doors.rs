//! Who comes in by the listener, and who does not: over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admin::auth::Token;
use crate::admin::listener;
use crate::edge::tls::{Acceptor, Files, Keeper};
use crate::secret::Secret;

const TOKEN: &str = "0123456789abcdef0123";

/// A house with an open door.
struct Door {
    house: House,
    address: SocketAddr,
    stop: CancellationToken,
    ended: Receiver<()>,
}

impl Door {
    fn open(tls: Option<Arc<Keeper>>, tokens: &[&str]) -> Self {
        let house = House::with_account();
        let token = |text: &&str| Token { name: "alice".into(), secret: Secret::new(text.as_bytes().to_vec()) };
        let settings = listener::Settings {
            address: "127.0.0.1:0".parse().unwrap(),
            tls,
            tokens: tokens.iter().map(token).collect(),
        };
        let stop = CancellationToken::new();
        let (alive, ended) = channel();
        let (store, clock) = (house.store.clone(), house.clock.clone());
        let counters = crate::admin::Counters::at_rest(&store, &clock, &[]).unwrap();
        let address = listener::start(settings, (store, counters), clock, stop.clone(), alive).expect("a port is free");
        Self { house, address, stop, ended }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_mins(3))).expect("a socket");
        stream
    }

    /// What comes back for these bytes, until the other end closes.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("it is taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it closes");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Moves time on until the other end closes.
    fn outlasts(&self, mut stream: TcpStream, patience: Duration) -> String {
        self.house.clock.advance(patience);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it closes");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn head(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn without_the_right_token_nothing_is_told_and_nothing_done() {
    let door = Door::open(None, &[TOKEN]);
    let before = door.house.content();
    let wrong = format!("{}x", &TOKEN[..TOKEN.len() - 1]);
    for more in [
        String::new(),
        bearer(&wrong),
        bearer(""),
        format!("Authorization: Basic {TOKEN}\r\n"),
        bearer(TOKEN) + &bearer(&wrong),
        format!("Authorization: Bearer {TOKEN} {TOKEN}\r\n"),
        format!("X-Authorization: Bearer {TOKEN}\r\n"),
    ] {
        for (method, path) in [
            ("GET", "/v1/accounts/acme"),
            ("DELETE", "/v1/accounts/acme"),
            ("GET", "/openapi.json"),
            ("GET", "/nowhere"),
        ] {
            let answer = door.say(&head(method, path, &more));
            assert!(answer.starts_with("HTTP/1.1 401 "), "{more} {answer}");
            let lower = answer.to_ascii_lowercase();
            assert!(
                lower.contains("content-type: application/problem+json") && lower.contains("www-authenticate: bearer")
            );
            assert!(!answer.contains("acme"), "{answer}");
        }
    }
    assert_eq!(door.house.content(), before, "nothing was done");
    assert!(door.say(&head("DELETE", "/v1/accounts/acme", &bearer(TOKEN))).starts_with("HTTP/1.1 204 "));
}

#[test]
fn whoever_holds_a_token_is_named_in_the_trail() {
    let door = Door::open(None, &[TOKEN]);
    let body = "{\"id\":\"other\"}";
    let more = format!("{}Content-Type: application/json\r\nContent-Length: {}\r\n", bearer(TOKEN), body.len());
    let answer = door.say(&[head("POST", "/v1/accounts", &more), body.into()].concat());
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains("\"id\":\"other\""), "{answer}");
    let deeds = door.house.store.audit(0, 10).expect("it can be read");
    assert_eq!(deeds.last().map(|deed| deed.actor.as_str()), Some("token:alice"));
    let backup = door.say(&head("GET", "/v1/store/backup", &bearer(TOKEN)));
    assert!(
        backup.starts_with("HTTP/1.1 200 ") && backup.contains("vidgate backup 2,"),
        "{}",
        &backup[..backup.len().min(200)]
    );
}

#[test]
fn a_head_that_is_slow_or_too_large_ends_the_connection() {
    let door = Door::open(None, &[TOKEN]);
    let mut slow = door.connect();
    slow.write_all(b"GET /v1/store HTTP/1.1\r\nHost: ad").expect("it is taken");
    let silent = door.connect();
    // Both are being waited for by then.
    assert!(door.say(&head("GET", "/v1/accounts", &bearer(TOKEN))).starts_with("HTTP/1.1 200 "));
    assert_eq!(door.outlasts(slow, Duration::from_secs(11)), "");
    assert_eq!(door.outlasts(silent, Duration::ZERO), "");
    let large = format!("X-Filler: {}\r\n", "x".repeat(40 * 1024));
    let answer = door.say(&head("GET", "/v1/store", &(bearer(TOKEN) + &large)));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(door.say(b"\x16\x03\x01 this is no HTTP\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_connection_is_kept_for_a_minute_between_requests() {
    let door = Door::open(None, &[TOKEN]);
    let mut stream = door.connect();
    let request = format!("GET /v1/accounts HTTP/1.1\r\nHost: admin\r\n{}\r\n", bearer(TOKEN));
    let ask = |stream: &mut TcpStream| {
        stream.write_all(request.as_bytes()).expect("it is taken");
        let mut answer = Vec::new();
        while !answer.ends_with(b"]}") {
            let mut some = [0; 4096];
            let taken = stream.read(&mut some).expect("it answers");
            assert!(taken > 0, "it closed");
            answer.extend_from_slice(&some[..taken]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    };
    ask(&mut stream);
    door.house.clock.advance(Duration::from_secs(30));
    ask(&mut stream);
    // The next request of it is waited for by then.
    assert!(door.say(&head("GET", "/v1/accounts", &bearer(TOKEN))).starts_with("HTTP/1.1 200 "));
    assert_eq!(door.outlasts(stream, Duration::from_secs(61)), "");
}

#[test]
fn a_stop_ends_the_thread_and_lets_the_store_go() {
    let door = Door::open(None, &[TOKEN]);
    let idle = door.connect();
    door.stop.cancel();
    let ended = door.ended.recv_timeout(Duration::from_mins(3));
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected), "the thread has ended");
    assert!(TcpStream::connect(door.address).is_err(), "nobody listens any more");
    drop(idle);
}

#[test]
fn plain_text_is_spoken_on_this_machine_alone() {
    let house = House::new();
    let settings = listener::Settings { address: "0.0.0.0:0".parse().unwrap(), tls: None, tokens: Vec::new() };
    let outcome = listener::start(settings, (house.store, house.counters), house.clock, CancellationToken::new(), ());
    assert!(outcome.is_err());
}

#[test]
fn debug_of_the_settings_shows_no_token() {
    let token = Token { name: "alice".into(), secret: Secret::new(TOKEN.as_bytes().to_vec()) };
    let settings = listener::Settings { address: "127.0.0.1:0".parse().unwrap(), tls: None, tokens: vec![token] };
    let shown = format!("{settings:?}");
    assert!(shown.contains("alice") && !shown.contains(TOKEN), "{shown}");
}

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Presented = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for the year 2025 with this serial number.
fn issue(issuer: &Issuer, serial: u64, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ops");
    params.extended_key_usages = vec![usage];
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = (date_time_ymd(2024, 12, 1), date_time_ymd(2025, 12, 1));
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

fn client(issuer: &Issuer, serial: u64) -> Presented {
    let (certificate, key) = issue(issuer, serial, ExtendedKeyUsagePurpose::ClientAuth);
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// A listener that takes the certificates of `issuer` but for number 2, on a list that is good for January.
fn guarded(issuer: &Issuer, tokens: bool) -> Arc<Keeper> {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(2),
        revocation_time: date_time_ymd(2024, 12, 2),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 12, 15),
        next_update: date_time_ymd(2025, 2, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let (server, key) = issue(issuer, 9, ExtendedKeyUsagePurpose::ServerAuth);
    let files = Files {
        certificates: vec![(file("server.pem", &server.pem()), file("server.key", &key.serialize_pem()))],
        client_ca: Some(file("ca.pem", &issuer.pem())),
        client_crl: Some(file("clients.crl", &list.signed_by(issuer).unwrap().pem().unwrap())),
        ..Files::default()
    };
    Arc::new(Acceptor::kept_demanding("admin", files, tokens).unwrap())
}

/// What comes back over TLS, or why nothing does.
fn over_tls(door: &Door, issuer: &Issuer, own: Option<Presented>, bytes: &[u8]) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let details = Arc::new(Then(door.house.clock.clone()));
    let builder = ClientConfig::builder_with_details(provider, details).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, door.connect());
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The client's time is the house's.
#[derive(Debug)]
struct Then(Clock);

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(self.0.unix().0)))
    }
}

#[test]
fn only_a_good_certificate_of_the_authority_passes_the_handshake() {
    let (issuer, stranger) = (authority(), authority());
    let door = Door::open(Some(guarded(&issuer, false)), &[]);
    let request = head("POST", "/v1/accounts", "Content-Type: application/json\r\nContent-Length: 2\r\n");
    let request = [request, b"{}".to_vec()].concat();
    let before = door.house.content();
    let (server, key) = issue(&issuer, 4, ExtendedKeyUsagePurpose::ServerAuth);
    let of_a_server = (server.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap());
    for (what, own) in [
        ("none", None),
        ("another authority's", Some(client(&stranger, 1))),
        ("a revoked one", Some(client(&issuer, 2))),
        ("one for servers", Some(of_a_server)),
    ] {
        let outcome = over_tls(&door, &issuer, own, &request);
        assert!(outcome.is_err(), "{what}: {outcome:?}");
    }
    assert_eq!(door.house.content(), before, "nothing was done");
    let answer = over_tls(&door, &issuer, Some(client(&issuer, 1)), &request).expect("it is let in");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let deeds = door.house.store.audit(0, 10).expect("it can be read");
    assert_eq!(deeds.last().map(|deed| deed.actor.as_str()), Some("operator:ops"));
    // The list of the revoked is too old by then.
    door.house.clock.advance(Duration::from_hours(40 * 24));
    assert!(over_tls(&door, &issuer, Some(client(&issuer, 1)), &request).is_err());
    let in_clear = door.say(&head("GET", "/v1/store", ""));
    assert!(in_clear.starts_with("HTTP/1.1 400 ") && in_clear.ends_with("was in clear."), "{in_clear}");
}

#[test]
fn where_there_are_tokens_a_caller_without_a_certificate_still_needs_one() {
    let (issuer, stranger) = (authority(), authority());
    let door = Door::open(Some(guarded(&issuer, true)), &[TOKEN]);
    let ask = |own, more: &str| over_tls(&door, &issuer, own, &head("GET", "/v1/accounts", more));
    assert!(ask(None, "").expect("it is answered").starts_with("HTTP/1.1 401 "));
    assert!(ask(None, &bearer(TOKEN)).expect("it is answered").starts_with("HTTP/1.1 200 "));
    assert!(ask(Some(client(&issuer, 1)), "").expect("it is answered").starts_with("HTTP/1.1 200 "));
    assert!(ask(Some(client(&stranger, 1)), &bearer(TOKEN)).is_err(), "a token does not make up for a bad certificate");
    assert!(ask(Some(client(&issuer, 2)), &bearer(TOKEN)).is_err());
}
