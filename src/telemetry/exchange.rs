//! One exchange: a request and what came of it, in the words that are told. Nothing in it is a credential: what stood in
//! the query under the name of one is hidden when it is put in.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Version};

use super::metrics::tally::Seen;
use super::sinks::Scope;
use super::texts::Texts;
use super::trace::Span;
use crate::edge::connection::ListenerId;
use crate::forward::{End, Journey};
use crate::refusal::{Cause, Reason};

/// The longest method that is told, in bytes.
const LONGEST_METHOD: usize = 16;

/// What became of a request, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It was let in, and answered by an upstream or an endpoint of the house.
    Allowed,
    /// It was refused.
    Refused,
    /// It was let in, and the upstream or the house failed.
    Failed,
    /// It is about the house itself, or a browser asks what it may: it was answered without anybody being let in.
    House,
    /// The caller left before there was an answer.
    Abandoned,
}

impl Decision {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Allowed, Self::Refused, Self::Failed, Self::House, Self::Abandoned];

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::House => "house",
            Self::Abandoned => "abandoned",
        }
    }

    /// What a request is called that ended for this cause.
    pub(super) fn of(cause: Cause) -> Self {
        match cause {
            Cause::UpstreamUnreachable | Cause::UpstreamFailed | Cause::UpstreamTimeout | Cause::Internal => {
                Self::Failed
            }
            Cause::MalformedRequest
            | Cause::TargetTooLong
            | Cause::HeadTooLarge
            | Cause::ExpectationFailed
            | Cause::Misdirected
            | Cause::NotFound
            | Cause::MethodNotAllowed
            | Cause::MethodNotImplemented
            | Cause::NotImplemented
            | Cause::Credential(_)
            | Cause::AddressRefused
            | Cause::PermissionDenied
            | Cause::OriginRefused
            | Cause::OperationMissing
            | Cause::OperationUnknown
            | Cause::GrantRefused
            | Cause::GrantUnsupported
            | Cause::BodyTooLarge
            | Cause::UnsupportedMediaType
            | Cause::InvalidContent
            | Cause::Conflict
            | Cause::AllotmentReached
            | Cause::RateExceeded
            | Cause::QuotaExceeded
            | Cause::ConcurrencyExceeded
            | Cause::TooManyFailures
            | Cause::MalformedBody
            | Cause::BodyTimeout
            | Cause::Overloaded => Self::Refused,
        }
    }
}

/// A request and what came of it. It is used again for another one, so that none has to make room for its texts.
#[derive(Debug)]
pub struct Exchange {
    /// What it is told by; `None`: it was told, and waits for another request.
    pub(super) scope: Option<Rc<Scope>>,
    pub(super) journey: Rc<Journey>,
    pub(super) listener: ListenerId,
    /// Whether its caller spoke TLS: to the house, or to a trusted proxy that says so.
    pub(super) secure: bool,
    pub(super) peer: SocketAddr,
    /// The same, as its connection has it written.
    pub(super) peer_text: Bytes,
    pub(super) client_ip: IpAddr,
    pub(super) method: Method,
    pub(super) version: Version,
    /// The place of its route in the World that it was served under.
    pub(super) route: Option<usize>,
    /// The kind of the scheme that proved its caller; empty: nobody was proven.
    pub(super) scheme: &'static str,
    pub(super) decision: Decision,
    /// Why it was refused, or failed, with the precise reason.
    pub(super) cause: Option<(Cause, &'static str)>,
    pub(super) status: u16,
    /// When its head was here.
    pub(super) begun: Instant,
    /// From then on: until it was decided that it may go on; until the head of its answer was here; and until all of it
    /// had ended.
    pub(super) decided: Option<Duration>,
    pub(super) answered: Option<Duration>,
    pub(super) ended: Duration,
    /// Bytes of the answer's body.
    pub(super) sent: u64,
    /// How its answer ended.
    pub(super) end: End,
    pub(super) texts: Texts,
    /// Its place in a trace.
    pub(super) span: Span,
}

impl Exchange {
    /// Bytes of the request's body that were taken in.
    pub(super) fn received(&self) -> u64 {
        self.journey.received()
    }

    /// The upstream that it was sent to and the endpoint there; empty where it was not.
    pub(super) fn upstream<'s>(&self, scope: &'s Scope) -> (&'s str, &'s str) {
        let named = self.journey.endpoint().and_then(|(upstream, endpoint)| {
            let upstream = scope.names.upstreams.get(upstream.0)?;
            Some((&*upstream.name, upstream.endpoints.get(endpoint).map_or("", |endpoint| endpoint)))
        });
        named.unwrap_or_default()
    }

    /// Its method, if it has the look of one: whatever stands in its place is the caller's word, and may be a secret.
    pub(super) fn method_name(&self) -> &str {
        let method = self.method.as_str();
        let is_one = method.len() <= LONGEST_METHOD && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_one { method } else { "***" }
    }

    /// What is counted of it.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            scheme: self.scheme,
            decision: self.decision,
            status: self.status,
            cause: self.cause.map(|(cause, _)| cause),
            total: self.ended,
            upstream: self.upstream_took(),
            received: self.received(),
            sent: self.sent,
        }
    }

    /// From when it was let in to the head of the upstream's answer; `None`: no upstream has answered. An endpoint of the
    /// house is none.
    pub(super) fn upstream_took(&self) -> Option<Duration> {
        self.journey.endpoint()?;
        Some(self.answered?.saturating_sub(self.decided?))
    }

    /// Hides all that could be a secret where a credential was not believed: it may stand under any name.
    pub(super) fn hide_more(&mut self) {
        let Self { cause, route, texts, .. } = self;
        if route.is_none() || matches!(cause, Some((Cause::Credential(reason), _)) if *reason != Reason::Missing) {
            texts.hide_query();
        }
    }
}
