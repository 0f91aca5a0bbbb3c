//! Waits for cells to end: the one place of this crate that starts tasks, one for each running cell.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, sync::Arc};

use tokio::{
    io::{Interest, unix::AsyncFd},
    process::Child,
    sync::watch,
};

use super::{Shared, group::Process};
use crate::{ContainerRef, Exit};

/// Watches a child of ours: its exit code is ours to read.
pub(super) fn watch_child(
    shared: &Arc<Shared>,
    container: ContainerRef,
    leader: Process,
    mut child: Child,
) -> watch::Receiver<bool> {
    watch(shared, container, leader, async move { child.wait().await.ok().map(code) })
}

/// Watches a cell that an earlier life of the node started: nobody tells us its exit code.
#[expect(
    deprecated,
    reason = "unsound for types that lie about their descriptor; an OwnedFd does not, and the successor is unsafe to call"
)]
pub(super) fn watch_adopted(
    shared: &Arc<Shared>,
    container: ContainerRef,
    leader: Process,
) -> watch::Receiver<bool> {
    watch(shared, container, leader, async move {
        if let Ok(Ok(handle)) = leader.open().map(|handle| AsyncFd::with_interest(handle, Interest::READABLE))
        {
            // readable once the process has ended (pidfd_open(2)); an error ends the watch as well
            let _ = handle.readable().await;
        }
        None
    })
}

#[expect(clippy::disallowed_methods, reason = "each running cell needs somebody who waits for its end")]
fn watch(
    shared: &Arc<Shared>,
    container: ContainerRef,
    leader: Process,
    end: impl Future<Output = Option<i64>> + Send + 'static,
) -> watch::Receiver<bool> {
    let (done, ended) = watch::channel(false);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let code = end.await;
        // as the kernel does when PID 1 of a container ends. What is in its group, that is: of a cell that
        // ended by itself nothing tells who in another group descended from it
        leader.kill().await;
        shared.note_end(&container, Exit { code, oom: false });
        // those who wait may be gone
        let _ = done.send(true);
    });
    ended
}

fn code(status: ExitStatus) -> i64 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1).into()
}
