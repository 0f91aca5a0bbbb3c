//! Earlier versions of entries: as many as the policy keeps, gone with a rotation and with their entry.

use ocmt_crypto::{entry::EntryName, object::keyring_id, vault::RotationMode};
use ocmt_types::VaultId;

use super::{
    kit::{Kit, Person, until},
    vault::{put, rotate, store, vault_of},
};
use crate::{
    ActorError,
    api::{
        tenant::GetQuota,
        vault::{BatchPutEntries, GetEntry, Write},
    },
};

async fn keeping(kept: u32) -> Kit {
    Kit::sim_with(|config| config.policy.vault_history = kept).await
}

async fn read(
    kit: &Kit,
    ann: &Person,
    vault: VaultId,
    object: ocmt_types::Digest32,
    version: u64,
) -> Result<ocmt_crypto::object::VaultObject, ActorError> {
    let found = kit.call(&ann.caller, GetEntry { vault, object, version }).await?;
    Ok(found.objects.into_iter().next().unwrap())
}

async fn bytes(kit: &Kit, ann: &Person) -> i64 {
    kit.call(&ann.caller, GetQuota::default()).await.unwrap().used.storage_bytes
}

#[tokio::test]
async fn so_many_versions_are_kept_as_the_policy_says_and_they_open() {
    for (kept, there) in [(0, &[][..]), (2, &[4, 3])] {
        let kit = keeping(kept).await;
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        let vault = open.scope().vault;
        for value in 1..=5_u8 {
            store(&kit, &ann, &mut open, "a", &[value]).await;
        }
        let id = open.entry_id(&EntryName::new("a").unwrap());
        for version in 1..5 {
            let earlier = read(&kit, &ann, vault, id, version).await;
            if there.contains(&version) {
                let entry = open.open_earlier(&earlier.unwrap()).unwrap();
                assert_eq!(entry.value.as_slice(), [u8::try_from(version).unwrap()]);
            } else {
                assert_eq!(earlier.unwrap_err(), ActorError::NotFound, "version {version} of {kept} kept");
            }
        }
        let present = read(&kit, &ann, vault, id, 5).await.unwrap();
        assert!(open.open_earlier(&present).is_err(), "the present one is none of before");
        assert_eq!(read(&kit, &ann, vault, id, 6).await.unwrap_err(), ActorError::NotFound);
        assert_eq!(read(&kit, &ann, vault, keyring_id(), 0).await.unwrap().version, 1);
    }
}

#[tokio::test]
async fn an_earlier_version_of_another_object_or_vault_does_not_open_as_one() {
    let kit = keeping(5).await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let mut open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    for value in [b"1", b"2", b"3"] {
        store(&kit, &ann, &mut open, "a", value).await;
        store(&kit, &ann, &mut open, "b", value).await;
    }
    let id = |name: &str| open.entry_id(&EntryName::new(name).unwrap());
    let mut swapped = read(&kit, &ann, vault, id("a"), 1).await.unwrap();
    swapped.version = 2;
    assert!(open.open_earlier(&swapped).is_err());
    let mut swapped = read(&kit, &ann, vault, id("a"), 1).await.unwrap();
    swapped.object_id = id("b");
    assert!(open.open_earlier(&swapped).is_err());
    assert_eq!(read(&kit, &bob, vault, id("a"), 1).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn earlier_versions_count_as_stored_and_go_with_their_entry_and_with_a_rotation() {
    let kit = keeping(10).await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    let empty = bytes(&kit, &ann).await;
    store(&kit, &ann, &mut open, "a", &[7; 1000]).await;
    let one = bytes(&kit, &ann).await - empty;
    store(&kit, &ann, &mut open, "a", &[7; 1000]).await;
    store(&kit, &ann, &mut open, "a", &[7; 1000]).await;
    assert_eq!(bytes(&kit, &ann).await - empty, 3 * one);
    rotate(&kit, &ann, &mut open, RotationMode::Rewrap, true).await.unwrap();
    let id = open.entry_id(&EntryName::new("a").unwrap());
    for version in [1, 2] {
        assert_eq!(read(&kit, &ann, vault, id, version).await.unwrap_err(), ActorError::NotFound);
    }
    until("their rows are taken", async || bytes(&kit, &ann).await - empty == one).await;
    store(&kit, &ann, &mut open, "a", &[7; 1000]).await;
    read(&kit, &ann, vault, id, 3).await.unwrap();
    let mut edit = open.edit();
    edit.delete(&EntryName::new("a").unwrap()).unwrap();
    let change = edit.finish().unwrap();
    let delete = Write { vault, puts: vec![], deletes: vec![(id, 4)], manifest: change.manifest.clone() };
    kit.call(&ann.caller, BatchPutEntries(delete)).await.unwrap();
    open.apply(change).unwrap();
    assert_eq!(bytes(&kit, &ann).await, empty);
    assert_eq!(read(&kit, &ann, vault, id, 3).await.unwrap_err(), ActorError::NotFound);
    // an entry of the same name later is another one
    let (_, write) = put(&open, "a", b"new");
    assert_eq!(write.puts[0].version, 1);
    kit.call(&ann.caller, BatchPutEntries(write)).await.unwrap();
    assert_eq!(read(&kit, &ann, vault, id, 3).await.unwrap_err(), ActorError::NotFound);
}
