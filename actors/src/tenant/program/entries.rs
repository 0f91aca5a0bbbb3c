//! What a program reads and sees: exactly what was handed to it, when its token was made or since, on its request.

use std::collections::BTreeMap;

use ocmt_store::tables::{Capability, CapabilityState, ProgramGrant, ProgramToken, VaultObject};
use ocmt_types::{Digest32, ProgramTokenId, VaultId};

use crate::{
    api::{shares::Permission, vault::ListEntries},
    authorize::{Action, Allowed, Object},
    error::ActorError,
    tenant::grants,
    work::Work,
};

/// What is handed out when a token is made.
pub(in crate::tenant) const CEILING: [Permission; 2] = [Permission::Read, Permission::List];

/// What a program has of one entry, in one version.
pub(in crate::tenant) struct Held {
    /// Which entry.
    pub(in crate::tenant) object: Digest32,
    /// In which version.
    pub(in crate::tenant) version: i64,
    /// To do what.
    pub(in crate::tenant) allowed: Allowed,
    /// To write it: the key that signs.
    pub(in crate::tenant) signs: Option<Digest32>,
    /// To read it: the data key, sealed to the program.
    sealed: Vec<u8>,
}

/// The grant by which an entry is read.
pub(in crate::tenant) struct Granted {
    /// The version that was granted.
    pub(in crate::tenant) version: i64,
    /// Its sealed key.
    pub(in crate::tenant) sealed: Vec<u8>,
}

/// All that a token is good for now.
pub(in crate::tenant) async fn held(work: &mut Work, token: &ProgramToken) -> Result<Vec<Held>, ActorError> {
    let made = ProgramGrant::program_token_id.eq(token.program_token_id);
    let made = work.tx.find::<ProgramGrant>(made).await?.into_iter().map(|row| Held {
        object: row.object_id,
        version: row.version,
        allowed: Allowed::exactly(&CEILING),
        signs: None,
        sealed: row.sealed_grant,
    });
    let mut all: Vec<Held> = made.collect();
    let since = Capability::requester_program
        .eq(Some(token.program_token_id))
        .and(Capability::state.eq(CapabilityState::Approved))
        .and(Capability::expires_at.gt(work.now));
    all.extend(work.tx.find::<Capability>(since).await?.into_iter().filter_map(|row| {
        let (version, allowed) = (row.version?, Allowed::stored(&row.permissions));
        let sealed = row.sealed_grant.unwrap_or_default();
        Some(Held { object: row.object_id, version, allowed, signs: row.sign_key, sealed })
    }));
    Ok(all)
}

/// The keys that were handed to it, with those of what has run out: nobody gives a key back.
pub(super) async fn handed_out(
    work: &mut Work,
    token: ProgramTokenId,
) -> Result<Vec<(Digest32, i64)>, ActorError> {
    let made = work.tx.find::<ProgramGrant>(ProgramGrant::program_token_id.eq(token)).await?;
    let mut all: Vec<_> = made.into_iter().map(|row| (row.object_id, row.version)).collect();
    for state in [CapabilityState::Approved, CapabilityState::Expired] {
        let theirs = Capability::requester_program.eq(Some(token)).and(Capability::state.eq(state));
        let mut page = work.tx.find::<Capability>(theirs.clone()).await?;
        while let Some(last) = page.last().map(|row| row.capability_id) {
            let read = page.iter().filter(|row| Allowed::stored(&row.permissions).has(Permission::Read));
            all.extend(read.filter_map(|row| Some((row.object_id, row.version?))));
            page = work.tx.find::<Capability>(theirs.clone().after(&last)).await?;
        }
    }
    Ok(all)
}

/// What the calling program has of a vault, if the program's user may do this now; none if no program calls.
async fn of_caller(work: &mut Work, vault: VaultId, action: Action) -> Result<Option<Vec<Held>>, ActorError> {
    let Some(program) = work.standing.caller.program() else {
        return Ok(None);
    };
    let token = work.tx.get::<ProgramToken>(program.token).await?.filter(|row| row.vault_id == vault);
    let token = token.ok_or(ActorError::NotFound)?;
    work.authorize(action, &Object::of(token.user_id))?;
    held(work, &token).await.map(Some)
}

/// The grant of an entry to the calling program; none if a user calls. To a program, what was not handed to it is not
/// there.
pub(in crate::tenant) async fn granted(
    work: &mut Work,
    vault: VaultId,
    object: Digest32,
) -> Result<Option<Granted>, ActorError> {
    let Some(held) = of_caller(work, vault, Action::ReadGranted).await? else {
        return Ok(None);
    };
    let of_object: Vec<Held> = held.into_iter().filter(|held| held.object == object).collect();
    if of_object.is_empty() {
        return Err(ActorError::NotFound);
    }
    let readable = of_object.into_iter().filter(|held| held.allowed.has(Permission::Read));
    // the newest: an older one is the answer to nothing that the newer one does not answer
    let newest = readable.max_by_key(|held| held.version);
    let newest =
        newest.ok_or(ActorError::PermissionDenied("this was given for something else than to be read"))?;
    Ok(Some(Granted { version: newest.version, sealed: newest.sealed }))
}

/// Heads of the entries that the calling program sees, in the versions that were handed to it; none if a user calls.
pub(in crate::tenant) async fn listed(
    work: &mut Work,
    ask: &ListEntries,
    limit: usize,
) -> Result<Option<Vec<VaultObject>>, ActorError> {
    let Some(held) = of_caller(work, ask.vault, Action::ListGranted).await? else {
        return Ok(None);
    };
    let mut given: BTreeMap<Digest32, Vec<i64>> = BTreeMap::new();
    for held in held.into_iter().filter(|held| held.allowed.has(Permission::List)) {
        if ask.after.is_none_or(|after| held.object > after) {
            given.entry(held.object).or_default().push(held.version);
        }
    }
    work.object = format!("vault/{}", ask.vault);
    grants::heads(work, ask.vault, given, limit).await.map(Some)
}
