//! A worker's decision without a wire, for tests that hold explanations against it.

use std::rc::Rc;

use http::HeaderValue;

use super::asked::{Arriving, Asked};
use super::{Rehearsal, Scenery, read};
use crate::clock::Clock;
use crate::envelope;
use crate::forward::Payload;
use crate::gateway::corridor::Corridor;
use crate::gateway::manner::Manner;
use crate::gateway::{Arrival, Decision, Lack, Seen};
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

    /// Has each of these decide on the same request, which arrives once, under the World that they share. What is held for
    /// as long as the answer is on its way comes with it.
    pub(crate) fn decide_each<const N: usize>(
        services: &[Self; N],
        asked: &Asked,
    ) -> Result<[(Decided, Option<Admission>); N], String> {
        let scenery = services.first().expect("somebody decides").scenery;
        let clock = asked.at.map_or_else(|| scenery.clock.clone(), |at| scenery.clock.set_to(at));
        let arriving = asked.arriving(&scenery.world, clock.unix())?;
        Ok(services.each_ref().map(|service| service.decide(&arriving, (asked.at.is_some(), &clock))))
    }

    fn decide(&self, arriving: &Arriving, (elsewhen, clock): (bool, &Clock)) -> (Decided, Option<Admission>) {
        let rehearsal = Rehearsal::new(self.scenery, clock);
        let id = HeaderValue::from_static("served");
        let connection = &arriving.connection;
        let at = clock.now();
        let arrival = Arrival { connection, in_flight: &rehearsal.in_flight, id: &id, at };
        let Scenery { world, guards, .. } = self.scenery;
        // Of another time nothing is remembered: clocks do not run backwards.
        let verified = if elsewhen { &rehearsal.verified } else { &self.verified };
        let (gate, leases) = (&self.gate, &rehearsal.leases);
        let corridor = Corridor { world, verified, gate, guards, clock, now: at, leases };
        let payload = Payload::Whole(arriving.body.clone());
        let (mut form, mut fetched) = (None, false);
        loop {
            let seen = Seen { body: &payload, form: form.as_ref(), waited: false, fetched };
            let mut manner = Manner::default();
            let refused = |mut refusal: Refusal, manner: &Manner, dialect| {
                manner.bend(&mut refusal);
                let status = envelope::render(dialect, &refusal, &id).status();
                (Decided::Refused(refusal.cause.name(), refusal.detail, status.as_u16()), None)
            };
            match corridor.decide(&arriving.parts, seen, arrival, &mut manner, &mut ()) {
                Ok(Decision::Send(errand, admission, passage)) => {
                    debug_assert!(Rc::ptr_eq(passage.leases, leases));
                    return (Decided::Sent((*errand.route.name).to_owned()), Some(admission));
                }
                Ok(Decision::Preflight(..) | Decision::Pong) => return (Decided::Answered, None),
                Ok(Decision::Lacks(Lack::Keys(..))) => fetched = true,
                Ok(Decision::Lacks(Lack::Form(route, (announced, _)))) => {
                    match read(route, announced, &arriving.body) {
                        Ok(read) => form = Some(read),
                        Err(refusal) => return refused(refusal, &manner, route.dialect),
                    }
                }
                Ok(Decision::Lacks(Lack::Ledger(..))) => unreachable!("there is no ledger here"),
                Err((refusal, dialect)) => return refused(refusal, &manner, dialect),
            }
        }
    }
}
