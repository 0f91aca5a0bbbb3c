//! What programs ask for, and what they are given: to read, to list, and to write one version; until their token ends.
//!
//! A program asks by the id of an entry that somebody told it of. Nothing is looked up that the program does not have
//! already, so that the answer to an id says nothing of what there is.
//!
//! To write is the owner's word in the vault's ledger, as of a share (`rights`), to a signing key that the owner compared.
//! No share renews it: it is good for the version that was there when it was approved, and so for one that is filed.

use std::time::Duration;

use ocmt_crypto::{seal::SealPublicKey, sign::VerifyKey};
use ocmt_store::tables::{Capability, CapabilityState, ProgramToken, Vault, VaultObject};
use ocmt_types::{Digest32, ShareId};

use super::{super::rights, ask::DAY, decide};
use crate::{
    api::{
        capabilities::{ApproveCapability, RequestCapability},
        shares::{CreateShare, Permission},
    },
    authorize::{Action, Allowed, BEYOND_CEILING, Object},
    caller::Program,
    error::ActorError,
    tenant::{grants, program, vault::ground},
    work::Work,
};

/// Requests of one token that wait.
const MOST_WAITING: i64 = 8;
/// Requests of one token in a day.
const MOST_A_DAY: i64 = 24;
/// What one token was given at a time, beside what it was made with.
const MOST_GIVEN: i64 = 48;

/// A program's request, if it may make one.
pub(super) async fn asked(
    work: &mut Work,
    program: Program,
    ask: &RequestCapability,
    object: Digest32,
) -> Result<Capability, ActorError> {
    work.authorize(Action::RequestCapability, &Object::of(program.user))?;
    let token = work.tx.get::<ProgramToken>(program.token).await?.ok_or(program::ENDED)?;
    if ask.vault.is_some_and(|vault| vault != token.vault_id) {
        return Err(ActorError::NotFound);
    }
    let asks = within(&ask.permissions)?;
    if asks.has(Permission::Write) != ask.sign_key.is_some() {
        return Err(ActorError::invalid("sign_key", "is given exactly by a program that asks to write"));
    }
    if asks.has(Permission::Write) {
        own_vault(work, &token).await?;
    }
    if has(work, &token, object, ask.sign_key.map(Digest32)).await?.covers(asks) {
        return Err(ActorError::precondition("HELD_ALREADY", "the program has all of this"));
    }
    room(work, &token).await?;
    Ok(Capability {
        requester_program: Some(token.program_token_id),
        permissions: asks.to_stored(),
        sign_key: ask.sign_key.map(Digest32),
        ..ask.row(work, program.user, (token.vault_id, token.user_id, object))
    })
}

/// Refuses writing into a group's vault: no ledger says who may.
async fn own_vault(work: &mut Work, token: &ProgramToken) -> Result<(), ActorError> {
    let vault = work.tx.get::<Vault>(token.vault_id).await?.ok_or(ActorError::NotFound)?;
    if vault.owner_user == Some(token.user_id) {
        return Ok(());
    }
    let why = "a group's vault is written by its members: a program of it reads and lists";
    Err(ActorError::precondition("NOT_SHAREABLE", why))
}

/// Exactly what is named, if a program may ever have it: what it is handed, and to write what is approved.
pub(super) fn within(permissions: &[Permission]) -> Result<Allowed, ActorError> {
    if permissions.is_empty() {
        return Err(ActorError::invalid("permissions", "must be 1 to 6"));
    }
    let most = Allowed::exactly(&program::CEILING).with(Allowed::exactly(&[Permission::Write]));
    let asks = Allowed::exactly(permissions);
    if most.covers(asks) { Ok(asks) } else { Err(BEYOND_CEILING.into()) }
}

