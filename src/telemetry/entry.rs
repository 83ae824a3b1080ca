//! What is known of one request so far. It is told once, however the request ends; where nobody wants to know anything, it
//! is nothing.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::Body as _;

use super::exchange::{Decision, Exchange};
use super::ids::LONGEST_ID;
use super::redact;
use super::sinks::Scope;
use super::texts::{LONGEST_HOST, LONGEST_PATH, LONGEST_QUERY, Text, Texts, put};
use super::trace::Span;
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::head::Head;
use crate::forward::{Body, End, Journey, Witness};
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// The status of a request that nobody waits for any more; nobody is told of it but the log.
const ABANDONED: u16 = 499;
/// How many used exchanges a worker keeps for requests to come.
const KEPT: usize = 64;

/// What is known of a request so far.
#[derive(Debug)]
pub struct Entry {
    /// Boxed, so that a request of which nothing is told does not carry its size.
    known: Option<Box<Exchange>>,
}

impl Entry {
    /// Begins it, if anybody wants to know: a request with this id, whose head was here at this instant.
    pub fn begin(scope: &Rc<Scope>, (id, at): (&HeaderValue, Instant), connection: &Connection, parts: &Parts) -> Self {
        if !scope.is_wanted() {
            return Self { known: None };
        }
        let mut known = scope.sinks.idle.take(scope, at);
        known.listener = connection.listener;
        known.secure = connection.tls.is_some();
        known.peer = connection.peer;
        known.peer_text.clone_from(&connection.peer_text);
        known.client_ip = connection.peer.ip();
        known.method.clone_from(&parts.method);
        known.version = parts.version;
        if scope.wants_texts() {
            known.texts.put(Text::Id, |into| put(into, id.to_str().unwrap_or_default(), LONGEST_ID));
        }
        if let Some(sampling) = &scope.settings.traces {
            known.span = scope.sinks.tracer.begin(sampling, &parts.headers, connection.peer.ip());
        }
        Self { known: Some(known) }
    }

    /// The head of the request is about to go to an upstream: it says which trace it is part of.
    pub fn propagate(&self, headers: &mut HeaderMap) {
        if let Some(known) = &self.known {
            known.span.propagate(headers);
        }
    }

    /// The head could be read.
    pub fn head(&mut self, head: &Head<'_>) {
        let Some((known, scope)) = self.parts() else { return };
        (known.client_ip, known.secure) = (head.client_ip(), head.secure());
        if scope.wants_texts() {
            known.texts.put(Text::Host, |into| put(into, head.host(), LONGEST_HOST));
            known.target(head.path(), head.query(), &scope);
            known.texts.fields(head.headers(), scope.wants_referer());
        }
    }

    /// The head could not be read: it is told as it came, as far as nothing in it could be a secret.
    pub fn unread(&mut self, parts: &Parts) {
        let Some((known, scope)) = self.parts() else { return };
        if scope.wants_texts() {
            known.target(parts.uri.path(), parts.uri.query(), &scope);
            known.texts.fields(&parts.headers, scope.wants_referer());
        }
    }

    /// A route was found, at this place of the World.
    pub fn route(&mut self, place: usize) {
        if let Some(known) = &mut self.known {
            known.route = Some(place);
        }
    }

    /// The caller was proven.
    pub fn principal(&mut self, principal: &Principal) {
        let Some((known, scope)) = self.parts() else { return };
        known.scheme = principal.scheme();
        if scope.wants_texts() {
            known.texts.name(principal);
        }
    }

    /// The request was let in; where it is noted how it fares from here on.
    pub fn let_in(&mut self) -> Option<Rc<Journey>> {
        let known = self.known.as_deref_mut()?;
        known.decided = Some(known.since());
        Some(Rc::clone(&known.journey))
    }

    /// It was let in, and this is the answer: told once all of that has ended.
    pub fn answered(&mut self, mut answer: Response<Body>) -> Response<Body> {
        let Some(mut known) = self.known.take() else { return answer };
        known.decision = Decision::Allowed;
        known.status = answer.status().as_u16();
        let so_far = known.since();
        known.answered = Some(so_far);
        if answer.body().is_streamed() {
            answer.body_mut().tell(known);
            return answer;
        }
        known.whole(&answer);
        finish(known, so_far);
        answer
    }

    /// The house has answered without letting anybody in.
    pub fn answered_by_house(&mut self, answer: &Response<Body>) {
        let Some(mut known) = self.known.take() else { return };
        known.decision = Decision::House;
        known.status = answer.status().as_u16();
        known.whole(answer);
        let so_far = known.since();
        finish(known, so_far);
    }

