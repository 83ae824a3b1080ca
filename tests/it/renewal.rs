//! Certificates, authorities and revocation lists that are read anew while connections stand.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::house::TestGateway;
use crate::log::Log;
use crate::patience::until;
use crate::pki::{Pki, Secure, ask, dial, provider};
use crate::processes;
use crate::time::{Added, timed_at};
use crate::tls::secure_upstream_with;
use crate::upstream::Upstream;

/// Files are read anew when that is asked for, and not by the clock of the machine besides.
const ASKED: &str = "[tls]\nreload = \"24h\"";
const LISTENER: &str = r#"tls = { certificate = "a.pem", key = "a.key" }"#;

fn house(upstream: &Upstream) -> (Pki, TestGateway) {
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    let endpoint = format!("http://{}", upstream.address());
    let gateway = timed_at(&endpoint, pki.path(), Added { top: ASKED, listener: LISTENER, ..Added::default() });
    (pki, gateway)
}

/// Asks on a connection that stays.
fn again(secure: &mut Secure) -> String {
    write!(secure, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    let mut text = Vec::new();
    while !text.ends_with(b"upstream-ok") {
        let mut piece = [0; 512];
        let length = secure.read(&mut piece).expect("it stands");
        assert!(length > 0, "it stands: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(text).expect("text")
}

/// Whether a new connection is shown what lies in `a.pem` by now.
fn is_shown(pki: &Pki, gateway: &TestGateway) -> bool {
    let secure = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(&[]))).expect("they agree");
    secure.conn.peer_certificates() == Some(&pki.pair("a").0[..])
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_the_others_go_on() {
    let (pki, gateway) = house(&Upstream::start());
    let mut before = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(&[]))).expect("they agree");
    again(&mut before);
    pki.issue("a", &["localhost"]);
    assert!(!is_shown(&pki, &gateway), "not before it is read");
    let outcomes = gateway.reload_certificates();
    assert_eq!(outcomes.len(), 1);
    assert_eq!((&*outcomes[0].name, &outcomes[0].result), ("listener public", &Ok(())));
    assert!(is_shown(&pki, &gateway));
    again(&mut before);
    assert!(gateway.drain());
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_told_once() {
    let log = Log::shared();
    let (pki, gateway) = house(&Upstream::start());
    let key = pki.path().join("a.key");
    let good = std::fs::read(&key).expect("it is there");
    pki.issue("other", &["localhost"]);
    std::fs::rename(pki.path().join("other.key"), &key).expect("it can be moved");
    for _ in 0..2 {
        let outcomes = gateway.reload_certificates();
        let reason = outcomes[0].result.as_ref().expect_err("they do not belong together");
        assert!(reason.contains("is not the key of"), "{reason}");
    }
    log.await_line(&["could not be read anew", &key.display().to_string()]);
    let told = |line: &&str| line.contains("could not be read anew") && line.contains(&key.display().to_string());
    assert_eq!(log.text().lines().filter(told).count(), 1);
    assert!(is_shown(&pki, &gateway), "the one from before stays");
    std::fs::write(&key, good).expect("it can be written");
    assert_eq!(gateway.reload_certificates()[0].result, Ok(()));
}

#[test]
fn a_file_that_changes_is_noticed() {
    let (pki, upstream) = (Pki::new(), Upstream::start());
    pki.issue("a", &["localhost"]);
    let toml = format!(
        "[tls]\nreload = \"1s\"\n[listener.noticed]\naddress = \"127.0.0.1:0\"\n{LISTENER}\n\
         [upstream.api]\nendpoints = [\"http://{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/{{*rest}}\"\nauthenticate = \"open\"\nforward = \"api\"\n",
        upstream.address()
    );
    let log = Log::shared();
    let gateway = TestGateway::start_in(&toml, pki.path(), 1);
    pki.issue("a", &["localhost"]);
    log.await_line(&[" read anew", "what=listener noticed"]);
    // It may have looked between certificate and key; then it looks again.
    let shown = || {
        let secure = dial(gateway.address("noticed"), "localhost", &Arc::new(pki.client(&[]))).expect("they agree");
        secure.conn.peer_certificates() == Some(&pki.pair("a").0[..])
    };
    until("the other certificate", shown);
}

#[test]
fn an_upstream_gets_a_certificate_and_is_asked_for_the_name_that_it_has() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    pki.issue("b", &["vms.internal"]);
    pki.issue("gateway", &[]);
    stranger.issue("stranger", &[]);
    for end in ["pem", "key"] {
        let file = format!("stranger.{end}");
        std::fs::copy(stranger.path().join(&file), pki.path().join(&file)).expect("it can be copied");
    }
    let log = Log::shared();
    let presented = |file: &str| format!("client_certificate = \"{file}.pem\"\nclient_key = \"{file}.key\"");
    let named = "ca = \"ca.pem\"\nserver_name = \"vms.internal\"";
    for (what, upstream, status) in [
        ("both", format!("{named}\n{}", presented("gateway")), 200),
        ("no certificate", named.to_owned(), 502),
        ("another's", format!("{named}\n{}", presented("stranger")), 502),
        ("no name", format!("ca = \"ca.pem\"\n{}", presented("gateway")), 502),
    ] {
        let server = secure_upstream_with(asking(&pki));
        let endpoint = format!("https://localhost:{}", server.address().port());
        let gateway = timed_at(&endpoint, pki.path(), Added { upstream: &upstream, ..Added::default() });
        let answer = gateway.connect().ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(status != 200 || answer.text() == "/x for vms.internal", "{what}: {answer:?}");
    }
    log.await_line(&["no connection to the upstream", "not valid for name", "vms.internal"]);
}

