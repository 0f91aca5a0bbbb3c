//! Programs: tokens, what they stand for today, and the entries that were granted to them.
//!
//! A program, such as an agent in a container, acts for one user, and never does more than that user may. Its ceiling is
//! to read and to list exactly the entries whose data keys the user's device has sealed to it: the node can end that at
//! once, and cannot begin it. More it asks for (`share::capability`), and the same user, in person, gives it.

mod entries;
mod pace;

use std::{collections::BTreeSet, time::Duration};

use ocmt_crypto::{
    seal::SealPublicKey,
    token::{Token, TokenKind},
};
use ocmt_store::{
    ReadTx,
    tables::{ProgramGrant, ProgramToken, Tenant, TenantState, User, UserState, VaultObject},
};
use ocmt_types::{Digest32, ProgramTokenId, Secret, Timestamp, UserId, VaultId};
use ractor::ActorRef;

pub(super) use self::entries::{CEILING, granted, held, listed};
use super::{TenantMessage, TenantState as ActorState, grants, handlers::roles, share, vault::ground};
use crate::{
    api::programs::{
        CreateProgramToken, ProgramTokenIssued, ProgramTokenRevoked, ProgramsCall, RevokeProgramToken,
    },
    authorize::{Action, Authority, BEYOND_CEILING, Object},
    caller::Program,
    env::Scope,
    error::ActorError,
    work::{Handle, Work},
};

/// All that a program may call. Everything else is refused before its handler sees it, whatever that would have looked
/// at: a program learns nothing by trying.
const BY_PROGRAM: [&str; 6] = [
    "PairingService/CheckSender",
    "VaultService/GetEntry",
    "VaultService/ListEntries",
    "ShareService/RequestCapability",
    "ShareService/ListCapabilities",
    "ShareService/SendSharedWrite",
];
/// Tokens of one user.
const MOST_TOKENS: i64 = 100;
const SHORTEST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;
const LONGEST_NAME: usize = 100;
pub(crate) const ENDED: ActorError = ActorError::Unauthenticated("the token is unknown or has ended");

impl ActorState {
    /// One line per method.
    pub(super) fn programs(&mut self, myself: &ActorRef<TenantMessage>, call: ProgramsCall) {
        match call {
            ProgramsCall::CreateProgramToken(call) => self.work(myself, call),
            ProgramsCall::RevokeProgramToken(call) => self.work(myself, call),
            ProgramsCall::ReleaseProgramToken(call) => self.work(myself, call),
        }
    }
}

impl Handle for CreateProgramToken {
    async fn handle(self, work: &mut Work) -> Result<ProgramTokenIssued, ActorError> {
        let who = work.user()?;
        let vault = ground::load(work, Action::GrantEntries, Some(self.vault)).await?;
        let name = self.name.trim();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(ActorError::invalid("name", "must be one line of 1 to 100 bytes"));
        }
        if !(SHORTEST_MS..=LONGEST_MS).contains(&self.lifetime_ms) {
            return Err(ActorError::invalid("lifetime", "is not between 1 min and 366 days"));
        }
        let again = ProgramToken::user_id.eq(who.user).and(ProgramToken::asked_by.eq(Some(self.asked_by)));
        if let Some(made) = work.tx.first::<ProgramToken>(again).await? {
            return Err(ActorError::precondition(
                "PROGRAM_TOKEN_MADE",
                format!(
                    "this request has made the program token {}, whose secret was shown once: if that was lost, revoke it and ask anew",
                    made.program_token_id
                ),
            ));
        }
        if work.tx.count::<ProgramToken>(ProgramToken::user_id.eq(who.user)).await? >= MOST_TOKENS {
            return Err(ActorError::exhausted("TOO_MANY_TOKENS", "a user has at most 100 program tokens"));
        }
        grants::check_present(work, vault.vault_id, &self.grants).await?;
        let taker = SealPublicKey(self.program_key);
        grants::check_signed(work, vault.vault_id, who.user, taker, &self.grants).await?;
        let token = Token::issue(TokenKind::Program, work.ownership.tenant, &mut rand::rng());
        let row = ProgramToken {
            tenant_id: work.ownership.tenant,
            program_token_id: work.env.id(),
            user_id: who.user,
            vault_id: vault.vault_id,
            name: name.to_owned(),
            token_hash: token.hash(),
            program_key: Digest32(self.program_key),
            asked_by: Some(self.asked_by),
            created_at: work.now,
            expires_at: work.now + Duration::from_millis(u64::try_from(self.lifetime_ms).unwrap_or(0)),
        };
        work.tx.insert(&row).await?;
        work.details = vec![("grants".to_owned(), self.grants.len().to_string())];
        for grant in self.grants {
            let granted = ProgramGrant {
                tenant_id: row.tenant_id,
                program_token_id: row.program_token_id,
                object_id: grant.object,
                version: i64::try_from(grant.version).unwrap_or(i64::MAX),
                sealed_grant: grant.sealed,
            };
            work.tx.insert(&granted).await?;
        }
        work.object = format!("program/{}", row.program_token_id);
        Ok(ProgramTokenIssued {
            id: row.program_token_id,
            secret: Secret::new(token.expose().to_owned()),
            expires_at: row.expires_at,
        })
    }
}

