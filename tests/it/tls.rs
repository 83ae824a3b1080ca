//! TLS on both sides: what is negotiated, whose certificate is shown, what is asked of clients, and which upstreams are
//! believed.

use std::fmt;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ServerConfig, ServerConnection, SignatureScheme, StreamOwned};

use crate::house::{TestGateway, open};
use crate::peer::Played;
use crate::pki::{Pki, ask, dial, provider};
use crate::time::{Added, SLACK, timed_at};
use crate::upstream::{Upstream, read_request};
use crate::wire::Wire;

const LISTENER: &str = r#"tls = { certificate = "a.pem", key = "a.key" }"#;

/// An authority that has issued `a` for `localhost`, and a gateway that shows it.
fn secure(upstream: &Upstream, listener: &str) -> (Pki, TestGateway) {
    let pki = Pki::new();
    pki.issue("a", &["localhost", "a.example"]);
    pki.issue("b", &["b.example", "*.b.example"]);
    pki.issue("client", &["client.example"]);
    let endpoint = format!("http://{}", upstream.address());
    let gateway = timed_at(&endpoint, pki.path(), Added { listener, ..Added::default() });
    (pki, gateway)
}

#[test]
fn the_protocol_is_agreed_on_by_alpn() {
    let (pki, gateway) = secure(&Upstream::start(), LISTENER);
    let address = gateway.address("public");
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut secure = dial(address, "localhost", &Arc::new(pki.client(offered))).expect("they agree");
        let protocol = secure.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(protocol.as_deref(), agreed);
        if agreed != Some("h2") {
            assert!(ask(&mut secure, "localhost").expect("an answer").ends_with("upstream-ok"));
        }
    }
    let nothing = dial(address, "localhost", &Arc::new(pki.client(&["spdy/3"])));
    assert!(nothing.is_err(), "RFC 7301 §3.2: no protocol in common ends the handshake");
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let (pki, gateway) = secure(&Upstream::start(), LISTENER);
    for version in rustls::ALL_VERSIONS {
        let config = Arc::new(pki.client_of(&[version], &[]));
        let mut secure = dial(gateway.address("public"), "localhost", &config).expect("it is spoken");
        assert_eq!(secure.conn.protocol_version(), Some(version.version));
        assert!(ask(&mut secure, "localhost").expect("an answer").starts_with("HTTP/1.1 200 "));
    }
    for minor in [0, 1, 2] {
        // A ClientHello of SSL 3.0, TLS 1.0 or 1.1: ECDHE-RSA and RSA with AES-128-CBC, and signature algorithms.
        let (suites, extensions) = ([0, 4, 0xc0, 0x13, 0, 0x2f], [0, 10, 0, 13, 0, 6, 0, 4, 4, 3, 4, 1]);
        let hello = [&[3, minor][..], &[7; 32], &[0], &suites, &[1, 0], &extensions].concat();
        let length = u8::try_from(hello.len()).expect("it is short");
        let record = [&[22, 3, minor, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
        let mut wire = gateway.connect();
        // Alert, fatal, protocol_version.
        assert_eq!(wire.send(record).rest()[5..], [2, 70], "3.{minor}");
    }
}

#[test]
fn the_certificate_is_picked_by_name() {
    let listener =
        r#"tls = { certificate = "a.pem", key = "a.key", more = [{ certificate = "b.pem", key = "b.key" }] }"#;
    let (pki, gateway) = secure(&Upstream::start(), listener);
    for (name, expected) in [
        ("localhost", "a"),
        ("a.example", "a"),
        ("b.example", "b"),
        ("B.Example", "b"),
        ("x.b.example", "b"),
        ("x.y.b.example", "a"),
        ("unknown.example", "a"),
        ("127.0.0.1", "a"),
    ] {
        let mut config = pki.client(&[]);
        let shown = Arc::new(Mutex::new(None));
        config.dangerous().set_certificate_verifier(Arc::new(Recorder(Arc::clone(&shown))));
        dial(gateway.address("public"), name, &Arc::new(config)).expect("it is shown");
        assert_eq!(shown.lock().unwrap().as_ref(), pki.pair(expected).0.first(), "{name}");
    }
}

#[test]
fn a_host_that_tls_was_not_set_up_for_is_misdirected() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, LISTENER);
    let config = Arc::new(pki.client(&[]));
    let mut secure = dial(gateway.address("public"), "a.example", &config).expect("it is shown");
    assert!(ask(&mut secure, "b.example").expect("an answer").starts_with("HTTP/1.1 421 "));
    assert!(upstream.seen().is_empty());
    let mut secure = dial(gateway.address("public"), "a.example", &config).expect("it is shown");
    assert!(ask(&mut secure, "A.example.:8443").expect("an answer").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_upstream_is_told_that_the_caller_spoke_tls() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, LISTENER);
    let mut secure = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(&[]))).expect("it is shown");
    ask(&mut secure, "localhost").expect("an answer");
    let request = upstream.only();
    assert_eq!(request.header("x-forwarded-proto"), Some("https"));
    assert_eq!(request.header("forwarded"), Some("for=127.0.0.1;host=\"localhost\";proto=https"));
}