/// What a program has of an entry as it is now; to write it, by this key.
async fn has(
    work: &mut Work,
    token: &ProgramToken,
    object: Digest32,
    signs: Option<Digest32>,
) -> Result<Allowed, ActorError> {
    let held = program::held(work, token).await?;
    let of_object: Vec<_> = held.into_iter().filter(|held| held.object == object).collect();
    if of_object.is_empty() {
        return Ok(Allowed::default());
    }
    let head = work.tx.get::<VaultObject>((token.vault_id, object)).await?;
    let is_head = |version| head.as_ref().is_some_and(|head| head.version == version);
    let present = of_object.into_iter().filter(|held| is_head(held.version));
    let allowed = present.map(|held| match held.signs == signs {
        true => held.allowed,
        false => held.allowed.without(Permission::Write),
    });
    Ok(allowed.reduce(Allowed::with).unwrap_or_default())
}

async fn room(work: &mut Work, token: &ProgramToken) -> Result<(), ActorError> {
    let theirs = Capability::requester_program.eq(Some(token.program_token_id));
    let in_state = |state| theirs.clone().and(Capability::state.eq(state));
    let of_late = theirs.clone().and(Capability::requested_at.gt(work.now - DAY));
    if work.tx.count::<Capability>(in_state(CapabilityState::Requested)).await? >= MOST_WAITING
        || work.tx.count::<Capability>(of_late).await? >= MOST_A_DAY
        || work.tx.count::<Capability>(in_state(CapabilityState::Approved)).await? >= MOST_GIVEN
    {
        let why =
            "8 requests of a program wait at a time, it makes 24 in a day, and has 48 approved ones in force";
        return Err(ActorError::exhausted("TOO_MANY_REQUESTS", why));
    }
    Ok(())
}

/// What the owner's device has sealed to a program, as the row that gives it: with the token it ends at the latest.
pub(super) async fn given(
    work: &mut Work,
    ask: ApproveCapability,
    row: Capability,
    gives: Allowed,
) -> Result<Capability, ActorError> {
    let asking = row.requester_program.ok_or(ActorError::NotFound)?;
    let token = work.tx.get::<ProgramToken>(asking).await?.filter(|token| token.expires_at > work.now);
    let token = token.ok_or(ActorError::NotFound)?;
    let approver = work.user()?.user;
    ground::load(work, Action::GrantEntries, Some(row.vault_id)).await?;
    let reads = gives.has(Permission::Read);
    let grants = decide::grants(work, ask.grants, &row, reads).await?;
    let writes = CreateShare {
        vault: row.vault_id,
        taker_email: String::new(),
        permissions: ask.permissions,
        grants: grants.clone(),
        lifetime_ms: Some(ask.lifetime_ms),
        share: ask.share,
        write_grants: ask.write_grants,
    };
    let share = writing(work, &writes, &row, gives).await?;
    grants::check_present(work, row.vault_id, &grants).await?;
    if reads {
        let key = SealPublicKey(token.program_key.0);
        grants::check_signed(work, row.vault_id, approver, key, &grants).await?;
    }
    let grant = grants.into_iter().next().ok_or(ActorError::NotFound)?;
    let lasts = Duration::from_millis(u64::try_from(ask.lifetime_ms).unwrap_or(0));
    Ok(Capability {
        state: CapabilityState::Approved,
        permissions: gives.to_stored(),
        expires_at: (work.now + lasts).min(token.expires_at),
        decided_by: Some(approver),
        version: Some(i64::try_from(grant.version).unwrap_or(i64::MAX)),
        sealed_grant: reads.then_some(grant.sealed),
        share_id: share,
        ..row
    })
}

/// Keeps the owner's word to a program that may write: the id by which the ledger knows it, if it may.
async fn writing(
    work: &mut Work,
    ask: &CreateShare,
    row: &Capability,
    gives: Allowed,
) -> Result<Option<ShareId>, ActorError> {
    if rights::acts(gives).is_none() && ask.share.is_none() && ask.write_grants.is_empty() {
        return Ok(None);
    }
    let share = rights::chosen_id(work, ask, gives).await?;
    let signs = row.sign_key.ok_or(ActorError::NotFound)?;
    for right in rights::checked(work, ask, share, gives, (row.owner_user, VerifyKey(signs.0))).await? {
        work.tx.insert(&right).await?;
    }
    Ok(Some(share))
}
