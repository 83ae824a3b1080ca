//! One worker's way to one upstream: which endpoint gets a request, whether there is room for it, and what is learned of
//! the endpoint from what becomes of it.

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::deadline::{Deadline, Deadlines};
use crate::forward::balance::{self, Chance, Turns, WHOLE};
use crate::forward::fleet::{Entry, Group};
use crate::forward::http2::Sessions;
use crate::forward::policy::{Balance, MOST_ENDPOINTS, Policy, Room, Sign, WhenAllOut};
use crate::forward::pool::Pool;
use crate::forward::retry::Budget;
use crate::forward::trouble::Fitness;
use crate::forward::upstream::{Protocol, Upstream};
use crate::limit::Admission;
use crate::record::Attributes;
use crate::refusal::{Cause, Refusal};

/// When it is worth trying again, where no place was free or no endpoint well. Nobody knows; a second is what the field
/// can say at least.
const AGAIN: Duration = Duration::from_secs(1);

/// A worker's way to one upstream.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) policy: Arc<Policy>,
    pub(super) group: Arc<Group>,
    pub(super) pools: Vec<Rc<Pool>>,
    /// The same for HTTP/2.
    pub(super) sessions: Vec<Rc<Sessions>>,
    /// What connections were made by, when the first of them may have been.
    pub(super) bond: Bond,
    pub(super) budget: Budget,
    turns: Turns,
    chance: Chance,
    marks: Box<[u64]>,
}

/// What connections are made by, besides their endpoint: with others, those that stand are not used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bond {
    protocol: Protocol,
    connect: Duration,
    /// Of TLS: whom it believes, under which name, and what it presents.
    mark: Option<[u8; 32]>,
}

impl Bond {
    pub(super) fn of(upstream: &Upstream) -> Self {
        let mark = upstream.tls.as_ref().map(|trust| *trust.present().mark());
        Self { protocol: upstream.protocol, connect: upstream.timeouts.connect, mark }
    }
}

/// Endpoints that a request has been to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried(u64);

const _: () = assert!(MOST_ENDPOINTS <= u64::BITS as usize);

impl Tried {
    /// These and this one.
    pub(super) fn and(self, at: usize) -> Self {
        Self(self.0 | 1 << at)
    }

    fn has(self, at: usize) -> bool {
        self.0 & 1 << at != 0
    }
}

/// Why there is no endpoint for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// All places are taken.
    Full,
    /// Every endpoint is out.
    Out,
    /// It has been to all of them.
    Tried,
}

/// A request's place at an endpoint, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    door: Rc<Door>,
    seat: Seat,
    /// Whether it counts for the upstream as a whole.
    placed: bool,
}

/// A request at an endpoint.
#[derive(Clone, Copy, Debug)]
struct Seat {
    at: usize,
    /// Whether it decides about the endpoint, and has not said so yet.
    trial: bool,
    /// Whether it is there because every endpoint is out.
    forced: bool,
    /// Whether it is counted there.
    counted: bool,
}

impl Door {
    /// The way to an upstream over these pools.
    pub(super) fn new(
        upstream: &Upstream,
        group: &Arc<Group>,
        pools: Vec<Rc<Pool>>,
        sessions: Vec<Rc<Sessions>>,
        bond: Bond,
    ) -> Rc<Self> {
        let mark = |url: &str| balance::mark(&upstream.name, "endpoint", &[url.as_bytes()]);
        Rc::new(Self {
            policy: Arc::clone(&upstream.policy),
            marks: group.members.iter().map(|member| mark(&member.url)).collect(),
            group: Arc::clone(group),
            turns: Turns::new(pools.len()),
            pools,
            sessions,
            bond,
            budget: Budget::new(),
            chance: Chance::new(),
        })
    }

