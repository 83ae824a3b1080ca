//! Somebody on the street who says what no polite client says, and the proof that nothing of it went further.

use crate::house::{TestGateway, open};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

/// Who words a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// vidgate, as RFC 9457 has it.
    Problem,
    /// hyper, which found no request in the bytes: a bare status.
    Bare,
}

/// A house with one worker, so that all that goes upstream goes by one connection.
pub struct House {
    pub gateway: TestGateway,
    pub upstream: Upstream,
}

impl House {
    /// One open route for every path.
    pub fn open() -> Self {
        Self::with("")
    }

    /// The same, with more settings for the route.
    pub fn with(more: &str) -> Self {
        let upstream = Upstream::start();
        let gateway = TestGateway::alone(&open(&upstream, more));
        Self { gateway, upstream }
    }

    /// Sends raw bytes by a connection of their own.
    pub fn send(&self, raw: impl AsRef<[u8]>) -> Wire {
        let mut wire = self.gateway.connect();
        wire.send(raw);
        wire
    }

    /// Sends bytes that must be refused: with one answer of this status, complete and worded, behind which the
    /// connection is closed.
    pub fn refuses(&self, what: &str, raw: impl AsRef<[u8]>, status: u16, face: Face) {
        let raw = raw.as_ref();
        let mut wire = self.send(raw);
        let answer = wire.answer();
        let told = format!("{what}: {:?}\n{answer:?}", String::from_utf8_lossy(&raw[..raw.len().min(300)]));
        assert_eq!(answer.status, status, "{told}");
        assert_eq!(face_of(&answer), face, "{told}");
        assert_eq!(answer.header("connection"), Some("close"), "{told}");
        assert!(wire.is_closed(), "the connection is closed. {told}");
        self.has_let_nothing_through(what);
    }

    /// Proves that nothing went upstream so far: an honest request is the first there, by the first connection.
    pub fn has_let_nothing_through(&self, what: &str) {
        let after = self.gateway.connect().ask("GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(after.status, 200, "after {what}: {after:?}");
        let seen = self.upstream.seen();
        assert!(seen.iter().all(|request| request.target == "/after"), "{what}: {seen:?}");
        assert_eq!(self.upstream.connections(), 1, "{what}: no other connection was opened");
    }
}

/// Who worded it; a wording that is neither fails.
pub fn face_of(answer: &Answer) -> Face {
    if answer.header("content-type").is_none() {
        assert!(answer.body.is_empty() && answer.header("content-length") == Some("0"), "{answer:?}");
        return Face::Bare;
    }
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("the body is JSON");
    assert_eq!(problem["status"], answer.status, "{answer:?}");
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{answer:?}");
    assert!(answer.header("server").is_none(), "{answer:?}");
    Face::Problem
}
