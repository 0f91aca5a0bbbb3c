//! Vaults through the actors, with the client's half of the cryptography made here.

use std::time::Duration;

use ocmt_crypto::{
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    kdf::{Cost, Passphrase},
    object::VaultObject,
    slot::{NewSlot, SlotSecret},
    vault::{
        self, Completed, LockedVault, Proof, ProofOf, Rollback, RotationMode, RotationStart, UnlockedVault,
    },
};
use ocmt_types::{Digest32, IdGen, RandomIds, RotationId, VaultId};
use zeroize::Zeroizing;

use super::kit::{Kit, Person};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        vault::{
            self as api, AddKeySlot, BatchPutEntries, BeginRotation, CreateVault, FinishRotation, GetEntry,
            GetKeySlots, GetVault, ListEntries, PutRewrappedKeys, RemoveKeySlot, ReportUnlock, Write,
        },
    },
};

pub(super) const PASSPHRASE: &str = "correct horse battery staple";

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text).unwrap()
}

/// Makes a vault for somebody and uploads it.
pub(crate) async fn vault_of(kit: &Kit, person: &Person) -> UnlockedVault {
    let ids: &dyn IdGen = &RandomIds;
    let scope = VaultScope { tenant: person.tenant, vault: ids.id() };
    let secret = passphrase(PASSPHRASE);
    let (open, upload) =
        vault::create(scope, &[NewSlot::Passphrase(&secret, Cost::LEAST)], &mut rand::rng()).unwrap();
    kit.call(&person.caller, creation(scope, upload)).await.unwrap();
    open
}

/// What makes a person's own at the node.
pub(super) fn creation(scope: VaultScope, upload: vault::Upload) -> CreateVault {
    CreateVault {
        of_group: None,
        vault: scope.vault,
        verify_key: upload.verify_key,
        slots: upload.slots,
        objects: upload.objects,
        manifest: upload.manifest,
    }
}

pub(super) fn entry(name: &str, value: &[u8]) -> Entry {
    Entry {
        name: EntryName::new(name).unwrap(),
        value: Zeroizing::new(value.to_vec()),
        attributes: Attributes::default(),
    }
}

pub(crate) fn put(open: &UnlockedVault, name: &str, value: &[u8]) -> (vault::Change, Write) {
    let mut edit = open.edit();
    edit.put(&entry(name, value), &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    let write = writes(open, &change);
    (change, write)
}

/// What stores a change that takes nothing away.
pub(super) fn writes(open: &UnlockedVault, change: &vault::Change) -> Write {
    Write {
        vault: open.scope().vault,
        puts: change.objects.clone(),
        deletes: Vec::new(),
        manifest: change.manifest.clone(),
    }
}

pub(crate) async fn store(kit: &Kit, person: &Person, open: &mut UnlockedVault, name: &str, value: &[u8]) {
    let (change, write) = put(open, name, value);
    kit.call(&person.caller, BatchPutEntries(write)).await.unwrap();
    open.apply(change).unwrap();
}

pub(super) async fn read(
    kit: &Kit,
    person: &Person,
    vault: VaultId,
    object: Digest32,
) -> Result<VaultObject, ActorError> {
    let found = kit.call(&person.caller, GetEntry { vault, object, version: 0 }).await?;
    Ok(found.objects.into_iter().next().unwrap())
}

/// Unlocks the way a client does: everything from the node, everything checked.
async fn unlock(kit: &Kit, person: &Person, secret: &str) -> ocmt_crypto::Result<UnlockedVault> {
    let handout =
        kit.call(&person.caller, GetKeySlots { vault: None, kind: None, claim: None }).await.unwrap();
    let page =
        kit.call(&person.caller, ListEntries { vault: handout.vault, after: None, limit: 0 }).await.unwrap();
    let keyring = read(kit, person, handout.vault, ocmt_crypto::object::keyring_id()).await.unwrap();
    let scope = VaultScope { tenant: person.tenant, vault: handout.vault };
    let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
    let leaves = page.entries.iter().map(|head| head.leaf).collect();
    let locked = LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring)?;
    let opened = locked.open(&SlotSecret::Passphrase(&passphrase(secret)), None, Rollback::Refuse);
    match &opened {
        Ok(open) => kit.call(&person.caller, proved(open, &handout, None)).await.map(drop).unwrap(),
        Err(_) => kit.clock.advance(Duration::from_secs(4)),
    }
    opened
}

