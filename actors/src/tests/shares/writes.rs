//! What a taker sends by a share: from whom, for what and when a node takes it, and what the owner's device makes of it.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{
    entry::EntryName,
    shared::{Basis, SharedAct, SharedPlace, SharedWrite, WriteGrant},
    vault::RotationMode,
};
use ocmt_types::{MessageId, ShareId};

use super::{Side, accept, get, given, item, offer, reason, revoke, seen, sends, three, value};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        shares::{
            CreateShare,
            Permission::{Delete, List, Read, Share, Write},
            SendSharedWrite,
        },
        users::{CreateRole, Role, RoleId, SetRole},
        vault::{
            DeleteEntry, FileSharedWrites, GetVault, ListSharedWrites, Renewal, SharedWriteItem,
            Write as Change,
        },
    },
    tests::{
        kit::Kit,
        nodes::hand_over,
        vault::{put, rotate, store},
    },
};

/// What waits for the owner's device.
pub(super) async fn waiting(kit: &Kit, owner: &Side) -> Vec<SharedWriteItem> {
    let ask = ListSharedWrites { vault: owner.vault(), after: None, limit: 0 };
    kit.call(owner.caller(), ask).await.unwrap().writes
}

/// What the owner's device makes of one that waits: its value under the entry's name, without renewals.
pub(super) fn filing(owner: &Side, write: &SharedWriteItem, taker: &Side, name: &str) -> FileSharedWrites {
    let sent = SharedWrite::verify(&write.sealed, &taker.signing().verify_key()).unwrap();
    let SharedAct::Put(value) = sent.open(&owner.open.keyring().inbox).unwrap() else { panic!("a deletion") };
    let (_, change) = put(&owner.open, name, &value);
    FileSharedWrites { writes: vec![write.id], change, renewals: Vec::new() }
}

fn dropping(owner: &Side, writes: Vec<MessageId>) -> FileSharedWrites {
    let change = Change { vault: owner.vault(), puts: Vec::new(), deletes: Vec::new(), manifest: Vec::new() };
    FileSharedWrites { writes, change, renewals: Vec::new() }
}

async fn what_a_taker_writes_waits_is_filed_and_seen_by_who_reads(kit: Kit) {
    let (ann, bob, carol) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let writes = given(&kit, &ann, &bob, "granted", &[Write]).await;
    let reads = given(&kit, &ann, &carol, "granted", &[Read]).await;
    let send = sends(&kit, &ann, &bob, writes, &value(b"by Bob")).await;
    let id = kit.call(bob.caller(), send).await.unwrap().id;
    // it waits, and changes nothing yet; to write is neither to read nor to list
    assert_eq!(get(&kit, ann.caller(), vault, granted).await.unwrap().objects[0].version, 1);
    assert_eq!(kit.call(ann.caller(), GetVault { vault: None }).await.unwrap().info.inbox, 1);
    assert_eq!(reason(get(&kit, bob.caller(), vault, granted).await), "PERMISSION_DENIED");
    let there = waiting(&kit, &ann).await;
    assert_eq!((there.len(), there[0].id, there[0].share), (1, id, writes));
    assert_eq!(there[0].taker_email, bob.person.email);
    assert!(seen(&kit, &bob, writes).await.rights[0].waits);
    // the owner's device files it, and brings both shares to the new version
    let mut file = filing(&ann, &there[0], &bob, "granted");
    let made = file.change.puts[0].clone();
    let basis = Basis::of(ann.open.scope(), &made);
    let before =
        WriteGrant::open(&seen(&kit, &bob, writes).await.rights[0].write_grant, &ann.signing().verify_key());
    let word = WriteGrant { basis, ..before.unwrap() }.sign(ann.signing());
    file.renewals = vec![
        Renewal { share: writes, object: granted, sealed: Vec::new(), write_grant: word },
        renewed_to_read(&ann, &carol, reads, &made),
    ];
    kit.call(ann.caller(), file).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    let read = get(&kit, carol.caller(), vault, granted).await.unwrap();
    assert_eq!(read.objects[0].version, 2);
    let right = seen(&kit, &bob, writes).await.rights.remove(0);
    assert_eq!((right.next_sequence, right.waits), (1, false));
    assert_eq!(WriteGrant::open(&right.write_grant, &ann.signing().verify_key()).unwrap().basis, basis);
    // and goes on from there
    let send = sends(&kit, &ann, &bob, writes, &value(b"again")).await;
    kit.call(bob.caller(), send).await.unwrap();
    let trail = QueryAudit {
        method: Some("ShareService/SendSharedWrite".to_owned()),
        limit: 100,
        ..QueryAudit::default()
    };
    assert_eq!(kit.call(ann.caller(), trail).await.unwrap().records.len(), 2);
}

