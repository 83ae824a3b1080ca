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
        let begun = self.clock.now();
        let left_of = |time: Duration| time.saturating_sub(self.clock.now().saturating_duration_since(begun));
        self.ready.store(false, Ordering::Relaxed);
        loop {
            let left = left_of(lame_duck);
            if left.is_zero() {
                break;
            }
            if hurried() {
                return false;
            }
            thread::sleep(left.min(STEP));
        }
        self.accepting.cancel();
        self.draining.cancel();
        while !hurried() {
            let left = left_of(lame_duck.saturating_add(drain));
            match self.ended.recv_timeout(left.min(STEP)) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
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