/// The proof of an unlock that this hand-out led to.
pub(super) fn proved(open: &UnlockedVault, handout: &api::Handout, renewed: Option<Vec<u8>>) -> ReportUnlock {
    ReportUnlock {
        vault: handout.vault,
        handout: handout.handout,
        slot: open.opened_through().unwrap_or(handout.slots[0].id),
        proof: open.prove(ProofOf::Unlock, handout.challenge).signature,
        renewed,
    }
}

#[tokio::test]
async fn what_is_put_is_read_back_by_its_owner_on_both_stores() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        store(&kit, &ann, &mut open, "api key", b"value one").await;
        store(&kit, &ann, &mut open, "api key", b"value two").await;
        let again = unlock(&kit, &ann, PASSPHRASE).await.unwrap();
        let id = again.entry_id(&EntryName::new("api key").unwrap());
        let object = read(&kit, &ann, open.scope().vault, id).await.unwrap();
        assert_eq!(object.version, 2);
        assert_eq!(again.open_entry(&object).unwrap().value.as_slice(), b"value two");
        assert!(unlock(&kit, &ann, "another passphrase entirely").await.is_err());
    }
}

#[tokio::test]
async fn of_two_writers_of_one_state_exactly_one_wins() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    let writes: Vec<Write> = (0..8).map(|n| put(&open, &format!("name {n}"), b"v").1).collect();
    let calls = writes.into_iter().map(|write| kit.call(&ann.caller, BatchPutEntries(write)));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let losers = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(losers.clone().count() == 7 && losers.clone().all(|error| error.reason() == "CHANGED_MEANWHILE"));
}

#[tokio::test]
async fn a_manifest_that_does_not_describe_the_state_is_refused() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    let (_, honest) = put(&open, "a", b"1");
    let (_, other) = put(&open, "b", b"2");
    let swapped = Write { manifest: other.manifest.clone(), ..honest.clone() };
    let none = Write { puts: Vec::new(), ..honest.clone() };
    let mut damaged = honest.clone();
    damaged.manifest[20] ^= 1;
    let mut foreign_key = honest.clone();
    let bob = kit.founder("bob@example.com").await;
    foreign_key.manifest = put(&vault_of(&kit, &bob).await, "a", b"1").1.manifest;
    for write in [swapped, none, damaged, foreign_key] {
        let error = kit.call(&ann.caller, BatchPutEntries(write)).await.unwrap_err();
        assert_eq!(error.reason(), "INVALID_ARGUMENT");
    }
    kit.call(&ann.caller, BatchPutEntries(honest)).await.unwrap();
}

#[tokio::test]
async fn t1_a_foreign_vault_is_not_found_whatever_is_asked() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let eve = kit.founder("eve@example.com").await;
    let neighbour = kit.member(&ann, "ned@example.com", crate::api::users::Role::Admin).await;
    let mut open = vault_of(&kit, &ann).await;
    store(&kit, &ann, &mut open, "a", b"1").await;
    let vault = open.scope().vault;
    let object = open.entry_id(&EntryName::new("a").unwrap());
    for stranger in [&eve, &neighbour] {
        let caller = &stranger.caller;
        let (_, write) = put(&open, "a", b"2");
        let slot = open.slots()[0].id();
        let answers = [
            kit.call(caller, GetVault { vault: Some(vault) }).await.err(),
            kit.call(caller, ListEntries { vault, after: None, limit: 0 }).await.err(),
            kit.call(caller, GetEntry { vault, object, version: 0 }).await.err(),
            kit.call(caller, BatchPutEntries(write)).await.err(),
            kit.call(caller, GetKeySlots { vault: Some(vault), kind: None, claim: None }).await.err(),
            kit.call(caller, RemoveKeySlot { vault, slot, manifest: Vec::new() }).await.err(),
        ];
        assert!(answers.iter().all(|answer| *answer == Some(ActorError::NotFound)), "{answers:?}");
    }
}

