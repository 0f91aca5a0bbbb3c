//! Snapshots: encrypted copies of a container's volume, made and opened by cells that run nothing.

pub use ocmt_runtime::ArchiveErrand;
pub use ocmt_store::tables::SnapshotState;
use ocmt_types::{ContainerId, Digest32, SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{container::CellKeyStated, users::Done};
use crate::call::calls;

/// Start a cell that runs nothing beside a container that does not run, and give its key, for sealing a snapshot
/// payload. The cell waits for it for a minute, and not at all once the container is to run.
#[derive(Debug, Clone)]
pub struct GetSnapshotCellKey {
    /// Which container; it must not run.
    pub container: ContainerId,
    /// What the cell is to do.
    pub errand: ArchiveErrand,
}

/// Take a snapshot, by the cell whose key was asked for.
#[derive(Debug, Clone)]
pub struct CreateSnapshot {
    /// Which container.
    pub container: ContainerId,
    /// Chosen by the client.
    pub snapshot: SnapshotId,
    /// Its key under the vault's volume key.
    pub wrapped_key: Vec<u8>,
    /// Its key sealed to the cell.
    pub sealed_payload: Vec<u8>,
    /// The key of that cell.
    pub cell_key: Digest32,
}

/// Put a snapshot in the place of a container's volume, or only look through it.
#[derive(Debug, Clone)]
pub struct RestoreSnapshot {
    /// Which container; the snapshot may be of an earlier one of the same user.
    pub container: ContainerId,
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Its key sealed to the cell.
    pub sealed_payload: Vec<u8>,
    /// The key of that cell.
    pub cell_key: Digest32,
    /// Look through it to its end, and change nothing.
    pub verify_only: bool,
}

/// Snapshots of a container's user, in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListSnapshots {
    /// Which container.
    pub container: ContainerId,
    /// Behind this one.
    pub after: Option<SnapshotId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Delete a snapshot.
#[derive(Debug, Clone)]
pub struct DeleteSnapshot {
    /// Which.
    pub snapshot: SnapshotId,
}

/// Have snapshots of a container taken by schedule: a new one, or in the place of the one that is there.
#[derive(Debug, Clone)]
pub struct PutSnapshotSchedule {
    /// Of which container; the caller's own.
    pub container: ContainerId,
    /// What the user signed: times, how many are kept, the key to seal to, a number higher than that of the one before.
    pub signed: Vec<u8>,
    /// The key epoch of the user's vault that the key is of.
    pub vault_epoch: u64,
}

/// The schedule of a container's snapshots.
#[derive(Debug, Clone)]
pub struct GetSnapshotSchedule {
    /// Of which container.
    pub container: ContainerId,
}

/// Take no snapshots by schedule any more; those that were taken stay.
#[derive(Debug, Clone)]
pub struct DeleteSnapshotSchedule {
    /// Of which container.
    pub container: ContainerId,
}

/// A schedule, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotScheduleInfo {
    /// What the user signed.
    pub signed: Vec<u8>,
    /// Its next time; none while there is none.
    pub next_at: Option<Timestamp>,
    /// A time that has come and of which there is no snapshot yet: the container has to stop first.
    pub due_at: Option<Timestamp>,
    /// Why nothing is taken until it is put anew; none if something is.
    pub rests: Option<String>,
    /// Why the last that was due came to nothing; none if it did not.
    pub failure: Option<String>,
    /// When it was put.
    pub created_at: Timestamp,
}

/// Answer of [`GetSnapshotSchedule`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotScheduleFound {
    /// None if there is none.
    pub schedule: Option<SnapshotScheduleInfo>,
}

/// A snapshot, as far as a node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Which.
    pub id: SnapshotId,
    /// Of which container it was taken.
    pub container: ContainerId,
    /// Of which making of it.
    pub generation: u64,
    /// Where it is.
    #[serde(with = "state_text")]
    pub state: SnapshotState,
    /// Its key under the vault's volume key.
    pub wrapped_key: Vec<u8>,
    /// Bytes of ciphertext.
    pub size_bytes: u64,
    /// SHA-256 of the ciphertext; none while it is not there.
    pub content_hash: Option<[u8; 32]>,
    /// It was read back after it was taken, or looked through since.
    pub verified: bool,
    /// Why what was done with it last came to nothing.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// A client has had it opened to its end.
    #[serde(default)]
    pub opened: bool,
    /// Of one that was taken by schedule: what opens it, and who took it.
    #[serde(default)]
    pub by_schedule: Option<BySchedule>,
}

/// What a snapshot by schedule has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BySchedule {
    /// Its key, sealed by its cell to the schedule's public key.
    pub sealed_key: Vec<u8>,
    /// What its host signed of it.
    pub statement: Vec<u8>,
    /// The certificates of that host, its own first.
    pub chain: Vec<Vec<u8>>,
}

/// Answer of [`CreateSnapshot`] and [`RestoreSnapshot`], when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDone {
    /// As it is now.
    pub snapshot: SnapshotInfo,
    /// The container's generation now.
    pub generation: u64,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// At most `limit`.
    pub snapshots: Vec<SnapshotInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<SnapshotId>,
}

calls! {
    /// Calls about snapshots. Those that reach a cell are single-use by its key.
    Snapshots: SnapshotsCall of "ContainerService" {
        read GetSnapshotCellKey => CellKeyStated,
        once CreateSnapshot => SnapshotDone,
        once RestoreSnapshot => SnapshotDone,
        read ListSnapshots => SnapshotPage,
        write DeleteSnapshot => Done,
        write PutSnapshotSchedule => SnapshotScheduleInfo,
        read GetSnapshotSchedule => SnapshotScheduleFound,
        write DeleteSnapshotSchedule => Done,
    }
}

mod state_text {
    use ocmt_store::tables::SnapshotState;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(state: &SnapshotState, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SnapshotState, D::Error> {
        let text = String::deserialize(from)?;
        SnapshotState::parse(&text).ok_or_else(|| D::Error::custom("no state of a snapshot"))
    }
}
