//! The super-admin API from the street: whose certificate opens it, what everybody else hears, and that no request gets
//! there by another name or by another way.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use rcgen::{DnType, SerialNumber, date_time_ymd};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, HandshakeKind};
use vidgate::clock::UnixTime;

use crate::house::{START, TestGateway};
use crate::pki::{Pki, Secure, ask, dial, provider, serial_of};
use crate::processes;
use crate::streams::{Pieces, Streams};
use crate::upstream::Upstream;

const USERS: &str = "/api/v2/admin/users/";
const LICENSE: &str = "v3.X9tKpuXq0btatj";

/// A house whose listener `admin` asks for certificates of `pki`, and whose `public` one has the APIs of everybody else.
struct House {
    pki: Pki,
    upstream: Upstream,
    gateway: TestGateway,
}

/// `company` is pinned, `ops` on file by its name, and `filed` by its digest.
fn toml(upstream: &Upstream, tls: &str, filed: &str) -> String {
    format!(
        r#"
# When that is asked for, and not by the clock of the machine besides.
[tls]
reload = "24h"

[listener.public]
address = "127.0.0.1:0"
dialect = "vxg"

[listener.admin]
address = "127.0.0.1:0"
dialect = "vxg"
tls = {{ certificate = "a.pem", key = "a.key", {tls} }}

[upstream.vms]
endpoints = ["http://{}"]

[scheme.ops.mtls]
pinned = ["company.pem"]

[scheme.license.lkey]

[[account]]
id = "operators"
admin_certificate = [{{ id = "ops", subject = "ops" }}, {{ id = "filed", sha256 = "{filed}" }}]

[[account]]
id = "acme"
parent = "operators"
license_key = [{{ id = "main", key = "{LICENSE}" }}]

[[route]]
name = "users"
listeners = ["admin"]
path = "/api/v2/admin/{{*rest}}"
authenticate = "ops"
forward = "vms"
dialect = "vxg_admin"

[[route]]
name = "servers"
listeners = ["admin"]
path = "/api/v6/servers/"
authenticate = "ops and license"
forward = "vms"
dialect = "vxg_admin"

[[route]]
name = "json"
listeners = ["admin"]
path = "/json"
authenticate = "ops"
forward = "vms"
dialect = "vxg"

[[route]]
name = "customers"
path = "/api/v3/{{*rest}}"
authenticate = "license"
forward = "vms"
dialect = "vxg"

[[route]]
name = "cameras"
path = "/api/v4/{{*rest}}"
authenticate = "license"
forward = "vms"
dialect = "vxg"
"#,
        upstream.address()
    )
}

const FULL: &str = r#"client_ca = "ca.pem", client_crl = "ca.crl""#;
const PINNED: &str = "client_certificates = true";

impl House {
    fn new(tls: &str) -> Self {
        Self::at(START, tls)
    }

    fn at(now: UnixTime, tls: &str) -> Self {
        let (pki, upstream) = (Pki::new(), Upstream::start());
        pki.issue("a", &["localhost", "a.example"]);
        pki.issue("ops", &[]);
        pki.issue("nobody", &[]);
        let ops = |params: &mut rcgen::CertificateParams| params.distinguished_name.push(DnType::CommonName, "ops");
        pki.issue_as("expired", &[], |params| {
            ops(params);
            params.not_after = date_time_ymd(2024, 12, 31);
        });
        pki.issue_as("early", &[], |params| {
            ops(params);
            params.not_before = date_time_ymd(2025, 1, 2);
        });
        pki.issue_as("soon", &[], |params| {
            ops(params);
            params.not_after = date_time_ymd(2025, 1, 1) + Duration::from_secs(30);
        });
        pki.issue_as("revoked", &[], |params| {
            ops(params);
            params.serial_number = Some(SerialNumber::from(7));
        });
        pki.self_signed("company", |_| {});
        pki.self_signed("filed", |_| {});
        pki.self_signed("posing", ops);
        pki.revoke(&[7], 4000);
        let gateway = TestGateway::start_at(now, &toml(&upstream, tls, &pki.digest("filed")), pki.path(), 1);
        Self { pki, upstream, gateway }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address("admin")
    }

    fn client(&self, file: Option<&str>) -> ClientConfig {
        file.map_or_else(|| self.pki.client(&[]), |file| self.pki.presenting(&self.pki, file, &[]))
    }

    fn dial(&self, file: Option<&str>) -> Secure {
        dial(self.address(), "localhost", &Arc::new(self.client(file))).expect("the handshake is accepted")
    }

