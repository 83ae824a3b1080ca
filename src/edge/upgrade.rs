//! What a connection becomes beside HTTP: whoever answers a request may promise a sequel for its socket, which begins once
//! the answer was sent (RFC 9110 §7.8), and hears when the connection has to leave.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::task::Waker;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

/// A socket of either kind.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// What follows on a socket: it gets the socket, and what the caller has sent ahead.
pub type Sequel = Box<dyn FnOnce(Box<dyn Duplex>, Bytes) -> Pin<Box<dyn Future<Output = ()>>>>;

/// The tunnels of one connection: one in HTTP/1.1, and one a stream in HTTP/2.
#[derive(Default)]
pub struct Tunnels {
    sequel: RefCell<Option<Sequel>>,
    leaving: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Tunnels {
    /// Promises what follows once the answer was sent.
    pub fn promise(&self, sequel: Sequel) {
        *self.sequel.borrow_mut() = Some(sequel);
    }

    /// What was promised.
    pub(super) fn take(&self) -> Option<Sequel> {
        self.sequel.borrow_mut().take()
    }

    /// Asks all of them to end.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
        std::mem::take(&mut *self.waiting.borrow_mut()).into_iter().for_each(Waker::wake);
    }

    /// Whether they were asked to end.
    pub fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Wakes this task when they are.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.borrow_mut().push(waker.clone());
    }

    /// It need not be woken any more.
    pub fn forget(&self, waker: &Waker) {
        self.waiting.borrow_mut().retain(|own| !own.will_wake(waker));
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnels").field("leaving", &self.leaving).finish_non_exhaustive()
    }
}
