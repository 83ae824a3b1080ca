//! The failure guard: after so many wrong credentials from one address, or for one identifier from one network, whatever
//! comes from there is refused for a growing while without being looked at.
//!
//! | half | counts for | asked |
//! |---|---|---|
//! | address | IPv4 /32, IPv6 /64 | before a credential is read |
//! | identifier | the identifier, from IPv4 /24 or IPv6 /48 | between reading and verifying |
//!
//! Never for an identifier alone: identifiers are public, and a stranger elsewhere must not lock their owner out. Unknown
//! identifiers count as known ones do, so that the guard tells nobody which there are.
//!
//! What counts is a guess: [`Reason::Unknown`], [`Reason::Mismatch`] and [`Reason::Leaked`], once for each request. A
//! credential that is right and not valid now, or none at all, is no guess. Where another credential proved the caller, a
//! guess counts for its identifier alone: a stale one beside it keeps no address out, and nobody guesses at somebody
//! else's for ever because they have one of their own, or know what is public.
//!
//! A success takes back what was counted for this identifier, at its network and at its address; what was tried on others
//! from there stays. The rest is forgotten after a quiet time as long as the longest refusal.

mod counters;
mod at_endpoint;
mod glance;
mod held;
mod registry;
mod standing;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use self::at_endpoint::AtEndpoint;
use self::counters::{Counter, Counters, Fate, Millis};
pub use self::glance::Glance;
pub use self::held::{Held, Which};
pub use self::registry::{GuardId, Guards, Opened};
pub use self::standing::{Counted, Standing};
use crate::clock::Clock;
use crate::refusal::{Cause, Reason, Refusal};
use crate::scheme::{Guard, Identifier, Mark};

/// The most identified credentials of one request; one more is not looked at.
const MOST_IDENTIFIED: usize = 4;

/// `[limit.<name>]` with `failures`, as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name, in logs and for those who manage it.
    pub name: Box<str>,
    /// How many wrong credentials are looked at before a refusal; at least one.
    pub failures: u32,
    /// How long the first refusal lasts; each further wrong credential doubles it.
    pub first: Duration,
    /// How long one lasts at most, and how long it takes until all is forgotten.
    pub longest: Duration,
    /// Nothing is refused; the log says what would have been.
    pub log_only: bool,
}

/// A failure guard. One for each name in the configuration, shared by all workers and all routes that list it.
#[derive(Clone)]
pub struct Failures {
    name: Box<str>,
    policy: Policy,
    log_only: bool,
    seen: Arc<Seen>,
}

/// What was counted; it outlives the settings.
struct Seen {
    clock: Clock,
    epoch: Instant,
    marks: RandomState,
    addresses: Counters<Address>,
    identifiers: Counters<Pair>,
    swept: AtomicUsize,
    /// How many requests were refused.
    refused: AtomicU64,
}

/// When how many are too many, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Policy {
    failures: u32,
    first: Millis,
    longest: Millis,
}

/// An address as it is counted: its IPv6 interface identifier is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Address(IpAddr);

/// An identifier from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pair {
    mark: Mark,
    network: IpAddr,
}

impl Policy {
    fn of(settings: &Settings) -> Self {
        let millis = |span: Duration| Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX).max(1);
        Self {
            failures: settings.failures.max(1),
            first: millis(settings.first),
            longest: millis(settings.longest.max(settings.first)),
        }
    }

    /// For how long nothing is looked at after so many wrong ones.
    fn hold(&self, count: u32) -> Option<Millis> {
        let doublings = count.checked_sub(self.failures)?;
        let factor = Millis::checked_pow(2, doublings).unwrap_or(Millis::MAX);
        Some(self.first.saturating_mul(factor).min(self.longest))
    }

    /// Whether a counter is forgotten.
    fn is_over(&self, counter: &Counter, now: Millis) -> bool {
        counter.count > 0 && now >= counter.until.max(counter.last).saturating_add(self.longest)
    }
}

impl Address {
    fn of(address: IpAddr) -> Self {
        Self(truncated(address, 32, 64))
    }
}

/// The network of an address; an IPv4-mapped one is its IPv4.
fn truncated(address: IpAddr, v4_bits: u32, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.unbounded_shl(32 - v4_bits))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.unbounded_shl(128 - v6_bits))),
    }
}

/// The network of an address within which one identifier is counted.
fn network(address: IpAddr) -> IpAddr {
    truncated(address, 24, 48)
}

