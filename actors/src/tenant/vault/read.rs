//! Reading: the vault with what proves it, heads, objects, and the hand-out of key slots.

use std::time::Duration;

use ocmt_crypto::{
    object,
    sign::{Signature, VerifyKey},
    vault::{Proof, ProofOf},
};
use ocmt_store::tables::{Handout as HandoutRow, ObjectBody, Slot, Vault, VaultObject};
use ocmt_types::{Digest32, HandoutId, VaultId};

use super::{
    super::{program, share},
    asked, budget,
    ground::{self, epoch, info, leaf, split, unsigned},
    history, rotation,
};
use crate::{
    api::vault::{
        BatchGetEntries, Entries, EntryPage, GetEntry, GetKeySlots, GetVault, Handout, ListEntries,
        ObjectHead, ReportUnlock, Reported, RotationInfo, StoredSlot, VaultView,
    },
    authorize::{Action, require_step_up},
    error::ActorError,
    tenant::session_row::tenant_of,
    work::{Handle, Together, Work},
};

/// How long an unlock may take from the hand-out to its proof.
const HANDOUT_LASTS: Duration = Duration::from_secs(3600);
const PAGE: u32 = 500;
/// Objects of one answer: with bodies of 68 KiB it stays below 4 MiB.
const BATCH: usize = 48;

impl Handle for GetVault {
    async fn handle(self, work: &mut Work) -> Result<VaultView, ActorError> {
        let vault = ground::load(work, Action::ReadVault, self.vault).await?;
        Ok(VaultView {
            info: info(work, &vault).await?,
            successions: split(&vault.successions)?,
            // slots are handed out by GetKeySlots alone, which counts
            rotation: rotation::standing(work, &vault)
                .await?
                .map(|standing| RotationInfo { slots: Vec::new(), ..standing }),
            request: asked::standing(work, vault.vault_id).await?,
            manifest: vault.manifest,
        })
    }
}

impl Handle for ListEntries {
    async fn handle(self, work: &mut Work) -> Result<EntryPage, ActorError> {
        let limit = if self.limit == 0 { PAGE } else { self.limit };
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(rows) = program::listed(work, &self, most).await? {
            return Ok(handed_out(rows, most));
        }
        let vault = match ground::load(work, Action::ReadVault, Some(self.vault)).await {
            Err(refused) if ground::is_asked_by_share(work, self.vault, &refused).await? => {
                return list_shared(work, self, most).await;
            }
            own => own?,
        };
        let of_vault = VaultObject::vault_id.eq(self.vault);
        let rows = match self.after {
            Some(after) => work.tx.find(of_vault.after(&(self.vault, after)).limit(limit)).await?,
            None => work.tx.find(of_vault.limit(limit)).await?,
        };
        let full = rows.len() >= most;
        Ok(EntryPage {
            next: rows.last().filter(|_| full).map(|row| row.object_id),
            entries: rows.into_iter().map(head).collect(),
            counter: unsigned(vault.manifest_counter),
        })
    }
}

fn head(row: VaultObject) -> ObjectHead {
    ObjectHead {
        leaf: leaf(&row),
        wrapped_key: row.wrapped_key,
        body_bytes: u32::try_from(row.body_bytes).unwrap_or(u32::MAX),
        updated_at: row.updated_at,
    }
}

impl Handle for GetEntry {
    async fn handle(self, work: &mut Work) -> Result<Entries, ActorError> {
        if let Some(granted) = program::granted(work, self.vault, self.object).await? {
            return read_granted(work, self, granted.version, granted.sealed).await;
        }
        let vault = match ground::load(work, Action::ReadVault, Some(self.vault)).await {
            Err(refused) if ground::is_asked_by_share(work, self.vault, &refused).await? => {
                return read_shared(work, self).await;
            }
            own => own?,
        };
        let mut object = object(work, self.vault, self.object).await?.ok_or(ActorError::NotFound)?;
        if self.version != 0 && self.version != object.version {
            let earlier = history::version(work, &vault, self.object, self.version).await?;
            object = earlier.ok_or(ActorError::NotFound)?;
        }
        work.details.push(("object".to_owned(), self.object.to_string()));
        Ok(Entries { objects: vec![object], counter: unsigned(vault.manifest_counter), grant: None })
    }
}

