//! Dealing: a signed set, each guardian's sealed units, and the recovery slot that they open together.

use std::collections::BTreeMap;

use ocmt_crypto::{guardian::GuardianSet as SignedSet, sign::VerifyKey};
use ocmt_store::tables::{
    GuardianSet, GuardianSetState as SetState, GuardianshipIn, GuardianshipOut, GuardianshipState as State,
    User, Vault,
};
use ocmt_types::{Digest32, GuardianSetId, GuardianshipId, TenantId, VaultId};

use super::{
    super::{ceremony, handlers::identity_of, session_row, vault},
    change,
    invite::{is_over, pack},
    letters::{self, Dealt, Retired},
    schedule,
};
use crate::{
    api::{
        recovery::{
            DealShares, DealtShares, GetGuardianSet, GuardianKeys, GuardianSetInfo, GuardianSetState,
        },
        users::IdentityKey,
    },
    authorize::{Action, Object},
    error::ActorError,
    policy::{Mode, TenantPolicy},
    work::{Handle, Work},
};

impl Handle for DealShares {
    async fn handle(self, work: &mut Work) -> Result<DealtShares, ActorError> {
        let vault = vault::ground::load(work, Action::ChangeGuardians, Some(self.vault)).await?;
        let owner = owner_identity(work).await?;
        let set = self.verified(work, &vault, &owner).await?;
        let boxes: BTreeMap<GuardianshipId, Vec<u8>> = self.units.into_iter().collect();
        let seats = seated(work, &vault, &set, &boxes).await?;
        let changed = change::check(work, vault.vault_id, &set, &seats).await?;
        rotated_since(work, &vault).await?;
        let epoch = vault.key_epoch;
        let vault = vault::slots::replace_recovery(work, vault, &self.recovery_slot, self.manifest).await?;
        // the recovery slot of the set before is gone with that: it counts no more, and nor does a ceremony over it
        let keep: Vec<GuardianshipId> = seats.iter().map(|seat| seat.guardianship_id).collect();
        for old in sets_before(work, vault.vault_id).await? {
            retire(work, old, &keep).await?;
        }
        ceremony::stop::retire_all(work, vault.vault_id, None).await?;
        if let Some(before) = changed {
            change::made(work, &before).await?;
        }
        let row = GuardianSet {
            tenant_id: work.ownership.tenant,
            set_id: self.set,
            user_id: owner.user,
            vault_id: vault.vault_id,
            state: SetState::Dealt,
            threshold: i64::from(set.threshold()),
            units: i64::from(set.total()),
            body: self.signed_set,
            set_hash: set.hash(),
            key_epoch: epoch,
            locked_until: None,
            created_at: work.now,
            retired_at: None,
        };
        work.tx.insert(&row).await?;
        hand_out(work, &row, &owner, seats, boxes).await?;
        schedule::begin(work, self.set).await?;
        work.details.push(("set".to_owned(), self.set.to_string()));
        let counter = u64::try_from(vault.manifest_counter).unwrap_or(0);
        Ok(DealtShares { set: info(work, &row)?, counter })
    }
}

/// The caller's published identity keys: what guardians compare by words.
async fn owner_identity(work: &mut Work) -> Result<IdentityKey, ActorError> {
    let who = work.user()?;
    let user = work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)?;
    identity_of(&user).ok_or_else(|| {
        ActorError::precondition("IDENTITY_KEY_MISSING", "publish your identity keys before dealing shares")
    })
}

