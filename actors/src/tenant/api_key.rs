//! API keys: made by a person who is there, good for little, for a time, and never for more than the person may.
//!
//! Keys have no actor and no place in any memory: each call reads the row of its key in its own transaction, so that
//! ending a key ends it everywhere. What a key may do is decided three times over: the method must be on the list
//! [`WITH_KEY`], the scopes must have it, and the user's role of today must ([`crate::authorize`]).

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{
    ReadTx,
    tables::{ApiKeyRow, Session, TenantState, User, UserState},
};
use ocmt_types::{Digest32, Secret, UserId};
use ractor::ActorRef;

use super::{
    TenantMessage, TenantState as ActorState,
    handlers::{enrol, roles, session_row},
};
use crate::{
    api::{
        keys::{
            ApiKeyInfo, ApiKeyIssued, ApiKeyPage, CreateApiKey, KeysAfter, KeysCall, ListApiKeys,
            RevokeApiKey,
        },
        users::Done,
    },
    authorize::{Action, OWN_TRAIL, Object, Permissions, scopes_of_key},
    caller::{Assurance, Key, Principal},
    env::Scope,
    error::ActorError,
    work::{Handle, Work},
};

/// What a key may call at all; scopes and role decide on these. Nothing that makes or changes a credential, and nothing
/// of a vault's key slots: what wraps its key is handed to sessions alone.
const WITH_KEY: [&str; 33] = [
    "AuthService/WhoAmI",
    "TenantService/GetTenant",
    "TenantService/GetOidcProvider",
    "TenantService/GetQuota",
    "UserService/ListUsers",
    "UserService/ListRoles",
    "UserService/GetIdentityKey",
    "GroupService/GetGroup",
    "GroupService/ListGroups",
    "GroupService/ListResources",
    "AuditService/QueryAudit",
    "AuditService/ExportAudit",
    "AuditService/ReadAuditLeaves",
    "AuditService/GetCheckpoint",
    "AuditService/ProveInclusion",
    "AuditService/ProveConsistency",
    "VaultService/GetVault",
    "VaultService/ListEntries",
    "VaultService/GetEntry",
    "VaultService/BatchGetEntries",
    "ContainerService/CreateContainer",
    "ContainerService/GetContainer",
    "ContainerService/ListContainers",
    "ContainerService/ExplainIdle",
    "ContainerService/ListSchedules",
    "ContainerService/StartContainer",
    "ContainerService/WakeContainer",
    "ContainerService/PauseContainer",
    "ContainerService/StopContainer",
    "ContainerService/HoldContainer",
    "PairingService/CheckSender",
    "PairingService/ListPendingPairings",
    "PairingService/ListPairedSenders",
];

/// Keys of one user that are good.
pub(crate) const MOST_KEYS: i64 = 50;
const SHORTEST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;
const LONGEST_NAME: usize = 100;
const MOST_SCOPES: usize = 64;
/// Use is written down in steps of this, so that reading does not mean writing.
const USED_STEP: Duration = Duration::from_secs(60);
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

/// One answer for every way in which a key is not good.
pub(crate) const ENDED: ActorError = ActorError::Unauthenticated("the API key is unknown or has ended");

impl ActorState {
    /// One line per method.
    pub(super) fn keys(&mut self, myself: &ActorRef<TenantMessage>, call: KeysCall) {
        match call {
            KeysCall::CreateApiKey(call) => self.work(myself, call),
            KeysCall::ListApiKeys(call) => self.work(myself, call),
            KeysCall::RevokeApiKey(call) => self.work(myself, call),
        }
    }
}

