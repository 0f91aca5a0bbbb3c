//! Connections of containers to other people's services. Verifiers and tokens are in cells and vaults; here is what
//! may be begun, what is finished once, and what a node knows of it.

use ocmt_types::{AuthorizationId, ConnectionId, ContainerId, Timestamp, UnlockId};
use serde::{Deserialize, Serialize};

use super::container::Wake;
use crate::call::calls;

/// Have the cell make a verifier and the address that its user's browser is sent to.
#[derive(Debug, Clone)]
pub struct BeginAuthorization {
    /// Which container.
    pub container: ContainerId,
    /// With whom, as the user's vault calls it.
    pub provider: String,
    /// For what; none for what the settings say.
    pub scopes: Vec<String>,
    /// Where the browser comes back to.
    pub redirect: String,
}

/// Answer of [`BeginAuthorization`].
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthorizationBegun {
    /// Which.
    pub authorization: AuthorizationId,
    /// The address.
    pub url: String,
    /// The cell's MAC over it.
    pub proof: Vec<u8>,
    /// The unlock it was made in.
    pub unlock: UnlockId,
    /// What the browser comes back with.
    pub state: String,
    /// It is good until then.
    pub expires_at: Timestamp,
    /// How the container was brought back.
    pub wake: Wake,
}

/// Have the cell redeem what came back; once, by the session that began it.
#[derive(Clone)]
pub struct FinishAuthorization {
    /// Which container.
    pub container: ContainerId,
    /// What came back with the browser.
    pub state: String,
    /// Sealed to the cell, at most 5120 bytes.
    pub answer: Vec<u8>,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// Which.
    pub connection: ConnectionId,
    /// Of which container.
    pub container: ContainerId,
    /// With whom.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its tokens were renewed.
    pub refreshed_at: Option<Timestamp>,
    /// Its last tokens wait in the vault's inbox.
    pub unfiled: bool,
}

/// The connections of a container, by id.
#[derive(Debug, Clone)]
pub struct ListConnections {
    /// Which.
    pub container: ContainerId,
    /// Behind this one.
    pub after: Option<ConnectionId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListConnections`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPage {
    /// By id.
    pub connections: Vec<ConnectionInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<ConnectionId>,
}

/// Have the cell end a connection at its provider, and forget it.
#[derive(Debug, Clone)]
pub struct Disconnect {
    /// Which.
    pub connection: ConnectionId,
    /// Forget it also if the cell or the provider cannot be told.
    pub anyway: bool,
}

/// Answer of [`Disconnect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnected {
    /// Whether the provider took the revocation.
    pub revoked: bool,
}

calls! {
    /// Calls about connections.
    Connections: ConnectionsCall of "OAuthService" {
        once BeginAuthorization => AuthorizationBegun,
        once FinishAuthorization => ConnectionInfo,
        read ListConnections => ConnectionPage,
        once Disconnect => Disconnected,
    }
}