/// A renewal whose box holds a key that nobody has, signed as the owner's device signs it: the node sees no more.
pub(super) fn renewed_to_read(
    owner: &Side,
    taker: &Side,
    share: ShareId,
    object: &ocmt_crypto::object::VaultObject,
) -> Renewal {
    let key = ocmt_crypto::datakey::DataKey::generate(&mut rand::rng());
    let (place, to) = (object.place(owner.open.scope()), taker.open.keyring().identity_seal.public());
    let sealed = ocmt_crypto::grant::seal(&place, &key, &to, owner.signing(), &mut rand::rng()).unwrap();
    Renewal { share, object: object.object_id, sealed, write_grant: Vec::new() }
}

#[tokio::test]
async fn what_a_taker_writes_waits_is_filed_and_seen_by_who_reads_on_sim() {
    what_a_taker_writes_waits_is_filed_and_seen_by_who_reads(Kit::sim().await).await;
}

#[tokio::test]
async fn what_a_taker_writes_waits_is_filed_and_seen_by_who_reads_on_sqlite() {
    what_a_taker_writes_waits_is_filed_and_seen_by_who_reads(Kit::sqlite().await).await;
}

#[tokio::test]
async fn what_a_taker_writes_waits_is_filed_and_seen_by_who_reads_on_postgres() {
    what_a_taker_writes_waits_is_filed_and_seen_by_who_reads(Kit::postgres().await).await;
}

#[tokio::test]
async fn only_the_taker_sends_for_the_entry_of_the_share_following_its_version_in_order() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Write]).await;
    let of_carol = given(&kit, &ann, &carol, "kept", &[Write]).await;
    let good = sends(&kit, &ann, &bob, share, &value(b"new")).await;
    // by somebody else, by another's share, by one that there is not
    for by in [&ann, &carol] {
        assert_eq!(kit.call(by.caller(), good.clone()).await.err(), Some(ActorError::NotFound));
    }
    for stolen in [of_carol, ocmt_store::testing::id(4711)] {
        let stolen = SendSharedWrite { share: stolen, ..good.clone() };
        assert_eq!(kit.call(bob.caller(), stolen).await.err(), Some(ActorError::NotFound));
    }
    let right = seen(&kit, &bob, share).await.rights.remove(0);
    let basis = WriteGrant::open(&right.write_grant, &ann.signing().verify_key()).unwrap().basis;
    let at = |basis, sequence| SharedPlace { share, basis, sequence };
    let kept = get(&kit, ann.caller(), ann.vault(), ann.id("kept")).await.unwrap().objects.remove(0);
    let mut elsewhere = basis;
    elsewhere.place.scope.vault = bob.vault();
    let mut later = basis;
    later.place.version = 2;
    let other_content = Basis { body_hash: ocmt_types::Digest32([9; 32]), ..basis };
    let tries = [
        (at(Basis::of(ann.open.scope(), &kept), 0), "INVALID_ARGUMENT"),
        (at(elsewhere, 0), "INVALID_ARGUMENT"),
        (SharedPlace { share: of_carol, ..at(basis, 0) }, "INVALID_ARGUMENT"),
        (at(later, 0), "CHANGED_MEANWHILE"),
        (at(other_content, 0), "CHANGED_MEANWHILE"),
        (at(basis, 1), "CHANGED_MEANWHILE"),
    ];
    for (place, wanted) in tries {
        let bent = SendSharedWrite { share, item: item(&place, &value(b"new"), &ann, &bob) };
        assert_eq!(reason(kit.call(bob.caller(), bent).await), wanted, "{place:?}");
    }
    // signed by another key, bent on the way, too long
    let signed = SendSharedWrite { share, item: item(&at(basis, 0), &value(b"new"), &ann, &carol) };
    let mut bent = good.clone();
    bent.item[60] ^= 1;
    let long = SendSharedWrite { share, item: [good.item.clone(), vec![0; 70_000]].concat() };
    for wrong in [signed, bent, long] {
        assert_eq!(reason(kit.call(bob.caller(), wrong).await), "INVALID_ARGUMENT");
    }
    let wish = SendSharedWrite { share, item: item(&at(basis, 0), &SharedAct::Delete, &ann, &bob) };
    assert_eq!(reason(kit.call(bob.caller(), wish).await), "PERMISSION_DENIED");
    assert!(waiting(&kit, &ann).await.is_empty());
    kit.call(bob.caller(), good.clone()).await.unwrap();
    assert_eq!(reason(kit.call(bob.caller(), good).await), "CHANGED_MEANWHILE", "once more");
    // whose role does not let them write a vault writes none
    let role = CreateRole {
        id: "reader".to_owned(),
        base: Role::Member,
        permissions: vec!["vault.read".to_owned()],
    };
    kit.call(ann.caller(), role).await.unwrap();
    let user = bob.person.user;
    kit.call(ann.caller(), SetRole { user, role: RoleId::Custom("reader".to_owned()) }).await.unwrap();
    let send = sends(&kit, &ann, &bob, share, &value(b"new")).await;
    assert_eq!(reason(kit.call(bob.caller(), send).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_newer_one_takes_the_place_of_one_that_waits_and_each_is_taken_out_once() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Write, Delete]).await;
    let mut sent = Vec::new();
    for act in [value(b"one"), SharedAct::Delete, value(b"three")] {
        let send = sends(&kit, &ann, &bob, share, &act).await;
        sent.push(kit.call(bob.caller(), send).await.unwrap().id);
    }
    let there = waiting(&kit, &ann).await;
    assert_eq!((there.len(), there[0].id), (1, sent[2]));
    assert_eq!(reason(kit.call(ann.caller(), dropping(&ann, vec![sent[0]])).await), "CHANGED_MEANWHILE");
    // neither twice in one filing, nor by whom it is not, nor half
    assert_eq!(reason(kit.call(ann.caller(), dropping(&ann, vec![sent[2]; 2])).await), "INVALID_ARGUMENT");
    assert_eq!(reason(kit.call(ann.caller(), dropping(&ann, Vec::new())).await), "INVALID_ARGUMENT");
    assert_eq!(kit.call(bob.caller(), dropping(&ann, vec![sent[2]])).await.err(), Some(ActorError::NotFound));
    assert_eq!(reason(kit.call(bob.caller(), dropping(&bob, vec![sent[2]])).await), "CHANGED_MEANWHILE");
    let person = ann.person.clone();
    let file = filing(&ann, &there[0], &bob, "granted");
    store(&kit, &person, &mut ann.open, "kept", b"meanwhile").await;
    assert_eq!(reason(kit.call(ann.caller(), file).await), "CHANGED_MEANWHILE");
    assert_eq!(waiting(&kit, &ann).await.len(), 1, "what is not written stays");
    kit.call(ann.caller(), dropping(&ann, vec![sent[2]])).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    // what the owner wrote by hand is not what was shared
    store(&kit, &person, &mut ann.open, "granted", b"by hand").await;
    let send = sends(&kit, &ann, &bob, share, &value(b"four")).await;
    assert_eq!(reason(kit.call(bob.caller(), send).await), "GRANT_STALE");
}

