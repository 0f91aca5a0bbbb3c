//! What shares to write are held against: their own entries, the version before, whoever gave them, and a bound.

use ocmt_crypto::shared::WriteGrant;
use ocmt_store::tables::SharedWrite;
use ocmt_types::{Clock as _, Digest32, IdGen, RandomIds};

use super::{
    Side, get, given,
    given_on::on,
    offer, reason, seen, sends, three, value, word,
    writes::{filing, renewed_to_read, waiting},
};
use crate::{
    api::{
        shares::{
            CreateShare,
            Permission::{Read, Share, Write},
        },
        vault::FileSharedWrites,
    },
    tests::{kit::Kit, vault::store},
};

#[tokio::test]
async fn words_of_a_share_are_of_its_own_entries_each_once_and_of_the_version_that_is_there() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let one = offer(&kit, &ann, &bob, "granted", &[Write]).await;
    let share = (one.share.unwrap(), super::acts(&[Write]).unwrap());
    let kept = get(&kit, ann.caller(), ann.vault(), ann.id("kept")).await.unwrap().objects.remove(0);
    let of_kept = word(&ann, &bob, &kept, share, ann.signing());
    let of_granted = one.write_grants[0].clone();
    let both = [one.grants.clone(), offer(&kit, &ann, &bob, "kept", &[Write]).await.grants].concat();
    let mut later = WriteGrant::open(&of_granted, &ann.signing().verify_key()).unwrap();
    later.basis.place.version += 1;
    let wrong = [
        CreateShare { write_grants: vec![of_kept.clone()], ..one.clone() },
        CreateShare { write_grants: vec![later.sign(ann.signing())], ..one.clone() },
        CreateShare {
            grants: both.clone(),
            write_grants: vec![of_granted.clone(), of_granted.clone()],
            ..one.clone()
        },
    ];
    for wrong in wrong {
        assert_eq!(reason(kit.call(ann.caller(), wrong).await), "INVALID_ARGUMENT");
    }
    let good = CreateShare { grants: both, write_grants: vec![of_kept, of_granted], ..one };
    kit.call(ann.caller(), good).await.unwrap();
}

/// Bob writes an entry of Ann's by a share of its present version; what Ann's device makes of it.
async fn written(kit: &Kit, ann: &Side, bob: &Side, name: &str) -> FileSharedWrites {
    let share = given(kit, ann, bob, name, &[Write]).await;
    let send = sends(kit, ann, bob, share, &value(b"by Bob")).await;
    let id = kit.call(bob.caller(), send).await.unwrap().id;
    let there = waiting(kit, ann).await;
    filing(ann, there.iter().find(|one| one.id == id).unwrap(), bob, name)
}

#[tokio::test]
async fn a_renewal_brings_nobody_over_a_version_that_they_were_not_given() {
    let kit = Kit::sim().await;
    let (mut ann, bob, carol) = three(&kit).await;
    let behind = given(&kit, &ann, &carol, "granted", &[Read]).await;
    let stale = written(&kit, &ann, &bob, "granted").await.writes;
    let person = ann.person.clone();
    store(&kit, &person, &mut ann.open, "granted", b"by hand").await;
    // what waits for one entry is taken out, and another is filed: the first is not brought on by that
    let found = get(&kit, ann.caller(), ann.vault(), ann.id("granted")).await.unwrap().objects.remove(0);
    let mut of_kept = written(&kit, &ann, &bob, "kept").await;
    of_kept.writes.extend(stale);
    of_kept.renewals = vec![renewed_to_read(&ann, &carol, behind, &found)];
    assert_eq!(reason(kit.call(ann.caller(), of_kept).await), "INVALID_ARGUMENT");
    // and the version after next is not the next
    let mut file = written(&kit, &ann, &bob, "granted").await;
    file.renewals = vec![renewed_to_read(&ann, &carol, behind, &file.change.puts[0])];
    assert_eq!(reason(kit.call(ann.caller(), file).await), "CHANGED_MEANWHILE");
    assert_eq!(seen(&kit, &carol, behind).await.grants[0].version, 1);
}

#[tokio::test]
async fn what_was_given_on_is_renewed_by_nobody_but_who_gave_it() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[Read, Share]).await;
    let ask = on(&kit, &ann, &bob, &carol, &[Read]).await;
    let given_on = kit.call(bob.caller(), ask).await.unwrap().id;
    super::accept(&kit, &carol, given_on).await.unwrap();
    let mut file = written(&kit, &ann, &bob, "granted").await;
    file.renewals = vec![renewed_to_read(&ann, &carol, given_on, &file.change.puts[0])];
    assert_eq!(reason(kit.call(ann.caller(), file).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn so_many_writes_wait_for_a_vault_and_no_more() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Write]).await;
    let send = sends(&kit, &ann, &bob, share, &value(b"one more")).await;
    let owner = kit.store.cluster().owner(ann.person.tenant).await.unwrap().unwrap();
    let own = ocmt_types::Ownership {
        tenant: ann.person.tenant,
        incarnation: owner.incarnation.unwrap(),
        epoch: owner.epoch,
    };
    let mut tx = kit.store.fenced(own).await.unwrap();
    let ids: &dyn IdGen = &RandomIds;
    for at in 0..=255 {
        let waits = SharedWrite {
            tenant_id: own.tenant,
            write_id: ids.id(),
            vault_id: ann.vault(),
            share_id: ids.id(),
            object_id: Digest32([at; 32]),
            is_delete: true,
            sealed: Vec::new(),
            created_at: kit.clock.now(),
        };
        tx.insert(&waits).await.unwrap();
    }
    tx.commit().await.unwrap();
    let answer = kit.call(bob.caller(), send).await;
    assert!(answer.unwrap_err().to_string().contains("256 writes by shares wait"));
    // another vault's are its own
    let other = given(&kit, &bob, &carol, "granted", &[Write]).await;
    let send = sends(&kit, &bob, &carol, other, &value(b"mine")).await;
    kit.call(carol.caller(), send).await.unwrap();
}
