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
        /// The number of the schedule that had it taken; none of one that somebody asked for.
        schedule: Option<i64>,
        /// Its key, sealed by its cell to the schedule's public key; none while it is not there, and of others.
        sealed_key: Option<Vec<u8>>,
        /// What its host signed of it; none while it is not there, and of others.
        statement: Option<Vec<u8>>,
        /// The certificates of that host, each behind its length.
        chain: Option<Vec<u8>>,
        /// A client has had it opened to its end.
        opened: bool,
    } index(tenant_id, user_id);

    /// When snapshots of a container are taken by themselves. Each of its times is taken once, in the transaction that
    /// names the next; what is due then waits for the container to rest.
    pub struct SnapshotSchedule: tenant("snapshot_schedules") {
        key {
            /// Of which container.
            container_id: ContainerId,
        }
        /// Whose container that is.
        user_id: UserId,
        /// What the user signed.
        signed: Vec<u8>,
        /// The Ed25519 key that it is signed with, as its user had published it.
        signer: Digest32,
        /// Its number: a later one of the user has a higher one.
        number: i64,
        /// The key epoch of the user's vault that its public key is of; under another it rests.
        vault_epoch: i64,
        /// Its next time; none while there is none.
        next_at: Option<Timestamp>,
        /// Its last time that was taken.
        last_at: Option<Timestamp>,
        /// A time that was taken and of which there is no snapshot yet.
        due_at: Option<Timestamp>,
        /// The snapshot that is being taken.
        snapshot_id: Option<SnapshotId>,
        /// How often the one that is due was begun.
        tries: i64,
        /// Why nothing is taken by it until it is put anew.
        rests: Option<String>,
        /// Why the last that was due came to nothing.
        failure: Option<String>,
        /// When it was put.
        created_at: Timestamp,
    } index(tenant_id, user_id);
}