#[tokio::test]
async fn nothing_is_sent_before_it_was_taken_nor_after_it_has_ended_and_what_waits_ends_with_it() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    let ask = offer(&kit, &ann, &bob, "granted", &[Write]).await;
    let word = WriteGrant::open(&ask.write_grants[0], &ann.signing().verify_key()).unwrap();
    let ask = CreateShare { lifetime_ms: Some(60_000), ..ask };
    let share = kit.call(ann.caller(), ask).await.unwrap().id;
    let place = SharedPlace { share, basis: word.basis, sequence: 0 };
    let send = || SendSharedWrite { share, item: item(&place, &value(b"new"), &ann, &bob) };
    assert!(seen(&kit, &bob, share).await.rights[0].write_grant.is_empty(), "it is an offer");
    assert_eq!(reason(kit.call(bob.caller(), send()).await), "NOT_ACCEPTED");
    accept(&kit, &bob, share).await.unwrap();
    kit.clock.advance(Duration::from_millis(59_999));
    kit.call(bob.caller(), send()).await.unwrap();
    assert_eq!(waiting(&kit, &ann).await.len(), 1);
    kit.clock.advance(Duration::from_millis(1));
    assert_eq!(reason(kit.call(bob.caller(), send()).await), "SHARE_ENDED");
    assert!(seen(&kit, &bob, share).await.rights.is_empty());
    assert!(waiting(&kit, &ann).await.is_empty(), "the list says of the share that it is over");
    // taken back
    let share = given(&kit, &ann, &bob, "granted", &[Write, Read]).await;
    let first = sends(&kit, &ann, &bob, share, &value(b"new")).await;
    kit.call(bob.caller(), first).await.unwrap();
    let next = sends(&kit, &ann, &bob, share, &value(b"newer")).await;
    revoke(&kit, &ann, share).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    assert_eq!(reason(kit.call(bob.caller(), next).await), "SHARE_ENDED");
    // with the vault's keys, and with the entry
    let share = given(&kit, &ann, &bob, "granted", &[Write]).await;
    let send = sends(&kit, &ann, &bob, share, &value(b"new")).await;
    kit.call(bob.caller(), send).await.unwrap();
    let person = ann.person.clone();
    rotate(&kit, &person, &mut ann.open, RotationMode::Rekey, true).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    let share = given(&kit, &ann, &bob, "granted", &[Write, Delete]).await;
    let wish = sends(&kit, &ann, &bob, share, &SharedAct::Delete).await;
    kit.call(bob.caller(), wish).await.unwrap();
    let late = sends(&kit, &ann, &bob, share, &value(b"late")).await;
    let mut edit = ann.open.edit();
    edit.delete(&EntryName::new("granted").unwrap()).unwrap();
    let change = edit.finish().unwrap();
    let deletes = vec![(ann.id("granted"), 2)];
    let change = Change { vault: ann.vault(), puts: Vec::new(), deletes, manifest: change.manifest };
    kit.call(ann.caller(), DeleteEntry(change)).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty());
    assert_eq!(reason(kit.call(bob.caller(), late).await), "INVALID_ARGUMENT", "there is no such entry");
}

