//! Threads that work beside the corridor: what they do may wait, a request may not.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// About a third of a worker's share, where a core is short.
const NICENESS: i32 = 5;

/// Lets the thread that calls this give way to the workers where both want the same core.
pub fn give_way() {
    // Linux keeps this for each thread. Whoever is not allowed to goes on as before.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread beside the corridor does not give way");
    }
}

/// Lets the thread that calls this run only where nobody else wants its core, and leave it at once to whoever does
/// (`SCHED_IDLE`). A thread with a nice value keeps a core to the end of its slice, some milliseconds; but one that
/// stands aside may not get any for as long as all cores are busy.
pub fn stand_aside() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!(?error, "a thread beside the corridor does not stand aside");
        give_way();
    }
}
