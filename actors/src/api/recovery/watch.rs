//! Ceremonies as they move.

use ocmt_types::Timestamp;

use super::CeremonyView;

/// Watch the ceremonies that the caller has to do with; through `System::watch_ceremonies`, which follows them.
#[derive(Debug, Clone, Default)]
pub struct WatchCeremonies {
    /// Behind this event; from now on without one.
    pub from: Option<CeremonyEventAt>,
}

/// Where an event stands among those of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CeremonyEventAt {
    /// Which.
    pub seq: i64,
    /// When it was committed.
    pub at: Timestamp,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyChange {
    /// The ceremony after it, as owner, requester or guardian sees it; none at the beginning of a watch from now on.
    pub ceremony: Option<CeremonyView>,
    /// Where to go on behind it.
    pub at: CeremonyEventAt,
}
