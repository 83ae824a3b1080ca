//! The failure guard: who guesses is refused for a growing while, by address and by identifier within
//! a network, and nobody else is.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::house::TestGateway;
use crate::upstream::Upstream;
use crate::wire::Answer;

/// `client:secret`, `client:wrong`, `other:secret`, `other:wrong`, `nobody:wrong`.
const RIGHT: &str = "Basic Y2xpZW50OnNlY3JldA==";
const WRONG: &str = "Basic Y2xpZW50Ondyb25n";
const OTHER: &str = "Basic b3RoZXI6c2VjcmV0";
const OTHER_WRONG: &str = "Basic b3RoZXI6d3Jvbmc=";
const NOBODY: &str = "Basic bm9ib2R5Ondyb25n";
const INNER: &str = crate::credentials::INNER;
const HERE: &str = "203.0.113.9";

struct House {
    gateway: TestGateway,
    upstream: Upstream,
}

impl House {
    fn new(guard: &str) -> Self {
        let upstream = Upstream::start();
        let toml = format!(
            r#"
trusted_proxies = ["127.0.0.1"]

[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.api.basic]
tls_only = false
[scheme.camera.acc]

[[account]]
id = "acme"
camera = [{{ id = "248527", tokens = ["{INNER}"] }}]
api_client = [{{ id = "client", secret = "secret" }}, {{ id = "other", secret = "secret" }}]

[limit.guard]
{guard}

[[route]]
name = "either"
path = "/either"
authenticate = "api or camera"
forward = "api"
limits = ["guard"]

[[route]]
name = "unguarded"
path = "/unguarded"
authenticate = "api"
forward = "api"

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "api"
methods = ["GET"]
forward = "api"
dialect = "message"
limits = ["guard"]
"#,
            upstream.address()
        );
        Self { gateway: TestGateway::start(&toml), upstream }
    }

    fn ask(&self, target: &str, address: &str, credential: &str) -> Answer {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\nAuthorization: {credential}\r\n\r\n"
        );
        let before = self.upstream.seen().len();
        let answer = self.gateway.connect().ask(request);
        let reached = self.upstream.seen().len() - before;
        assert_eq!(reached, usize::from(answer.status == 200), "{address} {credential}: {}", answer.status);
        answer
    }

    fn status(&self, address: &str, credential: &str) -> u16 {
        self.ask("/", address, credential).status
    }

    fn wait(&self, seconds: u64) {
        self.gateway.advance(Duration::from_secs(seconds));
    }
}

#[test]
fn who_guesses_is_refused_for_a_growing_while_and_nobody_else() {
    let house = House::new("failures = 3\nfirst = \"2s\"\nlongest = \"5s\"");
    for credential in [WRONG, NOBODY, OTHER_WRONG] {
        let answer = house.ask("/", HERE, credential);
        assert_eq!((answer.status, answer.header("retry-after")), (401, None));
    }
    // Nothing is looked at, be it right or wrong, and nobody is offered to try again.
    let told = |credential: &str| {
        let answer = house.ask("/", HERE, credential);
        assert_eq!((answer.status, answer.header("www-authenticate")), (429, None));
        (answer.header("retry-after").expect("it says when").to_owned(), answer.body)
    };
    let refused = told(RIGHT);
    assert_eq!(refused.0, "2");
    assert_eq!((told(WRONG), told(NOBODY), told("Basic !")), (refused.clone(), refused.clone(), refused));
    assert_eq!(house.status("203.0.114.9", RIGHT), 200, "somebody elsewhere");
    assert_eq!(house.ask("/unguarded", HERE, RIGHT).status, 200, "a route without the guard");
    for hold in ["4", "5", "5"] {
        house.wait(5);
        assert_eq!(house.status(HERE, NOBODY), 401);
        assert_eq!(told(RIGHT).0, hold);
    }
    house.wait(5);
    assert_eq!(house.status(HERE, RIGHT), 200);
}

#[test]
fn what_comes_before_the_guard_is_told_before_it_and_the_guard_before_all_else() {
    let house = House::new("failures = 1");
    assert_eq!(house.status(HERE, NOBODY), 401);
    let ask = |line: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {HERE}\r\n\r\n");
        house.gateway.connect().ask(request).status
    };
    assert_eq!((ask("GET /%zz"), ask("PUT /"), ask("GET /")), (400, 405, 429));
}

