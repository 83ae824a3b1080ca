//! How a server ends: in good order, as far as it is given the time.

use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use super::Server;
use crate::config::Stop;

impl Server {
    /// Says that it is not ready any more, takes requests in for as long as `lame_duck` says all the same, refuses new
    /// connections, finishes what is in flight, and returns whether all of it ended in time.
    pub fn drain(self) -> bool {
        self.drain_unless(|| false)
    }

    /// The same, but gives up as soon as `hurried`: it is asked a few times a second.
    ///
    /// The store is let go last, when nobody can use a credential any more: last uses are on file, and the file is free.
    pub fn drain_unless(self, hurried: impl Fn() -> bool) -> bool {
        const STEP: Duration = Duration::from_millis(100);
        let Stop { lame_duck, drain } = self.reloader.end();
        self.ready.store(false, Ordering::Relaxed);
        let mut left = lame_duck;
        while !left.is_zero() {
            if hurried() {
                return false;
            }
            let step = left.min(STEP);
            thread::sleep(step);
            left -= step;
        }
        self.accepting.cancel();
        self.draining.cancel();
        let mut left = drain;
        while !hurried() {
            let step = left.min(STEP);
            match self.ended.recv_timeout(step) {
                Err(RecvTimeoutError::Timeout) if left > step => left -= step,
                Err(RecvTimeoutError::Timeout) | Ok(()) => return false,
                Err(RecvTimeoutError::Disconnected) => {
                    // Nobody spends any more: what was only reserved is given back.
                    self.limits.settle(self.clock.unix());
                    self.told.0.end();
                    self.told.1.end();
                    return true;
                }
            }
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.cancel();
        self.draining.cancel();
    }
}
