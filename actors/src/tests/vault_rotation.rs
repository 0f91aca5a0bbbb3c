//! Rotations of many entries: whole, in bounds, and held against the manifest before anything of them is kept.

use ocmt_crypto::{
    datakey::VaultScope,
    object::{VaultObject, keyring_id},
    slot::SlotSecret,
    vault::{Completed, LockedVault, Rollback, RotationMode, UnlockedVault},
};
use ocmt_store::{
    Fault, Filter, Point, ReadTx,
    tables::{self, RotationObject, Usage},
};
use ocmt_types::{Digest32, VaultId};

use super::{
    kit::{Kit, Person},
    vault::{PASSPHRASE, begin, entry, finish, passphrase, proved, read, store, vault_of, writes},
};
use crate::api::vault::{
    BatchGetEntries, BatchPutEntries, FinishRotation, GetKeySlots, ListEntries, PutRewrappedKeys,
};

/// As many as a client sends in one call.
const AT_ONCE: usize = 48;

fn name(n: usize) -> String {
    format!("entry/{n:05}")
}

async fn fill(kit: &Kit, ann: &Person, count: usize) -> UnlockedVault {
    let mut open = vault_of(kit, ann).await;
    for some in (0..count).map(name).collect::<Vec<_>>().chunks(AT_ONCE) {
        let mut edit = open.edit();
        for name in some {
            edit.put(&entry(name, name.as_bytes()), &mut rand::rng()).unwrap();
        }
        let change = edit.finish().unwrap();
        kit.call(&ann.caller, BatchPutEntries(writes(&open, &change))).await.unwrap();
        open.apply(change).unwrap();
    }
    open
}

async fn read_some(kit: &Kit, ann: &Person, vault: VaultId, objects: &[Digest32]) -> Vec<VaultObject> {
    let ask = BatchGetEntries { vault, objects: objects.to_vec() };
    let found = kit.call(&ann.caller, ask).await.unwrap().objects;
    assert_eq!(found.len(), objects.len());
    found
}

/// Stages all objects; the last call of the rotation, and what it leads to.
async fn stage(
    kit: &Kit,
    ann: &Person,
    open: &UnlockedVault,
    mode: RotationMode,
) -> (FinishRotation, Completed) {
    let vault = open.scope().vault;
    let mut rotation = open.begin_rotation(mode, &[], &[], &mut rand::rng()).unwrap();
    let start = rotation.start().clone();
    let id = kit.call(&ann.caller, begin(vault, &start, mode)).await.unwrap().id;
    let first = PutRewrappedKeys { vault, rotation: id, keys: Vec::new(), objects: vec![start.keyring] };
    kit.call(&ann.caller, first).await.unwrap();
    for some in rotation.left().chunks(AT_ONCE) {
        let (mut keys, mut objects) = (Vec::new(), Vec::new());
        for present in read_some(kit, ann, vault, some).await {
            let converted = rotation.convert(&present, &mut rand::rng()).unwrap();
            match mode {
                RotationMode::Rewrap => {
                    keys.push((converted.object_id, converted.version, converted.wrapped_key));
                }
                RotationMode::Rekey => objects.push(converted),
            }
        }
        kit.call(&ann.caller, PutRewrappedKeys { vault, rotation: id, keys, objects }).await.unwrap();
    }
    let completed = rotation.finish().unwrap();
    let finish = finish(vault, id, &completed);
    (finish, completed)
}

/// Opened as a client does that has nothing: every head is held against the manifest.
async fn unlock(kit: &Kit, ann: &Person) -> UnlockedVault {
    let handout = kit.call(&ann.caller, GetKeySlots { vault: None, kind: None, claim: None }).await.unwrap();
    let (mut leaves, mut after) = (Vec::new(), None);
    loop {
        let list = ListEntries { vault: handout.vault, after, limit: 1_000 };
        let page = kit.call(&ann.caller, list).await.unwrap();
        leaves.extend(page.entries.iter().map(|head| head.leaf));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let keyring = read(kit, ann, handout.vault, keyring_id()).await.unwrap();
    let scope = VaultScope { tenant: ann.tenant, vault: handout.vault };
    let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
    let locked =
        LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring).unwrap();
    let secret = passphrase(PASSPHRASE);
    let open = locked.open(&SlotSecret::Passphrase(&secret), None, Rollback::Refuse).unwrap();
    kit.call(&ann.caller, proved(&open, &handout, None)).await.unwrap();
    open
}