#[test]
fn a_handshake_that_stalls_or_is_none_ends_the_connection() {
    let (pki, gateway) = secure(&Upstream::start(), LISTENER);
    let config = Arc::new(pki.client(&[]));
    for (what, begin) in [("nothing", &b""[..]), ("half a record", &[22, 3, 1, 2, 0, 1, 0]), ("half a header", &[22])] {
        let mut wire = gateway.connect();
        wire.send(begin);
        // A connection made after this one is served: so is this one.
        dial(gateway.address("public"), "localhost", &config).expect("it is shown");
        gateway.pass(Duration::from_secs(9));
        assert!(wire.is_quiet(), "{what}: not before its time");
        gateway.pass(Duration::from_secs(1) + SLACK);
        assert!(wire.is_closed(), "{what}");
    }
}

#[test]
fn http_in_clear_hears_that_the_port_speaks_tls_and_nothing_else_does() {
    let upstream = Upstream::start();
    let (_pki, gateway) = secure(&upstream, LISTENER);
    let answer = gateway.connect().send("GET /a?key=secret HTTP/1.1\r\nHost: localhost\r\n\r\n").rest();
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 53\r\nconnection: close\r\n\r\n\
         This port speaks HTTPS, and the request was in clear."
    );
    for other in ["EHLO localhost\r\n", "GE", "\0\0\0\0\0\0\0\0"] {
        let mut wire = gateway.connect();
        wire.send(other).finish();
        let answer = wire.rest();
        assert!(!answer.starts_with(b"HTTP"), "{other:?}");
    }
    assert_eq!(upstream.seen().len(), 0);
}

const ASKING: &str = r#"tls = { certificate = "a.pem", key = "a.key", client_ca = "ca.pem" }"#;

#[test]
fn a_client_certificate_is_asked_for_where_an_authority_is_named_and_only_there() {
    for (listener, asked) in [(LISTENER, false), (ASKING, true)] {
        let (pki, gateway) = secure(&Upstream::start(), listener);
        for version in rustls::ALL_VERSIONS {
            let mut config = pki.client_of(&[version], &[]);
            let resolver = Arc::new(Presenter { key: None, asked: AtomicBool::new(false) });
            config.client_auth_cert_resolver = Arc::clone(&resolver) as _;
            // None is presented: whether one is needed is for the route to say.
            let mut secure = dial(gateway.address("public"), "localhost", &Arc::new(config)).expect("it is optional");
            assert!(ask(&mut secure, "localhost").expect("an answer").starts_with("HTTP/1.1 200 "));
            assert_eq!(resolver.asked.load(Ordering::SeqCst), asked);
        }
    }
}

#[test]
fn a_client_certificate_without_its_key_ends_the_handshake_and_a_bad_one_does_not() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, ASKING);
    let stranger = Pki::new();
    stranger.issue("client", &["client.example"]);
    let stolen = (pki.pair("client").0, stranger.pair("client").1);
    for (what, (chain, key), good) in [
        ("its own", pki.pair("client"), true),
        ("of an authority that nobody trusts", stranger.pair("client"), true),
        ("somebody else's", stolen, false),
    ] {
        for version in rustls::ALL_VERSIONS {
            let mut config = pki.client_of(&[version], &[]);
            let signer = provider().key_provider.load_private_key(key.clone_key()).expect("a key");
            let key = Some(Arc::new(CertifiedKey::new(chain.clone(), signer)));
            config.client_auth_cert_resolver = Arc::new(Presenter { key, asked: AtomicBool::new(false) });
            // In TLS 1.3 the client is done before the server has judged.
            let answer = dial(gateway.address("public"), "localhost", &Arc::new(config))
                .and_then(|mut secure| ask(&mut secure, "localhost"));
            assert_eq!(answer.is_ok_and(|text| text.starts_with("HTTP/1.1 200 ")), good, "{what} {version:?}");
        }
    }
    assert_eq!(upstream.seen().len(), 4);
}