impl Handle for RevokeProgramToken {
    async fn handle(self, work: &mut Work) -> Result<ProgramTokenRevoked, ActorError> {
        let found = work.tx.get::<ProgramToken>(self.token).await?;
        let row = work.authorize_found(Action::EndGrants, found, |row| Object::of(row.user_id))?;
        let mut rekey = BTreeSet::new();
        for (object, version) in entries::handed_out(work, self.token).await? {
            let head = work.tx.get::<VaultObject>((row.vault_id, object)).await?;
            rekey.extend(head.filter(|head| head.version == version).map(|head| head.object_id.0));
        }
        let rekey = rekey.into_iter().collect();
        forget(work, self.token).await?;
        work.object = format!("program/{}", self.token);
        Ok(ProgramTokenRevoked { rekey, vault: row.vault_id })
    }
}

/// Ends a token with its grants and its requests.
async fn forget(work: &mut Work, token: ProgramTokenId) -> Result<(), ActorError> {
    work.tx.delete_all::<ProgramGrant>(ProgramGrant::program_token_id.eq(token)).await?;
    share::forget_program(work, token).await?;
    pace::forget(work, token).await?;
    work.tx.delete::<ProgramToken>(token).await?;
    Ok(())
}

/// Ends all tokens of a user.
pub(super) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for row in work.tx.find::<ProgramToken>(ProgramToken::user_id.eq(user)).await? {
        forget(work, row.program_token_id).await?;
    }
    Ok(())
}

/// Ends all tokens of a user for one vault: a group's, in which they hand nothing out any more.
pub(super) async fn end_in_vault(work: &mut Work, vault: VaultId, user: UserId) -> Result<(), ActorError> {
    let theirs = ProgramToken::user_id.eq(user);
    for row in work.tx.find::<ProgramToken>(theirs).await?.into_iter().filter(|row| row.vault_id == vault) {
        forget(work, row.program_token_id).await?;
    }
    Ok(())
}

/// Ends all tokens for a vault that goes.
pub(super) async fn end_of_vault(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    loop {
        let some = work.tx.find::<ProgramToken>(ProgramToken::vault_id.eq(vault)).await?;
        if some.is_empty() {
            return Ok(());
        }
        for row in some {
            forget(work, row.program_token_id).await?;
        }
    }
}

/// Drops tokens that have ended.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    for row in work.tx.find::<ProgramToken>(ProgramToken::expires_at.le(work.now)).await? {
        forget(work, row.program_token_id).await?;
    }
    Ok(())
}

/// The program of a token that is good now, by a strict read.
pub(super) async fn load_by_token(
    scope: &Scope,
    token_hash: &Digest32,
) -> Result<Option<Program>, ActorError> {
    let mut tx = scope.read().await?;
    let found = tx.first::<ProgramToken>(ProgramToken::token_hash.eq(token_hash)).await?;
    match found {
        Some(row) if lives(&mut tx, &row, scope.env.now()).await?.is_some() => {
            Ok(Some(Program { token: row.program_token_id, user: row.user_id }))
        }
        _ => Ok(None),
    }
}

/// What a program may do at most: what its user may, as the state knows both now.
pub(crate) async fn stand(
    work: &mut Work,
    program: Program,
    method: &'static str,
) -> Result<Authority, ActorError> {
    let row = work.tx.get::<ProgramToken>(program.token).await?.ok_or(ENDED)?;
    let now = work.now;
    let user = lives(&mut work.tx, &row, now).await?.ok_or(ENDED)?;
    if !BY_PROGRAM.contains(&method) {
        return Err(BEYOND_CEILING.into());
    }
    pace::count(work, &row, method).await?;
    roles::authority(&mut work.tx, user.role, user.custom_role.as_deref()).await
}

/// The user behind a token, if token, user and tenant are good.
async fn lives(tx: &mut ReadTx, row: &ProgramToken, now: Timestamp) -> Result<Option<User>, ActorError> {
    let tenant = tx.get::<Tenant>(()).await?;
    let user = tx.get::<User>(row.user_id).await?.filter(|user| user.state == UserState::Active);
    let works = tenant.is_some_and(|tenant| tenant.state == TenantState::Active);
    Ok(user.filter(|_| works && row.expires_at > now))
}