/// The vault is of this epoch, every entry opens, and what it holds is what counts as stored.
async fn is_whole(kit: &Kit, ann: &Person, epoch: u32, count: usize) {
    let open = unlock(kit, ann).await;
    assert_eq!(open.epoch(), epoch);
    for some in (0..count).collect::<Vec<_>>().chunks(AT_ONCE) {
        let ids: Vec<Digest32> = some.iter().map(|n| open.entry_id(&entry(&name(*n), b"").name)).collect();
        for (object, n) in read_some(kit, ann, open.scope().vault, &ids).await.iter().zip(some) {
            assert_eq!(open.open_entry(object).unwrap().value.as_slice(), name(*n).as_bytes());
        }
    }
    let mut tx = rows(kit, ann).await;
    let (mut stored, mut after) = (0, None);
    loop {
        let of_vault = tables::VaultObject::vault_id.eq(open.scope().vault);
        let page = match after {
            Some(last) => tx.find(of_vault.after(&(open.scope().vault, last))).await.unwrap(),
            None => tx.find::<tables::VaultObject>(of_vault).await.unwrap(),
        };
        stored += page.iter().map(|head| head.body_bytes).sum::<i64>();
        after = page.last().map(|head| head.object_id);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(tx.get::<Usage>(()).await.unwrap().unwrap().storage_bytes, stored);
}

async fn rows(kit: &Kit, ann: &Person) -> ReadTx {
    kit.rows(ann.tenant).await
}

async fn staged(kit: &Kit, ann: &Person) -> i64 {
    rows(kit, ann).await.count::<RotationObject>(Filter::all()).await.unwrap()
}

async fn thousands_are_rotated(kit: Kit) {
    const MANY: usize = 2_000;
    let ann = kit.founder("ann@example.com").await;
    let mut open = fill(&kit, &ann, MANY).await;
    for (mode, epoch) in [(RotationMode::Rewrap, 2), (RotationMode::Rekey, 3)] {
        let (finish, completed) = stage(&kit, &ann, &open, mode).await;
        kit.call(&ann.caller, finish).await.unwrap();
        open.complete(completed).unwrap();
        assert_eq!(staged(&kit, &ann).await, 0);
        is_whole(&kit, &ann, epoch, MANY).await;
    }
    store(&kit, &ann, &mut open, "one more", b"1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_entries_are_rotated_on_sqlite() {
    thousands_are_rotated(Kit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_entries_are_rotated_on_postgres() {
    thousands_are_rotated(Kit::postgres().await).await;
}

#[tokio::test]
async fn a_rotation_that_the_manifest_does_not_describe_leaves_all_as_it_was() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let mut open = fill(&kit, &ann, 130).await;
        let (finish, completed) = stage(&kit, &ann, &open, RotationMode::Rekey).await;
        let all = staged(&kit, &ann).await;
        // what is staged in the place of another: its hash is not the manifest's
        let other = open.entry_id(&entry(&name(7), b"").name);
        let present = read(&kit, &ann, finish.vault, other).await.unwrap();
        let again = open.begin_rotation(RotationMode::Rekey, &[], &[], &mut rand::rng());
        let strange = again.unwrap().convert(&present, &mut rand::rng()).unwrap();
        let put = |object| PutRewrappedKeys {
            vault: finish.vault,
            rotation: finish.rotation,
            keys: Vec::new(),
            objects: vec![object],
        };
        let kept =
            rows(&kit, &ann).await.get::<RotationObject>((finish.vault, other)).await.unwrap().unwrap();
        kit.call(&ann.caller, put(strange)).await.unwrap();
        let refused = kit.call(&ann.caller, finish.clone()).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT");
        let mut damaged = finish.clone();
        damaged.manifest[40] ^= 1;
        assert_eq!(kit.call(&ann.caller, damaged).await.unwrap_err().reason(), "INVALID_ARGUMENT");
        is_whole(&kit, &ann, 1, 130).await;
        assert_eq!(staged(&kit, &ann).await, all);

        let right = VaultObject {
            object_id: other,
            version: u64::try_from(kept.version).unwrap(),
            wrapped_key: kept.wrapped_key,
            body: kept.body.unwrap(),
        };
        kit.call(&ann.caller, put(right)).await.unwrap();
        kit.call(&ann.caller, finish).await.unwrap();
        open.complete(completed).unwrap();
        is_whole(&kit, &ann, 2, 130).await;
    }
}

#[tokio::test]
async fn a_switch_that_is_not_committed_leaves_the_rotation_to_be_finished() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = fill(&kit, &ann, 130).await;
    let (finish, _) = stage(&kit, &ann, &open, RotationMode::Rekey).await;
    let all = staged(&kit, &ann).await;
    kit.store.faults().unwrap().plan(Point::Commit, Fault::Full);
    kit.call(&ann.caller, finish.clone()).await.unwrap_err();
    kit.store.faults().unwrap().clear();
    is_whole(&kit, &ann, 1, 130).await;
    assert_eq!(staged(&kit, &ann).await, all);
    kit.call(&ann.caller, finish).await.unwrap();
    is_whole(&kit, &ann, 2, 130).await;
    assert_eq!(staged(&kit, &ann).await, 0);
}
