//! Encrypted copies of volumes: what a node may know of them. What is in them lies in the object store, sealed.

use ocmt_types::{ContainerId, Digest32, SnapshotId, Timestamp, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Where a snapshot is.
    pub enum SnapshotState {
        /// It is being taken: nothing of it can be relied on.
        Taking = "taking",
        /// It is there, whole.
        Taken = "taken",
        /// It is there, and a container's volume is being made from it.
        Restoring = "restoring",
        /// It is there, and is being put in the place of a volume: that is the one or the other, whole.
        Placing = "placing",
        /// It is there, and is being looked through.
        Verifying = "verifying",
        /// It was not taken.
        Failed = "failed",
        /// It is deleted: the object is to go, and then the row.
        Ending = "ending",
    }
}

rows! {
    /// A snapshot. It outlives its container: its user may put it into another one of theirs.
    pub struct Snapshot: tenant("snapshots") {
        key {
            /// Chosen by the client.
            snapshot_id: SnapshotId,
        }
        /// Whose volume it is of, and who may open it.
        user_id: UserId,
        /// Of which container it was taken.
        container_id: ContainerId,
        /// Of which making of it.
        generation: i64,
        /// Where it is.
        state: SnapshotState,
        /// Its key, wrapped under the volume key of its user's vault.
        wrapped_key: Vec<u8>,
        /// Bytes of ciphertext; 0 while it is not there.
        size_bytes: i64,
        /// SHA-256 of the ciphertext; none while it is not there.
        content_hash: Option<Digest32>,
        /// It was read back after it was taken, or looked through since.
        verified: bool,
        /// The key of the cell that opened it last, for a repeat of that.
        opened_by: Option<Digest32>,
        /// Why what was done with it last came to nothing.
        failure: Option<String>,
        /// When it was asked for.
        created_at: Timestamp,
    } index(tenant_id, user_id);
}
