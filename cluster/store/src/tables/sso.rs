//! Sign-in at a tenant's own OpenID provider: which one, sign-ins under way, and who is who there.

use ocmt_types::{Digest32, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// The tenant's provider; at most one.
    pub struct OidcProvider: tenant("oidc_providers") {
        key {}
        /// Its issuer, exactly as it calls itself.
        issuer: String,
        /// What it calls this tenant.
        client_id: String,
        /// The client's secret under the sealing key; none of a public client.
        secret_wrapped: Option<Vec<u8>>,
        /// Whether its word on an address is taken for whose account it is, the first time.
        by_email: bool,
        /// When it was set.
        updated_at: Timestamp,
    };

    /// A sign-in that was begun. It is finished once.
    pub struct OidcLogin: tenant("oidc_logins") {
        key {
            /// SHA-256 of the state that travels through the browser.
            state_hash: Digest32,
        }
        /// SHA-256 of the secret that the asking client keeps.
        binding_hash: Digest32,
        /// At which provider.
        issuer: String,
        /// What the provider's word has to hold.
        nonce: String,
        /// Of PKCE: what shows that we asked for the code.
        verifier: String,
        /// It is dead from then on.
        expires_at: Timestamp,
    };

    /// Whose account a person of a provider has here.
    pub struct OidcIdentity: tenant("oidc_identities") {
        key {
            /// SHA-256 of issuer and subject.
            identity_hash: Digest32,
        }
        /// Whose.
        user_id: UserId,
        /// The provider.
        issuer: String,
        /// The person there.
        subject: String,
        /// When the two were found to be one.
        created_at: Timestamp,
        /// When they signed in last.
        last_used_at: Timestamp,
    } unique(tenant_id, user_id, issuer);
}
