//! The only state without a tenant: from e-mail address to tenants, and sign-ups not confirmed yet.

use ocmt_types::{Digest32, TenantId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// One user of one tenant behind an address. Several tenants may know the same address.
    pub struct Address: global("directory") {
        key {
            /// The address, normalised by the caller (trimmed, lower case, NFC).
            email: String,
            /// A tenant in which it belongs to a user.
            tenant_id: TenantId,
        }
        /// That user.
        user_id: UserId,
    } index(tenant_id);

    /// A sign-up whose link was not used yet.
    pub struct Signup: global("signups") {
        key {
            /// SHA-256 of the token in the link.
            token_hash: Digest32,
        }
        /// The address that got the link, normalised.
        email: String,
        /// The name the tenant is to have.
        tenant_name: String,
        /// SHA-256 of the secret that the asking client keeps; the link alone does not suffice.
        binding_hash: Digest32,
        /// When it was asked for.
        created_at: Timestamp,
        /// The link is dead from then on.
        expires_at: Timestamp,
    } index(email) index(expires_at);
}