impl Failures {
    /// A guard that has seen nothing yet.
    pub fn new(settings: &Settings, clock: Clock) -> Self {
        let seen = Seen {
            epoch: clock.now(),
            clock,
            marks: RandomState::new(),
            addresses: Counters::new(),
            identifiers: Counters::new(),
            swept: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        };
        Self::over(settings, Arc::new(seen))
    }

    /// The same guard under other settings: what was counted stays.
    fn under(&self, settings: &Settings) -> Self {
        Self::over(settings, Arc::clone(&self.seen))
    }

    fn over(settings: &Settings, seen: Arc<Seen>) -> Self {
        let (name, policy) = (settings.name.clone(), Policy::of(settings));
        Self { name, policy, log_only: settings.log_only, seen }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Watches over one request from this address.
    pub fn watch(&self, address: IpAddr) -> Watch<'_> {
        Watch { failures: self, address, nameless: Cell::default(), marked: Cell::default(), held: Cell::new(None) }
    }

    /// One wrong credential from there, that names nobody.
    #[cfg(test)]
    pub(crate) fn hears_a_guess(&self, address: IpAddr) {
        let watch = self.watch(address);
        watch.saw(None, Err(Reason::Unknown));
        watch.settle(false).expect("it is looked at");
    }

    /// Forgets a part of what is over; to be called now and then.
    pub fn sweep(&self) {
        let Seen { addresses, identifiers, swept, .. } = &*self.seen;
        if addresses.is_empty() && identifiers.is_empty() {
            return;
        }
        let (part, now) = (swept.fetch_add(1, Ordering::Relaxed), self.now());
        addresses.retain_some(part, |_, counter| !self.policy.is_over(counter, now));
        identifiers.retain_some(part, |_, counter| !self.policy.is_over(counter, now));
    }

    fn now(&self) -> Millis {
        let since = self.seen.clock.now().saturating_duration_since(self.seen.epoch);
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }

    fn mark(&self, identifier: Identifier<'_>) -> Mark {
        Mark(self.seen.marks.hash_one(identifier))
    }

    /// Says what is (or would be) refused from now on.
    fn tell(&self, what: &'static str, address: IpAddr, fate: Fate) {
        if let Fate::Last(hold) = fate {
            let (limit, log_only) = (&*self.name, self.log_only);
            tracing::warn!(limit, %address, what, for_ms = hold, log_only, "too many wrong credentials");
        }
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures").field("name", &self.name).field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A guard over one request.
#[derive(Debug)]
pub struct Watch<'f> {
    failures: &'f Failures,
    address: IpAddr,
    /// A guess came that named nobody.
    nameless: Cell<bool>,
    /// The identifiers that were looked at, each once, and what came of it.
    marked: Cell<[Option<(Mark, Outcome)>; MOST_IDENTIFIED]>,
    /// For how long something that was presented is not looked at.
    held: Cell<Option<Millis>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Looked,
    Proven,
    Wrong,
}

/// Whether a credential that is refused for this was a guess.
fn is_guess(reason: Reason) -> bool {
    match reason {
        Reason::Unknown | Reason::Mismatch | Reason::Leaked => true,
        Reason::Missing
        | Reason::Foreign
        | Reason::Unsettled
        | Reason::Malformed
        | Reason::Ambiguous
        | Reason::Insecure
        | Reason::Expired
        | Reason::NotYetValid
        | Reason::LivesTooLong
        | Reason::Disabled
        | Reason::Contradicted => false,
    }
}

impl Watch<'_> {
    fn refuse(&self, left: Millis, detail: &'static str) -> Result<(), Refusal> {
        if self.failures.log_only {
            return Ok(());
        }
        self.failures.seen.refused.fetch_add(1, Ordering::Relaxed);
        Err(Refusal::new(Cause::TooManyFailures, detail).retry_after(Duration::from_millis(left)))
    }

    fn pair(&self, mark: Mark) -> Pair {
        Pair { mark, network: network(self.address) }
    }

    fn marks(&self, outcome: Outcome) -> impl Iterator<Item = Mark> {
        let marked = self.marked.get().into_iter().flatten();
        marked.filter(move |(_, own)| *own == outcome).map(|(mark, _)| mark)
    }

