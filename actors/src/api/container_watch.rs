//! Watches of containers: their changes, and those that woke locked.

use ocmt_types::{ContainerId, Timestamp, UserId};

use super::container::{ContainerInfo, ContainerState};
use crate::{
    call::calls,
    tenant::container::watch::{Changes, Waits},
    watch::Following,
};
pub use ocmt_store::tables::WakeCause;

/// Watch containers; through `System::watch_containers`, which follows them.
#[derive(Debug, Clone, Default)]
pub struct WatchContainers {
    /// Only this one; none for all that the caller may see.
    pub container: Option<ContainerId>,
    /// Behind this event; from now on without one.
    pub from: Option<EventAt>,
}

/// Watch for cells of the caller's own containers that woke locked; through `System::watch_unlock_requests`.
#[derive(Debug, Clone, Default)]
pub struct WatchUnlockRequests {
    /// Behind this event; from now on without one.
    pub from: Option<EventAt>,
}

/// Where an event stands among those of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventAt {
    /// Which.
    pub seq: i64,
    /// When it was committed.
    pub at: Timestamp,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerChange {
    /// What changed; none at the beginning of a watch from now on.
    pub changed: Option<ChangedContainer>,
    /// Where to go on behind it.
    pub at: EventAt,
}

/// A container after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedContainer {
    /// Which.
    pub id: ContainerId,
    /// Whose.
    pub user: UserId,
    /// Where it came to.
    pub state: ContainerState,
    /// Which making of it.
    pub generation: u64,
    /// All of it as it is when it is told; none once it is removed.
    pub info: Option<ContainerInfo>,
}

/// A cell waits for its user's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlockRequest {
    /// What waits; none at the beginning of a watch from now on.
    pub waits: Option<WaitingCell>,
    /// Where to go on behind it.
    pub at: EventAt,
}

/// A cell that woke locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingCell {
    /// Of which container.
    pub container: ContainerId,
    /// What woke it.
    pub cause: WakeCause,
    /// Until when it stays awake if nothing happens.
    pub wait_until: Timestamp,
}

calls! {
    /// Calls that begin a watch.
    Watches: WatchesCall of "ContainerService" {
        read WatchContainers => Following<Changes, ContainerChange>,
        read WatchUnlockRequests => Following<Waits, UnlockRequest>,
    }
}
