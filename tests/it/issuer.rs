//! Tokens of a foreign issuer whose keys are fetched: what goes upstream of them, keys that come later, and a source that
//! fails.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use vidgate::clock::UnixTime;
use vidgate::gateway::explain::Asked;

use crate::house::{TestGateway, open};
use crate::log::Log;
use crate::upstream::Upstream;
use crate::wire::Answer;

/// When the tokens were made.
const NOW: UnixTime = UnixTime(1_700_000_000);

fn vector(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt");
    std::fs::read_to_string(folder.join(name)).expect("the vector is there").trim().to_owned()
}

/// A server of keys, whose answer can be changed.
struct Keys {
    server: Upstream,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Keys {
    fn serving(status: u16, text: String) -> Self {
        let answer = Arc::new(Mutex::new((status, text)));
        let said = Arc::clone(&answer);
        let server = Upstream::answering(move |_| {
            let (status, text) = said.lock().expect("nobody has panicked").clone();
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
        });
        Self { server, answer }
    }

    fn now(&self, status: u16, text: String) {
        *self.answer.lock().expect("nobody has panicked") = (status, text);
    }
}

fn gateway(upstream: &Upstream, keys: &str) -> TestGateway {
    gateway_with(upstream, keys, "")
}

fn gateway_with(upstream: &Upstream, keys: &str, settings: &str) -> TestGateway {
    TestGateway::start_at(NOW, &config(upstream, keys, settings), Path::new("."), 2)
}

fn config(upstream: &Upstream, keys: &str, settings: &str) -> String {
    let more = format!(
        r#"
[[account]]
id = "acme"

[scheme.staff.jwt.issuer]
name = "https://id.example.com"
url = "http://{keys}/keys"
audience = ["vidgate"]
# Longer than the test takes: after a failure the keys are fetched again by the clock of the machine.
cool_down = "100s"
account_claim = "tenant"
scopes = "scope"
headers = {{ X-Vidgate-Email = "email" }}
{settings}
"#
    );
    open(upstream, &more)
        .replace("\"open\"", "\"staff\"")
        .replace("forward = \"api\"", "forward = \"api\"\ndialect = \"message\"")
}

fn ask(gateway: &TestGateway, token: &str) -> Answer {
    gateway.connect().ask(format!(
        "GET /live HTTP/1.1\r\nHost: a\r\nX-Vidgate-Email: forged\r\nAuthorization: Bearer {}\r\n\r\n",
        vector(token)
    ))
}

#[test]
fn a_caller_of_the_issuer_is_named_to_the_upstream() {
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, vector("issuer.jwks")));
    let gateway = gateway(&upstream, &keys.server.address().to_string());
    // The first request may come before the keys, and waits for them.
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    let seen = upstream.only();
    for (name, value) in [
        ("x-vidgate-subject", "jwt:staff:alice"),
        ("x-vidgate-account", "acme"),
        ("x-vidgate-scheme", "jwt"),
        ("x-vidgate-scopes", "watch live"),
        ("x-vidgate-email", "alice@example.com"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.header("authorization"), None);
    for (token, status) in [("issuer-forged.jwt", 401), ("issuer-expired.jwt", 401), ("issuer-elsewhere.jwt", 403)] {
        assert_eq!(ask(&gateway, token).status, status, "{token}");
    }
    assert_eq!((upstream.seen().len(), keys.server.seen().len()), (1, 1));
}

#[test]
fn a_key_that_comes_later_is_fetched_once_for_the_first_who_brings_it() {
    let first = vector("issuer.jwks").replace("issuer-2", "another");
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, first));
    let gateway = gateway(&upstream, &keys.server.address().to_string());
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    keys.now(200, vector("issuer.jwks"));
    assert_eq!(ask(&gateway, "issuer-second.jwt").status, 200);
    assert_eq!(keys.server.seen().len(), 2);
    // Nobody has this one: during the cool-down it is not asked for.
    assert_eq!(ask(&gateway, "issuer-unknown-key.jwt").status, 401);
    assert_eq!(keys.server.seen().len(), 2);
    // A key that is withdrawn is refused as soon as that is known, though its token was verified before.
    keys.now(200, vector("issuer.jwks").replace("issuer-1", "issuer-0"));
    gateway.advance(Duration::from_secs(101));
    assert_eq!(ask(&gateway, "issuer-unknown-key.jwt").status, 401);
    assert_eq!(keys.server.seen().len(), 3);
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 401);
    assert_eq!(ask(&gateway, "issuer-second.jwt").status, 200);
}

