//! Entries that one person has given another to read or to see.

use ocmt_types::{Digest32, ShareId, Timestamp, UserId, VaultId};

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
    };
}
