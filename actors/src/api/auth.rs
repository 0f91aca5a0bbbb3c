//! Sign-up, sign-in by magic link, sessions.

use std::net::IpAddr;

use ocmt_types::{Digest32, Secret, SessionId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    email_change::{
        CancelEmailChange, ConfirmEmailChange, EmailChangeAsked, EmailChangeConfirmed, GetEmailChange,
        PendingEmailChange, RequestEmailChange,
    },
    factors::{
        BackupCodes, BeginTotpEnrollment, CompleteMfa, ConfirmTotpEnrollment, RegenerateBackupCodes,
        RemoveTotp, SecondFactor, StepUp, TotpConfirmed, TotpOffered,
    },
    keys::ApiKeyInfo,
    tenant::TenantSummary,
    users::{Done, RoleId},
};
use crate::call::calls;
pub use crate::caller::Assurance;

/// What a magic link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkPurpose {
    /// An ordinary session.
    SignIn,
    /// A recovery session: ceremonies alone.
    Recovery,
    /// A proof of presence for [`StepUp`](super::factors::StepUp); it starts no session.
    StepUp,
}

/// What signs in.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// As it calls itself, for the list of sessions.
    pub name: String,
    /// From where.
    pub addr: Option<IpAddr>,
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
    /// What shows it.
    pub device: Device,
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
    /// The device as it called itself; empty if it did not.
    #[serde(default)]
    pub client: String,
    /// From where it was last used, if that is known.
    #[serde(default)]
    pub address: Option<String>,
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
    /// Until when its last proof of presence is good for sensitive acts.
    #[serde(default)]
    pub stepped_up_until: Timestamp,
}

/// A fresh session. The token is shown once.
pub struct SessionIssued {
    /// `ocmt_ses_…`
    pub token: Secret<String>,
    /// In which tenant.
    pub tenant: TenantId,
    /// The session.
    pub session: SessionInfo,
    /// If the second factor is due: those to choose from; none if one has to be set up first.
    pub pending_factors: Vec<SecondFactor>,
}

/// Who the caller's user is.
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
    /// The asking session, if it is one.
    pub session: Option<SessionInfo>,
    /// The asking API key, if it is one.
    pub key: Option<ApiKeyInfo>,
    /// Second factors of the account; not told to an API key.
    pub factors: Vec<SecondFactor>,
    /// Backup codes that were not used yet; not told to an API key.
    pub backup_codes_left: u32,
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
#[derive(Debug, Clone, Default)]
pub struct RevokeOtherSessions {
    /// All API keys of the caller too.
    pub api_keys: bool,
}

/// How many sessions were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// Count.
    pub ended: u32,
    /// API keys that were ended with them.
    #[serde(default)]
    pub api_keys: u32,
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
    pub(crate) client: String,
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
        once BeginTotpEnrollment => TotpOffered,
        once ConfirmTotpEnrollment => TotpConfirmed,
        write RemoveTotp => Done,
        once RegenerateBackupCodes => BackupCodes,
        once CompleteMfa => SessionIssued,
        once StepUp => SessionIssued,
        write RequestEmailChange => EmailChangeAsked,
        write ConfirmEmailChange => EmailChangeConfirmed,
        read GetEmailChange => Option<PendingEmailChange>,
        write CancelEmailChange => Done,
        write SignOut => SessionsEnded,
        once IssueLink => Option<IssuedLink>,
        once ConsumeLink => SessionIssued,
        read DescribeTo => Option<TenantSummary>,
    }
}