impl Handle for CreateApiKey {
    async fn handle(self, work: &mut Work) -> Result<ApiKeyIssued, ActorError> {
        let who = work.user()?;
        work.authorize(Action::CreateApiKey, &Object::of(who.user))?;
        let name = self.name.trim();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(ActorError::invalid("name", "must be one line of 1 to 100 bytes"));
        }
        if !(SHORTEST_MS..=LONGEST_MS).contains(&self.lifetime_ms) {
            return Err(ActorError::invalid("lifetime", "is not between 1 min and 366 days"));
        }
        let scopes = scopes(work, &self.scopes)?;
        let again = ApiKeyRow::user_id.eq(who.user).and(ApiKeyRow::asked_by.eq(self.asked_by));
        if let Some(made) = work.tx.first::<ApiKeyRow>(again).await? {
            return Err(ActorError::precondition(
                "API_KEY_MADE",
                format!(
                    "this request has made the API key {}, whose secret was shown once: if that was lost, revoke it and ask anew",
                    made.api_key_id
                ),
            ));
        }
        // counted under the fence: of creations side by side, none is counted by another node than it is written by
        let live = ApiKeyRow::user_id.eq(who.user).and(ApiKeyRow::expires_at.gt(work.now));
        if work.tx.count::<ApiKeyRow>(live).await? >= MOST_KEYS {
            return Err(ActorError::exhausted("TOO_MANY_KEYS", "a user has at most 50 API keys: revoke one"));
        }
        let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
        let token = Token::issue(TokenKind::ApiKey, work.ownership.tenant, &mut rand::rng());
        let row = ApiKeyRow {
            tenant_id: work.ownership.tenant,
            api_key_id: work.env.id(),
            user_id: who.user,
            name: name.to_owned(),
            scopes: scopes.to_stored(),
            token_hash: token.hash(),
            asked_by: self.asked_by,
            mfa: who.assurance == Assurance::Mfa,
            passkey: session.passkey,
            created_at: work.now,
            expires_at: work.now + Duration::from_millis(u64::try_from(self.lifetime_ms).unwrap_or(0)),
            last_used_at: None,
        };
        work.tx.insert(&row).await?;
        let user = work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)?;
        let what =
            format!("an API key was made ({}): `ocmt api-key ls` says for what, `revoke` ends it", row.name);
        enrol::tell(work, &user, "api_key.created", &what).await?;
        work.object = format!("api_key/{}", row.api_key_id);
        work.details = vec![("scopes".to_owned(), row.scopes.clone())];
        Ok(ApiKeyIssued { secret: Secret::new(token.expose().to_owned()), key: info(row) })
    }
}

/// What was asked for, if a key can be made for it and its user has it today.
fn scopes(work: &Work, asked: &[String]) -> Result<Permissions, ActorError> {
    if asked.is_empty() || asked.len() > MOST_SCOPES {
        return Err(ActorError::invalid("scopes", "must be 1 to 64"));
    }
    let scopes = scopes_of_key(asked.iter().map(String::as_str)).map_err(|name| {
        let name = crate::clip::clip(name, 64);
        ActorError::invalid("scopes", format!("`{name}` is nothing that an API key can be made for"))
    })?;
    let own = work.standing.authority().ok_or(ActorError::NotFound)?;
    if scopes.names().any(|name| name != OWN_TRAIL && !own.has(name)) {
        return Err(ActorError::PermissionDenied(
            "nobody makes an API key for what their own role does not allow",
        ));
    }
    Ok(scopes)
}

impl Handle for ListApiKeys {
    async fn handle(self, work: &mut Work) -> Result<ApiKeyPage, ActorError> {
        let who = work.user()?;
        work.authorize(Action::SeeToApiKeys, &Object::of(who.user))?;
        let limit = match usize::try_from(self.limit).unwrap_or(LARGEST_PAGE) {
            0 => PAGE,
            asked => asked.min(LARGEST_PAGE),
        };
        let live = ApiKeyRow::user_id.eq(who.user).and(ApiKeyRow::expires_at.gt(work.now));
        let mut rows = work.tx.find::<ApiKeyRow>(live).await?;
        rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
        rows.retain(|row| self.after.is_none_or(|after| place(row) < after));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(place);
        Ok(ApiKeyPage { keys: rows.into_iter().map(info).collect(), next })
    }
}

fn place(row: &ApiKeyRow) -> KeysAfter {
    (row.created_at, row.api_key_id)
}