impl Together for GetEntry {}

impl Handle for BatchGetEntries {
    async fn handle(self, work: &mut Work) -> Result<Entries, ActorError> {
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?;
        if self.objects.len() > BATCH {
            return Err(ActorError::invalid("object_ids", format!("are more than {BATCH}")));
        }
        let mut objects = Vec::with_capacity(self.objects.len());
        for id in &self.objects {
            objects.extend(object(work, self.vault, *id).await?);
        }
        work.details.push(("objects".to_owned(), objects.len().to_string()));
        Ok(Entries { objects, counter: unsigned(vault.manifest_counter), grant: None })
    }
}

/// What a program or another person was granted, as long as that is the present version.
async fn read_granted(
    work: &mut Work,
    ask: GetEntry,
    version: i64,
    sealed: Vec<u8>,
) -> Result<Entries, ActorError> {
    let vault = work.tx.get::<Vault>(ask.vault).await?.ok_or(ActorError::NotFound)?;
    let object = object(work, ask.vault, ask.object).await?.ok_or(ActorError::NotFound)?;
    if object.version != unsigned(version) {
        return Err(ActorError::precondition(
            "GRANT_STALE",
            "the entry was written anew since it was granted: ask for it again, or have its owner hand it out again",
        ));
    }
    if ask.version != 0 && ask.version != object.version {
        return Err(ActorError::NotFound);
    }
    work.object = format!("vault/{}", ask.vault);
    work.details.push(("object".to_owned(), ask.object.to_string()));
    let (counter, grant) = (unsigned(vault.manifest_counter), Some(sealed));
    Ok(Entries { objects: vec![object], counter, grant })
}

/// An entry of somebody else's vault that a share gives the caller to read.
async fn read_shared(work: &mut Work, ask: GetEntry) -> Result<Entries, ActorError> {
    let taken = share::taken(work, ask.vault, ask.object).await?.ok_or(ActorError::NotFound)?;
    work.details.push(("share".to_owned(), taken.share.to_string()));
    let found = read_granted(work, ask, taken.version, taken.sealed).await?;
    // how often the vault is written is not shared
    Ok(Entries { counter: 0, ..found })
}

/// Entries of somebody else's vault that shares give the caller to see.
async fn list_shared(work: &mut Work, ask: ListEntries, most: usize) -> Result<EntryPage, ActorError> {
    share::listed(work, &ask, most).await?.ok_or(ActorError::NotFound).map(|rows| handed_out(rows, most))
}

/// Heads without what opens them to others, nor how often the vault is written.
fn handed_out(rows: Vec<VaultObject>, most: usize) -> EntryPage {
    let next = rows.last().filter(|_| rows.len() >= most).map(|row| row.object_id);
    let entries = rows.into_iter().map(|row| head(VaultObject { wrapped_key: Vec::new(), ..row }));
    EntryPage { next, entries: entries.collect(), counter: 0 }
}

/// One object with its body. The vault was authorised before.
pub(crate) async fn object(
    work: &mut Work,
    vault: VaultId,
    id: Digest32,
) -> Result<Option<object::VaultObject>, ActorError> {
    let Some(head) = work.tx.get::<VaultObject>((vault, id)).await? else {
        return Ok(None);
    };
    let body = work.tx.get::<ObjectBody>((vault, id)).await?.ok_or(ActorError::NotFound)?;
    Ok(Some(object::VaultObject {
        object_id: id,
        version: unsigned(head.version),
        wrapped_key: head.wrapped_key,
        body: body.body,
    }))
}

