//! People of a tenant: invitations, roles, identity keys.

use ocmt_types::{Digest32, InviteId, Secret, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::auth::{Device, SessionIssued};
pub use super::roles::{CreateRole, DeleteRole, ListRoles, RoleId, RoleInfo, RolePage};
pub use crate::authorize::Role;
use crate::call::calls;

/// A user as other members see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Which.
    pub id: UserId,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: RoleId,
    /// When the user joined.
    pub created_at: Timestamp,
    /// Whether identity keys are published.
    pub has_identity_key: bool,
    /// Whether the account has a second factor.
    #[serde(default)]
    pub has_second_factor: bool,
}

/// Invite an address; a mail with a token follows. A newer invitation of the address ends the older.
#[derive(Debug, Clone)]
pub struct InviteUser {
    /// E-mail address.
    pub email: String,
    /// Nothing that the caller does not have.
    pub role: RoleId,
}

/// Answer of [`InviteUser`]. The same whether the address has an account elsewhere or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The invitation.
    pub invite: InviteId,
    /// When it lapses.
    pub expires_at: Timestamp,
}

/// Accept with the mailed token (`ocmt_inv_…`): makes the user and a session. Served by
/// [`crate::System::accept_invite`].
pub struct AcceptInvite {
    /// The whole token.
    pub token: Secret<String>,
    /// What shows it.
    pub device: Device,
}

/// Of the lobby: consume an invitation of this tenant.
pub(crate) struct ConsumeInvite {
    pub(crate) token_hash: Digest32,
    pub(crate) client: String,
}

/// A page of users in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct ListUsers {
    /// Behind this user.
    pub after: Option<UserId>,
    /// 1 to 500; 0 means 100.
    pub limit: u32,
}

/// Answer of [`ListUsers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// Users.
    pub users: Vec<UserInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<UserId>,
}

/// Give a user another role. The last owner stays one.
#[derive(Debug, Clone)]
pub struct SetRole {
    /// Whom.
    pub user: UserId,
    /// To what.
    pub role: RoleId,
}

/// Remove a user: sessions end at once. The last owner stays.
#[derive(Debug, Clone)]
pub struct RemoveUser {
    /// Whom.
    pub user: UserId,
}

/// Done, nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

/// Publish the public halves of the caller's identity keys.
#[derive(Debug, Clone)]
pub struct PublishIdentityKey {
    /// Ed25519.
    pub verify_key: [u8; 32],
    /// X25519.
    pub seal_key: [u8; 32],
}

/// A user's published keys.
#[derive(Debug, Clone)]
pub struct GetIdentityKey {
    /// Whose.
    pub user: UserId,
}

/// Public identity keys of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityKey {
    /// Whose.
    pub user: UserId,
    /// Ed25519.
    pub verify_key: [u8; 32],
    /// X25519.
    pub seal_key: [u8; 32],
    /// Grows with each publication.
    pub version: i64,
}

calls! {
    /// Calls about users.
    Users: UsersCall of "UserService" {
        write InviteUser => Invited,
        once ConsumeInvite => SessionIssued,
        read ListUsers => UserPage,
        write SetRole => UserInfo,
        write CreateRole => RoleInfo,
        read ListRoles => RolePage,
        write DeleteRole => Done,
        write RemoveUser => Done,
        write PublishIdentityKey => IdentityKey,
        read GetIdentityKey => IdentityKey,
    }
}
