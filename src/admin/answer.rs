//! Answers: JSON that nobody may keep, and streams whose end can be told from a break.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::problem::Problem;
use crate::store::{self, Answer, Fault, Refused, Store};

/// How much is sent at once.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait to be sent.
const PIECES: usize = 4;

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    let text = serde_json::to_vec(value).expect("the keys of a JSON value are strings");
    of(status, HeaderValue::from_static("application/json"), Body::from(text))
}

/// An answer of this type. Nobody may keep it: it may hold a secret.
pub(super) fn of(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without a word.
pub(super) fn nothing() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A key that does not belong into a body.
pub(super) fn unknown(field: &str, known: &[&str]) -> Fault {
    let list = known.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    let takes = if known.is_empty() { "nothing".to_owned() } else { list };
    Fault::new(field, format!("there is no such field here; this takes {takes}"))
}

/// Refuses a body with faults.
pub(super) fn faultless(faults: Vec<Fault>) -> Result<(), Problem> {
    if faults.is_empty() { Ok(()) } else { Err(Refused::Invalid(faults).into()) }
}

/// Has a change made.
pub(super) async fn submit(store: &Store, request: store::Request) -> Result<Answer, Problem> {
    let (say, said) = oneshot::channel();
    store.submit(request, move |answer| drop(say.send(answer)));
    let answer = said.await.unwrap_or_else(|_| Err(Refused::Unavailable("the store has been closed".into())));
    answer.map_err(Problem::from)
}

/// Does what waits for the disk, beside the runtime.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Problem::from),
        Err(error) => {
            tracing::error!(%error, "an operation of the admin API broke");
            Err(Problem::internal())
        }
    }
}

/// Streams what `work` writes. Its refusal becomes a problem if nothing was written before, and else a break.
pub(super) async fn stream(
    content_type: &'static str,
    work: impl FnOnce(&mut dyn io::Write) -> Result<(), Refused> + Send + 'static,
) -> Result<Response, Problem> {
    let (sender, mut pieces) = channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || {
        let mut sink = Sink { sender, gathered: Vec::with_capacity(PIECE) };
        work(&mut sink)?;
        // Whoever was to read it has gone.
        drop(sink.finish());
        Ok(())
    });
    match pieces.recv().await {
        Some(first) => {
            let body = Body::new(Pieces { next: Some(first), rest: pieces });
            Ok(of(StatusCode::OK, HeaderValue::from_static(content_type), body))
        }
        None => match writing.await {
            Ok(Err(refused)) => Err(Refused::into(refused)),
            Ok(Ok(())) | Err(_) => Err(Problem::internal()),
        },
    }
}

/// A piece of a stream; an empty one is its end.
type Piece = Bytes;

struct Sink {
    sender: Sender<Piece>,
    gathered: Vec<u8>,
}

impl Sink {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        self.sender.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.send()?;
        }
        self.send()
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..taken]);
        if self.gathered.len() == PIECE {
            self.send()?;
        }
        Ok(taken)
    }

    /// Only full pieces are sent, so that a writer that flushes each line does not send them one by one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pieces {
    next: Option<Piece>,
    rest: Receiver<Piece>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match self.next.take() {
            Some(first) => Some(first),
            None => ready!(self.rest.poll_recv(context)),
        };
        Poll::Ready(match piece {
            Some(end) if end.is_empty() => None,
            Some(piece) => Some(Ok(Frame::data(piece))),
            // The end was not said: the reader must not take this for a whole.
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}

#[cfg(test)]
mod tests {

    use http_body_util::BodyExt;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn refused() -> Refused {
        Refused::Unavailable("the disk is gone".into())
    }

    #[test]
    fn a_stream_brings_everything_in_order_and_ends() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        let sent = bytes.clone();
        let whole = run(async {
            let response = stream("application/octet-stream", move |sink| {
                sent.chunks(999).try_for_each(|chunk| sink.write_all(chunk)).map_err(|_| refused())
            });
            response.await.expect("it begins").into_body().collect().await.expect("it ends").to_bytes()
        });
        assert!(whole == bytes);
        let empty =
            run(async { stream("text/plain", |_| Ok(())).await.expect("it is empty").into_body().collect().await });
        assert!(empty.expect("it ends").to_bytes().is_empty());
    }

    #[test]
    fn a_stream_that_breaks_cannot_be_taken_for_a_whole() {
        for panics in [false, true] {
            let outcome = run(async {
                let response = stream("text/plain", move |sink| {
                    sink.write_all(&vec![b'x'; 2 * PIECE]).map_err(|_| refused())?;
                    assert!(!panics, "on purpose");
                    Err(refused())
                });
                response.await.expect("it begins").into_body().collect().await
            });
            assert!(outcome.is_err());
        }
    }

    #[test]
    fn a_refusal_before_the_first_piece_is_a_problem() {
        let problem = run(stream("text/plain", |sink| {
            sink.write_all(b"not sent yet").map_err(|_| refused())?;
            Err(refused())
        }));
        assert!(format!("{:?}", problem.expect_err("it is refused")).contains("the disk is gone"));
    }

    #[test]
    fn work_that_breaks_is_told_as_our_fault() {
        let problem = run(aside(|| -> Result<(), Refused> { panic!("on purpose") }));
        assert!(format!("{:?}", problem.expect_err("it broke")).contains("status: 500"));
    }
}
