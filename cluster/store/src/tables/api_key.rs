//! API keys: credentials of a user's own programs.

use ocmt_types::{ApiKeyId, Digest32, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A key. Ended by deleting it.
    pub struct ApiKeyRow: tenant("api_keys") {
        key {
            /// Which key.
            api_key_id: ApiKeyId,
        }
        /// Whose.
        user_id: UserId,
        /// What its user calls it.
        name: String,
        /// The names of what it is good for, a space between them.
        scopes: String,
        /// SHA-256 of the key.
        token_hash: Digest32,
        /// SHA-256 of the idempotency key of the request that made it, which makes no second one.
        asked_by: Digest32,
        /// It was made in a session with a second factor.
        mfa: bool,
        /// In one that had shown a passkey.
        passkey: bool,
        /// When it was made.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
        /// When it was last used, to within a minute.
        last_used_at: Option<Timestamp>,
    } unique(tenant_id, token_hash) index(tenant_id, user_id);
}
