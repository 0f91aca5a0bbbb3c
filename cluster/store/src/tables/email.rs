//! Changes of users' addresses on their way.

use ocmt_types::{Digest32, SessionId, Timestamp, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// How far a change of address has come.
    pub enum EmailChangeState {
        /// The link to the new address was not shown yet.
        Asked = "asked",
        /// It was: the change waits for its time.
        Confirmed = "confirmed",
        /// It was stopped, or a newer one was asked for; the row counts as asked for, and as nothing else.
        Ended = "ended",
    }
}

rows! {
    /// Another address for a user. At most one of a user's is asked or confirmed.
    pub struct EmailChange: tenant("email_changes") {
        key {
            /// SHA-256 of the token in the mail to the new address.
            token_hash: Digest32,
        }
        /// Whose.
        user_id: UserId,
        /// The session that asked, which alone can confirm.
        session_id: SessionId,
        /// The address that the user had when it was asked for.
        old_email: String,
        /// The other one, normalised.
        new_email: String,
        /// How far it has come.
        state: EmailChangeState,
        /// When it was asked for.
        created_at: Timestamp,
        /// The link is dead from then on.
        expires_at: Timestamp,
        /// Once it was confirmed: from when it counts.
        effective_at: Option<Timestamp>,
    } index(tenant_id, user_id);
}
