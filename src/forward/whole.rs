//! Bodies of requests that are read whole before anything is done with them: bounded in size, in pace, and in how many
//! bytes a worker gathers at once.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Frame, Incoming};

use crate::deadline::Deadlines;
use crate::edge::stage::InFlight;
use crate::forward::pace::Pace;
use crate::refusal::{Cause, Refusal};

/// The most bytes of unfinished bodies that a worker holds.
const ROOM: u64 = 64 << 20;

/// Gathers bodies on one worker.
#[derive(Debug)]
pub struct Gatherer {
    deadlines: Rc<Deadlines>,
    room: Cell<u64>,
}

/// Bytes that were taken of the room, until the body is whole or given up.
struct Held<'a> {
    room: &'a Cell<u64>,
    bytes: u64,
}

impl Gatherer {
    /// Nothing gathered yet.
    pub fn new(deadlines: &Rc<Deadlines>) -> Self {
        Self { deadlines: Rc::clone(deadlines), room: Cell::new(ROOM) }
    }

    /// The whole of a body of at most `most` bytes; `piece` is how long the caller may take for each piece. Trailers are
    /// dropped. Every refusal ends the connection, since some of the body may not have been read.
    pub async fn collect(
        &self,
        mut body: Incoming,
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
        let mut held = Held { room: &self.room, bytes: 0 };
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
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

fn late() -> Refusal {
    Refusal::new(Cause::BodyTimeout, "the body came too slowly")
}

impl Held<'_> {
    fn take(&mut self, bytes: u64) -> Result<(), Refusal> {
        let full = || Refusal::new(Cause::Overloaded, "too many bodies are being read").closing();
        self.room.set(self.room.get().checked_sub(bytes).ok_or_else(full)?);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.room.set(self.room.get() + self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_was_taken_is_given_back() {
        let room = Cell::new(10);
        let mut held = Held { room: &room, bytes: 0 };
        held.take(6).unwrap();
        assert_eq!(held.take(5).unwrap_err().cause, Cause::Overloaded);
        assert_eq!(room.get(), 4);
        drop(held);
        assert_eq!(room.get(), 10);
    }
}