#[test]
fn an_identifier_is_refused_within_the_network_that_guessed_and_its_owner_comes_in_elsewhere() {
    let house = House::new("failures = 3");
    for last in 1..=3 {
        assert_eq!(house.status(&format!("203.0.113.{last}"), WRONG), 401);
    }
    assert_eq!(house.status("203.0.113.4", RIGHT), 429);
    assert_eq!(house.status("203.0.113.4", OTHER), 200, "another identifier");
    assert_eq!(house.status("203.0.112.1", RIGHT), 200, "the owner");
    assert_eq!(house.status("203.0.113.4", RIGHT), 429, "which clears nothing over here");
    // One that nobody has is told in the same way.
    for last in 1..=3 {
        assert_eq!(house.status(&format!("198.51.100.{last}"), NOBODY), 401);
    }
    assert_eq!(house.status("198.51.100.4", NOBODY), 429);
    house.wait(1);
    assert_eq!(house.status("203.0.113.4", RIGHT), 200, "and that clears it");
    assert_eq!(house.status("203.0.113.5", WRONG), 401);
    assert_eq!(house.status("203.0.113.5", RIGHT), 200);
}

#[test]
fn a_success_does_not_hide_what_was_tried_on_others() {
    let house = House::new("failures = 3");
    for _ in 0..2 {
        assert_eq!((house.status(HERE, WRONG), house.status(HERE, RIGHT)), (401, 200), "the owner mistypes");
    }
    for status in [200, 200, 429] {
        assert_eq!((house.status(HERE, NOBODY), house.status(HERE, RIGHT)), (401, status), "a guest guesses");
    }
}

#[test]
fn what_another_credential_proves_is_no_failure() {
    let house = House::new("failures = 2");
    let proven = format!("/either?token={INNER}");
    for _ in 0..5 {
        assert_eq!(house.ask(&proven, HERE, WRONG).status, 200);
    }
    assert_eq!(house.status(HERE, OTHER), 200, "the address is let in");
    assert_eq!(house.status(HERE, RIGHT), 429, "and the identifier was guessed at often enough");
    assert_eq!(house.ask(&proven, HERE, RIGHT).header("ratelimit"), None);
    house.wait(1);
    assert_eq!(house.status(HERE, RIGHT), 200);
    // Two wrong ones in one request are one failure.
    let wrong = format!("/either?token={}", INNER.replace("4NuL", "5NuL"));
    assert_eq!(house.ask(&wrong, HERE, WRONG).status, 401);
    assert_eq!(house.ask(&wrong, HERE, WRONG).status, 401);
    assert_eq!(house.ask(&proven, HERE, RIGHT).status, 429);
    // What is held off is only the identifier, not what else the request proves.
    assert_eq!(house.ask(&proven, "203.0.113.77", RIGHT).status, 200);
    assert_eq!(house.ask("/either", "203.0.113.77", RIGHT).status, 429);
}

#[test]
fn only_a_guess_is_a_failure() {
    let house = House::new("failures = 1");
    for credential in ["Basic !!!!", "Basic", "Basic OGRlZDVh", "LKey some-key", ""] {
        assert_eq!(house.status(HERE, credential), 401, "{credential}");
    }
    assert_eq!(house.status(HERE, RIGHT), 200);
}

#[test]
fn who_only_watches_lets_everybody_on() {
    let house = House::new("failures = 1\nlog_only = true");
    for _ in 0..3 {
        assert_eq!((house.status(HERE, WRONG), house.status(HERE, RIGHT)), (401, 200));
    }
}

#[test]
fn of_64_at_once_on_all_workers_exactly_as_many_are_told_as_may_be() {
    let house = House::new("failures = 10");
    let (address, start) = (house.gateway.address("public"), Arc::new(Barrier::new(64)));
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                let mut wire = crate::wire::Wire::connect(address);
                start.wait();
                wire.ask(format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {HERE}\r\nAuthorization: {WRONG}\r\n\r\n"
                ))
                .status
            })
        })
        .collect();
    let told: Vec<u16> = callers.into_iter().map(|caller| caller.join().expect("it is answered")).collect();
    let count = |status: u16| told.iter().filter(|own| **own == status).count();
    assert_eq!((count(401), count(429)), (10, 54), "{told:?}");
    assert_eq!(house.upstream.seen().len(), 0);
}
