//! The one place of the cell that starts tasks, so that each has an owner and ends with it.

use std::future::Future;

use tokio::task::JoinHandle;

use crate::CellError;

/// A running task; dropping it ends the task at its next await.
#[must_use = "a task ends when its handle is dropped"]
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Starts `work`.
    #[expect(clippy::disallowed_methods, reason = "this file is where the cell starts tasks")]
    pub fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Ends the task and waits until it has let go of what it held.
    pub async fn end(mut self) {
        self.0.abort();
        // cancelled is what was asked for; a panic has been printed by its hook
        let _ = (&mut self.0).await;
    }

    /// Whether it has run to its end.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a blocking call (a read of standard input) aside.
///
/// # Errors
/// [`std::io::Error`] if the call panicked.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(std::io::Error::other)
}

/// Runs `work` to its end, even if the caller goes away in the middle: for what must not stay half
/// done.
///
/// # Errors
/// [`CellError::Io`] if the work panicked.
#[expect(clippy::disallowed_methods, reason = "this file is where the cell starts tasks")]
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, CellError> {
    tokio::spawn(work)
        .await
        .map_err(|panic| CellError::Io { what: "go on", source: std::io::Error::other(panic.to_string()) })
}