#[test]
fn a_caller_of_the_issuer_is_kept_to_the_cameras_of_their_account() {
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, vector("issuer.jwks")));
    let cameras = "[[account.camera]]\nid = \"1\"\n[[account]]\nid = \"other\"\ncamera = [{ id = \"5\" }]\n";
    let toml = config(&upstream, &keys.server.address().to_string(), cameras)
        .replace("forward = \"api\"", "forward = \"api\"\ncamera = { query = [\"camid\"] }");
    let gateway = TestGateway::start_at(NOW, &toml, Path::new("."), 1);
    let ask = |camera: &str| {
        let token = vector("issuer-good.jwt");
        let request = format!("GET /live?camid={camera} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        gateway.connect().ask(request).status
    };
    for (camera, status) in [("1", 200), ("5", 403), ("77", 403)] {
        assert_eq!(ask(camera), status, "{camera}");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_token_that_another_scheme_is_to_judge_is_no_guess() {
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, vector("issuer.jwks")));
    let more = "[scheme.service.jwt]\n[limit.guard]\nfailures = 1\n";
    for expression in ["service or staff", "staff or service"] {
        let toml = config(&upstream, &keys.server.address().to_string(), more)
            .replace("\"staff\"", &format!("\"{expression}\""))
            .replace("forward = \"api\"", "forward = \"api\"\nlimits = [\"guard\"]");
        let gateway = TestGateway::start_at(NOW, &toml, Path::new("."), 1);
        // The first may come before the keys; those that were good once are no guesses either.
        let tokens = ["issuer-good.jwt", "issuer-expired.jwt", "issuer-expired.jwt", "issuer-good.jwt"];
        assert_eq!(tokens.map(|token| ask(&gateway, token).status), [200, 401, 401, 200], "{expression}");
        // A key that the issuer does not have is one, and counts once although keys are fetched for it.
        let guesses = ["issuer-unknown-key.jwt", "issuer-good.jwt"].map(|token| ask(&gateway, token).status);
        assert_eq!(guesses, [401, 429], "{expression}");
    }
}

#[test]
fn a_source_that_fails_is_no_fault_of_the_caller() {
    let (upstream, keys) = (Upstream::start(), Keys::serving(500, String::new()));
    let gateway = gateway(&upstream, &keys.server.address().to_string());
    let answer = ask(&gateway, "issuer-good.jwt");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.header("www-authenticate"), None);
    keys.now(200, vector("issuer.jwks"));
    gateway.advance(Duration::from_secs(101));
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    // What was fetched stays good, whatever comes afterwards.
    for (status, text) in [(500, String::new()), (200, "<html>".to_owned()), (302, String::new())] {
        keys.now(status, text);
        gateway.advance(Duration::from_secs(101));
        let before = keys.server.seen().len();
        assert_eq!(ask(&gateway, "issuer-unknown-key.jwt").status, 401);
        assert_eq!(keys.server.seen().len(), before + 1);
        assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    }
}

#[test]
fn keys_that_cannot_be_fetched_again_are_believed_up_to_an_age() {
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, vector("issuer.jwks")));
    let settings = "refresh = \"4m\"\nmax_age = \"5m\"";
    let gateway = gateway_with(&upstream, &keys.server.address().to_string(), settings);
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    keys.now(500, String::new());
    gateway.advance(Duration::from_secs(299));
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    assert_eq!(keys.server.seen().len(), 1);
    gateway.advance(Duration::from_secs(1));
    // Also for a token that was verified before; and it is no fault of the caller.
    let log = Log::shared();
    let answer = ask(&gateway, "issuer-good.jwt");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    log.await_line(&["ERROR", "are older than `max_age`", &format!("{}/keys", keys.server.address())]);
    log.await_line(&["credential_unsettled", "older than `max_age`", answer.header("x-request-id").expect("an id")]);
    assert_eq!(keys.server.seen().len(), 2, "it was asked once more before");
    keys.now(200, vector("issuer.jwks"));
    gateway.advance(Duration::from_secs(101));
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
}

#[test]
fn an_explanation_asks_no_issuer() {
    let first = vector("issuer.jwks").replace("issuer-2", "another");
    let (upstream, keys) = (Upstream::start(), Keys::serving(200, first));
    let gateway = gateway(&upstream, &keys.server.address().to_string());
    assert_eq!(ask(&gateway, "issuer-good.jwt").status, 200);
    keys.now(200, vector("issuer.jwks"));
    let asked = |token: &str| {
        let url = "http://a/live";
        let headers = json!([["Authorization", format!("Bearer {}", vector(token))]]);
        serde_json::from_value::<Asked>(json!({ "url": url, "headers": headers, "peer": "127.0.0.1" }))
            .expect("a request")
    };
    for token in ["issuer-second.jwt", "issuer-unknown-key.jwt"] {
        let told = gateway.explain(&asked(token));
        assert_eq!(
            (told.cause, told.detail),
            (Some("credential_unknown"), Some("the issuer has no key with this `kid`"))
        );
        assert!(told.steps.iter().any(|step| step.step == "keys"), "{told:?}");
    }
    // What is asked for in service tells that nothing was before.
    assert_eq!(keys.server.seen().len(), 1);
    assert_eq!(ask(&gateway, "issuer-second.jwt").status, 200);
    assert_eq!(keys.server.seen().len(), 2);
    let told = gateway.explain(&asked("issuer-second.jwt"));
    assert_eq!((told.cause, told.route.as_deref()), (None, Some("all")));
}
