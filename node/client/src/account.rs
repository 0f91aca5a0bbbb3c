//! The account of whoever is signed in: who, and from which devices.

use ocmt_proto::v1 as pb;
use ocmt_types::{SessionId, TenantId, Timestamp, UserId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    api_key::{self, ApiKey},
    client::{id, idempotency_key},
    pages::Pages,
    wire::time,
};

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    /// The tenant of the session.
    pub tenant: TenantId,
    /// Its name.
    pub tenant_name: String,
    /// The user.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// Their role.
    pub role: String,
    /// The session; none for an API key.
    pub session: Option<SessionInfo>,
    /// The API key; none for a session.
    pub api_key: Option<ApiKey>,
    /// Second factors of the account: `authenticator`, `passkey`, `backup code`. An API key is not told.
    pub factors: Vec<String>,
    /// Backup codes that were not used yet.
    pub backup_codes_left: u32,
}

impl Me {
    /// Whether the second factor is due before the session is good for anything.
    pub fn is_pending(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.kind == UNFINISHED)
    }

    /// Whether the session is for recovering a vault and for nothing else.
    pub fn is_of_recovery(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.kind == RECOVERY || session.kind == INERT)
    }

    /// Whether a guardian's word gave the session to another address, and no guardians have signed for its ceremony yet.
    pub fn is_inert(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.kind == INERT)
    }
}

/// A session good for ceremonies alone.
const RECOVERY: &str = "recovery only";

/// One that a guardian's word gave to another address, before guardians have signed for its ceremony.
const INERT: &str = "recovery, not signed for yet";

/// A session whose second factor is due.
const UNFINISHED: &str = "unfinished";

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// `full`, `full with a second factor`, `recovery only`, `recovery, not signed for yet` or `unfinished`.
    pub kind: String,
    /// Name of the device, if it gave one.
    pub device: String,
    /// Network address it was last used from.
    pub address: String,
    /// When it was started.
    pub created_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When it ends if it is not used.
    pub idle_expires_at: Option<Timestamp>,
    /// When it ends in any case.
    pub expires_at: Option<Timestamp>,
    /// Whether it is the one asking.
    pub current: bool,
}

impl Client {
    /// Who is signed in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn who_am_i(&self) -> Result<Me, ClientError> {
        let me = self.auth().who_am_i(pb::WhoAmIRequest {}).await?.into_inner();
        let factors = me.factors().map(|factor| factor_name(factor).to_owned()).collect();
        Ok(Me {
            tenant: id(&me.tenant_id, "tenant_id")?,
            tenant_name: me.tenant_name,
            user: id(&me.user_id, "user_id")?,
            email: me.email,
            role: me.role_id,
            factors,
            backup_codes_left: u32::try_from(me.backup_codes_left).unwrap_or(0),
            session: me.session.map(session).transpose()?,
            api_key: me.api_key.map(api_key::api_key).transpose()?,
        })
    }

    /// All sessions of the user, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_sessions(&self) -> Result<Vec<SessionInfo>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListSessionsRequest { page_size: 100, page_token };
            let page = self.auth().list_sessions(request).await?.into_inner();
            for one in page.sessions {
                all.push(session(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Ends one session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_session(&self, session: SessionId) -> Result<(), ClientError> {
        let request =
            pb::RevokeSessionRequest { session_id: session.to_string(), idempotency_key: idempotency_key() };
        self.auth().revoke_session(request).await?;
        Ok(())
    }

    /// Ends all sessions but this one, and all API keys if that is said; how many of each.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_other_sessions(&self, api_keys: bool) -> Result<(u32, u32), ClientError> {
        let request = pb::RevokeOtherSessionsRequest { api_keys, idempotency_key: idempotency_key() };
        let ended = self.auth().revoke_other_sessions(request).await?.into_inner();
        let count = |of: i32, name| u32::try_from(of).map_err(|_| ClientError::Answer(name));
        Ok((count(ended.revoked_count, "revoked_count")?, count(ended.api_key_count, "api_key_count")?))
    }
}

fn session(from: pb::Session) -> Result<SessionInfo, ClientError> {
    let kind = match from.assurance() {
        pb::Assurance::Unspecified => return Err(ClientError::Answer("assurance")),
        pb::Assurance::PendingMfa => UNFINISHED,
        pb::Assurance::Recovery => RECOVERY,
        pb::Assurance::Inert => INERT,
        pb::Assurance::Link => "full",
        pb::Assurance::Mfa => "full with a second factor",
    };
    Ok(SessionInfo {
        id: id(&from.session_id, "session_id")?,
        kind: kind.to_owned(),
        created_at: from.created_at.as_ref().map(time),
        last_used_at: from.last_used_at.as_ref().map(time),
        idle_expires_at: from.idle_expires_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        current: from.current,
        device: from.client_name,
        address: from.last_address,
    })
}

fn factor_name(factor: pb::SecondFactor) -> &'static str {
    match factor {
        pb::SecondFactor::Totp => "authenticator",
        pb::SecondFactor::Passkey => "passkey",
        pb::SecondFactor::BackupCode => "backup code",
        pb::SecondFactor::Unspecified => "of a kind that this program does not know",
    }
}
