//! What workers count of requests. Each has memory of its own, which it alone writes and whoever asks reads: a count is a
//! load and a store, without a lock and without a line of cache that two workers share. Where a route's figures lie is
//! settled once for a configuration; a route of the same name goes on counting under the next one.

use std::array;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::counted::{Count, Histogram, Times};
use crate::refusal::Cause;
use crate::scheme::KINDS;
use crate::telemetry::Decision;

/// What stands in a label where there is nothing to name: no route was found, nobody was proven.
pub const NONE: &str = "-";

/// Answers by the first digit of their status.
const CLASSES: usize = 5;
/// What lets in without a scheme that is in the registry: that anyone may pass, and that an app asks for no signature.
const BESIDE: [&str; 2] = ["open", "waived"];
/// The kinds of schemes, what stands beside them, nobody at all, and one that is not in the lists.
const SCHEMES: usize = KINDS.len() + BESIDE.len() + 2;
const CAUSES: usize = Cause::ALL.len();

/// What came of one request, to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The kind of the scheme that proved the caller; empty where nobody was.
    pub scheme: &'static str,
    /// What came of it.
    pub decision: Decision,
    /// The status of the answer; 0 or 499 where there was none.
    pub status: u16,
    /// Why it was refused, if it was.
    pub cause: Option<Cause>,
    /// From its head to the end of its answer.
    pub total: Duration,
    /// From when it went upstream to the head of the answer; `None`: it did not get that far.
    pub upstream: Option<Duration>,
    /// Bytes of its body.
    pub received: u64,
    /// Bytes of the answer's body.
    pub sent: u64,
}

/// What one worker has counted of one route. Aligned so that no two workers share a line of cache, nor the pair of lines
/// that processors fetch at once.
#[derive(Debug)]
#[repr(align(128))]
pub struct Tally {
    requests: [[Count; Decision::ALL.len()]; SCHEMES],
    classes: [Count; CLASSES],
    received: Count,
    sent: Count,
    total: Times,
    upstream: Times,
    causes: [Count; CAUSES],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            requests: array::from_fn(|_| array::from_fn(|_| Count::default())),
            classes: array::from_fn(|_| Count::default()),
            received: Count::default(),
            sent: Count::default(),
            total: Times::default(),
            upstream: Times::default(),
            causes: array::from_fn(|_| Count::default()),
        }
    }
}

impl Tally {
    /// Counts a request. To be called by its worker alone.
    pub fn add(&self, seen: &Seen) {
        self.requests[scheme(seen.scheme)][seen.decision as usize].add(1);
        let class = self.classes.get(usize::from(seen.status / 100).wrapping_sub(1));
        if let Some(class) = class.filter(|_| seen.decision != Decision::Abandoned) {
            class.add(1);
        }
        if let Some(cause) = seen.cause {
            self.causes[cause.place()].add(1);
        }
        self.total.add(seen.total);
        if let Some(time) = seen.upstream {
            self.upstream.add(time);
        }
        self.received.add(seen.received);
        self.sent.add(seen.sent);
    }
}

/// Where a kind of scheme is counted.
fn scheme(kind: &'static str) -> usize {
    if kind.is_empty() {
        return SCHEMES - 2;
    }
    let kinds = KINDS.iter().map(|entry| entry.kind).chain(BESIDE);
    kinds.enumerate().find(|(_, own)| *own == kind).map_or(SCHEMES - 1, |(place, _)| place)
}

fn scheme_name(place: usize) -> &'static str {
    let mut names = KINDS.iter().map(|entry| entry.kind).chain(BESIDE).chain([NONE, "other"]);
    names.nth(place).expect("there are as many places as names")
}

/// The figures of one configuration's routes, as one worker writes them.
#[derive(Debug)]
pub struct Tallies {
    routes: Box<[Arc<Tally>]>,
    nowhere: Arc<Tally>,
}

/// What one worker has counted of requests, by route.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    routes: Mutex<Vec<(Box<str>, Arc<Tally>)>>,
    nowhere: Arc<Tally>,
}

impl Shelf {
    /// The figures of these routes, in their order. A route that was there before goes on counting; one that is gone is
    /// shown no more.
    pub(super) fn open<'n>(&self, names: impl Iterator<Item = &'n str>) -> Tallies {
        let mut routes = locked(&self.routes);
        let next = names.map(|name| {
            let before = routes.iter().find(|(own, _)| &**own == name).map(|(_, tally)| Arc::clone(tally));
            (name.into(), before.unwrap_or_default())
        });
        *routes = next.collect();
        let (routes, nowhere) = (routes.iter().map(|(_, tally)| Arc::clone(tally)), Arc::clone(&self.nowhere));
        Tallies { routes: routes.collect(), nowhere }
    }

    /// Adds what was counted to these figures.
    pub(super) fn add_to(&self, all: &mut BTreeMap<Box<str>, Total>) {
        all.entry(NONE.into()).or_default().add(&self.nowhere);
        for (name, tally) in locked(&self.routes).iter() {
            all.entry(name.clone()).or_default().add(tally);
        }
    }
}

