//! What every handler of a vault stands on: loading it with the caller's right to it, and holding a new
//! manifest against the state it claims to describe.

use ocmt_crypto::{
    codec::{Reader, Writer},
    datakey::VaultScope,
    manifest::{Leaf, MAX_OBJECTS, Manifest, SlotKey},
    sign::VerifyKey,
    slot::{KeySlot, SlotKind},
    succession::MAX_CHAIN,
};
use ocmt_store::tables::{self, Ceremony, CeremonyState, Slot, Vault, VaultChangeKind, VaultObject};
use ocmt_types::{SessionId, VaultId};

use super::changes::{self, ChangedObject};
use crate::{
    api::vault::VaultInfo,
    authorize::{Action, Object, Owner},
    caller::Assurance,
    error::ActorError,
    tenant::{group_vault, share},
    work::Work,
};

/// The longest canonical slot or succession in a list of them.
const MAX_PART: usize = 2048;

/// A vault of this id, or the caller's own, if the caller may do this to it.
pub(crate) async fn load(
    work: &mut Work,
    action: Action,
    vault: Option<VaultId>,
) -> Result<Vault, ActorError> {
    let found = match vault {
        Some(vault) => work.tx.get::<Vault>(vault).await?,
        None => {
            let user = work.person()?;
            work.tx.first::<Vault>(Vault::owner_user.eq(Some(user))).await?
        }
    };
    let found = match found {
        // of a group that has ended: its rows go by a timer, and until then it is as if it were gone
        Some(vault) if vault.owner_group.is_some() && !group_vault::is_there(work, &vault).await? => None,
        Some(vault) => Some((object(work, &vault).await?, vault)),
        None => None,
    };
    let (object, vault) = work.authorize_found(action, found, |(object, _)| *object)?;
    if vault.owner_group.is_some() {
        group_vault::bounded(work, action, &object)?;
    }
    work.object = format!("vault/{}", vault.vault_id);
    Ok(vault)
}

/// Whether a vault that the caller may not open is asked for by a share. Who administers the tenant may know that a group's
/// vault is there; what was given to them out of it they have like everybody.
pub(in crate::tenant) async fn is_asked_by_share(
    work: &mut Work,
    vault: VaultId,
    refused: &ActorError,
) -> Result<bool, ActorError> {
    match refused {
        ActorError::NotFound => Ok(true),
        ActorError::PermissionDenied(_) => {
            let found = work.tx.get::<Vault>(vault).await?;
            Ok(found.is_some_and(|row| row.owner_group.is_some()) && share::is_taken(work, vault).await?)
        }
        _ => Ok(false),
    }
}

/// A vault as an object for the caller: his own, or a group's in which he takes part.
async fn object(work: &mut Work, vault: &Vault) -> Result<Object, ActorError> {
    if let Some(group) = vault.owner_group {
        return group_vault::object(work, group, vault.vault_id).await;
    }
    let released_to = released_to(work, vault.vault_id).await?;
    Ok(Object { released_to, ..owned(vault) })
}

/// A vault as its owner's, without what ties the caller to it.
pub(in crate::tenant) fn owned(vault: &Vault) -> Object {
    match vault.owner_user {
        Some(owner) => Object::of(owner),
        None => Object { owner: Owner::Group, ..Object::TENANT },
    }
}

/// Ways to open a group's vault come by admission and go by rotation alone.
pub(super) fn not_a_groups(vault: &Vault) -> Result<(), ActorError> {
    if vault.owner_group.is_none() {
        return Ok(());
    }
    let why =
        "a group's vault opens for who takes part in it: admit a member, or rotate it after one has left";
    Err(ActorError::precondition("GROUP_VAULT", why))
}

