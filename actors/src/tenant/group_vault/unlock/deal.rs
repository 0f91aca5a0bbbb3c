//! Dealing: the slot whose key is shared, and who holds a part of it. It comes with a rotation, so that no part of before
//! opens anything that is written from then on.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_crypto::{
    group::{Acceptance, Admission},
    guardian::GuardianSet as SignedSet,
    sign::VerifyKey,
    slot::{KeySlot, SlotKind},
};
use ocmt_store::tables::{
    GroupPart, GroupVault, GuardianSet, GuardianSetState, RotationMode, Vault, VaultMember,
};
use ocmt_types::UserId;

use super::{holder, is_present, set_in_force};
use crate::{
    api::vault::GroupDeal,
    error::ActorError,
    tenant::{
        group_vault::check::keys_of,
        recovery,
        vault::ground::{self, epoch},
    },
    work::Work,
};

/// A set that was dealt, checked.
pub(in crate::tenant) struct Dealt {
    set: SignedSet,
    body: Vec<u8>,
    parts: BTreeMap<UserId, Vec<u8>>,
}

impl Dealt {
    /// Who holds a part.
    pub(in crate::tenant) fn holders(&self) -> BTreeSet<UserId> {
        self.parts.keys().copied().collect()
    }

    /// How many open it together, of how many.
    pub(super) fn counts(&self) -> String {
        format!("{} of {}", self.set.threshold(), self.set.total())
    }
}

/// The only slot of a vault that several open together.
pub(in crate::tenant) fn one_shared_slot(slots: &[KeySlot]) -> bool {
    matches!(slots, [slot] if slot.kind() == SlotKind::Recovery)
}

/// What comes with a rotation that shares the vault's key: one slot, a set signed by the vault's own identity key, a part
/// for each of its holders, who are present with the keys that they signed for.
pub(in crate::tenant) async fn check(
    work: &mut Work,
    vault: &Vault,
    deal: GroupDeal,
    slots: &[KeySlot],
) -> Result<Dealt, ActorError> {
    let wrong = |why: &str| ActorError::invalid("group_set", why);
    if !one_shared_slot(slots) {
        return Err(ActorError::invalid("slots", "must be the shared one alone"));
    }
    if vault.rotation_mode != Some(RotationMode::Rekey) {
        let why = "a key is shared in a rotation that re-keys: begin one of that mode";
        return Err(ActorError::precondition("ROTATION_NEEDED", why));
    }
    let row = work.tx.get::<GroupVault>(vault.vault_id).await?.ok_or(ActorError::NotFound)?;
    let identity = identity_said(work, vault).await?;
    let set = SignedSet::verify(&deal.signed_set, &identity)
        .map_err(|_| wrong("is not signed by the identity key of this vault"))?;
    if set.scope() != ground::scope(vault) || work.tx.get::<GuardianSet>(set.id()).await?.is_some() {
        return Err(wrong("is of another vault, or was dealt before"));
    }
    let mut parts: BTreeMap<UserId, Vec<u8>> = deal.parts.into_iter().collect();
    let mut holders = BTreeSet::new();
    for guardian in set.guardians() {
        let user = holder(guardian.guardianship);
        if guardian.weight() != 1 || !holders.insert(user) || !parts.contains_key(&user) {
            return Err(wrong("gives somebody none, or more than one part"));
        }
        if !is_present(work, &row, user).await? {
            return Err(ActorError::precondition(
                "NOT_ADMITTED",
                "a part is for somebody who does not administer the group and take part now: deal anew",
            ));
        }
        let keys = keys_of(work, user).await?;
        if (guardian.keys.identity.0, guardian.keys.sealing.0) != (keys.verify_key, keys.seal_key) {
            return Err(wrong("names other keys of somebody than they have published"));
        }
    }
    parts.retain(|user, _| holders.contains(user));
    Ok(Dealt { set, body: deal.signed_set, parts })
}

/// The vault's own identity key, as the caller was told of it when they were admitted.
async fn identity_said(work: &mut Work, vault: &Vault) -> Result<VerifyKey, ActorError> {
    let who = work.user()?.user;
    let row = work.tx.get::<VaultMember>((vault.vault_id, who)).await?.ok_or(ActorError::NotFound)?;
    let own = keys_of(work, who).await?;
    let said = || {
        let accepted = Acceptance::open(&row.acceptance, &VerifyKey(own.verify_key)).ok()?;
        Admission::open(row.admission.as_deref()?, &accepted.admitter).ok()
    };
    let admission = said().ok_or_else(|| {
        ActorError::precondition(
            "NOT_ADMITTED",
            "your keys are others than when you were admitted: join again",
        )
    })?;
    Ok(admission.identity)
}

/// With the rotation: the set before counts no more, and this one does.
pub(in crate::tenant) async fn dealt(work: &mut Work, vault: &Vault, dealt: Dealt) -> Result<(), ActorError> {
    let who = work.user()?.user;
    if let Some(old) = set_in_force(work, vault.vault_id).await? {
        work.tx.delete_all::<GroupPart>(GroupPart::set_id.eq(old.set_id)).await?;
        recovery::retire(work, old, &[]).await?;
    }
    work.details.push(("parts".to_owned(), dealt.counts()));
    let Dealt { set, body, parts } = dealt;
    let row = GuardianSet {
        tenant_id: vault.tenant_id,
        set_id: set.id(),
        user_id: who,
        vault_id: vault.vault_id,
        state: GuardianSetState::Active,
        threshold: i64::from(set.threshold()),
        units: i64::from(set.total()),
        body,
        set_hash: set.hash(),
        key_epoch: i64::from(epoch(vault)) + 1,
        locked_until: None,
        created_at: work.now,
        retired_at: None,
    };
    work.tx.insert(&row).await?;
    for (user_id, sealed) in parts {
        let part = GroupPart { tenant_id: vault.tenant_id, set_id: row.set_id, user_id, sealed };
        work.tx.insert(&part).await?;
    }
    Ok(())
}
