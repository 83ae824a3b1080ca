//! Runs a connection's streams on its own worker.

/// An executor that hands a future to the worker that it is called on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
