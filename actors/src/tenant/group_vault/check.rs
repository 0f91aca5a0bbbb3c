//! What is signed and what is sealed in a group's vault, held against who takes part.

use ocmt_crypto::{
    audit::MAX_DETAILS,
    group::{Acceptance, Admission},
    sign::VerifyKey,
    slot::{KeySlot, SlotKind},
};
use ocmt_store::tables::{GroupVault, Slot, User, Vault, VaultMember};
use ocmt_types::{GroupId, UserId};

use super::{ends, participants, role_in, unlock};
use crate::{
    api::{
        users::IdentityKey,
        vault::{GroupDeal, GroupsOwn},
    },
    authorize::{Action, Object, Owner},
    error::ActorError,
    tenant::{handlers::identity_of, session_row, vault::ground},
    work::Work,
};

/// Whether the caller may make the vault of this group: who administers it.
pub(in crate::tenant) async fn may_found(work: &mut Work, group: GroupId) -> Result<(), ActorError> {
    let user = work.user()?.user;
    let through = role_in(work, group, user).await?;
    let found = work.tx.get::<ocmt_store::tables::Group>(group).await?;
    work.authorize_found(Action::ChangeGroup, found, |_| Object {
        owner: Owner::Group,
        through,
        ..Object::TENANT
    })?;
    Ok(())
}

/// A group's vault was made: its maker is the first who takes part, by their own word to themselves.
pub(in crate::tenant) async fn founded(
    work: &mut Work,
    vault: &Vault,
    own: GroupsOwn,
    slots: &[KeySlot],
) -> Result<(), ActorError> {
    let who = work.user()?.user;
    let [slot] = slots else {
        return Err(ActorError::invalid("slots", "must be one in a group's vault: the maker's"));
    };
    let keys = keys_of(work, who).await?;
    let said = Said { group: own.group, acceptance: &own.acceptance, admission: &own.admission };
    said.check(vault, Some(slot), &keys, &keys)?;
    let row = GroupVault {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        group_id: own.group,
        due: None,
        due_since: None,
    };
    work.tx.insert(&row).await?;
    let first = VaultMember {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        user_id: who,
        acceptance: own.acceptance,
        admission: Some(own.admission),
        admitted_by: Some(who),
        slot_id: Some(slot.id()),
        accepted_at: work.now,
        admitted_at: Some(work.now),
    };
    work.tx.insert(&first).await?;
    work.details.push(("group".to_owned(), own.group.to_string()));
    Ok(())
}

/// The published identity keys of an active user.
pub(super) async fn keys_of(work: &mut Work, user: UserId) -> Result<IdentityKey, ActorError> {
    let user = work.tx.get::<User>(user).await?.ok_or(ActorError::NotFound)?;
    identity_of(&user).ok_or_else(|| {
        ActorError::precondition("NO_IDENTITY_KEY", "publish identity keys first: unlock your own vault once")
    })
}

/// What a member and an administrator signed of each other.
pub(super) struct Said<'a> {
    pub(super) group: GroupId,
    pub(super) acceptance: &'a [u8],
    pub(super) admission: &'a [u8],
}

impl Said<'_> {
    /// That the member signed for these keys and this administrator, who answers with exactly this slot of the vault as
    /// it is now: no other member's slot, and no word from an earlier time.
    pub(super) fn check(
        &self,
        vault: &Vault,
        slot: Option<&KeySlot>,
        member: &IdentityKey,
        admitter: &IdentityKey,
    ) -> Result<(), ActorError> {
        let accepted = accepted(vault, self.group, self.acceptance, member)?;
        if accepted.admitter.0 != admitter.verify_key {
            return Err(ActorError::precondition(
                "BELIEVES_ANOTHER",
                "the member believes another administrator about this vault: that one admits them, or they accept anew",
            ));
        }
        let bad = |why: &str| ActorError::invalid("admission", why);
        let admission = Admission::open(self.admission, &VerifyKey(admitter.verify_key))
            .map_err(|_| bad("is not signed by your identity key"))?;
        admission.answers(&accepted).map_err(|_| bad("is to another member or of another vault"))?;
        let now = admission.verify_key.0 == vault.verify_key.0
            && i64::from(admission.epoch) == vault.key_epoch
            && admission.slot == slot.map(KeySlot::id);
        if !now {
            return Err(bad("is of another slot, or of keys that the vault has no more"));
        }
        let theirs = |slot: &KeySlot| slot.kind() == SlotKind::Member && slot.public().0 == member.seal_key;
        if !slot.is_none_or(theirs) {
            return Err(ActorError::invalid("slot", "is not sealed to the identity key of this member"));
        }
        Ok(())
    }
}