impl DealShares {
    /// The set as its owner signed it, if it is one for this vault and within the delays.
    async fn verified(
        &self,
        work: &mut Work,
        vault: &Vault,
        owner: &IdentityKey,
    ) -> Result<SignedSet, ActorError> {
        let wrong = |why: String| ActorError::invalid("signed_set", why);
        let set = SignedSet::verify(&self.signed_set, &VerifyKey(owner.verify_key)).map_err(|_| {
            wrong("is not signed by your published identity key, or not well formed".to_owned())
        })?;
        let own = set.id() == self.set
            && set.scope() == vault::ground::scope(vault)
            && set.owner().sealing.0 == owner.seal_key;
        if !own {
            return Err(wrong("is for another vault, set id or owner".to_owned()));
        }
        if work.tx.get::<GuardianSet>(self.set).await?.is_some() {
            return Err(ActorError::AlreadyExists("a guardian set of this id"));
        }
        let short = matches!(work.env.mode, Mode::Dev | Mode::Demo);
        set.delays().check(short).map_err(|error| wrong(error.to_string()))?;
        let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        within(&set, &policy)?;
        Ok(set)
    }
}

/// No delay of a set is under the tenant's.
fn within(set: &SignedSet, policy: &TenantPolicy) -> Result<(), ActorError> {
    let delays = set.delays();
    for (name, set_ms, least_ms) in [
        ("lock", delays.lock_ms, policy.lock_ms),
        ("recovery", delays.recovery_ms, policy.recovery_delay_ms),
        ("change", delays.change_ms, policy.change_delay_ms),
    ] {
        if i64::try_from(set_ms).unwrap_or(i64::MAX) < least_ms {
            let why = format!("has a {name} delay of {set_ms} ms, the tenant's least is {least_ms} ms");
            return Err(ActorError::invalid("signed_set", why));
        }
    }
    Ok(())
}

/// Every set but the first needs a rotation since the one before, so that old shares with an old copy of
/// the database open nothing current.
async fn rotated_since(work: &mut Work, vault: &Vault) -> Result<(), ActorError> {
    let sets = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault.vault_id)).await?;
    if sets.iter().any(|set| set.key_epoch >= vault.key_epoch) {
        return Err(ActorError::precondition(
            "ROTATION_NEEDED",
            "another set was dealt under this vault key: rotate the vault, then deal",
        ));
    }
    Ok(())
}

/// The guardians of the set: each accepted, with exactly these keys and units, and with a box.
async fn seated(
    work: &mut Work,
    vault: &Vault,
    set: &SignedSet,
    boxes: &BTreeMap<GuardianshipId, Vec<u8>>,
) -> Result<Vec<GuardianshipOut>, ActorError> {
    if boxes.len() != set.guardians().len() {
        return Err(ActorError::invalid("units", "must hold one box for each guardian of the set"));
    }
    let mut seats = Vec::with_capacity(boxes.len());
    for guardian in set.guardians() {
        if !boxes.contains_key(&guardian.guardianship) {
            return Err(ActorError::invalid("units", "must hold one box for each guardian of the set"));
        }
        let found = work.tx.get::<GuardianshipOut>(guardian.guardianship).await?;
        let row = found.filter(|row| row.vault_id == vault.vault_id).ok_or(ActorError::NotFound)?;
        let keys = GuardianKeys { signing: guardian.keys.identity.0, sealing: guardian.keys.sealing.0 };
        if is_over(row.state) || row.identity_public.as_deref() != Some(&pack(&keys)[..]) {
            return Err(ActorError::precondition(
                "GUARDIAN_NOT_ACCEPTED",
                format!("{} has not accepted with the keys of the set", row.guardian_email),
            ));
        }
        if row.units != i64::from(guardian.weight()) {
            return Err(ActorError::invalid("signed_set", "gives a guardian other units than agreed"));
        }
        seats.push(row);
    }
    Ok(seats)
}

