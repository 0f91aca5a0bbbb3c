//! What happens to a container, and what is done to it: the words of [`super::state`].

use std::time::Duration;

use ocmt_store::tables::{ContainerState, DesiredState};
use ocmt_types::Timestamp;

use crate::api::container::WakeKind;

/// Something that is done to a container, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Read the row and look at the engine: what is it doing really?
    Inspect,
    /// Bring it to running, in this way.
    Wake(WakeKind),
    /// Freeze it.
    Pause {
        /// By the clock: not if the cell reports work, and a request calls it off.
        idle: bool,
    },
    /// Lock and stop it.
    Stop {
        /// By the clock.
        idle: bool,
    },
    /// Lock the running cell.
    Lock,
    /// Thaw, lock, freeze again.
    Relock,
    /// Stop it and forget it.
    Remove,
    /// One call of the running cell.
    Job,
    /// A cell that runs nothing, beside the container at rest.
    Archive,
}

impl Op {
    /// A suspend that a request calls off.
    pub(super) fn is_idle_suspend(self) -> bool {
        matches!(self, Self::Pause { idle: true } | Self::Stop { idle: true })
    }
}

/// What its user asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nothing: the clock decides.
    Rest,
    /// Freeze.
    Pause,
    /// Stop.
    Stop,
    /// Remove.
    Remove,
}

/// When it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) pause_after: Duration,
    pub(super) stop_after: Duration,
}

/// How an operation left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct After {
    /// `Running`, `Paused`, `Stopped`, `Failed` or `Absent`.
    pub(super) phase: ContainerState,
    /// The engine has it.
    pub(super) made: bool,
    /// When its cell locks.
    pub(super) unlocked_until: Option<Timestamp>,
    /// Nothing went wrong. A suspend that was called off has not gone wrong.
    pub(super) ok: bool,
}

/// What an [`Op::Inspect`] read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) after: After,
    pub(super) desired: DesiredState,
    /// What the row said it was.
    pub(super) recorded: ContainerState,
    pub(super) active_at: Timestamp,
    pub(super) clocks: Clocks,
    /// Its cell can be reached: the start secret is there.
    pub(super) reachable: bool,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A request that needs it running was queued.
    JobQueued,
    /// A snapshot is to be taken, or opened; its cell waits for the key of it.
    ArchiveQueued,
    /// It has the key: what wants the container to run waits until it is done.
    ArchiveWorks,
    /// Its user wants this.
    Want(Goal),
    /// Lock it, whatever it does.
    Lock,
    /// Quarantine.
    Hold,
    /// Out of quarantine.
    Release,
    /// The engine, or the row, may say something else than we think.
    Doubt,
    /// Time has passed.
    Look,
    /// Other clocks apply.
    Clocks(Clocks),
    /// The operation in flight has ended.
    Ended(After),
    /// The inspection in flight has ended.
    Inspected(Facts),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    /// Begin this; none is in flight.
    Begin(Op),
    /// Call off the suspend, or the wake, in flight, if that is still possible.
    CallOff,
    /// Go on with a wake that was cut off: queue a request of nobody's.
    Resume,
    /// The queued requests cannot be served: it is held.
    RefuseJobs,
    /// No snapshot is taken of what runs, or is held.
    RefuseArchives,
    /// The wake that the queued requests waited for has failed.
    FailJobs,
}