    /// The request was refused, or failed, with this status, and this is what the caller hears.
    pub fn refused(&mut self, refusal: &Refusal, status: StatusCode, answer: &Response<Body>) {
        let Some(mut known) = self.known.take() else { return };
        known.whole(answer);
        fail(known, (refusal.cause, refusal.detail), status);
    }

    fn parts(&mut self) -> Option<(&mut Exchange, Rc<Scope>)> {
        let known = self.known.as_deref_mut()?;
        let scope = Rc::clone(known.scope.as_ref()?);
        Some((known, scope))
    }
}

/// A request that ends in any other way is told as well.
impl Drop for Entry {
    fn drop(&mut self) {
        let Some(mut known) = self.known.take() else { return };
        if std::thread::panicking() {
            return fail(known, (Cause::Internal, "a panic"), StatusCode::INTERNAL_SERVER_ERROR);
        }
        known.decision = Decision::Abandoned;
        known.status = ABANDONED;
        let so_far = known.since();
        finish(known, so_far);
    }
}

fn fail(mut known: Box<Exchange>, cause: (Cause, &'static str), status: StatusCode) {
    known.decision = Decision::of(cause.0);
    known.cause = Some(cause);
    known.status = status.as_u16();
    let so_far = known.since();
    finish(known, so_far);
}

/// The exchange has ended: all who want to know are told, and it is kept for another.
fn finish(mut known: Box<Exchange>, ended: Duration) {
    let Some(scope) = known.scope.take() else { return };
    known.ended = ended;
    scope.sinks.finished(&mut known, &scope);
    scope.sinks.idle.put(known);
}

impl Exchange {
    /// Knows nothing yet.
    fn begin(scope: &Rc<Scope>, begun: Instant) -> Box<Self> {
        let nowhere = SocketAddr::from(([0; 4], 0));
        Box::new(Self {
            scope: Some(Rc::clone(scope)),
            journey: Rc::default(),
            listener: ListenerId(0),
            secure: false,
            peer: nowhere,
            peer_text: Bytes::new(),
            client_ip: nowhere.ip(),
            method: Method::GET,
            version: Version::HTTP_11,
            route: None,
            scheme: "",
            decision: Decision::Abandoned,
            cause: None,
            status: 0,
            begun,
            decided: None,
            answered: None,
            ended: Duration::ZERO,
            sent: 0,
            end: End::Left,
            texts: Texts::default(),
            span: Span::default(),
        })
    }

    /// Knows nothing any more, but keeps the room for it.
    fn forget(&mut self) {
        match Rc::get_mut(&mut self.journey) {
            Some(journey) => journey.reset(),
            // An upload goes on that still notes what becomes of it.
            None => self.journey = Rc::default(),
        }
        (self.scope, self.route, self.scheme, self.cause) = (None, None, "", None);
        (self.decided, self.answered, self.sent, self.end) = (None, None, 0, End::Left);
        self.peer_text = Bytes::new();
        self.texts.clear();
        self.span = Span::default();
    }

    /// How long ago it began.
    fn since(&self) -> Duration {
        self.scope
            .as_ref()
            .map_or(Duration::ZERO, |scope| scope.sinks.clock.now().saturating_duration_since(self.begun))
    }

    /// What it asks for.
    fn target(&mut self, path: &str, query: Option<&str>, scope: &Scope) {
        self.texts.put(Text::Path, |into| redact::path(into, path, LONGEST_PATH));
        self.texts.put(Text::Query, |into| redact::query(into, query, &scope.names.hidden, LONGEST_QUERY));
    }

    /// All of the answer is here.
    fn whole(&mut self, answer: &Response<Body>) {
        self.sent = answer.body().size_hint().lower();
        self.end = End::Complete;
    }
}

impl Witness for Exchange {
    fn passed(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    fn received(&mut self, bytes: u64) {
        self.journey.take(bytes);
    }

    fn ended(mut self: Box<Self>, end: End) {
        self.end = end;
        let so_far = self.since();
        finish(self, so_far);
    }
}

/// Goes from hand to hand as it is, and is never copied.
type Whole = Box<Exchange>;

/// Exchanges that were told, for requests to come.
#[derive(Debug, Default)]
pub(super) struct Idle(RefCell<Vec<Whole>>);

impl Idle {
    /// One that knows nothing yet.
    fn take(&self, scope: &Rc<Scope>, begun: Instant) -> Box<Exchange> {
        let Some(mut known) = self.0.borrow_mut().pop() else { return Exchange::begin(scope, begun) };
        known.begun = begun;
        known.scope = Some(Rc::clone(scope));
        known
    }

    fn put(&self, mut known: Box<Exchange>) {
        let mut idle = self.0.borrow_mut();
        if idle.len() < KEPT {
            known.forget();
            idle.push(known);
        }
    }
}