async fn hand_out(
    work: &mut Work,
    set: &GuardianSet,
    owner: &IdentityKey,
    seats: Vec<GuardianshipOut>,
    mut boxes: BTreeMap<GuardianshipId, Vec<u8>>,
) -> Result<(), ActorError> {
    for seat in seats {
        let tenant = seat.guardian_tenant.ok_or(ActorError::NotFound)?;
        let letter = Dealt {
            guardianship: seat.guardianship_id,
            set: set.set_id,
            dealt_at: set.created_at,
            owner_identity: owner.verify_key,
            signed_set: set.body.clone(),
            sealed_units: boxes.remove(&seat.guardianship_id).unwrap_or_default(),
        };
        let seat = GuardianshipOut {
            state: State::Dealt,
            set_id: Some(set.set_id),
            drill: None,
            drilled_at: None,
            updated_at: work.now,
            ..seat
        };
        work.tx.update(&seat).await?;
        letters::send(work, tenant, letters::DEALT, &letter).await?;
    }
    Ok(())
}

async fn sets_in_force(work: &mut Work, vault: VaultId) -> Result<Vec<GuardianSet>, ActorError> {
    let mut sets = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault)).await?;
    sets.retain(|set| set.state != SetState::Retired);
    Ok(sets)
}

/// The sets in force; the newest of all if its recovery slot went before a new set was dealt.
async fn sets_before(work: &mut Work, vault: VaultId) -> Result<Vec<GuardianSet>, ActorError> {
    let in_force = sets_in_force(work, vault).await?;
    if !in_force.is_empty() {
        return Ok(in_force);
    }
    let all = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault)).await?;
    Ok(all.into_iter().max_by_key(|set| (set.key_epoch, set.created_at)).into_iter().collect())
}

/// The vault has no recovery slot any more: what guardians hold opens nothing, so no set counts, and
/// whatever was opened over one ends.
pub(in crate::tenant) async fn retire_guardians(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    for set in sets_in_force(work, vault).await? {
        change::dismissed(work, set.set_id).await?;
        retire(work, set, &[]).await?;
    }
    ceremony::stop::retire_all(work, vault, None).await
}

/// A set counts no more. Guardians who hold its units are told to drop them; with a new set in `keep`,
/// those who are not in that are none any more.
pub(in crate::tenant) async fn retire(
    work: &mut Work,
    set: GuardianSet,
    keep: &[GuardianshipId],
) -> Result<(), ActorError> {
    let signed = ceremony::ground::signed_set(&set)?;
    for guardian in signed.guardians() {
        let Some(row) = work.tx.get::<GuardianshipOut>(guardian.guardianship).await? else { continue };
        let ended = !keep.is_empty() && !keep.contains(&row.guardianship_id);
        if let Some(tenant) = row.guardian_tenant {
            let letter = Retired { guardianship: row.guardianship_id, set: set.set_id, ended };
            letters::send(work, tenant, letters::RETIRED, &letter).await?;
        }
        if !is_over(row.state) {
            let state = if ended { State::Removed } else { State::Accepted };
            let row = GuardianshipOut { state, set_id: None, drill: None, updated_at: work.now, ..row };
            work.tx.update(&row).await?;
        }
    }
    let retired_at = set.retired_at.or(Some(work.now));
    work.tx.update(&GuardianSet { state: SetState::Retired, retired_at, ..set }).await?;
    Ok(())
}

/// At the guardian's tenant: units have come.
pub(super) async fn dealt(work: &mut Work, from: TenantId, letter: Dealt) -> Result<Vec<u8>, ActorError> {
    let row = from_owner(work, from, letter.guardianship).await?;
    if is_over(row.state) {
        return Err(ActorError::precondition("GUARDIANSHIP_OVER", "the guardian has stopped"));
    }
    if row.dealt_at.is_some_and(|at| at > letter.dealt_at) {
        // a later set came first
        return Ok(Vec::new());
    }
    let row = GuardianshipIn {
        state: State::Active,
        owner_identity: Some(Digest32(letter.owner_identity)),
        set_id: Some(letter.set),
        dealt_at: Some(letter.dealt_at),
        set_body: Some(letter.signed_set),
        sealed_units: Some(letter.sealed_units),
        drill: None,
        drilled_at: None,
        updated_at: work.now,
        ..row
    };
    work.tx.update(&row).await?;
    Ok(Vec::new())
}

