//! What an engine says of a container.

use std::{fmt, net::SocketAddr};

use futures_util::{
    StreamExt as _, future,
    stream::{self, BoxStream},
};
use ocmt_types::Timestamp;
use tokio::sync::broadcast;

use crate::{ContainerRef, Labels};

/// Where a cell listens: its control service and its gateway are one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellAddress(pub SocketAddr);

impl fmt::Display for CellAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, never started.
    Created,
    /// Its cell runs.
    Running,
    /// Frozen.
    Paused,
    /// It has ended.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// The exit code of its first process, 128 + n for a signal; none when nobody was there to see it.
    pub code: Option<i64>,
    /// The kernel ended something in it for want of memory.
    pub oom: bool,
}

/// One look at a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which.
    pub container: ContainerRef,
    /// Whose, and of which generation and epoch.
    pub labels: Labels,
    /// What it is doing.
    pub state: State,
    /// How it ended; `Some` only when `Stopped`.
    pub exit: Option<Exit>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// Where its cell listens; `Some` only when `Running` or `Paused`.
    pub address: Option<CellAddress>,
}

/// What an engine says unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// The connection to the engine is new: deaths may have gone unseen, `list` again.
    Resync,
    /// A container ended, by itself or because it was told to.
    Died {
        /// Which.
        container: ContainerRef,
        /// How.
        exit: Exit,
        /// When, by the engine's clock.
        at: Timestamp,
    },
    /// The kernel killed a process of the container for want of memory. The container may live on.
    OutOfMemory {
        /// Which.
        container: ContainerRef,
        /// When, by the engine's clock.
        at: Timestamp,
    },
}

/// What an engine of this process tells, to one listener: a first `Resync`, and one for each loss.
pub(crate) fn live(events: &broadcast::Sender<RuntimeEvent>) -> BoxStream<'static, RuntimeEvent> {
    let live = stream::unfold(events.subscribe(), |mut events| async {
        match events.recv().await {
            Ok(event) => Some((event, events)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((RuntimeEvent::Resync, events)),
            // the engine is gone, as a machine is: nothing more is heard
            Err(broadcast::error::RecvError::Closed) => future::pending().await,
        }
    });
    stream::iter([RuntimeEvent::Resync]).chain(live).boxed()
}
