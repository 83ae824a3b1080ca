//! Time, moved and seen to have moved: after [`TestGateway::pass`] the worker has swept its deadlines at the new time, so
//! that what is still there is there by right.

use std::path::Path;
use std::time::Duration;

use crate::house::TestGateway;
use crate::upstream::Upstream;
use crate::wire::Wire;

/// A deadline is swept for ten times a second, and never fires early: by so much it may be late.
pub const SLACK: Duration = Duration::from_millis(250);

/// What a test adds to the tables of [`timed`].
#[derive(Clone, Copy, Default)]
pub struct Added<'a> {
    pub top: &'a str,
    pub listener: &'a str,
    pub upstream: &'a str,
    pub route: &'a str,
    /// `open` if nothing is said.
    pub authenticate: &'a str,
}

/// A gateway with one worker, an open route, and a listener `probe` whose connections end as soon as time moves.
pub fn timed(upstream: &Upstream, added: Added<'_>) -> TestGateway {
    timed_at(&format!("http://{}", upstream.address()), Path::new("."), added)
}

/// The same with any endpoint.
pub fn timed_at(endpoint: &str, base: &Path, added: Added<'_>) -> TestGateway {
    let Added { top, listener, upstream, route, authenticate } = added;
    let authenticate = if authenticate.is_empty() { "open" } else { authenticate };
    let toml = format!(
        r#"
{top}
[listener.public]
address = "127.0.0.1:0"
{listener}

[listener.probe]
address = "127.0.0.1:0"
timeouts = {{ idle = "1ms" }}

[upstream.api]
endpoints = ["{endpoint}"]
{upstream}

[[route]]
name = "all"
listeners = ["public"]
path = "/{{*rest}}"
authenticate = "{authenticate}"
forward = "api"
{route}
"#
    );
    TestGateway::start_in(&toml, base, 1)
}

impl TestGateway {
    /// Moves time by more than a moment, and returns once the worker has looked at the clock since. Everything that
    /// the worker had received before is taken into account.
    pub fn pass(&self, by: Duration) {
        let mut probe = Wire::connect(self.address("probe"));
        assert_eq!(probe.ask("GET / HTTP/1.1\r\nHost: probe\r\n\r\n").status, 404);
        self.advance(by);
        assert!(probe.is_closed(), "the probe ends when time moves");
    }

    /// Returns once every connection made before has reached the worker.
    pub fn settle(&self, listener: &str) {
        let answer = Wire::connect(self.address(listener)).ask("OPTIONS * HTTP/1.1\r\nHost: probe\r\n\r\n");
        assert_eq!(answer.status, 204);
    }
}