/// An upstream with the certificate `b` that serves nobody without a certificate of this authority.
fn asking(pki: &Pki) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(vidgate::edge::tls::certificates(&pki.path().join("ca.pem")).expect("it is PEM"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().expect("it judges");
    let (chain, key) = pki.pair("b");
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = builder.expect("the versions are known").with_client_cert_verifier(verifier);
    Arc::new(config.with_single_cert(chain, key).expect("they belong together"))
}

#[test]
fn the_authority_of_an_upstream_is_read_anew() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    pki.issue("b", &["localhost"]);
    let file = pki.path().join("vms.pem");
    std::fs::copy(stranger.path().join("ca.pem"), &file).expect("it can be copied");
    let server = secure_upstream_with(pki.server("b"));
    let endpoint = format!("https://localhost:{}", server.address().port());
    let gateway =
        timed_at(&endpoint, pki.path(), Added { top: ASKED, upstream: "ca = \"vms.pem\"", ..Added::default() });
    let status = || gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status;
    assert_eq!(status(), 502);
    std::fs::copy(pki.path().join("ca.pem"), &file).expect("it can be copied");
    let outcomes = gateway.reload_certificates();
    assert_eq!((&*outcomes[0].name, &outcomes[0].result), ("upstream api", &Ok(())));
    gateway.advance(Duration::from_secs(2));
    assert_eq!(status(), 200);
}

#[test]
fn nothing_is_said_anew_on_a_connection_that_was_made_before() {
    // RFC 5746: renegotiation is refused, and the connection is as good as before.
    let (pki, gateway) = house(&Upstream::start());
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-tls1_2", "-CAfile", "ca.pem", "-connect", &gateway.address("public").to_string()]);
    openssl.current_dir(pki.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut openssl = processes::start(&mut openssl);
    // Open until it has ended: at the end of its input it would leave before it hears the answer.
    let mut input = openssl.stdin.take().expect("it is piped");
    input.write_all(b"R\n").expect("it is taken");
    let output = openssl.wait_with_output().expect("it ends");
    drop(input);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    let mut secure = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(&[]))).expect("they agree");
    assert!(ask(&mut secure, "localhost").expect("an answer").starts_with("HTTP/1.1 200 "));
}
