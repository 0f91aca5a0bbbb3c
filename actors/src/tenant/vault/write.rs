//! Writing objects: compare-and-swap of each version, and one new manifest that describes them all.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_crypto::{
    manifest::{Leaf, MAX_OBJECTS, Manifest},
    object::keyring_id,
    sign::VerifyKey,
};
use ocmt_store::tables::{ObjectBody, Vault, VaultChangeKind, VaultObject};
use ocmt_types::Digest32;

use super::{
    changes::ChangedObject,
    create::{bytes, insert},
    ground::{self, After, check_manifest, epoch, heads, leaf, slots, store_manifest},
    history,
};
use crate::{
    api::vault::{BatchPutEntries, DeleteEntry, PutEntry, Write, Written},
    authorize::Action,
    error::ActorError,
    tenant::{quota, share, transcript},
    work::{Handle, Work},
};

impl Handle for PutEntry {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        write(work, self.0).await
    }
}

impl Handle for DeleteEntry {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        write(work, self.0).await
    }
}

impl Handle for BatchPutEntries {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        write(work, self.0).await
    }
}

pub(super) async fn write(work: &mut Work, change: Write) -> Result<Written, ActorError> {
    let vault = ground::load(work, Action::WriteVault, Some(change.vault)).await?;
    transcript::keeps_keys(work, &vault, &change.deletes).await?;
    let puts = change.puts.len().to_string();
    let deletes = change.deletes.len().to_string();
    let (written, _) = apply(work, vault, change).await?;
    work.details.push(("puts".to_owned(), puts));
    work.details.push(("deletes".to_owned(), deletes));
    Ok(written)
}

/// Makes the change of a vault that the caller may write to; the manifest that now holds.
pub(in crate::tenant) async fn apply(
    work: &mut Work,
    vault: Vault,
    change: Write,
) -> Result<(Written, Manifest), ActorError> {
    no_rotation(&vault)?;
    let heads = heads(work, vault.vault_id).await?;
    let before: Vec<Leaf> = heads.iter().map(leaf).collect();
    let after = after(&before, &change)?;
    let slots = slots(work, vault.vault_id).await?;
    let expected = After {
        verify_key: VerifyKey(vault.verify_key.0),
        epoch: epoch(&vault),
        leaves: &after,
        slots: &slots,
    };
    let manifest = check_manifest(&vault, &change.manifest, &expected)?;
    let kept = history::keep(work, &vault, &heads, &change).await?;
    quota::store_bytes(work, growth(&heads, &change) + kept).await?;
    for (id, _) in &change.deletes {
        work.tx.delete::<VaultObject>((vault.vault_id, *id)).await?;
        work.tx.delete::<ObjectBody>((vault.vault_id, *id)).await?;
        share::end_of_entry(work, vault.vault_id, *id).await?;
    }
    let changed = changed(&change);
    for object in change.puts {
        insert(work, &vault, object, epoch(&vault)).await?;
    }
    let changed = (VaultChangeKind::Objects, changed.as_slice());
    let vault = store_manifest(work, vault, &manifest, change.manifest, changed).await?;
    Ok((Written { counter: ground::unsigned(vault.manifest_counter) }, manifest))
}

/// What is told to those who watch the vault.
fn changed(change: &Write) -> Vec<ChangedObject> {
    let put = |put: &ocmt_crypto::object::VaultObject| ChangedObject {
        deleted: false,
        object: put.object_id,
        version: put.version,
    };
    let gone = |(object, version): &(Digest32, u64)| ChangedObject {
        deleted: true,
        object: *object,
        version: *version,
    };
    change.puts.iter().map(put).chain(change.deletes.iter().map(gone)).collect()
}

/// How many bytes of ciphertext the change adds.
fn growth(heads: &[VaultObject], change: &Write) -> i64 {
    let touched: BTreeSet<Digest32> =
        change.puts.iter().map(|put| put.object_id).chain(change.deletes.iter().map(|(id, _)| *id)).collect();
    let gone: i64 =
        heads.iter().filter(|head| touched.contains(&head.object_id)).map(|head| head.body_bytes).sum();
    change.puts.iter().map(|put| bytes(&put.body)).sum::<i64>() - gone
}

/// Writes would miss what a rotation has already taken over.
pub(in crate::tenant) fn no_rotation(vault: &Vault) -> Result<(), ActorError> {
    if vault.rotation_id.is_some() {
        let why = "the vault is being rotated: finish or replace the rotation first";
        return Err(ActorError::precondition("ROTATION_IN_PROGRESS", why));
    }
    Ok(())
}

/// The leaves after the change, each version one more than it was.
fn after(before: &[Leaf], change: &Write) -> Result<Vec<Leaf>, ActorError> {
    let mut leaves: BTreeMap<Digest32, Leaf> = before.iter().map(|leaf| (leaf.object_id, *leaf)).collect();
    let mut touched = BTreeSet::new();
    for (id, version) in &change.deletes {
        if *id == keyring_id() || !touched.insert(*id) {
            return Err(ActorError::invalid("deletes", "names the keyring, or an object twice"));
        }
        match leaves.remove(id) {
            Some(leaf) if leaf.version == *version => {}
            Some(_) | None => return Err(ActorError::Aborted("an object of the vault")),
        }
    }
    for object in &change.puts {
        if !touched.insert(object.object_id) {
            return Err(ActorError::invalid("puts", "names an object twice"));
        }
        let present = leaves.get(&object.object_id).map_or(0, |leaf| leaf.version);
        if Some(object.version) != present.checked_add(1) {
            return Err(ActorError::Aborted("an object of the vault"));
        }
        leaves.insert(object.object_id, object.leaf());
    }
    if leaves.len() > MAX_OBJECTS {
        return Err(ActorError::exhausted(
            "VAULT_FULL",
            format!("a vault holds at most {MAX_OBJECTS} objects"),
        ));
    }
    Ok(leaves.into_values().collect())
}