#[tokio::test]
async fn a_recovery_session_reads_no_vault() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    vault_of(&kit, &ann).await;
    let recovering = kit.sign_in(&ann, LinkPurpose::Recovery).await;
    let refused =
        kit.call(&recovering.caller, GetKeySlots { vault: None, kind: None, claim: None }).await.unwrap_err();
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
}

#[tokio::test]
async fn slots_are_added_and_removed_but_the_last_one_stays() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    let first = open.slots()[0].id();

    let mut edit = open.edit();
    edit.add_slot(&NewSlot::Passphrase(&passphrase("a second passphrase"), Cost::LEAST), &mut rand::rng())
        .unwrap();
    let change = edit.finish().unwrap();
    let ask = AddKeySlot { vault, slot: change.added_slots[0].clone(), manifest: change.manifest.clone() };
    kit.call(&ann.caller, ask).await.unwrap();
    open.apply(change).unwrap();
    assert!(unlock(&kit, &ann, "a second passphrase").await.is_ok());

    let mut edit = open.edit();
    edit.remove_slot(first).unwrap();
    let change = edit.finish().unwrap();
    kit.call(&ann.caller, RemoveKeySlot { vault, slot: first, manifest: change.manifest.clone() })
        .await
        .unwrap();
    open.apply(change).unwrap();
    assert!(unlock(&kit, &ann, PASSPHRASE).await.is_err());

    let last = open.slots()[0].id();
    let refused =
        kit.call(&ann.caller, RemoveKeySlot { vault, slot: last, manifest: Vec::new() }).await.unwrap_err();
    assert_eq!(refused.reason(), "LAST_SLOT");
}

#[tokio::test]
async fn an_unlock_is_proved_once_and_only_with_the_vault_open() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    let handout = kit.call(&ann.caller, GetKeySlots { vault: None, kind: None, claim: None }).await.unwrap();
    let Proof { signature, .. } = open.prove(ProofOf::Unlock, handout.challenge);
    let Proof { signature: for_step_up, .. } = open.prove(ProofOf::StepUp, handout.challenge);
    let report = |proof| ReportUnlock { proof, ..proved(&open, &handout, None) };
    let wrong = kit.call(&ann.caller, report(for_step_up)).await.unwrap_err();
    assert_eq!(wrong.reason(), "INVALID_ARGUMENT");
    kit.call(&ann.caller, report(signature)).await.unwrap();
    assert_eq!(kit.call(&ann.caller, report(signature)).await.unwrap_err(), ActorError::NotFound);
}

/// The last message of this rotation, of a vault that is somebody's own or whose key is not shared.
pub(crate) fn finish(vault: VaultId, rotation: RotationId, completed: &Completed) -> FinishRotation {
    FinishRotation {
        vault,
        rotation,
        slots: completed.slots.clone(),
        manifest: completed.manifest.clone(),
        deal: None,
    }
}

/// The first message of this rotation, in the place of whatever is under way.
pub(crate) fn begin(vault: VaultId, start: &RotationStart, mode: RotationMode) -> BeginRotation {
    BeginRotation {
        vault,
        epoch: start.epoch,
        verify_key: start.verify_key,
        succession: start.succession.clone(),
        mode: match mode {
            RotationMode::Rewrap => api::RotationMode::Rewrap,
            RotationMode::Rekey => api::RotationMode::Rekey,
        },
        slots: start.slots.clone(),
        replace: true,
    }
}

