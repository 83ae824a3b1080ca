//! A worker's decision without a wire, for tests that hold explanations against it.

use std::rc::Rc;

use http::HeaderValue;

use super::asked::Asked;
use super::{Rehearsal, Scenery, read};
use crate::envelope;
use crate::forward::Payload;
use crate::gateway::corridor::Corridor;
use crate::gateway::manner::Manner;
use crate::gateway::{Arrival, Decision, Seen};
use crate::limit::{Admission, Gate};
use crate::refusal::Refusal;
use crate::scheme::jwt::Verified;

/// Decides as a worker does: with memory, and with counters that count.
pub(crate) struct Service<'s> {
    scenery: &'s Scenery,
    gate: Gate,
    verified: Verified,
}

/// What was decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// It goes on, on this route.
    Sent(String),
    /// The gateway answers.
    Answered,
    /// It is refused: cause, detail and status.
    Refused(&'static str, &'static str, u16),
}

impl<'s> Service<'s> {
    pub(crate) fn new(scenery: &'s Scenery) -> Self {
        Self { scenery, gate: scenery.limits.open(&scenery.world.limits), verified: Verified::new(1000) }
    }

    /// Decides, and gives what is held for as long as the answer is on its way.
    pub(crate) fn decide(&self, asked: &Asked) -> Result<(Decided, Option<Admission>), String> {
        let clock = asked.time.map_or_else(|| self.scenery.clock.clone(), |time| self.scenery.clock.set_to(time));
        let arriving = asked.arriving(&self.scenery.world, clock.unix())?;
        let rehearsal = Rehearsal::new(self.scenery, &clock);
        let id = HeaderValue::from_static("served");
        let connection = &arriving.connection;
        let arrival = Arrival { connection, in_flight: &rehearsal.in_flight, id: &id };
        let Scenery { world, guards, .. } = self.scenery;
        // Of another time nothing is remembered: clocks do not run backwards.
        let verified = if asked.time.is_some() { &rehearsal.verified } else { &self.verified };
        let (gate, leases, clock) = (&self.gate, &rehearsal.leases, &clock);
        let corridor = Corridor { world, verified, gate, guards, clock, leases };
        let payload = Payload::Whole(arriving.body.clone());
        let (mut form, mut fetched) = (None, false);
        loop {
            let seen = Seen { body: &payload, form: form.as_ref(), waited: false, fetched };
            let mut manner = Manner::default();
            let refused = |mut refusal: Refusal, manner: &Manner, dialect| {
                manner.bend(&mut refusal);
                let status = envelope::render(dialect, &refusal, &id).status();
                Ok((Decided::Refused(refusal.cause.name(), refusal.detail, status.as_u16()), None))
            };
            match corridor.decide(&arriving.parts, seen, arrival, &mut manner, &mut ()) {
                Ok(Decision::Send(errand, admission, passage)) => {
                    debug_assert!(Rc::ptr_eq(passage.leases, leases));
                    return Ok((Decided::Sent((*errand.route.name).to_owned()), Some(admission)));
                }
                Ok(Decision::Preflight(..) | Decision::Pong) => return Ok((Decided::Answered, None)),
                Ok(Decision::Fetch(..)) => fetched = true,
                Ok(Decision::Read(route, (announced, _))) => match read(route, announced, &arriving.body) {
                    Ok(read) => form = Some(read),
                    Err(refusal) => return refused(refusal, &manner, route.dialect),
                },
                Ok(Decision::Wait(..)) => return Err("there is no ledger here".to_owned()),
                Err((refusal, dialect)) => return refused(refusal, &manner, dialect),
            }
        }
    }
}