    /// The whole answer to a request on a connection of its own.
    fn ask(&self, file: Option<&str>, target: &str, fields: &str) -> String {
        tell(&mut self.dial(file), target, &format!("Host: localhost\r\nConnection: close\r\n{fields}"))
    }

    /// Who the upstream heard of, since the last time that this was asked.
    fn heard(&self, before: usize) -> Vec<String> {
        let heard = self.upstream.seen().split_off(before);
        heard.iter().map(|request| request.header("x-vidgate-subject").unwrap_or("nobody").to_owned()).collect()
    }
}

fn tell(secure: &mut Secure, target: &str, fields: &str) -> String {
    write!(secure, "GET {target} HTTP/1.1\r\n{fields}\r\n").expect("it is taken");
    let mut text = String::new();
    secure.read_to_string(&mut text).expect("an answer, and its end");
    text
}

fn is_page(answer: &str, title: &str) -> bool {
    answer.starts_with("HTTP/1.1 400 ")
        && answer.contains("\r\ncontent-type: text/html\r\n")
        && answer.contains(&format!("<title>400 {title}</title>"))
        && answer.contains("\r\nconnection: close\r\n")
}

const MISSING: &str = "No required SSL certificate was sent";
const BAD: &str = "The SSL certificate error";

#[test]
fn a_good_certificate_opens_and_every_other_gets_the_page_of_nginx() {
    let house = House::new(FULL);
    let stranger = Pki::new();
    stranger.issue("ops", &[]);
    for (what, file, expected) in [
        ("on file by its name", Some("ops"), Ok("admin_certificate:ops")),
        ("on file by its digest", Some("filed"), Ok("admin_certificate:filed")),
        ("pinned", Some("company"), Ok("certificate:ops")),
        ("none", None, Err(MISSING)),
        ("not on file", Some("nobody"), Err(BAD)),
        ("expired", Some("expired"), Err(BAD)),
        ("not yet valid", Some("early"), Err(BAD)),
        ("revoked", Some("revoked"), Err(BAD)),
        ("self-signed under a name that is on file", Some("posing"), Err(BAD)),
    ] {
        let before = house.upstream.seen().len();
        let answer = house.ask(file, USERS, "");
        let heard = house.heard(before);
        match expected {
            Ok(subject) => {
                assert!(answer.starts_with("HTTP/1.1 200 ") && heard == [subject], "{what}: {answer} {heard:?}");
            }
            Err(title) => assert!(is_page(&answer, title) && heard.is_empty(), "{what}: {answer} {heard:?}"),
        }
    }
    let config = Arc::new(house.pki.presenting(&stranger, "ops", &[]));
    let mut rogue = dial(house.address(), "localhost", &config).expect("the handshake is accepted");
    let before = house.upstream.seen().len();
    let answer = tell(&mut rogue, USERS, "Host: localhost\r\n\r\n");
    assert!(is_page(&answer, BAD) && house.heard(before).is_empty(), "another authority: {answer}");
}

#[test]
fn with_the_dialect_of_the_other_apis_it_is_401_in_json() {
    let house = House::new(FULL);
    for file in [None, Some("nobody")] {
        let answer = house.ask(file, "/json", "");
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"errorType\":\"invalid_auth\""), "{answer}");
        assert!(!answer.contains("<html>"), "{answer}");
    }
    assert!(house.ask(Some("ops"), "/json", "").starts_with("HTTP/1.1 200 "));
}