impl Handle for RevokeApiKey {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<ApiKeyRow>(self.key).await?;
        work.authorize_found(Action::SeeToApiKeys, found, |row| Object::of(row.user_id))?;
        work.tx.delete::<ApiKeyRow>(self.key).await?;
        work.object = format!("api_key/{}", self.key);
        Ok(Done)
    }
}

/// The key that asks.
pub(super) async fn own(work: &mut Work) -> Result<Option<ApiKeyInfo>, ActorError> {
    let Principal::Key(key) = work.standing.caller.principal else {
        return Ok(None);
    };
    Ok(work.tx.get::<ApiKeyRow>(key.key).await?.map(info))
}

/// A key for its user.
fn info(row: ApiKeyRow) -> ApiKeyInfo {
    ApiKeyInfo {
        id: row.api_key_id,
        name: row.name,
        scopes: row.scopes.split(' ').map(str::to_owned).collect(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
    }
}

/// Ends all keys of a user.
pub(in crate::tenant) async fn forget_user(work: &mut Work, user: UserId) -> Result<u32, ActorError> {
    let keys = work.tx.delete_all::<ApiKeyRow>(ApiKeyRow::user_id.eq(user)).await?;
    Ok(u32::try_from(keys).unwrap_or(u32::MAX))
}

/// Drops keys that have ended.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    work.tx.delete_all::<ApiKeyRow>(ApiKeyRow::expires_at.le(work.now)).await?;
    Ok(())
}

/// The key of a token, if it is good now, by a strict read.
pub(super) async fn load_by_token(scope: &Scope, token_hash: &Digest32) -> Result<Option<Key>, ActorError> {
    let mut tx = scope.read().await?;
    let Some(row) = tx.first::<ApiKeyRow>(ApiKeyRow::token_hash.eq(token_hash)).await? else {
        return Ok(None);
    };
    if row.expires_at <= scope.env.now() || user_of(&mut tx, &row).await?.is_none() {
        return Ok(None);
    }
    let (tenant, _) = session_row::tenant_of(&scope.env, &mut tx).await?;
    if tenant.state != TenantState::Active {
        return Err(session_row::not_served(tenant.state));
    }
    Ok(Some(Key { key: row.api_key_id, user: row.user_id }))
}

/// Loads what a key stands for now, and writes its use down in coarse steps. Fails if it may not call this at all.
pub(crate) async fn stand(work: &mut Work, key: Key, method: &'static str) -> Result<(), ActorError> {
    let now = work.now;
    let found = work.tx.get::<ApiKeyRow>(key.key).await?;
    let row = found.filter(|row| row.user_id == key.user && row.expires_at > now).ok_or(ENDED)?;
    let user = user_of(&mut work.tx, &row).await?.ok_or(ENDED)?;
    let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if tenant.state != TenantState::Active {
        return Err(session_row::not_served(tenant.state));
    }
    if (policy.wants_factor() && !row.mfa) || (policy.require_passkey && !row.passkey) {
        return Err(ActorError::PermissionDenied(
            "the tenant asks for another second factor: make the API key anew in a session that has shown it",
        ));
    }
    if !WITH_KEY.contains(&method) {
        return Err(ActorError::PermissionDenied("an API key is not good for this"));
    }
    let authority = roles::authority(&mut work.tx, user.role, user.custom_role.as_deref()).await?;
    work.standing.role = Some(authority.role);
    work.standing.only = authority.only;
    work.standing.scopes = Some(Permissions::stored(&row.scopes));
    if row.last_used_at.is_none_or(|at| now.since(at) >= USED_STEP) {
        work.tx.update(&ApiKeyRow { last_used_at: Some(now), ..row }).await?;
    }
    Ok(())
}

/// Whose it is, if that user is there.
async fn user_of(tx: &mut ReadTx, row: &ApiKeyRow) -> Result<Option<User>, ActorError> {
    Ok(tx.get::<User>(row.user_id).await?.filter(|user| user.state == UserState::Active))
}
