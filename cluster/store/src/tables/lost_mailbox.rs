//! Owners who have lost their mailbox too, and addresses that were theirs until lately.

use ocmt_types::{Digest32, GuardianshipId, SessionId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A guardian's word that an owner has lost the mailbox too: a link to another address, and the session that it made.
    pub struct LostMailbox: tenant("lost_mailboxes") {
        key {
            /// SHA-256 of the token in the mail to the new address.
            token_hash: Digest32,
        }
        /// Whose.
        user_id: UserId,
        /// The guardian who asked.
        guardianship_id: GuardianshipId,
        /// The other address, normalised.
        new_email: String,
        /// The session that the link made, once it was shown.
        session_id: Option<SessionId>,
        /// When it was asked for.
        created_at: Timestamp,
        /// The link is dead from then on.
        expires_at: Timestamp,
    } index(tenant_id, user_id);

    /// An address that was a user's, for as long as what was done since may have to be told there.
    pub struct FormerAddress: tenant("former_addresses") {
        key {
            /// Whose.
            user_id: UserId,
            /// It, normalised.
            email: String,
        }
        /// When it took the place of another; none if it was the account's first.
        since: Option<Timestamp>,
        /// When another took its place.
        removed_at: Timestamp,
    };
}
