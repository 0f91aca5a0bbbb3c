//! The one place of the node that starts tasks which nobody awaits by itself.
//!
//! Each ends with what it serves: a connection, a stream, a listener.

use tokio::task::JoinHandle;

/// Starts `work`.
pub(crate) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "the node's one place for free tasks")]
    tokio::spawn(work)
}
