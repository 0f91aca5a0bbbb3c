//! Changes of a vault as they come.

use ocmt_types::{Digest32, Timestamp, VaultId};

/// Watch a vault; through `System::watch_vault`, which follows it.
#[derive(Debug, Clone)]
pub struct WatchVault {
    /// Which vault.
    pub vault: VaultId,
    /// Behind this event; from now on without one.
    pub from: Option<ChangeAt>,
}

/// Where an event stands among a vault's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeAt {
    /// Which change.
    pub change: i64,
    /// Which object of it.
    pub object: u32,
    /// When it was committed.
    pub at: Timestamp,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultEventKind {
    /// An object was written.
    ObjectWritten,
    /// An object was deleted.
    ObjectDeleted,
    /// Slots were added or removed.
    SlotsChanged,
    /// A rotation was started.
    RotationStarted,
    /// A rotation was finished.
    Rotated,
    /// Something came into the inbox.
    Inbox,
    /// Nothing: this is where a watch from now on began.
    Begun,
}

/// One change of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultEvent {
    /// What changed.
    pub kind: VaultEventKind,
    /// Of the manifest after the change.
    pub counter: u64,
    /// Which object, and its version now or at its end.
    pub object: Option<(Digest32, u64)>,
    /// Where to go on behind it.
    pub at: ChangeAt,
}