/// The recovery session to which a released ceremony has opened this vault.
async fn released_to(work: &mut Work, vault: VaultId) -> Result<Option<SessionId>, ActorError> {
    // no other session is let in by one
    let of_recovery = work.standing.caller.user().filter(|who| who.assurance == Assurance::Recovery);
    let Some(who) = of_recovery else {
        return Ok(None);
    };
    // without the time: calls that share a transaction have one question, though not one time
    let released = Ceremony::vault_id
        .eq(vault)
        .and(Ceremony::state.eq(CeremonyState::Released))
        .and(Ceremony::opened_by.eq(who.session));
    let released = work.tx.find::<Ceremony>(released).await?;
    Ok(released.iter().any(|ceremony| ceremony.expires_at > work.now).then_some(who.session))
}

/// What signatures and sealed bytes of this vault are bound to.
pub(crate) fn scope(vault: &Vault) -> VaultScope {
    VaultScope { tenant: vault.tenant_id, vault: vault.vault_id }
}

/// All leaves of a vault.
pub(in crate::tenant) async fn leaves(work: &mut Work, vault: VaultId) -> Result<Vec<Leaf>, ActorError> {
    Ok(heads(work, vault).await?.iter().map(leaf).collect())
}

/// All heads of a vault, page by page.
pub(super) async fn heads(work: &mut Work, vault: VaultId) -> Result<Vec<VaultObject>, ActorError> {
    let mut all: Vec<VaultObject> = Vec::new();
    loop {
        let of_vault = VaultObject::vault_id.eq(vault);
        let page = match all.last() {
            Some(last) => work.tx.find(of_vault.after(&(vault, last.object_id))).await?,
            None => work.tx.find(of_vault).await?,
        };
        if page.is_empty() || all.len() > MAX_OBJECTS {
            return Ok(all);
        }
        all.extend(page);
    }
}

pub(super) fn leaf(head: &VaultObject) -> Leaf {
    Leaf { object_id: head.object_id, version: unsigned(head.version), body_hash: head.body_hash }
}

/// The stored slots, parsed.
pub(in crate::tenant) async fn slots(work: &mut Work, vault: VaultId) -> Result<Vec<KeySlot>, ActorError> {
    let rows = work.tx.find::<Slot>(Slot::vault_id.eq(vault)).await?;
    rows.iter().map(|row| parse_slot(&row.body)).collect()
}

/// What a new manifest must be held against.
pub(in crate::tenant) struct After<'a> {
    pub(in crate::tenant) verify_key: VerifyKey,
    pub(in crate::tenant) epoch: u32,
    pub(in crate::tenant) leaves: &'a [Leaf],
    pub(in crate::tenant) slots: &'a [KeySlot],
}

/// A manifest that describes exactly the state after the change, and is newer than the stored one.
pub(in crate::tenant) fn check_manifest(
    vault: &Vault,
    manifest: &[u8],
    after: &After<'_>,
) -> Result<Manifest, ActorError> {
    let wrong = |why: &str| ActorError::invalid("manifest", why);
    let opened = Manifest::open(manifest, &scope(vault), &after.verify_key)
        .map_err(|_| wrong("is not signed by the vault signing key"))?;
    if opened.counter <= unsigned(vault.manifest_counter) {
        return Err(ActorError::Aborted("the vault"));
    }
    let mut slots: Vec<SlotKey> = after.slots.iter().map(slot_key).collect();
    slots.sort_unstable_by_key(|slot| slot.id);
    if opened.epoch != after.epoch || opened.slots != slots {
        return Err(wrong("names other slots or another key epoch than the vault will have"));
    }
    if !opened.proves(after.leaves) {
        return Err(wrong("has another root than the objects it describes: read the vault again"));
    }
    i64::try_from(opened.counter).map_err(|_| wrong("has a counter out of bounds"))?;
    Ok(opened)
}

/// Puts a checked manifest into the row, and what it is for among the changes; the guard makes two writers of one
/// state meet.
pub(in crate::tenant) async fn store_manifest(
    work: &mut Work,
    mut vault: Vault,
    manifest: &Manifest,
    signed: Vec<u8>,
    (kind, objects): (VaultChangeKind, &[ChangedObject]),
) -> Result<Vault, ActorError> {
    let guard = Vault::manifest_counter.eq(vault.manifest_counter);
    vault.manifest = signed;
    vault.manifest_counter = i64::try_from(manifest.counter).unwrap_or(i64::MAX);
    vault.manifest_root = manifest.root;
    vault.object_count = i64::from(manifest.objects);
    vault.updated_at = work.now;
    if !work.tx.update_if(&vault, guard).await? {
        return Err(ActorError::Aborted("the vault"));
    }
    changes::note(work, vault.vault_id, vault.manifest_counter, kind, objects).await?;
    Ok(vault)
}

