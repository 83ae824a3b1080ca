//! All limits of a request are looked at, and then all are taken from or none.

use std::time::Duration;

use smallvec::SmallVec;

use super::Asked;
use super::concurrency::Occupancy;
use super::fields::Fields;
use super::held::{Ask, Held};
use super::key::{Caller, Counted};
use super::limits::{Gate, Limit};
use super::policy::MOST_OF_A_ROUTE;
use super::tally::{Moment, Standing, Verdict};
use super::waiting::Waiting;
use super::witness::{Look, Witness};
use crate::refusal::{Cause, Refusal};

/// When it is worth trying again where the ledger does not answer.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// Why nothing was taken.
pub(super) enum Short {
    /// There is no room.
    Refused(Refusal),
    /// There is, once it is written down.
    Unwritten(Waiting),
}

/// The limits of one request, locked in the order of their names.
type AllHeld<'g> = SmallVec<[Held<'g>; MOST_OF_A_ROUTE]>;

/// Where each of them stands.
pub(super) type Standings<'g> = SmallVec<[(&'g Limit, Standing); MOST_OF_A_ROUTE]>;

/// Takes from every limit, or from none. What is locked stays so for some hundred nanoseconds.
pub(super) fn take<W: Witness>(
    gate: &Gate,
    asked: &Asked<'_>,
    caller: &Caller<'_>,
    witness: &mut W,
) -> Result<(Fields, Occupancy), Short> {
    let now = gate.moment(asked.now.0, asked.now.1);
    let mut held = AllHeld::new();
    let mut last: Option<Counted<'_>> = None;
    for id in asked.limits {
        let limit = gate.limit(*id);
        // Most limits of a route count the same: it is hashed once.
        let counted = last.filter(|last| last.per == limit.policy.per);
        let counted = counted.unwrap_or_else(|| gate.counted(caller, limit.policy.per));
        last = Some(counted);
        held.push(Held::lock(limit, gate, caller, counted, now));
    }
    let looked = Looked::at(&mut held, now);
    let (mut occupancy, mut asks) = (Occupancy::default(), Vec::<Ask>::new());
    let mut standings = Standings::new();
    for (place, held) in held.iter_mut().enumerate() {
        let taken = looked.is_free() && !looked.is_full(place);
        let (standing, ask) = held.conclude(taken, &mut occupancy, now);
        held.note(taken, looked.is_full(place));
        standings.push((held.limit, standing));
        asks.extend(ask);
    }
    drop(held);
    // Only now: the ledger may answer at once, and a log may be slow.
    for ask in asks {
        ask.submit(gate);
    }
    if W::REHEARSES {
        looked.show(&standings, caller, witness);
    } else {
        looked.tell(&standings, caller);
    }
    let fields = || gate.fields(asked.limits, &standings);
    match looked {
        Looked { refused: Some((cause, retry)), .. } => Err(Short::Refused(refusal(cause, retry, fields()))),
        Looked { waiting: Some(_), failed: true, .. } if asked.waited => Err(Short::Refused(unwritten())),
        Looked { waiting: Some(waiting), .. } => Err(Short::Unwritten(waiting)),
        Looked { waiting: None, .. } => Ok((fields(), occupancy)),
    }
}

fn refusal(cause: Cause, retry: Duration, fields: Fields) -> Refusal {
    let mut refusal = Refusal::new(cause, "a limit of the route has no room").retry_after(retry);
    fields.add_to_refusal(&mut refusal.fields);
    refusal
}

/// A quota that cannot be written down cannot be kept: nothing is let through on it.
pub fn unwritten() -> Refusal {
    Refusal::new(Cause::Overloaded, "the quota could not be written down").retry_after(LEDGER_RETRY)
}

/// What looking at the limits of a request has shown.
#[derive(Default)]
struct Looked {
    /// A bit for each limit that has no room.
    full: u8,
    /// What to say, if one of those bites: whoever comes back then finds room in all of them.
    refused: Option<(Cause, Duration)>,
    waiting: Option<Waiting>,
    /// Whether what is waited for has just failed.
    failed: bool,
}

const _: () = assert!(MOST_OF_A_ROUTE <= u8::BITS as usize, "a bit for each limit of a route");

impl Looked {
    fn at(held: &mut AllHeld<'_>, now: Moment) -> Self {
        let mut looked = Self::default();
        for (place, held) in held.iter_mut().enumerate() {
            match (held.check(now), held.limit.policy.log_only) {
                // What only watches makes nobody wait: it counts on, and is written down when it can be.
                (Verdict::Room, _) | (Verdict::Unwritten { .. }, true) => {}
                (Verdict::Full(_), true) => looked.full |= 1 << place,
                (Verdict::Full(retry), false) => {
                    looked.full |= 1 << place;
                    if looked.refused.is_none_or(|(_, longest)| longest < retry) {
                        looked.refused = Some((held.limit.policy.measure.cause(), retry));
                    }
                }
                (Verdict::Unwritten { failed }, false) => {
                    looked.failed |= failed;
                    looked.waiting = looked.waiting.take().or_else(|| held.written().map(Waiting::new));
                }
            }
        }
        looked
    }

    fn is_full(&self, place: usize) -> bool {
        self.full & (1 << place) != 0
    }

    /// Whether the request passes.
    fn is_free(&self) -> bool {
        self.refused.is_none() && self.waiting.is_none()
    }

    /// Shows a witness where each of them stands.
    fn show(&self, standings: &Standings<'_>, caller: &Caller<'_>, witness: &mut impl Witness) {
        for (place, (limit, standing)) in standings.iter().enumerate() {
            let policy = &*limit.policy;
            let Standing { quota, remaining, reset, .. } = *standing;
            let (party, full) = (&caller.party(policy.per), self.is_full(place));
            witness.limit(Look { policy, party, full, quota, remaining, reset });
        }
    }

    /// Tells the operator which limits had no room for whom, and aloud where that has no other effect.
    fn tell(&self, standings: &Standings<'_>, caller: &Caller<'_>) {
        if self.full == 0 {
            return;
        }
        for (place, (limit, _)) in standings.iter().enumerate() {
            let policy = &limit.policy;
            let (limit, party) = (&*policy.name, caller.party(policy.per));
            if !self.is_full(place) {
                continue;
            }
            if policy.log_only {
                tracing::info!(limit, %party, route = caller.route, "would have been refused");
            } else {
                tracing::debug!(limit, %party, route = caller.route, "no room");
            }
        }
    }
}