/// Back at the owner's: arrived, or refused for good. The set is active when all have arrived.
pub(super) async fn units_settled(
    work: &mut Work,
    letter: Dealt,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<GuardianshipOut>(letter.guardianship).await? else { return Ok(()) };
    if row.set_id != Some(letter.set) || row.state != State::Dealt {
        return Ok(());
    }
    let state = if result.is_ok() { State::Active } else { State::Resigned };
    work.tx.update(&GuardianshipOut { state, updated_at: work.now, ..row }).await?;
    let of_set = GuardianshipOut::set_id.eq(Some(letter.set));
    let seats = work.tx.find::<GuardianshipOut>(of_set).await?;
    let Some(set) = work.tx.get::<GuardianSet>(letter.set).await? else { return Ok(()) };
    if set.state == SetState::Dealt && seats.iter().all(|seat| seat.state == State::Active) {
        work.tx.update(&GuardianSet { state: SetState::Active, ..set }).await?;
    }
    Ok(())
}

/// At the guardian's tenant: a set counts no more, its units go.
pub(super) async fn retired(work: &mut Work, from: TenantId, letter: Retired) -> Result<Vec<u8>, ActorError> {
    let row = from_owner(work, from, letter.guardianship).await?;
    // one that is told of the end after the set was retired already holds none
    if row.set_id != Some(letter.set) && !(letter.ended && row.set_id.is_none()) {
        return Ok(Vec::new());
    }
    let state = match row.state {
        over if is_over(over) => over,
        _ if letter.ended => State::Removed,
        _ => State::Accepted,
    };
    let row = GuardianshipIn {
        state,
        set_id: None,
        set_body: None,
        sealed_units: None,
        drill: None,
        updated_at: work.now,
        ..row
    };
    work.tx.update(&row).await?;
    Ok(Vec::new())
}

/// The guardian's side of a guardianship whose owner is of this tenant.
pub(super) async fn from_owner(
    work: &mut Work,
    from: TenantId,
    guardianship: GuardianshipId,
) -> Result<GuardianshipIn, ActorError> {
    let found = work.tx.get::<GuardianshipIn>(guardianship).await?;
    found.filter(|row| row.owner_tenant == from).ok_or(ActorError::NotFound)
}

impl Handle for GetGuardianSet {
    async fn handle(self, work: &mut Work) -> Result<GuardianSetInfo, ActorError> {
        let found = match self.vault {
            Some(vault) => work.tx.get::<Vault>(vault).await?,
            None => {
                let who = work.user()?;
                work.tx.first::<Vault>(Vault::owner_user.eq(Some(who.user))).await?
            }
        };
        let found = found.and_then(|vault| Some((vault.owner_user?, vault)));
        let (_, vault) =
            work.authorize_found(Action::ReadGuardians, found, |(owner, _)| Object::of(*owner))?;
        work.object = format!("vault/{}", vault.vault_id);
        let set = sets_in_force(work, vault.vault_id).await?.pop().ok_or(ActorError::NotFound)?;
        info(work, &set)
    }
}

fn info(work: &Work, row: &GuardianSet) -> Result<GuardianSetInfo, ActorError> {
    let set = ceremony::ground::signed_set(row)?;
    let id: GuardianSetId = row.set_id;
    Ok(GuardianSetInfo {
        id,
        vault: row.vault_id,
        state: match row.state {
            SetState::Dealt => GuardianSetState::Dealt,
            SetState::Active => GuardianSetState::Active,
            SetState::Retired => GuardianSetState::Retired,
        },
        signed_set: row.body.clone(),
        owner_signing_key: set.owner().identity.0,
        threshold: u32::from(set.threshold()),
        units: u32::from(set.total()),
        dealt_at: row.created_at,
        locked_until: row.locked_until.filter(|until| *until > work.now),
    })
}