impl Handle for GetKeySlots {
    async fn handle(self, work: &mut Work) -> Result<Handout, ActorError> {
        let vault = ground::load(work, Action::ReadVault, self.vault).await?;
        let who = work.user()?;
        let slots = if vault.owner_user.is_some() {
            let slots = asked::handed_out(work, &vault, &self).await?;
            budget::spend(work, who).await?;
            slots
        } else {
            // a group's vault opens by keys of 256 random bits: there is nothing to guess
            work.tx.find::<Slot>(Slot::vault_id.eq(vault.vault_id)).await?
        };
        let old =
            HandoutRow::vault_id.eq(vault.vault_id).and(HandoutRow::created_at.le(work.now - HANDOUT_LASTS));
        work.tx.delete_all::<HandoutRow>(old).await?;
        let row = HandoutRow {
            tenant_id: vault.tenant_id,
            vault_id: vault.vault_id,
            handout_id: work.env.id(),
            challenge: Digest32(rand::random()),
            created_at: work.now,
        };
        work.tx.insert(&row).await?;
        let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
        Ok(Handout {
            vault: vault.vault_id,
            slots: slots.into_iter().map(stored_slot).collect::<Result<_, _>>()?,
            key_epoch: epoch(&vault),
            successions: split(&vault.successions)?,
            manifest: vault.manifest,
            handout: row.handout_id,
            challenge: row.challenge,
            least_cost: (policy.argon2_memory_mib, policy.argon2_passes),
        })
    }
}

fn stored_slot(row: Slot) -> Result<StoredSlot, ActorError> {
    let kind = ground::parse_slot(&row.body)?.kind() as u8;
    Ok(StoredSlot { id: row.slot_id, kind, created_at: row.created_at, slot: row.body })
}

impl Handle for ReportUnlock {
    async fn handle(self, work: &mut Work) -> Result<Reported, ActorError> {
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?;
        let slot = work.tx.get::<Slot>((self.vault, self.slot)).await?.ok_or(ActorError::NotFound)?;
        redeem(work, &vault, ProofOf::Unlock, self.handout, self.proof).await?;
        if let Some(renewed) = &self.renewed {
            renew(work, &vault, slot, renewed).await?;
        }
        work.details.push(("slot".to_owned(), self.slot.to_string()));
        let kept_back = asked::kept_back(work, self.vault).await?;
        Ok(Reported { slots: kept_back.into_iter().map(stored_slot).collect::<Result<_, _>>()? })
    }
}

/// Uses up a hand-out. Whoever signed this had the vault open, and may try again without waiting.
pub(in crate::tenant) async fn redeem(
    work: &mut Work,
    vault: &Vault,
    of: ProofOf,
    handout: HandoutId,
    signature: Signature,
) -> Result<(), ActorError> {
    let row = work.tx.take::<HandoutRow>((vault.vault_id, handout)).await?;
    // what was signed long ago shows nobody who is there now
    let row = row.filter(|row| row.created_at + HANDOUT_LASTS > work.now).ok_or(ActorError::NotFound)?;
    let proof = Proof { of, challenge: row.challenge, signature };
    proof
        .verify(&ground::scope(vault), &VerifyKey(vault.verify_key.0))
        .map_err(|_| ActorError::invalid("proof", "is not by the vault signing key over the challenge"))?;
    match vault.owner_user {
        Some(_) => {
            asked::opened(work, vault, HANDOUT_LASTS).await?;
            let user = work.user()?.user;
            budget::reset(work, user).await
        }
        None => Ok(()),
    }
}

/// Puts a slot with a renewed lock in the place of the same slot: its public key stays, so the manifest holds.
async fn renew(work: &mut Work, vault: &Vault, row: Slot, renewed: &[u8]) -> Result<(), ActorError> {
    // its slots have no lock to renew, and everybody who takes part has the key that would sign one
    ground::not_a_groups(vault)?;
    let before = ground::parse_slot(&row.body)?;
    let key = VerifyKey(vault.verify_key.0);
    let slot = ground::verified_slot(vault, renewed, &key, epoch(vault))?;
    if (slot.id(), slot.kind(), slot.public()) != (before.id(), before.kind(), before.public()) {
        return Err(ActorError::invalid("renewed_slot", "is another slot than the one that was used"));
    }
    let weaker = before.cost().is_some_and(|old| slot.cost().is_none_or(|new| new.at_least(old) != new));
    if weaker {
        return Err(ActorError::invalid("renewed_slot", "has lower costs than the one that was used"));
    }
    // another lock may be one for another secret: only where a slot could be put there as well. Else it stays as
    // it is, and is renewed at a later use
    let who = work.user()?;
    if require_step_up(&work.standing, who).is_err() {
        return Ok(());
    }
    work.tx.update(&Slot { body: slot.to_bytes(), ..row }).await?;
    work.details.push(("renewed".to_owned(), "true".to_owned()));
    Ok(())
}
