//! Who may talk to an agent over a messenger.

use ocmt_types::{ContainerId, Digest32, PairingId, SenderId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A sender who was given a pairing code and waits to be let through.
    pub struct Pairing: tenant("pairings") {
        key {
            /// Which pairing.
            pairing_id: PairingId,
        }
        /// Whose agent.
        user_id: UserId,
        /// Which agent.
        container_id: ContainerId,
        /// The messenger.
        channel: String,
        /// The messenger's id of the sender.
        sender_id: String,
        /// The name that the sender shows.
        display_name: String,
        /// SHA-256 of the pairing's id and the code.
        code_hash: Digest32,
        /// SHA-256 of the idempotency key under which it was asked for: a repeat gets a code too.
        asked_by: Digest32,
        /// Wrong codes so far.
        attempts: i64,
        /// Refused by the owner: kept, so that the sender gets no other code until it ends.
        rejected: bool,
        /// When the sender first asked.
        created_at: Timestamp,
        /// It is over from then on.
        expires_at: Timestamp,
    } unique(tenant_id, container_id, channel, sender_id) index(tenant_id, user_id);

    /// A sender who is let through.
    pub struct PairedSender: tenant("paired_senders") {
        key {
            /// Which sender.
            sender_ref: SenderId,
        }
        /// Whose agent.
        user_id: UserId,
        /// Which agent.
        container_id: ContainerId,
        /// The messenger.
        channel: String,
        /// The messenger's id of the sender.
        sender_id: String,
        /// The name that the sender showed.
        display_name: String,
        /// Since when.
        approved_at: Timestamp,
    } unique(tenant_id, container_id, channel, sender_id) index(tenant_id, user_id);
}
