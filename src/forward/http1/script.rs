//! An upstream that says what is written for it, in pieces, and then ends; and what became of its answer.

use std::collections::VecDeque;

use super::*;

/// A socket that says its pieces one by one, and then ends.
pub(super) struct Script(VecDeque<Vec<u8>>);

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(room.remaining()));
            room.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What became of an answer, and of the connection behind it.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) head: Result<(u16, HeaderMap), NoHead>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) broken: bool,
    pub(super) reusable: bool,
}

/// Reads an answer that comes in these pieces.
pub(super) fn read(pieces: impl IntoIterator<Item = Vec<u8>>, to_head: bool) -> Outcome {
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
    let mut connection = Connection::new(Script(pieces));
    let mut context = Context::from_waker(Waker::noop());
    let (mut body, mut trailers, mut broken) = (Vec::new(), None, false);
    let expected = if to_head { Expected::Head } else { Expected::Whole };
    let Poll::Ready(head) = connection.poll_head(&mut context, expected, &mut HeaderMap::new()) else { unreachable!() };
    let head = head.map(|mut head| {
        while let Poll::Ready(Some(frame)) = connection.poll_body(&mut context, &mut head.decoder) {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => body.extend_from_slice(&data),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        (head.status.as_u16(), head.fields)
    });
    let reusable = head.is_ok() && !broken && connection.is_reusable();
    Outcome { head, body, trailers, broken, reusable }
}

/// Bytes behind the answer may not have arrived yet: then a connection still looks reusable, until it is asked.
pub(super) fn untold(outcome: Outcome, whole: &Outcome) -> Outcome {
    Outcome { reusable: whole.reusable, ..outcome }
}