    /// What a request is hashed by, where endpoints are chosen so and it has such a thing.
    pub(super) fn key(&self, admission: &Admission, address: IpAddr) -> Option<u64> {
        let mark = |kind, name: &[&[u8]]| Some(balance::mark(&self.group.upstream, kind, name));
        let principal = admission.principal();
        match self.policy.balance {
            Balance::RoundRobin | Balance::LeastInFlight => None,
            Balance::HashAccount => mark("account", &[principal.account()?.id.0.as_bytes()]),
            Balance::HashCamera => principal.credentials().iter().find_map(|record| match &record.attributes {
                // Two accounts may each call a camera of their own by the same name.
                Attributes::Camera(camera) => mark("camera", &[record.account.id.0.as_bytes(), camera.as_bytes()]),
                Attributes::None
                | Attributes::Proofs(_)
                | Attributes::Group(_)
                | Attributes::PublicKey(_)
                | Attributes::App(_) => None,
            }),
            Balance::HashAddress => match address.to_canonical() {
                IpAddr::V4(v4) => mark("address", &[&v4.octets()]),
                // A network of 64 bits is one caller.
                IpAddr::V6(v6) => mark("address", &[&v6.octets()[..8]]),
            },
        }
    }

    /// A place for a request, unless others wait already.
    pub(super) fn take(self: &Rc<Self>, key: Option<u64>, now: Instant) -> Result<Turn, Nowhere> {
        let is_bounded = self.policy.room.upstream.is_some() || self.policy.room.endpoint.is_some();
        if is_bounded && !self.group.load.line.is_empty() {
            return Err(Nowhere::Full);
        }
        // Somebody may have come to wait because this one held for a moment what it then could not use.
        self.take_in_turn(key, now).inspect_err(|_| self.group.load.line.given_back())
    }

    /// The same for the first of those who wait.
    fn take_in_turn(self: &Rc<Self>, key: Option<u64>, now: Instant) -> Result<Turn, Nowhere> {
        let placed = match self.policy.room.upstream {
            None => false,
            Some(most) if self.group.load.take(most.get()) => true,
            Some(_) => return Err(Nowhere::Full),
        };
        match self.pick(key, Tried::default(), now) {
            Ok(seat) => Ok(Turn { door: Rc::clone(self), seat, placed }),
            Err(nowhere) => {
                if placed {
                    self.group.load.give_back();
                }
                Err(nowhere)
            }
        }
    }

    /// Waits for a place behind those who came before.
    pub(super) async fn wait(
        self: &Rc<Self>,
        key: Option<u64>,
        deadline: &Deadline,
        deadlines: &Deadlines,
    ) -> Result<Turn, Refusal> {
        let full = |detail| Refusal::new(Cause::Overloaded, detail).retry_after(AGAIN);
        let Room { queue: Some(queue), .. } = self.policy.room else {
            return Err(full("as many requests are under way to the upstream as may be"));
        };
        let ticket = self.group.load.line.join(queue.length);
        let ticket = ticket.ok_or_else(|| full("as many requests wait for the upstream as may"))?;
        deadline.arm(queue.wait);
        let waited = poll_fn(|context| {
            let take = || match self.take_in_turn(key, deadlines.now()) {
                Ok(turn) => Some(Ok(turn)),
                Err(Nowhere::Full) => None,
                Err(Nowhere::Out | Nowhere::Tried) => Some(Err(all_out())),
            };
            match ticket.poll(context, take) {
                Poll::Ready(taken) => Poll::Ready(taken),
                Poll::Pending => deadline.poll(context).map(|()| Err(full("no place at the upstream in time"))),
            }
        });
        let taken = waited.await;
        deadline.disarm();
        taken
    }

    /// Chooses among the endpoints that a request has not been to yet: first those that are well; where there is none, all,
    /// if that is allowed.
    fn pick(&self, key: Option<u64>, tried: Tried, now: Instant) -> Result<Seat, Nowhere> {
        match self.pick_among(key, tried, Some(now)) {
            Err(Nowhere::Out) if self.policy.when_all_out == WhenAllOut::Try => self.pick_among(key, tried, None),
            picked => picked,
        }
    }

    /// `now`: when it is, if only those are to be chosen that are well.
    fn pick_among(&self, key: Option<u64>, tried: Tried, now: Option<Instant>) -> Result<Seat, Nowhere> {
        let Policy { weights, ejection, .. } = &*self.policy;
        let members = &self.group.members[..];
        let mut shares = [0; MOST_ENDPOINTS];
        let mut nowhere = Nowhere::Tried;
        for (at, member) in members.iter().enumerate().filter(|(at, _)| !tried.has(*at)) {
            nowhere = Nowhere::Out;
            shares[at] = match now.map_or(Fitness::Share(1.0), |now| member.fitness(ejection, now)) {
                Fitness::Share(part) => part_of(weights[at] * WHOLE, part),
                Fitness::Trial => weights[at] * WHOLE,
                Fitness::Nothing => 0,
            };
        }
        let shares = &mut shares[..members.len()];
        while let Some(at) = self.choose(key, shares) {
            match self.enter(at, now) {
                Ok(seat) => return Ok(seat),
                Err(Nowhere::Full) => nowhere = Nowhere::Full,
                Err(Nowhere::Out | Nowhere::Tried) => {}
            }
            shares[at] = 0;
        }
        Err(nowhere)
    }

