//! How long a test waits for what must happen. Where it happens at once that costs nothing, and on a machine that is slow
//! or busy nobody fails for it.

use std::thread;
use std::time::Duration;

/// So long.
pub const PATIENCE: Duration = Duration::from_mins(3);
const STEP: Duration = Duration::from_millis(5);

/// Returns once it is so. For what tells nobody when it comes: all else is waited for as an event.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if is_so() {
            return;
        }
        thread::sleep(STEP);
    }
    panic!("in vain for {what}");
}
