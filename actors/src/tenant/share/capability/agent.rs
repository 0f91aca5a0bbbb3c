//! What programs ask for, and what they are given: no more than to read and to list, until their token ends.
//!
//! A program asks by the id of an entry that somebody told it of. Nothing is looked up that the program does not have
//! already, so that the answer to an id says nothing of what there is.

use std::time::Duration;

use ocmt_crypto::seal::SealPublicKey;
use ocmt_store::tables::{Capability, CapabilityState, ProgramToken, VaultObject};
use ocmt_types::Digest32;

use super::{ask::DAY, decide};
use crate::{
    api::{
        capabilities::{ApproveCapability, RequestCapability},
        shares::Permission,
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
    if has(work, &token, object).await?.covers(asks) {
        return Err(ActorError::precondition("HELD_ALREADY", "the program has all of this"));
    }
    room(work, &token).await?;
    Ok(Capability {
        requester_program: Some(token.program_token_id),
        permissions: asks.to_stored(),
        ..ask.row(work, program.user, (token.vault_id, token.user_id, object))
    })
}

/// Exactly what is named, if a program may ever have it.
fn within(permissions: &[Permission]) -> Result<Allowed, ActorError> {
    if permissions.is_empty() {
        return Err(ActorError::invalid("permissions", "must be 1 to 6"));
    }
    let (asks, most) = (Allowed::exactly(permissions), Allowed::exactly(&program::CEILING));
    if most.covers(asks) { Ok(asks) } else { Err(BEYOND_CEILING.into()) }
}

/// What a program has of an entry as it is now.
async fn has(work: &mut Work, token: &ProgramToken, object: Digest32) -> Result<Allowed, ActorError> {
    let held = program::held(work, token).await?;
    let of_object: Vec<_> = held.into_iter().filter(|held| held.object == object).collect();
    if of_object.is_empty() {
        return Ok(Allowed::default());
    }
    let head = work.tx.get::<VaultObject>((token.vault_id, object)).await?;
    let is_head = |version| head.as_ref().is_some_and(|head| head.version == version);
    let present = of_object.into_iter().filter(|held| is_head(held.version));
    Ok(present.map(|held| held.allowed).reduce(Allowed::with).unwrap_or_default())
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
        ..row
    })
}