    /// The owner of these identifiers is there.
    fn succeed(&self) {
        let (Failures { policy, .. }, Seen { addresses, identifiers, .. }) = (self.failures, &*self.failures.seen);
        if addresses.is_empty() && identifiers.is_empty() {
            return;
        }
        for mark in self.marks(Outcome::Proven) {
            identifiers.clear(&self.pair(mark));
            addresses.forgive(&Address::of(self.address), mark, policy);
        }
    }

    /// Counts one failure for the address and one for each identifier; for how long too many there were already.
    fn fail(&self) -> Option<Millis> {
        let (Failures { policy, .. }, Seen { addresses, .. }) = (self.failures, &*self.failures.seen);
        let now = self.failures.now();
        let mut wrong = self.marks(Outcome::Wrong);
        // Where more was tried in the same request, the success of one must not take it all back.
        let blamed = wrong.next().filter(|_| wrong.next().is_none() && !self.nameless.get());
        let fate = addresses.fail(Address::of(self.address), blamed, policy, now);
        self.failures.tell("address", Address::of(self.address).0, fate);
        match too_many(fate) {
            // Nobody hears what became of it, as if it had come a moment later: no identifier is charged with it.
            Some(left) => Some(left).max(self.beside()),
            None => self.fail_identifiers(),
        }
    }

    /// Counts one failure for each identifier alone; for how long too many there were already.
    fn fail_identifiers(&self) -> Option<Millis> {
        let (Failures { policy, .. }, now) = (self.failures, self.failures.now());
        let mut left = None;
        for mark in self.marks(Outcome::Wrong) {
            let fate = self.failures.seen.identifiers.fail(self.pair(mark), None, policy, now);
            self.failures.tell("identifier", network(self.address), fate);
            left = left.max(too_many(fate));
        }
        left
    }
}

fn too_many(fate: Fate) -> Option<Millis> {
    match fate {
        Fate::TooMany(left) => Some(left),
        Fate::Counted | Fate::Last(_) => None,
    }
}

impl Guard for Watch<'_> {
    fn enter(&self) -> Result<(), Refusal> {
        if self.failures.seen.addresses.is_empty() {
            return Ok(());
        }
        match self.failures.seen.addresses.held(&Address::of(self.address), self.failures.now()) {
            None => Ok(()),
            Some(left) => self.refuse(left, "too many wrong credentials came from this address"),
        }
    }

    fn admits(&self, identifier: Identifier<'_>) -> Option<Mark> {
        let mark = self.failures.mark(identifier);
        if !self.failures.seen.identifiers.is_empty() {
            let left = self.failures.seen.identifiers.held(&self.pair(mark), self.failures.now());
            if left.is_some() && !self.failures.log_only {
                self.held.set(self.held.get().max(left));
                return None;
            }
        }
        let mut marked = self.marked.get();
        let place = marked.iter_mut().find(|place| place.is_none_or(|(own, _)| own == mark));
        let Some(place) = place else {
            if self.failures.log_only {
                return Some(mark);
            }
            self.held.set(self.held.get().max(Some(self.failures.policy.first)));
            return None;
        };
        place.get_or_insert((mark, Outcome::Looked));
        self.marked.set(marked);
        Some(mark)
    }

    fn saw(&self, mark: Option<Mark>, outcome: Result<(), Reason>) {
        let outcome = match outcome {
            Ok(()) => Outcome::Proven,
            Err(reason) if is_guess(reason) => Outcome::Wrong,
            Err(_) => return,
        };
        let mut marked = self.marked.get();
        match marked.iter_mut().flatten().find(|(own, _)| Some(*own) == mark) {
            Some((_, own)) => *own = outcome,
            None => self.nameless.set(self.nameless.get() || outcome == Outcome::Wrong),
        }
        self.marked.set(marked);
    }

    fn settle(&self, proven: bool) -> Result<(), Refusal> {
        if proven {
            self.succeed();
            self.fail_identifiers();
            return Ok(());
        }
        self.verdict(Self::fail)
    }
}

impl Watch<'_> {
    /// Of a request that nothing has proven; `fail` says for how long there were too many wrong ones before.
    fn verdict(&self, fail: impl FnOnce(&Self) -> Option<Millis>) -> Result<(), Refusal> {
        let guessed = self.nameless.get() || self.marks(Outcome::Wrong).next().is_some();
        let beside = if guessed { fail(self) } else { None };
        match self.held.get().max(beside) {
            None => Ok(()),
            Some(left) => self.refuse(left, "too many wrong credentials for this identifier, or from this address"),
        }
    }
}