/// A member's word, with the keys that they have published.
pub(super) fn accepted(
    vault: &Vault,
    group: GroupId,
    acceptance: &[u8],
    member: &IdentityKey,
) -> Result<Acceptance, ActorError> {
    let bad = |why: &str| ActorError::invalid("acceptance", why);
    let accepted = Acceptance::open(acceptance, &VerifyKey(member.verify_key))
        .map_err(|_| bad("is not signed by the member's identity key"))?;
    let same = accepted.group == group
        && accepted.scope == ground::scope(vault)
        && accepted.sealing.0 == member.seal_key;
    if same { Ok(accepted) } else { Err(bad("is of another vault, or for another key than is published")) }
}

/// Whether a rotation of a group's vault may begin with these slots: those of who takes part, or the one that is shared.
pub(in crate::tenant) async fn may_begin(
    work: &mut Work,
    vault: &Vault,
    slots: &[KeySlot],
) -> Result<(), ActorError> {
    if unlock::one_shared_slot(slots) { Ok(()) } else { slots_are_members(work, vault, slots).await }
}

/// Before a rotation of a group's vault is finished: who opens it from then on.
pub(in crate::tenant) async fn before_rotation(
    work: &mut Work,
    vault: &Vault,
    slots: &[KeySlot],
    deal: Option<GroupDeal>,
) -> Result<Option<unlock::Dealt>, ActorError> {
    if let Some(deal) = deal {
        return unlock::check_deal(work, vault, deal, slots).await.map(Some);
    }
    if unlock::set_in_force(work, vault.vault_id).await?.is_some() {
        let why = "this vault opens by several together: deal its new key, or parts of before would open it";
        return Err(ActorError::precondition("DEAL_MISSING", why));
    }
    slots_are_members(work, vault, slots).await.map(|()| None)
}

/// Each slot is one that the vault has, of somebody who takes part now. A rotation
/// that was begun before somebody left makes none for them.
async fn slots_are_members(work: &mut Work, vault: &Vault, slots: &[KeySlot]) -> Result<(), ActorError> {
    let members = participants(work, vault.vault_id).await?;
    for slot in slots {
        let admitted = members.iter().any(|row| row.slot_id == Some(slot.id()) && row.admission.is_some());
        if !admitted {
            return Err(ActorError::precondition(
                "NOT_ADMITTED",
                "a slot is of nobody who takes part in this vault now: read who does, and begin the rotation anew",
            ));
        }
        let before = work.tx.get::<Slot>((vault.vault_id, slot.id())).await?.ok_or(ActorError::NotFound)?;
        let before = ground::parse_slot(&before.body)?;
        if (slot.kind(), slot.public()) != (before.kind(), before.public()) {
            return Err(ActorError::invalid("slots", "has one that is sealed to another key than before"));
        }
    }
    Ok(())
}

/// With it: whoever has neither slot nor part any more takes part no more, and new keys are no longer due.
pub(in crate::tenant) async fn rotated(
    work: &mut Work,
    vault: &Vault,
    slots: &[KeySlot],
    dealt: Option<unlock::Dealt>,
) -> Result<(), ActorError> {
    // first: what ends by new keys leaves none due
    unlock::rotated(work, vault.vault_id).await?;
    let holders = dealt.as_ref().map(unlock::Dealt::holders);
    if let Some(dealt) = dealt {
        from_now_on_shared(work, vault, &dealt).await?;
        unlock::dealt(work, vault, dealt).await?;
    }
    let rekeyed = vault.rotation_mode == Some(ocmt_store::tables::RotationMode::Rekey);
    let mut group = work.tx.get::<GroupVault>(vault.vault_id).await?.ok_or(ActorError::NotFound)?;
    for row in participants(work, vault.vault_id).await? {
        let stays = match &holders {
            Some(holders) => row.admission.is_none() || holders.contains(&row.user_id),
            None => row.slot_id.is_none() || slots.iter().any(|slot| Some(slot.id()) == row.slot_id),
        };
        if stays && holders.is_some() && row.slot_id.is_some() {
            work.tx.update(&VaultMember { slot_id: None, ..row }).await?;
        } else if !stays {
            work.tx.delete::<VaultMember>((vault.vault_id, row.user_id)).await?;
            group = ends::out(work, group, row.user_id).await?;
            if work.details.len() < MAX_DETAILS - 1 {
                work.details.push(("no_slot".to_owned(), row.user_id.to_string()));
            }
        }
    }
    if rekeyed {
        work.tx.update(&GroupVault { due: None, due_since: None, ..group }).await?;
    }
    Ok(())
}

/// Nobody has it open any more: watches of it end, and everybody who took part is told.
async fn from_now_on_shared(work: &mut Work, vault: &Vault, dealt: &unlock::Dealt) -> Result<(), ActorError> {
    let row = work.tx.get::<GroupVault>(vault.vault_id).await?.ok_or(ActorError::NotFound)?;
    let mut told = participants(work, vault.vault_id).await?;
    told.retain(|row| row.admission.is_some());
    let told: Vec<UserId> = told.into_iter().map(|row| row.user_id).collect();
    for user in &told {
        session_row::end_streams(work, *user).await?;
    }
    unlock::tell_dealt(work, &row, dealt, &told).await
}
