//! Who is told of requests: the access log and the record of refusals. A worker has its own, so that nothing is shared
//! where requests end; what all workers share of it is handed over in batches.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::{self, Pen, Share};
use super::entry::Idle;
use super::exchange::{Decision, Exchange};
use super::metrics::{self, Tallies, Workers};
use super::names::Names;
use super::refusals::{Refusals, Ring};
use super::trace::{self, Tracer};
use crate::clock::Clock;

/// What is told of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The line of each request; `None`: there are none.
    pub access: Option<access::Settings>,
    /// How many of the last requests that were refused are kept; all workers together.
    pub refusals: usize,
    /// Which requests have spans; `None`: none, and headers of traces go on as they came.
    pub traces: Option<trace::Sampling>,
}

/// What the workers of a server share of those who tell.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where lines go.
    pub log: access::Log,
    /// Where requests are counted, if anybody can ask for that.
    pub counted: Option<Arc<Workers>>,
    /// Where refusals are found.
    pub refusals: Arc<Refusals>,
    /// How many workers there are.
    pub workers: usize,
    /// Where spans go.
    pub traces: trace::Queue,
}

/// Who is told of the requests of one worker. They outlive every World.
pub struct Sinks {
    pub(super) clock: Clock,
    /// Exchanges to be used again.
    pub(super) idle: Idle,
    /// One instant on both clocks.
    anchor: Cell<(Instant, Duration)>,
    pen: Pen,
    /// Where the worker counts requests, and tells what it has.
    place: Option<Arc<metrics::Worker>>,
    /// Requests that were let in, and had no line.
    passed_over: Cell<u32>,
    ring: Ring,
    workers: usize,
    pub(super) tracer: Tracer,
}

impl Sinks {
    /// Those of one worker.
    pub fn new(told: &Told, clock: Clock) -> Rc<Self> {
        let anchor = Cell::new((clock.now(), clock.since_1970()));
        let place = told.counted.as_ref().map(|counted| counted.seat());
        let (pen, ring, workers) = (told.log.pen(), told.refusals.ring(), told.workers.max(1));
        let (tracer, passed_over) = (Tracer::new(told.traces.clone()), Cell::new(0));
        Rc::new(Self { clock, idle: Idle::default(), anchor, pen, place, passed_over, ring, tracer, workers })
    }

    /// Hands over what was gathered. Called a few times a second.
    pub fn sweep(&self) {
        self.anchor.set((self.clock.now(), self.clock.since_1970()));
        self.pen.flush();
        self.tracer.flush();
    }

    /// Where the worker tells what it has, if anybody can ask for that.
    pub fn place(&self) -> Option<&metrics::Worker> {
        self.place.as_deref()
    }

    /// The time since 1970 at an instant.
    pub(super) fn since_1970(&self, instant: Instant) -> Duration {
        let (anchor, since_1970) = self.anchor.get();
        match instant.checked_duration_since(anchor) {
            Some(later) => since_1970 + later,
            None => since_1970.saturating_sub(anchor - instant),
        }
    }

    /// The one place where a request that has ended is seen by all who tell of it.
    pub(super) fn finished(&self, exchange: &mut Exchange, scope: &Scope) {
        if let Some(tallies) = &scope.tallies {
            tallies.of(exchange.route).add(&exchange.seen());
        }
        if !scope.wants_texts() {
            return;
        }
        exchange.hide_more();
        let begun = self.since_1970(exchange.begun);
        if scope.settings.traces.is_some() {
            self.tracer.finished(exchange, scope, begun);
        }
        if let Some(settings) = &scope.settings.access
            && !self.passes_over(exchange, settings.sample)
        {
            self.pen.write(exchange, scope, settings, begun);
        }
        if scope.settings.refusals > 0 && exchange.cause.is_some() {
            self.ring.keep(exchange, scope, begun);
        }
    }

    /// Whether this one leaves no line, because another speaks for it.
    fn passes_over(&self, exchange: &Exchange, sample: Share) -> bool {
        if sample.is_whole() || exchange.decision != Decision::Allowed {
            return false;
        }
        let (takes, next) = sample.takes(self.passed_over.get());
        self.passed_over.set(next);
        !takes
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}

/// What is told of the requests under one World, and to whom.
#[derive(Debug)]
pub struct Scope {
    pub(super) sinks: Rc<Sinks>,
    pub(super) names: Names,
    pub(super) settings: Settings,
    /// What lines are made of.
    pub(super) phrases: access::Phrases,
    /// Where they are counted, by route.
    tallies: Option<Tallies>,
}

impl Scope {
    /// For the requests of one worker under a World in which things have these names.
    pub fn new(sinks: &Rc<Sinks>, names: Names, settings: Settings) -> Rc<Self> {
        sinks.ring.hold(settings.refusals.div_ceil(sinks.workers));
        let routes = names.routes.iter().map(|route| &*route.name);
        let tallies = sinks.place().map(|place| place.open(routes));
        let phrases = access::Phrases::of(&names);
        Rc::new(Self { sinks: Rc::clone(sinks), names, settings, phrases, tallies })
    }

    /// Who is told.
    pub fn sinks(&self) -> &Rc<Sinks> {
        &self.sinks
    }

    /// Whether anybody wants to know of requests.
    pub(super) fn is_wanted(&self) -> bool {
        self.tallies.is_some() || self.wants_texts()
    }

    /// Whether anybody wants to know which page asked.
    pub(super) fn wants_referer(&self) -> bool {
        self.settings.access.as_ref().is_some_and(|settings| settings.format == access::Format::Combined)
    }

    /// Whether anybody wants to know more of them than counts and times.
    pub(super) fn wants_texts(&self) -> bool {
        self.settings.access.is_some() || self.settings.refusals > 0 || self.settings.traces.is_some()
    }
}