    fn choose(&self, key: Option<u64>, shares: &[u32]) -> Option<usize> {
        match (self.policy.balance, key) {
            (Balance::LeastInFlight, _) => {
                balance::least(shares, |at| self.group.members[at].in_flight(), &self.chance)
            }
            (Balance::HashAccount | Balance::HashCamera | Balance::HashAddress, Some(key)) => {
                balance::hashed(key, &self.marks, shares)
            }
            (_, _) if shares.len() == 1 => (shares[0] > 0).then_some(0),
            (_, _) => self.turns.next(shares),
        }
    }

    fn enter(&self, at: usize, now: Option<Instant>) -> Result<Seat, Nowhere> {
        let member = &self.group.members[at];
        let most = self.policy.room.endpoint;
        let counted = most.is_some() || self.policy.balance == Balance::LeastInFlight;
        if counted && !member.take(most.map_or(u32::MAX, Into::into)) {
            return Err(Nowhere::Full);
        }
        let entry = now.map_or(Entry::Plain, |now| member.enter(&self.policy.ejection, now));
        if entry == Entry::Closed {
            if counted {
                member.give_back();
            }
            return Err(Nowhere::Out);
        }
        Ok(Seat { at, trial: entry == Entry::Trial, forced: now.is_none(), counted })
    }

    fn leave(&self, seat: Seat) {
        let member = &self.group.members[seat.at];
        if seat.trial {
            // Due at once: nothing was learned.
            member.trial_lost();
        }
        if seat.counted {
            member.give_back();
        }
    }
}

/// This part of a share, but never nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part is between 0 and 1")]
fn part_of(share: u32, part: f64) -> u32 {
    (f64::from(share) * part).max(1.0) as u32
}

/// Every endpoint is out.
pub(super) fn all_out() -> Refusal {
    Refusal::new(Cause::UpstreamUnreachable, "every endpoint of the upstream is out").retry_after(AGAIN)
}

impl Turn {
    /// Which endpoint it is.
    pub(super) fn at(&self) -> usize {
        self.seat.at
    }

    /// The endpoint has answered, with this sign of failure or none.
    pub(super) fn answered(&mut self, sign: Option<Sign>, now: Instant) {
        let ejection = &self.door.policy.ejection;
        if let Some(sign) = sign.filter(|sign| ejection.on.has(*sign)) {
            return self.failed(sign, now);
        }
        let trial = std::mem::take(&mut self.seat.trial) || self.seat.forced;
        self.door.group.succeeded(self.seat.at, trial, ejection, now);
    }

    /// The endpoint has failed.
    pub(super) fn failed(&mut self, sign: Sign, now: Instant) {
        let ejection = &self.door.policy.ejection;
        if ejection.on.has(sign) || self.seat.trial {
            let trial = std::mem::take(&mut self.seat.trial);
            self.door.group.failed(self.seat.at, false, trial, ejection, now);
        }
    }

    /// There was no connection to the endpoint.
    pub(super) fn unreachable(&mut self, now: Instant) {
        let trial = std::mem::take(&mut self.seat.trial);
        self.door.group.failed(self.seat.at, true, trial, &self.door.policy.ejection, now);
    }

    /// Goes on to an endpoint that is not one of `tried`. The place at the upstream as a whole is kept.
    pub(super) fn move_on(&mut self, key: Option<u64>, tried: Tried, now: Instant) -> Result<(), Nowhere> {
        let seat = self.door.pick(key, tried, now)?;
        let before = std::mem::replace(&mut self.seat, seat);
        self.door.leave(before);
        if before.counted {
            self.door.group.load.line.given_back();
        }
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.door.leave(self.seat);
        if self.placed {
            self.door.group.load.give_back();
        }
        if self.placed || self.seat.counted {
            self.door.group.load.line.given_back();
        }
    }
}
