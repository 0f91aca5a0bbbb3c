//! Sign-up, sign-in by magic link, sessions.

use ocmt_types::{Digest32, Secret, SessionId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{tenant::TenantSummary, users::RoleId};
use crate::call::calls;
pub use crate::caller::Assurance;

/// What a magic link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkPurpose {
    /// An ordinary session.
    SignIn,
    /// A recovery session: ceremonies alone.
    Recovery,
}

/// Begin a tenant of one's own. Answered alike whether the address is known or not; a mail follows.
/// Served by [`crate::System::sign_up`], before there is a tenant.
#[derive(Debug, Clone)]
pub struct SignUp {
    /// E-mail address.
    pub email: String,
    /// Name of the new tenant, 1 to 100 characters.
    pub tenant_name: String,
    /// SHA-256 of 32 random bytes that the asking client keeps: the link works from there alone.
    pub binding_hash: Digest32,
}

/// Ask for a sign-in link for each tenant of an address (or the named one). Answered alike whether
/// the address is known or not. Served by [`crate::System::request_magic_link`].
#[derive(Debug, Clone)]
pub struct RequestMagicLink {
    /// E-mail address.
    pub email: String,
    /// Only this tenant.
    pub tenant: Option<TenantId>,
    /// What for.
    pub purpose: LinkPurpose,
    /// As in [`SignUp::binding_hash`].
    pub binding_hash: Digest32,
}

/// Turn the token of a mailed link (`ocmt_sup_…` or `ocmt_lnk_…`) into a session; once.
/// Served by [`crate::System::exchange_magic_link`].
pub struct ExchangeMagicLink {
    /// The whole token.
    pub token: Secret<String>,
    /// The 32 bytes whose SHA-256 the request named.
    pub binding_secret: Secret<Vec<u8>>,
}

/// A session as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Signed in with what.
    pub assurance: Assurance,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When the credential was last shown.
    pub authenticated_at: Timestamp,
    /// Last use, to within a minute.
    pub last_seen_at: Timestamp,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
    /// When it ends if it is not used again.
    pub idle_expires_at: Timestamp,
}

/// A fresh session. The token is shown once.
pub struct SessionIssued {
    /// `ocmt_ses_…`
    pub token: Secret<String>,
    /// In which tenant.
    pub tenant: TenantId,
    /// The session.
    pub session: SessionInfo,
}

/// Who the session's user is.
#[derive(Debug, Clone)]
pub struct WhoAmI;

/// Answer of [`WhoAmI`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name.
    pub tenant_name: String,
    /// The user.
    pub user: UserId,
    /// E-mail address.
    pub email: String,
    /// Role in the tenant.
    pub role: RoleId,
    /// The asking session.
    pub session: SessionInfo,
}

/// All live sessions of the caller.
#[derive(Debug, Clone)]
pub struct ListSessions;

/// End one session of the caller (or, for an admin, of anybody in the tenant). Its streams end too.
#[derive(Debug, Clone)]
pub struct RevokeSession {
    /// Which.
    pub session: SessionId,
}

/// End all sessions of the caller but the asking one.
#[derive(Debug, Clone)]
pub struct RevokeOtherSessions;

/// How many sessions were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// Count.
    pub ended: u32,
}

/// Show again who one is, for acts that want a sign-in of the last 15 minutes: with the token of a
/// fresh sign-in link of the caller's own (`ocmt_lnk_…`), which is consumed.
pub struct StepUp {
    /// The whole token.
    pub token: Secret<String>,
    /// As in [`ExchangeMagicLink::binding_secret`].
    pub binding_secret: Secret<Vec<u8>>,
}

/// End the asking session.
#[derive(Debug, Clone)]
pub struct SignOut;

/// Of the lobby: make a link for this address, if a user here has it.
#[derive(Clone)]
pub(crate) struct IssueLink {
    pub(crate) email: String,
    pub(crate) purpose: LinkPurpose,
    pub(crate) binding_hash: Digest32,
}

/// The link that the lobby mails. It crosses to another node under mTLS and is stored nowhere.
#[derive(Serialize, Deserialize)]
pub(crate) struct IssuedLink {
    pub(crate) tenant_name: String,
    #[serde(with = "exposed")]
    pub(crate) token: Secret<String>,
}

/// For the one secret that travels between nodes.
mod exposed {
    use ocmt_types::Secret;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// Of the lobby: consume a link of this tenant.
pub(crate) struct ConsumeLink {
    pub(crate) token_hash: Digest32,
    pub(crate) binding_hash: Digest32,
}

/// Of the lobby: how this tenant calls itself, if a user here has this address.
pub(crate) struct DescribeTo {
    pub(crate) email: String,
}

calls! {
    /// Calls of sign-in.
    Auth: AuthCall of "AuthService" {
        read WhoAmI => Me,
        read ListSessions => Vec<SessionInfo>,
        write RevokeSession => SessionsEnded,
        write RevokeOtherSessions => SessionsEnded,
        once StepUp => SessionInfo,
        write SignOut => SessionsEnded,
        once IssueLink => Option<IssuedLink>,
        once ConsumeLink => SessionIssued,
        read DescribeTo => Option<TenantSummary>,
    }
}