pub(in crate::tenant) fn parse_slot(bytes: &[u8]) -> Result<KeySlot, ActorError> {
    KeySlot::from_bytes(bytes).map_err(|_| ActorError::invalid("slot", "is not a key slot"))
}

/// A slot of this vault, signed by `key`, for the vault key of `epoch`.
pub(in crate::tenant) fn verified_slot(
    vault: &Vault,
    bytes: &[u8],
    key: &VerifyKey,
    epoch: u32,
) -> Result<KeySlot, ActorError> {
    let slot = parse_slot(bytes)?;
    if slot.epoch() != epoch || slot.verify(&scope(vault), key).is_err() {
        return Err(ActorError::invalid("slot", "is not signed for this vault and key epoch"));
    }
    Ok(slot)
}

pub(in crate::tenant) fn slot_row(vault: &Vault, slot: &KeySlot, now: ocmt_types::Timestamp) -> Slot {
    Slot {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        slot_id: slot.id(),
        kind: match slot.kind() {
            SlotKind::Passphrase => tables::SlotKind::Passphrase,
            SlotKind::Backup => tables::SlotKind::Backup,
            SlotKind::Hardware => tables::SlotKind::Hardware,
            SlotKind::Recovery => tables::SlotKind::Recovery,
            SlotKind::Member => tables::SlotKind::Member,
        },
        body: slot.to_bytes(),
        key_epoch: i64::from(slot.epoch()),
        created_at: now,
    }
}

fn slot_key(slot: &KeySlot) -> SlotKey {
    SlotKey { id: slot.id(), kind: slot.kind(), public: slot.public() }
}

/// Canonical parts, one behind the other, as a column holds them.
pub(super) fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::new();
    out.count(parts.len());
    for part in parts {
        out.var(part);
    }
    out.into_vec()
}

/// The parts of such a column.
pub(in crate::tenant) fn split(column: &[u8]) -> Result<Vec<Vec<u8>>, ActorError> {
    let read = || {
        let mut reader = Reader::new(column);
        let parts = (0..reader.count(MAX_CHAIN, 4)?)
            .map(|_| reader.var(MAX_PART).map(<[u8]>::to_vec))
            .collect::<Result<Vec<_>, _>>()?;
        reader.finish().map(|()| parts)
    };
    read().map_err(|_: ocmt_crypto::CryptoError| {
        ActorError::unavailable("STORE_DAMAGED", "a stored list is damaged")
    })
}

pub(in crate::tenant) fn epoch(vault: &Vault) -> u32 {
    u32::try_from(vault.key_epoch).unwrap_or(0)
}

pub(in crate::tenant) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// Facts of a vault for its owner.
pub(in crate::tenant) async fn info(work: &mut Work, vault: &Vault) -> Result<VaultInfo, ActorError> {
    let slots = work.tx.count::<Slot>(Slot::vault_id.eq(vault.vault_id)).await?;
    let inbox = super::inbox::waiting(work, vault.vault_id).await?
        + super::shared::waiting(work, vault.vault_id).await?;
    Ok(VaultInfo {
        id: vault.vault_id,
        user: vault.owner_user,
        group: vault.owner_group,
        key_epoch: epoch(vault),
        counter: unsigned(vault.manifest_counter),
        objects: u32::try_from(vault.object_count).unwrap_or(0),
        slots: u32::try_from(slots).unwrap_or(0),
        verify_key: vault.verify_key.0,
        created_at: vault.created_at,
        updated_at: vault.updated_at,
        inbox: u32::try_from(inbox).unwrap_or(u32::MAX),
    })
}