/// Asks on a connection that stays, unless the answer says otherwise.
fn again(secure: &mut Secure) -> String {
    write!(secure, "GET {USERS} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    let mut text = String::new();
    while !text.ends_with("upstream-ok") {
        let mut piece = [0; 512];
        let length = secure.read(&mut piece).expect("it stands");
        if length == 0 {
            break;
        }
        text += std::str::from_utf8(&piece[..length]).expect("text");
    }
    text
}

#[test]
fn a_certificate_that_is_revoked_opens_nothing_any_more_on_a_connection_that_stands() {
    let house = House::new(FULL);
    let [mut ops, mut pinned] = ["ops", "company"].map(|file| house.dial(Some(file)));
    assert!(again(&mut ops).starts_with("HTTP/1.1 200 ") && again(&mut pinned).starts_with("HTTP/1.1 200 "));
    let der = house.pki.pair("ops").0;
    let serial = serial_of(&der[0]);
    house.pki.revoke_serials(vec![serial], 4000);
    assert!(again(&mut ops).starts_with("HTTP/1.1 200 "), "not before the list is read");
    assert!(house.gateway.reload_certificates().iter().all(|outcome| outcome.result.is_ok()));
    assert!(is_page(&again(&mut ops), BAD));
    assert!(again(&mut pinned).starts_with("HTTP/1.1 200 "), "the others go on");
    assert!(is_page(&house.ask(Some("ops"), USERS, ""), BAD));
}

#[test]
fn another_configuration_judges_the_connections_that_stand() {
    let house = House::new(FULL);
    let [mut ops, mut pinned] = ["ops", "company"].map(|file| house.dial(Some(file)));
    assert!(again(&mut ops).starts_with("HTTP/1.1 200 "));
    house.pki.revoke_in("other.crl", vec![serial_of(&house.pki.pair("ops").0[0])], 4000);
    let tls = FULL.replace("ca.crl", "other.crl");
    house.gateway.adopt_in(&toml(&house.upstream, &tls, &house.pki.digest("filed")), house.pki.path());
    assert!(is_page(&again(&mut ops), BAD));
    assert!(again(&mut pinned).starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_expired_revocation_list_keeps_out_those_whom_it_would_speak_of() {
    // The third of January 4001.
    let house = House::at(UnixTime(64_092_400_000), FULL);
    for (file, good) in [("ops", false), ("nobody", false), ("revoked", false), ("company", true), ("filed", true)] {
        let answer = house.ask(Some(file), USERS, "");
        assert!(if good { answer.starts_with("HTTP/1.1 200 ") } else { is_page(&answer, BAD) }, "{file}: {answer}");
    }
}

#[test]
fn where_no_authority_is_named_certificates_are_known_by_themselves_alone() {
    let house = House::new(PINNED);
    for (file, good) in [("ops", false), ("company", true), ("filed", true), ("posing", false)] {
        let answer = house.ask(Some(file), USERS, "");
        assert!(if good { answer.starts_with("HTTP/1.1 200 ") } else { is_page(&answer, BAD) }, "{file}: {answer}");
    }
}

#[test]
fn a_certificate_of_the_first_version_is_good_where_it_is_pinned_and_its_key_is_held() {
    // Made in 2026 by `openssl x509 -req`, for ten years: webpki cannot read it.
    let (at, fixtures) = (UnixTime(1_800_000_000), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys"));
    let (pki, upstream) = (Pki::new(), Upstream::start());
    pki.issue("a", &["localhost"]);
    pki.issue("ops", &[]);
    for file in ["version-1.pem", "version-1.key"] {
        std::fs::copy(fixtures.join(file), pki.path().join(file)).expect("it can be copied");
    }
    for (pinned, expected) in [("version-1.pem", "HTTP/1.1 200 "), ("ops.pem", "HTTP/1.1 400 ")] {
        let toml = toml(&upstream, "client_ca = \"ca.pem\"", &"0".repeat(64)).replace("company.pem", pinned);
        let gateway = TestGateway::start_at(at, &toml, pki.path(), 1);
        let config = Arc::new(pki.presenting(&pki, "version-1", &[]));
        let mut secure = dial(gateway.address("admin"), "localhost", &config).expect("the handshake is accepted");
        let answer = tell(&mut secure, USERS, "Host: localhost\r\nConnection: close\r\n");
        assert!(answer.starts_with(expected), "{answer}");
        // The certificate is public: it opens nothing without its key.
        let mut stolen = pki.client(&[]);
        let key = provider().key_provider.load_private_key(pki.pair("ops").1).expect("a key");
        let stolen_key = CertifiedKey::new(pki.pair("version-1").0, key);
        stolen.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(stolen_key));
        let answer = dial(gateway.address("admin"), "localhost", &Arc::new(stolen))
            .and_then(|mut secure| ask(&mut secure, "localhost"));
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_certificate_that_expires_while_its_connection_lasts_opens_nothing_from_then_on() {
    let house = House::new(FULL);
    let mut secure = house.dial(Some("soon"));
    let request = format!("GET {USERS} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for good in [true, false] {
        secure.write_all(request.as_bytes()).expect("it is taken");
        let mut head = [0; 12];
        secure.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, if good { b"HTTP/1.1 200" } else { b"HTTP/1.1 400" });
        let mut rest = Vec::new();
        while good && !rest.ends_with(b"upstream-ok") {
            let mut byte = [0];
            secure.read_exact(&mut byte).expect("the rest of it");
            rest.extend(byte);
        }
        // Thirty seconds of its life, and less than a connection may be idle.
        house.gateway.advance(Duration::from_secs(31));
    }
    assert_eq!(house.upstream.seen().len(), 1);
}

#[test]
fn a_licence_key_opens_nothing_of_the_super_admins_and_a_certificate_nothing_of_the_customers() {
    let house = House::new(FULL);
    let key = format!("Authorization: LKey {LICENSE}\r\n");
    for target in [USERS, "/api/v2/admin/servers/1/"] {
        let answer = house.ask(None, target, &key);
        assert!(is_page(&answer, MISSING), "{answer}");
        let plain = house.gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{key}\r\n"));
        assert_eq!(plain.status, 404, "the other listener has no such route");
    }
    assert!(house.upstream.seen().is_empty());
    let answer = house.ask(Some("ops"), "/api/v3/channels/", "");
    assert!(answer.starts_with("HTTP/1.1 401 ") && house.upstream.seen().is_empty(), "{answer}");
    assert!(house.ask(Some("ops"), "/api/v3/channels/", &key).starts_with("HTTP/1.1 200 "));
    assert_eq!(house.heard(0), ["license_key:main"]);
}

#[test]
fn a_route_may_ask_for_certificate_and_licence_key_together() {
    let house = House::new(FULL);
    let key = |key: &str| format!("Authorization: LKey {key}\r\n");
    for (what, file, fields, expected) in [
        ("both", Some("ops"), key(LICENSE), "license_key:main"),
        ("both, the certificate pinned", Some("company"), key(LICENSE), "license_key:main"),
        ("the certificate alone", Some("ops"), String::new(), "HTTP/1.1 401 "),
        ("a wrong key", Some("ops"), key("v3.wrong"), "HTTP/1.1 401 "),
        ("the key alone", None, key(LICENSE), MISSING),
        // The certificate comes first: whoever has none does not learn whether a key is right.
        ("a wrong key alone", None, key("v3.wrong"), MISSING),
        ("a bad certificate", Some("revoked"), key(LICENSE), BAD),
        ("both wrong", Some("revoked"), key("v3.wrong"), BAD),
    ] {
        let before = house.upstream.seen().len();
        let answer = house.ask(file, "/api/v6/servers/", &fields);
        let heard = house.heard(before);
        if heard.is_empty() {
            assert!(answer.starts_with(expected) || is_page(&answer, expected), "{what}: {answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 200 ") && heard == [expected], "{what}: {answer}");
        }
    }
}

#[test]
fn no_spelling_of_its_path_leads_to_the_super_admin_api_without_a_certificate() {
    let house = House::new(FULL);
    let key = format!("Authorization: LKey {LICENSE}\r\n");
    for target in [
        "/api/v2/admin%2Fusers/",
        "/api/v2%2Fadmin/users/",
        "/api/v2/%61dmin/users/",
        "/api/v4/../v2/admin/users/",
        "/api/v4/%2e%2e/v2/admin/users/",
        "/api/v4/..%2Fv2/admin/users/",
        "/api/v4/..%5cv2/admin/users/",
        "/api/v4/..;/v2/admin/users/",
        "/api/v4/%252e%252e/v2/admin/users/",
        "//api/v2/admin/users/",
        "/api//v2/admin/users/",
        "/api/v3//../../api/v2/admin/users/",
        "/./api/v2/admin/users/",
        "/api/v2/ADMIN/users/",
        "https://localhost/api/v2/admin/users/",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}\r\n");
        let answer = house.gateway.connect().send(request).rest();
        let status = String::from_utf8_lossy(&answer[..12.min(answer.len())]).into_owned();
        assert!(["HTTP/1.1 400", "HTTP/1.1 404"].contains(&status.as_str()), "{target}: {status}");
        let answer = house.ask(None, target, &key);
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 404 "), "{target}: {answer}");
    }
    assert!(house.upstream.seen().is_empty(), "{:?}", house.upstream.seen());
}

#[test]
fn a_request_names_the_connection_that_it_came_by() {
    let house = House::new(&format!("{FULL}, names = [\"203.0.113.9\"]"));
    let port = house.address().port();
    for (name, host, right) in [
        ("localhost", "localhost".to_owned(), true),
        ("localhost", format!("LOCALHOST.:{port}"), true),
        ("localhost", "a.example".to_owned(), false),
        ("localhost", "127.0.0.1".to_owned(), false),
        ("a.example", "a.example".to_owned(), true),
        // Without a server name: an address is none (RFC 6066 §3).
        ("127.0.0.1", format!("127.0.0.1:{port}"), true),
        ("127.0.0.1", "127.0.0.1:1".to_owned(), true),
        ("127.0.0.1", "[::ffff:127.0.0.1]".to_owned(), true),
        ("127.0.0.1", "localhost".to_owned(), true),
        ("127.0.0.1", "a.example".to_owned(), true),
        ("127.0.0.1", "203.0.113.9:9000".to_owned(), true),
        ("127.0.0.1", "127.0.0.2".to_owned(), false),
        ("127.0.0.1", "b.example".to_owned(), false),
        ("127.0.0.1", "[::1]".to_owned(), false),
    ] {
        let mut config = house.client(Some("ops"));
        config.dangerous().set_certificate_verifier(Arc::new(crate::tls::Recorder::default()));
        let mut secure = dial(house.address(), name, &Arc::new(config)).expect("the handshake is accepted");
        let before = house.upstream.seen().len();
        let answer = tell(&mut secure, USERS, &format!("Host: {host}\r\nConnection: close\r\n"));
        let status = if right { "HTTP/1.1 200 " } else { "HTTP/1.1 421 " };
        assert!(answer.starts_with(status), "{host} over {name}: {answer}");
        assert_eq!(house.upstream.seen().len() - before, usize::from(right), "{host} over {name}");
    }
    let mut old = house.dial(Some("ops"));
    write!(old, "GET {USERS} HTTP/1.0\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    old.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 421 ") || answer.starts_with("HTTP/1.0 421 "), "no host at all: {answer}");
}

#[test]
fn it_is_the_same_in_http_2() {
    let house = House::new(FULL);
    let streams = |file: Option<&str>| {
        let mut config = house.client(file);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Streams::over(house.address(), "localhost", config, &http2::Builder::new(TokioExecutor::new()))
    };
    let get = |uri: &str| Request::get(uri).body(Pieces::none()).expect("a request");
    let users = format!("https://localhost{USERS}");
    let good = streams(Some("ops"));
    assert_eq!(good.ask(get(&users)).status, 200);
    // A connection that is shared for another name does not carry the certificate there.
    assert_eq!(good.ask(get(&format!("https://a.example{USERS}"))).status, 421);
    assert_eq!(good.ask(get(&users)).status, 200);
    for (file, title) in [(None, MISSING), (Some("revoked"), BAD), (Some("nobody"), BAD)] {
        let answer = streams(file).ask(get(&users));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 400 && text.contains(&format!("<title>400 {title}</title>")), "{file:?}: {text}");
        assert_eq!(answer.headers["content-type"], "text/html");
    }
    assert_eq!(house.heard(0), ["admin_certificate:ops"; 2]);
}

