//! What a request lacks to be decided, and how it is got: its form, the keys of an issuer, a line in the ledger.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use tokio::task::yield_now;

use super::{Arrival, Gateway, Lack, Seen};
use crate::deadline::Deadline;
use crate::edge::preface::{Announced, Preface, Reading};
use crate::envelope::Dialect;
use crate::forward::{Payload, key_sets};
use crate::key_set::KeySet;
use crate::limit;
use crate::refusal::Refusal;
use crate::reply::Hidden;
use crate::world::Route;

/// How long a request waits for its quota to be written down.
const LEDGER: Duration = Duration::from_secs(5);

/// What was got for a request so far.
pub(super) struct Supplies {
    body: Payload,
    /// The form in it, where that was read.
    form: Option<Box<Preface>>,
    /// How long it waits for its quota to be written down, where it does.
    patience: Option<Deadline>,
    /// How long it waits for the keys of issuers, where it does, and how often it has.
    keys: Option<Deadline>,
    rounds: usize,
    /// Whether it has done so as often as it may.
    fetched: bool,
}

impl Supplies {
    /// Nothing but its body.
    pub(super) fn new(body: Payload) -> Self {
        Self { body, form: None, patience: None, keys: None, rounds: 0, fetched: false }
    }

    /// What a decision may know of it.
    pub(super) fn seen(&self) -> Seen<'_> {
        let Self { body, form, patience, fetched, .. } = self;
        Seen { body, form: form.as_deref(), waited: patience.is_some(), fetched: *fetched }
    }

    /// Where the secrets of the request are found, on a route that hides what its upstream says of failures.
    pub(super) fn hidden<'r>(&self, route: &'r Route, parts: &Parts) -> Option<Box<Hidden<'r>>> {
        let places = &route.places;
        route.mask_errors.then(|| Box::new(Hidden::of(parts, places).and_form(self.form.as_deref(), places)))
    }

    /// The body that goes on: only after it was looked into, what stays here is taken out of it.
    pub(super) fn into_body(self, route: &Route) -> Result<Payload, Refusal> {
        match self.form {
            Some(form) if !route.destination.keeps_credentials() => {
                form.without(&route.places.form).map(Payload::Whole)
            }
            Some(_) | None => Ok(self.body),
        }
    }
}

impl Gateway {
    /// Gets what a request lacks, or says why it is refused.
    pub(super) async fn supply(
        &self,
        lack: Lack<'_>,
        supplies: &mut Supplies,
        arrival: Arrival<'_>,
    ) -> Result<(), (Refusal, &'static Dialect)> {
        match lack {
            // Read whole: only then is it known what stands in it.
            Lack::Form(route, found) => {
                let body = mem::replace(&mut supplies.body, Payload::Whole(Bytes::new()));
                let read = self.read_form(route, body, found, arrival).await;
                let read = read.map_err(|refusal| (refusal, route.dialect))?;
                supplies.body = Payload::Whole(read.body().clone());
                supplies.form = Some(Box::new(read));
            }
            // As often as there are sets: the key may be among those that come last.
            Lack::Keys(attempts) => {
                let deadline = supplies.keys.get_or_insert_with(|| self.deadline(key_sets::PATIENCE));
                let is_late = first_of(&attempts, deadline).await;
                supplies.rounds += 1;
                supplies.fetched = is_late || supplies.rounds >= attempts.len();
            }
            // Much may have changed while the disk was waited for.
            Lack::Ledger(route, waiting) => {
                if !waiting.before(supplies.patience.get_or_insert_with(|| self.deadline(LEDGER))).await {
                    return Err((limit::unwritten(), route.dialect));
                }
            }
        }
        Ok(())
    }

    fn deadline(&self, after: Duration) -> Deadline {
        let deadline = self.deadlines.register();
        deadline.arm(after);
        deadline
    }

    /// The whole of a form that is looked into. Callers who were proven by the head have room of their own: others could
    /// fill theirs for nothing.
    async fn read_form(
        &self,
        route: &Route,
        body: Payload,
        (announced, is_known): (Announced, bool),
        Arrival { connection, in_flight, .. }: Arrival<'_>,
    ) -> Result<Preface, Refusal> {
        let piece = self.world.listener(connection.listener).limits.body;
        let gatherer = self.room(is_known);
        let whole = match body {
            Payload::Streamed(body) => {
                Box::pin(gatherer.collect(body, route.form.unwrap_or(0), piece, in_flight)).await?
            }
            Payload::Whole(whole) => whole,
        };
        let mut reading = Reading::new(announced, whole);
        loop {
            if let Some(form) = reading.go_on()? {
                return Ok(form);
            }
            // A form may be large: the other requests of the worker have their turn in between.
            yield_now().await;
        }
    }
}

/// Waits for the first of these attempts to end, as long as fetching may take; whether that was too long.
async fn first_of(attempts: &[(&KeySet, u64)], deadline: &Deadline) -> bool {
    poll_fn(|context| {
        let mut ended = attempts.is_empty();
        for (keys, attempt) in attempts {
            ended |= keys.poll_ended(*attempt, context).is_ready();
        }
        if ended { Poll::Ready(false) } else { deadline.poll(context).map(|()| true) }
    })
    .await
}