pub(crate) async fn rotate(
    kit: &Kit,
    ann: &Person,
    open: &mut UnlockedVault,
    mode: RotationMode,
    stage_all: bool,
) -> Result<(), ActorError> {
    let vault = open.scope().vault;
    let mut rotation = open.begin_rotation(mode, &[], &[], &mut rand::rng()).unwrap();
    let start = rotation.start().clone();
    let begin = begin(vault, &start, mode);
    let id = kit.call(&ann.caller, begin).await?.id;
    let (mut keys, mut objects) = (Vec::new(), vec![start.keyring.clone()]);
    for object in rotation.left() {
        let converted = rotation.convert(&read(kit, ann, vault, object).await?, &mut rand::rng()).unwrap();
        match mode {
            RotationMode::Rewrap => {
                keys.push((converted.object_id, converted.version, converted.wrapped_key));
            }
            RotationMode::Rekey => objects.push(converted),
        }
    }
    if !stage_all {
        objects.clear();
    }
    kit.call(&ann.caller, PutRewrappedKeys { vault, rotation: id, keys, objects }).await?;
    let completed = rotation.finish().unwrap();
    let finish = finish(vault, id, &completed);
    kit.call(&ann.caller, finish).await?;
    open.complete(completed).unwrap();
    Ok(())
}

#[tokio::test]
async fn a_rotation_switches_all_at_once_and_the_passphrase_still_opens() {
    for mode in [RotationMode::Rewrap, RotationMode::Rekey] {
        let kit = Kit::sqlite().await;
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        store(&kit, &ann, &mut open, "a", b"1").await;
        store(&kit, &ann, &mut open, "b", b"2").await;
        rotate(&kit, &ann, &mut open, mode, true).await.unwrap();
        let again = unlock(&kit, &ann, PASSPHRASE).await.unwrap();
        assert_eq!(again.epoch(), 2);
        let object = read(&kit, &ann, again.scope().vault, again.entry_id(&EntryName::new("b").unwrap()))
            .await
            .unwrap();
        assert_eq!(again.open_entry(&object).unwrap().value.as_slice(), b"2");
        store(&kit, &ann, &mut open, "c", b"3").await;
    }
}

#[tokio::test]
async fn an_unfinished_rotation_changes_nothing_and_holds_up_writes_until_it_is_replaced() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    store(&kit, &ann, &mut open, "a", b"1").await;
    let incomplete = rotate(&kit, &ann, &mut open, RotationMode::Rekey, false).await.unwrap_err();
    assert_eq!(incomplete.reason(), "ROTATION_INCOMPLETE");
    let (_, write) = put(&open, "b", b"2");
    assert_eq!(
        kit.call(&ann.caller, BatchPutEntries(write)).await.unwrap_err().reason(),
        "ROTATION_IN_PROGRESS"
    );
    assert_eq!(unlock(&kit, &ann, PASSPHRASE).await.unwrap().epoch(), 1);
    rotate(&kit, &ann, &mut open, RotationMode::Rekey, true).await.unwrap();
    store(&kit, &ann, &mut open, "b", b"2").await;
}

#[tokio::test]
async fn objects_of_an_old_key_epoch_are_refused() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let (_, old) = put(&open, "a", b"1");
    rotate(&kit, &ann, &mut open, RotationMode::Rewrap, true).await.unwrap();
    let (_, new) = put(&open, "a", b"1");
    let stale = Write { puts: old.puts.clone(), manifest: new.manifest.clone(), ..new.clone() };
    assert!(kit.call(&ann.caller, BatchPutEntries(stale)).await.is_err());
    assert!(kit.call(&ann.caller, BatchPutEntries(old)).await.is_err());
    kit.call(&ann.caller, BatchPutEntries(new)).await.unwrap();
}
