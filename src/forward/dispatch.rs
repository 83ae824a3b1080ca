//! What goes out to an upstream, put together before it has a place there, and where it is on its way.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Response;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::forward::body::Body;
use crate::forward::door::{Door, Nowhere, Tried, Turn, all_out};
use crate::forward::http1::Sending;
use crate::forward::journey::Journey;
use crate::forward::outgoing::{Outgoing, Payload};
use crate::forward::request::{Errand, Passage, Way};
use crate::forward::retry::Spare;
use crate::forward::upload::Upload;
use crate::forward::upstream::UpstreamId;
use crate::forward::websocket::Asked;
use crate::forward::{Forwarder, leases};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};

/// Where a request is on its way.
pub(super) struct Course {
    pub(super) turn: Turn,
    pub(super) key: Option<u64>,
    pub(super) tried: Tried,
    pub(super) upstream: UpstreamId,
    pub(super) journey: Option<Rc<Journey>>,
}

/// What goes out in HTTP/1.1, and what is kept of it.
pub(super) struct Dispatch<'a> {
    pub(super) errand: Errand<'a>,
    pub(super) sending: Sending,
    pub(super) spare: Option<Box<Spare>>,
    /// The caller's stream, where that becomes a tunnel.
    pub(super) stream: Option<OnUpgrade>,
}

/// The caller of a large body must stand as long as it is on its way. The refusal says why, so that nothing is cut.
fn watch(passage: &Passage<'_>, admission: &Admission) -> leases::Lease {
    passage.leases.open(passage.lessee(admission), None)
}

impl Course {
    /// To the endpoint whose turn it is.
    pub(super) fn begin(
        door: &Rc<Door>,
        upstream: UpstreamId,
        (passage, admission): (&Passage<'_>, &Admission),
        now: Instant,
    ) -> Result<Self, Nowhere> {
        let key = door.key(admission, passage.address);
        Ok(Self::with(door.take(key, now)?, key, upstream, passage))
    }

    fn with(turn: Turn, key: Option<u64>, upstream: UpstreamId, passage: &Passage<'_>) -> Self {
        Self { turn, key, tried: Tried::default(), upstream, journey: passage.journey.clone() }
    }

    /// Notes where it goes.
    pub(super) fn note(&self) {
        if let Some(journey) = &self.journey {
            journey.goes_to(self.upstream, self.turn.at());
        }
    }
}

impl Forwarder {
    /// Puts together what goes out in HTTP/1.1.
    pub(super) fn dispatch<'a>(
        &self,
        (mut parts, body): (Box<Parts>, Payload),
        way: &'a Way<'a>,
        (passage, admission): (&'a Passage<'a>, &'a Admission),
        piece: Duration,
        (door, upload): (&Door, &Rc<Upload>),
    ) -> Result<Dispatch<'a>, Refusal> {
        // hyper leaves one with an Upgrade as well, where nothing will ever come of it: that socket is handed over.
        let is_stream = matches!(way.websocket, Some((Asked::Connect(_), _)));
        let stream = if is_stream { parts.extensions.remove::<OnUpgrade>() } else { None };
        let (mut errand, body) = self.errand((parts, body), way, (passage, admission), piece, upload)?;
        let spare = Spare::of(door, &mut errand, &body);
        let large = body.is_large().then(|| watch(passage, admission));
        let sending = Sending::new(body, upload).watched(large);
        Ok(Dispatch { errand, sending, spare, stream })
    }

    /// What is asked of the upstream, whatever it speaks, and the body on its way there.
    fn errand<'a>(
        &self,
        (parts, body): (Box<Parts>, Payload),
        way: &'a Way<'a>,
        (passage, admission): (&'a Passage<'a>, &'a Admission),
        piece: Duration,
        upload: &Rc<Upload>,
    ) -> Result<(Errand<'a>, Outgoing), Refusal> {
        let body = Outgoing::new(body, way.max_body, upload, &self.deadlines, piece, passage);
        let own = self.own(way, admission).map_err(|refusal| refusal.closing_if(upload))?;
        let errand = Errand::new(parts, way, passage, (admission, own), &body)?;
        Ok((errand, body))
    }

    /// The same as [`Self::send`], to an upstream in HTTP/2.
    pub(super) async fn send_as_frames(
        &self,
        request: (Box<Parts>, Payload),
        (id, way): &(UpstreamId, Way<'_>),
        (passage, admission): (&Passage<'_>, &Admission),
        piece: Duration,
        upload: Rc<Upload>,
    ) -> Result<Response<Body>, Refusal> {
        let door = &self.doors[id.0];
        let (errand, body) = self.errand(request, way, (passage, admission), piece, &upload)?;
        let course = match Course::begin(door, *id, (passage, admission), self.deadlines.now()) {
            Ok(course) => course,
            Err(Nowhere::Full) => self.wait(door, *id, (passage, admission), &upload).await?,
            Err(Nowhere::Out | Nowhere::Tried) => return Err(all_out().closing_if(&upload)),
        };
        if way.websocket.is_some() {
            // The configuration was found to have no such route: an answer would be taken for a tunnel.
            return Err(Refusal::new(Cause::Internal, "WebSocket to an upstream in HTTP/2").closing_if(&upload));
        }
        let large = body.is_large().then(|| watch(passage, admission));
        self.send_in_frames((errand, body, large), upload, way.upstream, (door, course)).await
    }

    /// Waits for a place at an upstream where all are taken.
    pub(super) async fn wait(
        &self,
        door: &Rc<Door>,
        id: UpstreamId,
        (passage, admission): (&Passage<'_>, &Admission),
        upload: &Upload,
    ) -> Result<Course, Refusal> {
        let key = door.key(admission, passage.address);
        let turn = door.wait(key, &upload.deadline, &self.deadlines).await;
        Ok(Course::with(turn.map_err(|refusal| refusal.closing_if(upload))?, key, id, passage))
    }
}
