//! Threads that work beside the corridor: what they do may wait, a request may not.

/// Lets the thread that calls this give way to the workers where both want the same core.
pub fn give_way() {
    // Linux keeps this for each thread. Whoever is not allowed to goes on as before.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread beside the corridor does not give way");
    }
}

/// About a third of a worker's share, where a core is short.
const NICENESS: i32 = 5;