const FORGETFUL: &str = r#"tls = { certificate = "a.pem", key = "a.key", session_resumption = false }"#;

#[test]
fn a_listener_that_asks_for_certificates_resumes_no_session() {
    for (listener, kind) in
        [(LISTENER, HandshakeKind::Resumed), (ASKING, HandshakeKind::Full), (FORGETFUL, HandshakeKind::Full)]
    {
        let (pki, gateway) = secure(&Upstream::start(), listener);
        for version in rustls::ALL_VERSIONS {
            let mut config = pki.client_of(&[version], &[]);
            config.enable_early_data = true;
            let config = Arc::new(config);
            for expected in [HandshakeKind::Full, kind] {
                let mut secure = dial(gateway.address("public"), "localhost", &config).expect("it is shown");
                assert!(
                    !secure.conn.is_early_data_accepted(),
                    "RFC 8446 §8: nothing is taken that could be sent again"
                );
                // Reading the answer, the client reads its tickets.
                ask(&mut secure, "localhost").expect("an answer");
                let own = secure.conn.handshake_kind().expect("it is done");
                let own = if own == HandshakeKind::FullWithHelloRetryRequest { HandshakeKind::Full } else { own };
                assert_eq!(own, expected, "{version:?}");
            }
        }
    }
}

#[test]
fn a_session_is_resumed_by_whichever_worker_gets_the_connection() {
    let (pki, upstream) = (Pki::new(), Upstream::start());
    pki.issue("a", &["localhost"]);
    let toml = open(&upstream, "").replace("[upstream", &format!("{LISTENER}\n[upstream"));
    let gateway = TestGateway::start_in(&toml, pki.path(), 2);
    for version in rustls::ALL_VERSIONS {
        let config = Arc::new(pki.client_of(&[version], &[]));
        // Each stays until the end, so that the next goes to the other worker.
        let mut held = Vec::new();
        for number in 0..4 {
            let mut secure = dial(gateway.address("public"), "localhost", &config).expect("it is shown");
            write!(secure, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
            let mut piece = [0; 4096];
            assert!(std::io::Read::read(&mut secure, &mut piece).is_ok_and(|length| length > 0));
            let resumed = secure.conn.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, number > 0, "{version:?}, connection {number}");
            held.push(secure);
        }
    }
}