impl Tallies {
    /// The figures of the route at this position; `None`: of requests for which no route was found.
    pub fn of(&self, route: Option<usize>) -> &Arc<Tally> {
        route.and_then(|route| self.routes.get(route)).unwrap_or(&self.nowhere)
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all workers have counted of one route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    requests: BTreeMap<(&'static str, &'static str), u64>,
    classes: [u64; CLASSES],
    causes: BTreeMap<&'static str, u64>,
    /// Bytes of requests' bodies.
    pub received: u64,
    /// Bytes of answers' bodies.
    pub sent: u64,
    /// From the head of a request to the end of its answer.
    pub total: Histogram,
    /// From when a request went upstream to the head of the answer.
    pub upstream: Histogram,
}

impl Total {
    fn add(&mut self, tally: &Tally) {
        for (place, outcomes) in tally.requests.iter().enumerate() {
            for (outcome, count) in Decision::ALL.into_iter().zip(outcomes).filter(|(_, count)| count.get() > 0) {
                *self.requests.entry((scheme_name(place), outcome.name())).or_default() += count.get();
            }
        }
        for (sum, own) in self.classes.iter_mut().zip(&tally.classes) {
            *sum += own.get();
        }
        for (cause, count) in Cause::ALL.into_iter().zip(&tally.causes).filter(|(_, count)| count.get() > 0) {
            *self.causes.entry(cause.name()).or_default() += count.get();
        }
        self.received += tally.received.get();
        self.sent += tally.sent.get();
        self.total.add(&tally.total);
        self.upstream.add(&tally.upstream);
    }

    /// How many requests there were, by the kind of the scheme and by what came of them.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.requests.iter().map(|((scheme, outcome), count)| (*scheme, *outcome, *count))
    }

    /// How many answers there were, by the class of their status: `2xx`.
    pub fn classes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(self.classes).filter(|(_, count)| *count > 0)
    }

    /// How many refusals there were, by cause.
    pub fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.causes.iter().map(|(cause, count)| (*cause, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen {
        scheme: "acc",
        decision: Decision::Allowed,
        status: 200,
        cause: None,
        total: Duration::from_millis(3),
        upstream: Some(Duration::from_millis(1)),
        received: 10,
        sent: 100,
    };

    fn totals(shelves: &[Shelf]) -> BTreeMap<Box<str>, Total> {
        let mut all = BTreeMap::new();
        for shelf in shelves {
            shelf.add_to(&mut all);
        }
        all
    }

    #[test]
    fn what_workers_count_apart_is_summed_by_route() {
        let shelves = [Shelf::default(), Shelf::default()];
        let [one, two] = shelves.each_ref().map(|shelf| shelf.open(["a", "b"].into_iter()));
        one.of(Some(0)).add(&SEEN);
        two.of(Some(0)).add(&Seen { status: 404, ..SEEN });
        two.of(None).add(&Seen {
            scheme: "",
            decision: Decision::Refused,
            status: 404,
            cause: Some(Cause::NotFound),
            upstream: None,
            ..SEEN
        });
        let totals = totals(&shelves);
        let (route, nowhere) = (&totals["a"], &totals[NONE]);
        assert_eq!(route.requests().collect::<Vec<_>>(), [("acc", "allowed", 2)]);
        assert_eq!(route.classes().collect::<Vec<_>>(), [("2xx", 1), ("4xx", 1)]);
        assert_eq!((route.received, route.sent, route.total.count(), route.upstream.count()), (20, 200, 2, 2));
        assert!((route.total.sum - 0.006).abs() < 1e-9);
        assert_eq!(nowhere.requests().collect::<Vec<_>>(), [(NONE, "refused", 1)]);
        assert_eq!(nowhere.causes().collect::<Vec<_>>(), [("not_found", 1)]);
        assert_eq!((nowhere.total.count(), nowhere.upstream.count()), (1, 0));
        assert_eq!(totals["b"], Total::default());
    }

    #[test]
    fn a_route_of_the_same_name_goes_on_and_one_that_is_gone_is_not_shown() {
        let shelf = Shelf::default();
        let before = shelf.open(["gone", "stays"].into_iter());
        before.of(Some(0)).add(&SEEN);
        before.of(Some(1)).add(&SEEN);
        let after = shelf.open(["stays", "new"].into_iter());
        after.of(Some(0)).add(&SEEN);
        // What is in flight on a route that is gone harms nobody.
        before.of(Some(0)).add(&SEEN);
        let totals = totals(&[shelf]);
        assert_eq!(totals.keys().map(|name| &**name).collect::<Vec<_>>(), [NONE, "new", "stays"]);
        assert_eq!(totals["stays"].requests().collect::<Vec<_>>(), [("acc", "allowed", 2)]);
    }

    #[test]
    fn every_scheme_and_every_cause_has_a_place_of_its_own() {
        for (place, entry) in KINDS.iter().enumerate() {
            assert_eq!((scheme(entry.kind), scheme_name(place)), (place, entry.kind));
        }
        for (kind, name) in [("open", "open"), ("waived", "waived"), ("", NONE), ("unheard_of", "other")] {
            assert_eq!(scheme_name(scheme(kind)), name);
        }
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.place(), place, "{cause:?}");
        }
    }
}
