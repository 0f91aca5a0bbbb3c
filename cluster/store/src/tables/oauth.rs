//! Connections of containers to other people's services: what a node may know of them. Verifiers and tokens are in
//! cells and vaults.

use ocmt_types::{
    AuthorizationId, ConnectionId, ContainerId, Digest32, MessageId, SessionId, Timestamp, UserId,
};

use crate::kernel::row::rows;

rows! {
    /// An authorization that was begun. It is finished once.
    pub struct OauthFlow: tenant("oauth_flows") {
        key {
            /// SHA-256 of the state that travels through the browser.
            state_hash: Digest32,
        }
        /// By whom.
        user_id: UserId,
        /// In which session: no other finishes it.
        session_id: SessionId,
        /// For which container.
        container_id: ContainerId,
        /// At which provider, as the user calls it.
        provider: String,
        /// What the cell knows it by.
        authorization_id: AuthorizationId,
        /// It is dead from then on.
        expires_at: Timestamp,
    };

    /// A connection whose tokens a cell has sealed to its user's vault.
    pub struct OauthConnection: tenant("oauth_connections") {
        key {
            /// Which.
            connection_id: ConnectionId,
        }
        /// Of which container.
        container_id: ContainerId,
        /// Whose that is.
        user_id: UserId,
        /// With whom, as the user calls it.
        provider: String,
        /// Scopes granted, parted by spaces.
        scopes: String,
        /// When it was made.
        created_at: Timestamp,
        /// When its tokens were renewed; none before the first time.
        refreshed_at: Option<Timestamp>,
        /// The inbox item with its last tokens.
        item_id: MessageId,
    } unique(tenant_id, container_id, provider);
}