#[test]
fn only_what_is_set_is_spoken() {
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    for (settings, spoken) in [
        (r#"min_version = "1.3""#.to_owned(), [None, Some("TLS13_AES_256_GCM_SHA384")]),
        (r#"cipher_suites = ["TLS_AES_128_GCM_SHA256"]"#.to_owned(), [None, Some("TLS13_AES_128_GCM_SHA256")]),
        (format!("cipher_suites = [\"{suite}\"]"), [Some(suite), None]),
    ] {
        let listener = format!(r#"tls = {{ certificate = "a.pem", key = "a.key", {settings} }}"#);
        let (pki, gateway) = secure(&Upstream::start(), &listener);
        for (version, expected) in [&rustls::version::TLS12, &rustls::version::TLS13].into_iter().zip(spoken) {
            let config = Arc::new(pki.client_of(&[version], &[]));
            let secure = dial(gateway.address("public"), "localhost", &config).ok();
            let suite = secure.and_then(|secure| secure.conn.negotiated_cipher_suite());
            assert_eq!(suite.and_then(|suite| suite.suite().as_str()), expected, "{settings} {version:?}");
        }
    }
}

/// An upstream that speaks TLS with the certificate `b`, and ends each connection as `end` says.
fn secure_upstream(pki: &Pki, end: fn(&mut StreamOwned<ServerConnection, TcpStream>)) -> Upstream {
    ending(pki.server("b"), end)
}

/// An upstream that speaks TLS as it is told.
pub fn secure_upstream_with(config: Arc<ServerConfig>) -> Upstream {
    ending(config, notify)
}

fn ending(config: Arc<ServerConfig>, end: fn(&mut StreamOwned<ServerConnection, TcpStream>)) -> Upstream {
    Upstream::raw(move |stream, _| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session can begin");
        let mut reader = BufReader::new(StreamOwned::new(session, stream));
        if let Some(request) = read_request(&mut reader, true) {
            let stream = reader.get_mut();
            let name = stream.conn.server_name().unwrap_or("nobody").to_owned();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n{} for {name}", request.target);
            end(stream);
        }
    })
}

fn notify(stream: &mut StreamOwned<ServerConnection, TcpStream>) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

#[test]
fn an_upstream_is_believed_if_its_own_authority_vouches_for_its_name() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    std::fs::copy(stranger.path().join("ca.pem"), pki.path().join("stranger.pem")).expect("it can be copied");
    for (what, names, host, ca, status) in [
        ("its name", &["localhost"][..], "localhost", "ca.pem", 200),
        ("its address", &["127.0.0.1"], "127.0.0.1", "ca.pem", 200),
        ("another authority", &["localhost"], "localhost", "stranger.pem", 502),
        ("another name", &["b.example"], "localhost", "ca.pem", 502),
        ("another address", &["127.0.0.2"], "127.0.0.1", "ca.pem", 502),
        ("a name for an address", &["localhost"], "127.0.0.1", "ca.pem", 502),
    ] {
        pki.issue("b", names);
        let upstream = secure_upstream(&pki, notify);
        let endpoint = format!("https://{host}:{}", upstream.address().port());
        let ca = format!("ca = \"{ca}\"");
        let gateway = timed_at(&endpoint, pki.path(), Added { upstream: &ca, ..Added::default() });
        let answer = gateway.connect().ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        if status == 200 {
            let name = if host == "localhost" { host } else { "nobody" };
            assert_eq!(answer.text(), format!("/x for {name}"), "{what}");
        }
    }
}

#[test]
fn an_answer_to_the_end_of_a_connection_that_was_cut_is_broken_off() {
    for (end, whole) in [(notify as fn(&mut _), true), (|_| {}, false)] {
        let pki = Pki::new();
        pki.issue("b", &["localhost"]);
        let upstream = secure_upstream(&pki, end);
        let endpoint = format!("https://localhost:{}", upstream.address().port());
        let gateway = timed_at(&endpoint, pki.path(), Added { upstream: "ca = \"ca.pem\"", ..Added::default() });
        let mut wire = gateway.connect();
        wire.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        // Without a close_notify anybody on the way could have cut it.
        assert_eq!(wire.rest().ends_with(b"0\r\n\r\n"), whole);
    }
}

#[test]
fn an_upstream_that_does_not_shake_hands_is_502_or_504() {
    let (played, pki) = (Played::start(), Pki::new());
    let endpoint = format!("https://{}", played.upstream.address());
    let gateway = timed_at(&endpoint, pki.path(), Added { upstream: "ca = \"ca.pem\"", ..Added::default() });
    for (said, status) in [("HTTP/1.1 400 Bad Request\r\n\r\n", 502), ("", 504)] {
        let mut wire: Wire = gateway.connect();
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut peer = played.next();
        peer.say(said);
        if status == 504 {
            gateway.pass(Duration::from_secs(4));
            assert!(wire.is_quiet(), "not before its time");
            gateway.pass(Duration::from_secs(1) + SLACK);
        }
        assert_eq!(wire.answer().status, status);
        assert!(peer.is_closed());
    }
}

/// Accepts any certificate, and remembers it.
#[derive(Debug, Default)]
pub struct Recorder(Arc<Mutex<Option<CertificateDer<'static>>>>);

impl rustls::client::danger::ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().expect("nobody panicked here") = Some(leaf.clone().into_owned());
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Presents a certificate whether or not its key is the right one, and notes whether it was asked.
struct Presenter {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl fmt::Debug for Presenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presenter")
    }
}

impl ResolvesClientCert for Presenter {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::SeqCst);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
