//! Bodies that are read whole before anything is done with them: bounded in size, in pace, and in how many bytes of them
//! a worker holds at once, from the first byte until nobody needs the body any more.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Frame};

use crate::deadline::{Deadline, Deadlines};
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::forward::Body;
use crate::forward::pace::Pace;
use crate::refusal::{Cause, Refusal};

/// The most bytes of such bodies that a worker holds.
const ROOM: u64 = 64 << 20;

/// Gathers bodies on one worker.
#[derive(Clone, Debug)]
pub struct Gatherer {
    deadlines: Rc<Deadlines>,
    room: Arc<AtomicU64>,
}

/// Bytes that were taken of the room.
struct Held {
    room: Arc<AtomicU64>,
    bytes: u64,
}

/// A whole body, which gives its room back when the last one who has it lets it go.
struct Gathered {
    body: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Gathered {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Gatherer {
    /// Nothing gathered yet.
    pub fn new(deadlines: &Rc<Deadlines>) -> Self {
        Self { deadlines: Rc::clone(deadlines), room: Arc::new(AtomicU64::new(ROOM)) }
    }

    /// The whole of a body of at most `most` bytes; `piece` is how long the caller may take for each piece. Trailers are
    /// dropped. Every refusal ends the connection, since some of the body may not have been read.
    pub async fn collect(
        &self,
        mut body: RequestBody,
        most: u64,
        piece: Duration,
        in_flight: &InFlight,
    ) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        // Told by its own account, so that it is not even begun.
        if body.size_hint().lower() > most {
            return Err(Refusal::new(Cause::BodyTooLarge, "the announced body is too large").closing());
        }
        let mut pace = Pace::new(&self.deadlines, piece, in_flight);
        let mut held = Held { room: Arc::clone(&self.room), bytes: 0 };
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => {
                ready!(pace.poll_late(context));
                Poll::Ready(Err(late()))
            }
        })
        .await?
        {
            let frame = frame.map_err(|_| Refusal::new(Cause::MalformedBody, "the body broke off"))?;
            let data = Frame::into_data(frame).unwrap_or_default();
            let length = data.len() as u64;
            if !pace.keeps_up(length) {
                return Err(late());
            }
            if length > most - held.bytes {
                return Err(Refusal::new(Cause::BodyTooLarge, "the body is too large").closing());
            }
            held.take(length)?;
            if whole.is_empty() && body.is_end_stream() {
                return Ok(held.with(data));
            }
            whole.extend_from_slice(&data);
        }
        Ok(held.with(whole.freeze()))
    }

    /// The whole of an upstream's answer of at most `most` bytes, if all of it is here before `patience` fires. Trailers are
    /// dropped; the answer's connection ends with a refusal.
    pub async fn take_in(&self, mut body: Body, most: u64, patience: &Deadline) -> Result<Bytes, Refusal> {
        let too_large = || Refusal::new(Cause::UpstreamFailed, "the answer is too large to be looked through");
        if body.size_hint().lower() > most {
            return Err(too_large());
        }
        let mut held = Held { room: Arc::clone(&self.room), bytes: 0 };
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => {
                ready!(patience.poll(context));
                Poll::Ready(Err(Refusal::new(Cause::UpstreamTimeout, "the whole answer was not there in time")))
            }
        })
        .await?
        {
            let frame = frame.map_err(|_| Refusal::new(Cause::UpstreamFailed, "the answer broke off"))?;
            let data = Frame::into_data(frame).unwrap_or_default();
            let length = data.len() as u64;
            if length > most - held.bytes {
                return Err(too_large());
            }
            held.take(length)?;
            whole.extend_from_slice(&data);
        }
        Ok(held.with(whole.freeze()))
    }
}

fn late() -> Refusal {
    Refusal::new(Cause::BodyTimeout, "the body came too slowly")
}

impl Held {
    fn take(&mut self, bytes: u64) -> Result<(), Refusal> {
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes));
        taken.map_err(|_| Refusal::new(Cause::Overloaded, "too many bodies are being held").closing())?;
        self.bytes += bytes;
        Ok(())
    }

    /// The whole body, together with its room.
    fn with(self, body: Bytes) -> Bytes {
        if body.is_empty() { body } else { Bytes::from_owner(Gathered { body, _held: self }) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_room_until_the_last_one_lets_it_go() {
        let room = Arc::new(AtomicU64::new(10));
        let held = || Held { room: Arc::clone(&room), bytes: 0 };
        let mut first = held();
        first.take(6).unwrap();
        let mut second = held();
        assert_eq!(second.take(5).unwrap_err().cause, Cause::Overloaded);
        second.take(1).unwrap();
        assert_eq!(room.load(Ordering::Relaxed), 3);
        drop(second);
        let body = first.with(Bytes::from_static(b"sixsix"));
        let part = body.slice(2..3);
        drop(body);
        assert_eq!((&part[..], room.load(Ordering::Relaxed)), (&b"x"[..], 4));
        drop(part);
        assert_eq!(room.load(Ordering::Relaxed), 10);
    }
}
