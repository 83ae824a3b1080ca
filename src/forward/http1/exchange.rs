//! One request and the head of its answer. Both directions go on at once; an upload that outlasts the head of its answer
//! gets a task of its own, so that neither has to wait for a caller who takes only the other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use hyper::body::Body as _;

use crate::forward::http1::{Answering, Beside, Connection, Encoding, Head, NoHead};
use crate::forward::leases::Lease;
use crate::forward::outgoing::Outgoing;
use crate::forward::piece::{Piece, UPLOAD_FAILED};
use crate::forward::request::Errand;
use crate::forward::upload::Upload;
use crate::forward::upstream::Endpoint;
use crate::refusal::Cause;

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(in crate::forward) enum Failure {
    /// The upstream has taken no byte of it: the request may be sent once more.
    NeverSent,
    /// It may have taken some.
    Sent(&'static str),
    /// Somebody took too long.
    Late,
}

const BROKEN: Failure = Failure::Sent("the connection to the upstream broke");

/// A request's body on its way, in its framing.
#[derive(Debug)]
pub(in crate::forward) struct Sending {
    body: Option<Outgoing>,
    upload: Rc<Upload>,
    encoding: Encoding,
    /// What went out with the head: it goes out again if nothing of it was taken.
    first: Option<Piece>,
    /// Whether all of it was written.
    done: bool,
    /// While a large body is on its way, its caller must stand.
    stream: Option<Lease>,
}

impl Sending {
    /// Nothing sent yet.
    pub(in crate::forward) fn new(body: Outgoing, upload: &Rc<Upload>) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        Self { body, upload: Rc::clone(upload), encoding: Encoding::Length(0), first: None, done: false, stream: None }
    }

    /// Ends the upload as soon as its caller would be let in no longer.
    pub(in crate::forward) fn watched(mut self, stream: Option<Lease>) -> Self {
        self.stream = stream;
        self
    }

    /// Whether all of it was written.
    pub(in crate::forward) fn is_done(&self) -> bool {
        self.done
    }

    /// Puts the head together, and what there is of the body behind it: they leave in one write.
    fn begin(
        &mut self,
        connection: &mut Connection,
        (errand, endpoint): (&Errand<'_>, &Endpoint),
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        connection.socket.begin();
        errand.write(endpoint, connection.outbox.begin());
        self.encoding = errand.encoding();
        if self.first.is_none()
            && let Poll::Ready(piece) = Piece::poll(&mut self.body, context)
        {
            self.first = piece?;
        }
        match self.first.clone() {
            Some(piece) => self.put(piece, connection),
            None => Ok(()),
        }
    }

    fn put(&mut self, piece: Piece, connection: &mut Connection) -> Result<(), Failure> {
        let Self { encoding, upload, .. } = self;
        let outbox = &mut connection.outbox;
        let put = match piece {
            Piece::Data { data, last: false } => encoding.data(data, outbox),
            Piece::Data { data, last: true } => {
                encoding.data(data, outbox).and_then(|()| encoding.end(&HeaderMap::new(), outbox))
            }
            Piece::End(trailers) => encoding.end(&trailers, outbox),
        };
        // Cut off, it cannot look whole to the upstream: the connection ends with it.
        put.map_err(|_| {
            upload.fail(Cause::MalformedBody);
            UPLOAD_FAILED
        })
    }

    /// Sends on; ready once all of it was written.
    fn poll(&mut self, connection: &mut Connection, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(stream) = self.stream.as_ref().filter(|_| !self.done)
            && let Poll::Ready(lapse) = stream.poll(context)
        {
            self.upload.fail(lapse.into());
            return Poll::Ready(Err(UPLOAD_FAILED));
        }
        while !self.done {
            let flushed = ready!(connection.outbox.poll_flush(&mut connection.socket, context));
            if connection.socket.took_nothing() {
                return Poll::Ready(Err(Failure::NeverSent));
            }
            flushed.map_err(|_| BROKEN)?;
            self.first = None;
            match ready!(Piece::poll(&mut self.body, context))? {
                None => (self.done, self.stream) = (true, None),
                Some(piece) => self.put(piece, connection)?,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Sends a request on a connection that is good, and waits for the head of its answer.
pub(in crate::forward) async fn attempt(
    connection: &RefCell<Connection>,
    errand: &mut Errand<'_>,
    endpoint: &Endpoint,
    sending: &mut Sending,
) -> Result<Head, Failure> {
    sending.upload.await_response();
    let mut begun = false;
    poll_fn(|context| {
        let connection = &mut *connection.borrow_mut();
        if !begun {
            begun = true;
            sending.begin(connection, (errand, endpoint), context)?;
        }
        if let Poll::Ready(Err(failure)) = sending.poll(connection, context) {
            return Poll::Ready(Err(failure));
        }
        // Only what was asked is answered; and the fields of the request are not needed again once it was taken.
        if connection.socket.took()
            && let Poll::Ready(head) = connection.poll_head(context, errand.expected(), errand.fields())
        {
            return Poll::Ready(head.map_err(|no_head| match no_head {
                NoHead::Malformed(detail) => Failure::Sent(detail),
                NoHead::Ended => Failure::Sent("the upstream broke off before its answer"),
                NoHead::Broken => BROKEN,
            }));
        }
        sending.upload.deadline.poll(context).map(|()| Err(Failure::Late))
    })
    .await
}

/// Lets an upload go on that has outlasted the head of its answer, for as long as that is of use: until the answer is
/// given up, or has ended together with its connection (RFC 9112 §9.3 lets a client stop there).
pub(in crate::forward) fn go_on(connection: &Rc<RefCell<Connection>>, mut sending: Sending) {
    if sending.done {
        return;
    }
    // Anew: an earlier answer on this connection has ended, and this one has not.
    connection.borrow_mut().beside = Beside { going: true, ..Beside::default() };
    let connection = Rc::clone(connection);
    tokio::task::spawn_local(async move {
        let finished = poll_fn(|context| {
            let connection = &mut *connection.borrow_mut();
            connection.beside.uploader = Some(context.waker().clone());
            let cut = match connection.beside.answer {
                Answering::Coming => false,
                // What still comes is no answer, and never read as one; only its end is of interest.
                Answering::Whole => {
                    connection.input.is_empty() && matches!(connection.poll_fill(context), Poll::Ready(Ok(0) | Err(_)))
                }
                Answering::Over => true,
            };
            if cut { Poll::Ready(false) } else { sending.poll(connection, context).map(|sent| sent.is_ok()) }
        });
        let sent = finished.await;
        let beside = &mut connection.borrow_mut().beside;
        (beside.going, beside.failed) = (false, !sent);
        if let Some(waker) = beside.reader.take() {
            waker.wake();
        }
    });
}
