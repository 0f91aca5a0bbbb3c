//! Entries that one person has given another to read or to see.

use ocmt_types::{CapabilityId, Digest32, MessageId, ProgramTokenId, ShareId, Timestamp, UserId, VaultId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Where a share stands.
    pub enum ShareState {
        /// Waits for its taker.
        Offered = "offered",
        /// Taken.
        Accepted = "accepted",
        /// Ended by somebody, or with something.
        Revoked = "revoked",
        /// Ended by its time.
        Expired = "expired",
    }

    /// Where a request for a capability stands.
    pub enum CapabilityState {
        /// Waits for somebody.
        Requested = "requested",
        /// Given.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
        /// Its time is over.
        Expired = "expired",
    }
}

rows! {
    /// What one person gave another of a vault.
    pub struct Share: tenant("shares") {
        key {
            /// Which share.
            share_id: ShareId,
        }
        /// The vault that the entries are in.
        vault_id: VaultId,
        /// Whose vault that is.
        owner_user: UserId,
        /// Who gave it: the owner, or who gives on.
        giver_user: UserId,
        /// To whom.
        taker_user: UserId,
        /// Of what is given on: the giver's own share. It ends with that.
        parent_share: Option<ShareId>,
        /// Names of permissions with one space between them.
        permissions: String,
        /// Where it stands.
        state: ShareState,
        /// When it was offered.
        created_at: Timestamp,
        /// Nobody takes or uses it from then on; none for never.
        expires_at: Option<Timestamp>,
        /// When it was found to be over; only then is it no longer offered or accepted.
        ended_at: Option<Timestamp>,
    } index(tenant_id, giver_user) index(tenant_id, taker_user) index(tenant_id, owner_user)
        index(tenant_id, vault_id) index(tenant_id, parent_share);

    /// An entry of a share.
    pub struct ShareGrant: tenant("share_grants") {
        key {
            /// Of which share.
            share_id: ShareId,
            /// Which entry.
            object_id: Digest32,
        }
        /// The version that was given.
        version: i64,
        /// Its data key, sealed to the taker (`docs/formats.md`, "Entry grant"); empty if the share is not for reading.
        sealed_grant: Vec<u8>,
    } index(tenant_id, object_id);

    /// That the taker of a share may write or delete an entry of it.
    pub struct ShareRight: tenant("share_rights") {
        key {
            /// By which share.
            share_id: ShareId,
            /// Which entry.
            object_id: Digest32,
        }
        /// The version that the next one follows.
        version: i64,
        /// SHA-256 of its body.
        body_hash: Digest32,
        /// The giver's signed word to the taker (`docs/formats.md`, "Write grant").
        write_grant: Vec<u8>,
        /// The sequence of what is sent next.
        next_sequence: i64,
    };

    /// What the taker of a share has sent, until the owner's device has filed or dropped it. One of each right: a newer one
    /// takes the place of one that waits.
    pub struct SharedWrite: tenant("shared_writes") {
        key {
            /// Which.
            write_id: MessageId,
        }
        /// For which vault.
        vault_id: VaultId,
        /// By which share.
        share_id: ShareId,
        /// For which entry.
        object_id: Digest32,
        /// Whether it asks for the end of the entry.
        is_delete: bool,
        /// The signed bytes, with a new value sealed in them (`docs/formats.md`, "Shared write").
        sealed: Vec<u8>,
        /// When it came.
        created_at: Timestamp,
    } index(tenant_id, vault_id) index(tenant_id, share_id);

    /// Somebody's request for more than they have of an entry that they know of.
    pub struct Capability: tenant("capabilities") {
        key {
            /// Which request.
            capability_id: CapabilityId,
        }
        /// Who asked, or whose program.
        requester_user: UserId,
        /// The program that asked.
        requester_program: Option<ProgramTokenId>,
        /// Of which vault.
        vault_id: VaultId,
        /// Whose vault that is.
        owner_user: UserId,
        /// Of which entry.
        object_id: Digest32,
        /// What was asked for, and once it is approved what was given; as in a share.
        permissions: String,
        /// For how long.
        lifetime_ms: i64,
        /// Why, as the requester says.
        reason: String,
        /// Where it stands.
        state: CapabilityState,
        /// When it was asked for.
        requested_at: Timestamp,
        /// It lapses then, or what was given ends.
        expires_at: Timestamp,
        /// Who decided.
        decided_by: Option<UserId>,
        /// By which a person has it. Of what a program may write: the id by which the vault's ledger knows it.
        share_id: Option<ShareId>,
        /// Of what a program was given: the version.
        version: Option<i64>,
        /// Of what a program was given to read: the data key, sealed to the program (`docs/formats.md`, "Entry grant").
        sealed_grant: Option<Vec<u8>>,
        /// Of a program that asks to write: the Ed25519 key that signs what it sends.
        sign_key: Option<Digest32>,
    } index(tenant_id, requester_user) index(tenant_id, requester_program) index(tenant_id, owner_user);
}