#[test]
fn no_session_is_resumed_with_a_certificate_or_without() {
    for tls in [FULL, PINNED] {
        let house = House::new(tls);
        for (file, version) in
            [None, Some("company")].into_iter().flat_map(|file| rustls::ALL_VERSIONS.iter().map(move |own| (file, own)))
        {
            let mut config = house.pki.client_of(&[version], &[]);
            if let Some(file) = file {
                config.client_auth_cert_resolver = house.client(Some(file)).client_auth_cert_resolver;
            }
            let config = Arc::new(config);
            for _ in 0..2 {
                let mut secure = dial(house.address(), "localhost", &config).expect("the handshake is accepted");
                ask(&mut secure, "localhost").expect("an answer");
                assert_eq!(secure.conn.tls13_tickets_received(), 0);
                assert_ne!(secure.conn.handshake_kind(), Some(HandshakeKind::Resumed), "{file:?} {version:?}");
            }
        }
    }
}

/// The call of the vendor's documentation: `curl --key company.key --cert company.crt -k https://ip:9000/…`.
#[test]
fn curl_comes_in_by_address_with_the_companys_certificate() {
    let house = House::new(PINNED);
    let url = format!("https://{}{USERS}", house.address());
    let curl = |own: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--max-time", "180", "-w", "\n%{http_code}", &url]).args(own).current_dir(house.pki.path());
        String::from_utf8(processes::run(&mut curl).stdout).expect("text")
    };
    let answer = curl(&["--key", "company.key", "--cert", "company.pem", "-d", r#"{" limits":{}}"#]);
    assert_eq!(answer, "upstream-ok\n200");
    assert_eq!(house.upstream.only().body, br#"{" limits":{}}"#);
    assert!(curl(&[]).ends_with("\n400") && curl(&[]).contains(MISSING));
    assert!(curl(&["--key", "ops.key", "--cert", "ops.pem"]).contains("400 The SSL certificate error"));
}
