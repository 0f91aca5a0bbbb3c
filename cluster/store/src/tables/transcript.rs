//! Conversations and their records. What is said is sealed by clients; the format is that of `docs/formats.md`.

use ocmt_types::{ContainerId, ConversationId, Digest32, Timestamp, UserId, VaultId};

use crate::kernel::row::rows;

rows! {
    /// A conversation: where it stands, so that appending looks at no earlier record.
    pub struct Conversation: tenant("conversations") {
        key {
            /// Chosen by the client that made it.
            conversation_id: ConversationId,
        }
        /// Whose it is: the owner of the vault.
        owner_user: UserId,
        /// The vault that its key is in.
        vault_id: VaultId,
        /// The vault's object that holds its key.
        key_object: Digest32,
        /// The container it is with.
        container_id: Option<ContainerId>,
        /// Sequence of the first record that is still here, from 1.
        first_sequence: i64,
        /// Tag of the record before that one; empty before the first of all.
        before_tag: Vec<u8>,
        /// Sequence that the next record must have.
        next_sequence: i64,
        /// Tag of the last record; empty if there is none.
        last_tag: Vec<u8>,
        /// Key epoch of the last record; 0 if there is none.
        last_epoch: i64,
        /// Whether the last record was the final one.
        finished: bool,
        /// Bytes of all its records so far.
        total_bytes: i64,
        /// Bytes of those that retention took.
        pruned_bytes: i64,
        /// Whether there is nothing left for retention to take.
        pruned: bool,
        /// When it was made.
        created_at: Timestamp,
        /// When the last record came.
        updated_at: Timestamp,
    } index(tenant_id, owner_user, updated_at) index(tenant_id, vault_id, key_object)
        index(tenant_id, pruned, updated_at);

    /// A record, sealed.
    pub struct TranscriptRecord: tenant("transcript_records") {
        key {
            /// Of which conversation.
            conversation_id: ConversationId,
            /// Its place, from 1 without a gap.
            sequence: i64,
        }
        /// The sealed record, at most 262,272 bytes.
        record: Vec<u8>,
        /// Bytes of all records of the conversation up to this one.
        total_bytes: i64,
    };
}