#[tokio::test]
async fn a_share_to_write_is_its_owners_to_give_as_its_owner_has_signed_it() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let good = offer(&kit, &ann, &bob, "granted", &[Write]).await;
    let of =
        async |taker: &Side, name: &str, permissions: &[_]| offer(&kit, &ann, taker, name, permissions).await;
    let others = [
        of(&carol, "granted", &[Write]).await,
        of(&bob, "kept", &[Write]).await,
        of(&bob, "granted", &[Write, Delete]).await,
        of(&bob, "granted", &[Write]).await,
    ];
    for other in others {
        let wrong = CreateShare { write_grants: other.write_grants, ..good.clone() };
        assert_eq!(reason(kit.call(ann.caller(), wrong).await), "INVALID_ARGUMENT");
    }
    let twice = CreateShare {
        write_grants: [good.write_grants.clone(), good.write_grants.clone()].concat(),
        ..good.clone()
    };
    let none = CreateShare { write_grants: Vec::new(), ..good.clone() };
    let no_id = CreateShare { share: None, ..good.clone() };
    let to_read = CreateShare { permissions: vec![List], ..good.clone() };
    let needless = CreateShare { permissions: vec![List], share: None, ..good.clone() };
    for wrong in [twice, none, no_id, to_read, needless] {
        assert_eq!(reason(kit.call(ann.caller(), wrong).await), "INVALID_ARGUMENT");
    }
    kit.call(ann.caller(), good.clone()).await.unwrap();
    assert_eq!(reason(kit.call(ann.caller(), good).await), "INVALID_ARGUMENT", "the id is in use");
    // who gives on gives no writing: the ledger is the owner's
    let share = given(&kit, &ann, &bob, "granted", &[List, Write, Share]).await;
    let on = CreateShare { vault: ann.vault(), ..offer(&kit, &ann, &carol, "granted", &[Write]).await };
    assert_eq!(reason(kit.call(bob.caller(), on).await), "NOT_SHAREABLE");
    assert!(seen(&kit, &bob, share).await.rights[0].next_sequence == 0);
}

async fn at_two_nodes_one_of_each_is_taken_and_filed_once(a: Kit) {
    let b = a.beside(2).await;
    let nodes = [&a, &b];
    let (ann, bob, _) = three(&a).await;
    let share = given(&a, &ann, &bob, "granted", &[Write]).await;
    let send = sends(&a, &ann, &bob, share, &value(b"new")).await;
    let tries = (1..=12_u8).map(|key| super::nodes::ask(nodes, key, &bob, send.clone()));
    let (sent, ()) = tokio::join!(join_all(tries), hand_over(nodes, ann.person.tenant));
    assert_eq!(sent.iter().flatten().count(), 1, "{sent:?}");
    let there =
        super::nodes::ask(nodes, 0, &ann, ListSharedWrites { vault: ann.vault(), after: None, limit: 0 });
    let there = there.await.unwrap().writes;
    assert_eq!(there.len(), 1);
    let file = || filing(&ann, &there[0], &bob, "granted");
    let tries = (50..=61_u8).map(|key| super::nodes::ask(nodes, key, &ann, file()));
    let (filed, ()) = tokio::join!(join_all(tries), hand_over(nodes, ann.person.tenant));
    assert_eq!(filed.iter().flatten().count(), 1, "{filed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_one_of_each_is_taken_and_filed_once_on_sim() {
    at_two_nodes_one_of_each_is_taken_and_filed_once(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_one_of_each_is_taken_and_filed_once_on_postgres() {
    at_two_nodes_one_of_each_is_taken_and_filed_once(Kit::postgres().await).await;
}
