//! The last requests that were refused, so that whoever has a request id can learn why. They lie in memory alone: each
//! worker keeps its own in a ring of a fixed size, whose room is used again, and takes no lock that another worker takes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::exchange::Exchange;
use super::sinks::Scope;
use super::texts::{Text, Texts};
use super::words::{hint, meaning};
use crate::refusal::Cause;

/// The refusals of all workers of a server.
#[derive(Default)]
pub struct Refusals {
    rings: Mutex<Vec<Arc<Mutex<Slots>>>>,
}

/// Those of one worker.
pub(super) struct Ring(Arc<Mutex<Slots>>);

#[derive(Default)]
struct Slots {
    kept: Vec<Kept>,
    /// How many there may be.
    most: usize,
    /// Where the next one goes, once there are as many.
    next: usize,
}

/// One of them, in the room of one before it.
struct Kept {
    at: Duration,
    taken: Duration,
    client_ip: IpAddr,
    peer: SocketAddr,
    secure: bool,
    cause: Cause,
    detail: &'static str,
    scheme: &'static str,
    decision: &'static str,
    status: u16,
    method: String,
    listener: String,
    route: String,
    upstream: String,
    endpoint: String,
    texts: Texts,
}

/// A request that was refused, or that failed, as operators are shown it. Nothing in it is a credential.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Recorded {
    /// The id that the caller was told.
    pub request_id: String,
    /// When it came, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// `refused` or `failed`.
    pub decision: &'static str,
    /// What happened, in the word of logs and metrics.
    pub cause: &'static str,
    /// The precise reason.
    pub detail: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// What can be done about it.
    pub hint: &'static str,
    /// The status that the caller was told.
    pub status: u16,
    /// The listener that it came in by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listener: String,
    /// The caller's address.
    pub client_ip: IpAddr,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the caller spoke TLS: to the gateway, or to a trusted proxy that says so.
    pub secure: bool,
    /// The method.
    pub method: String,
    /// The host that it was for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The path.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The query, without what could be a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// What the caller says that they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// The route that was chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The scheme that proved the caller.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub scheme: &'static str,
    /// Who they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The account that they speak for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The ids of the credentials that proved them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
    /// The upstream that it was sent to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// The endpoint there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

impl Refusals {
    /// With one request on record, under this id.
    #[cfg(test)]
    pub(crate) fn of(id: &str) -> Self {
        let refusals = Self::default();
        let mut kept = Kept::empty(SocketAddr::from(([127, 0, 0, 1], 1)));
        kept.texts.put(Text::Id, |into| into.push_str(id));
        lock(&refusals.ring().0).kept.push(kept);
        refusals
    }

    /// A ring for another worker.
    pub(super) fn ring(&self) -> Ring {
        let ring = Arc::default();
        lock(&self.rings).push(Arc::clone(&ring));
        Ring(ring)
    }

    /// The last one that was refused with this request id.
    pub fn find(&self, id: &str) -> Option<Recorded> {
        let found = self.gather(|kept| kept.texts.get(Text::Id) == id, 1);
        found.into_iter().next()
    }

    /// The last ones, at most so many, the latest first.
    pub fn latest(&self, most: usize) -> Vec<Recorded> {
        self.gather(|_| true, most)
    }

    fn gather(&self, wanted: impl Fn(&Kept) -> bool, most: usize) -> Vec<Recorded> {
        let mut found = Vec::new();
        for ring in lock(&self.rings).iter() {
            let slots = lock(ring);
            let mut own: Vec<&Kept> = slots.kept.iter().filter(|kept| wanted(kept)).collect();
            own.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.at));
            own.truncate(most);
            found.extend(own.into_iter().map(|kept| (kept.at, kept.shown())));
        }
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        found.truncate(most);
        found.into_iter().map(|(_, shown)| shown).collect()
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Ring {
    /// Holds so many from now on; the oldest of more are forgotten.
    pub(super) fn hold(&self, most: usize) {
        let mut slots = lock(&self.0);
        if slots.most == most {
            return;
        }
        let Slots { kept, next, .. } = &mut *slots;
        // In the order in which they came.
        let turn = (*next).min(kept.len());
        kept.rotate_left(turn);
        kept.drain(..kept.len().saturating_sub(most));
        kept.shrink_to_fit();
        (slots.most, slots.next) = (most, 0);
    }

    /// Keeps an exchange that began at this time since 1970.
    pub(super) fn keep(&self, exchange: &Exchange, scope: &Scope, at: Duration) {
        let mut slots = lock(&self.0);
        let Slots { kept, most, next } = &mut *slots;
        if kept.len() < *most {
            kept.push(Kept::empty(exchange.peer));
            *next = 0;
            let last = kept.len() - 1;
            return kept[last].fill(exchange, scope, at);
        }
        if let Some(slot) = kept.get_mut(*next) {
            slot.fill(exchange, scope, at);
            *next = (*next + 1) % *most;
        }
    }
}

impl Kept {
    fn empty(peer: SocketAddr) -> Self {
        let [method, listener, route, upstream, endpoint] = [const { String::new() }; 5];
        Self {
            at: Duration::ZERO,
            taken: Duration::ZERO,
            client_ip: peer.ip(),
            peer,
            secure: false,
            cause: Cause::Internal,
            detail: "",
            scheme: "",
            decision: "",
            status: 0,
            method,
            listener,
            route,
            upstream,
            endpoint,
            texts: Texts::default(),
        }
    }

    fn fill(&mut self, exchange: &Exchange, scope: &Scope, at: Duration) {
        self.at = at;
        self.taken = exchange.ended;
        (self.client_ip, self.peer, self.secure) = (exchange.client_ip, exchange.peer, exchange.secure);
        self.scheme = exchange.scheme;
        (self.cause, self.detail) = exchange.cause.unwrap_or((Cause::Internal, ""));
        (self.decision, self.status) = (exchange.decision.name(), exchange.status);
        let upstream = exchange.upstream(scope);
        for (own, said) in [
            (&mut self.method, exchange.method_name()),
            (&mut self.listener, scope.names.listener(exchange.listener)),
            (&mut self.route, scope.names.route(exchange.route)),
            (&mut self.upstream, upstream.0),
            (&mut self.endpoint, upstream.1),
        ] {
            own.clear();
            own.push_str(said);
        }
        self.texts.clone_from(&exchange.texts);
    }

    fn shown(&self) -> Recorded {
        let text = |which| self.texts.get(which).to_owned();
        let at = Timestamp::from_microsecond(i64::try_from(self.at.as_micros()).unwrap_or(i64::MAX));
        Recorded {
            request_id: text(Text::Id),
            at: at.map(|at| format!("{at:.6}")).unwrap_or_default(),
            decision: self.decision,
            cause: self.cause.name(),
            detail: self.detail,
            meaning: meaning(self.cause),
            hint: hint(self.cause),
            status: self.status,
            listener: self.listener.clone(),
            client_ip: self.client_ip,
            peer: self.peer,
            secure: self.secure,
            method: self.method.clone(),
            host: text(Text::Host),
            path: text(Text::Path),
            query: self.texts.query().to_owned(),
            user_agent: text(Text::Agent),
            route: self.route.clone(),
            scheme: self.scheme,
            subject: text(Text::Subject),
            account: text(Text::Account),
            credential: text(Text::Credential),
            upstream: self.upstream.clone(),
            endpoint: self.endpoint.clone(),
            duration_us: u64::try_from(self.taken.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with it left a slot half filled at worst.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
