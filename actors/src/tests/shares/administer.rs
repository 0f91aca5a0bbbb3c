//! Who administers an entry that was shared: what they see of others' shares, and what they take back.

use std::collections::BTreeSet;

use super::{Side, accept, get, given, given_on::on, offer, reason, revoke, seen, shares, three};
use crate::{
    ActorError,
    api::{
        shares::{
            CreateShare, ListShares,
            Permission::{Admin, Delete, List, Read, Share, Write},
            ShareState,
        },
        users::{CreateRole, Role, RoleId, SetRole},
    },
    tests::kit::{Kit, until},
};

async fn reads(kit: &Kit, ann: &Side, by: &Side) -> bool {
    get(kit, by.caller(), ann.vault(), ann.id("granted")).await.is_ok()
}

async fn others_shares_of_an_entry_are_seen_and_taken_back(kit: Kit) {
    let (ann, bob, carol) = three(&kit).await;
    let eve = kit.member(&ann.person, "eve@example.com", Role::Owner).await;
    let eve = Side::of(&kit, eve).await;
    let own = given(&kit, &ann, &bob, "granted", &[Admin]).await;
    let taken = given(&kit, &ann, &carol, "granted", &[Read, Share]).await;
    let elsewhere = given(&kit, &ann, &carol, "kept", &[Read]).await;
    let of_another = given(&kit, &eve, &carol, "granted", &[Read]).await;
    let further = kit.call(carol.caller(), on(&kit, &ann, &carol, &eve, &[Read]).await).await.unwrap().id;
    accept(&kit, &eve, further).await.unwrap();
    // he sees whom they are of, and no key; of other entries and vaults, nothing
    let listed: BTreeSet<_> = shares(&kit, &bob).await.into_iter().map(|share| share.id).collect();
    assert_eq!(listed, [further, taken, own].into());
    let shown = seen(&kit, &bob, taken).await;
    assert_eq!(shown.taker_email, carol.person.email);
    assert!(shown.grants.len() == 1 && shown.grants[0].sealed.is_empty());
    for not_his in [elsewhere, of_another] {
        assert_eq!(revoke(&kit, &bob, not_his).await.unwrap_err(), ActorError::NotFound);
    }
    // what was given on ends with it, and the keys are its owner's to replace
    assert!(revoke(&kit, &bob, taken).await.unwrap().rekey.is_empty());
    assert!(!reads(&kit, &ann, &carol).await && !reads(&kit, &ann, &eve).await);
    assert_eq!(seen(&kit, &ann, further).await.state, ShareState::Revoked);
    assert!(revoke(&kit, &bob, taken).await.unwrap().rekey.is_empty(), "it is over, and stays so");
    until("its owner is told, once", async || {
        kit.mailbox.count_of(&ann.person.email, "share.taken_back") == 1
    })
    .await;
    let facts = kit.mailbox.all_of(&ann.person.email, "share.taken_back").pop().unwrap().facts;
    for told in [taken.to_string(), bob.person.email.clone(), carol.person.email.clone()] {
        assert!(facts.iter().any(|(_, value)| *value == told), "{told}: {facts:?}");
    }
    assert_eq!(revoke(&kit, &ann, taken).await.unwrap().rekey, [ann.id("granted").0]);
    // an offer too, so that nobody takes it any more
    let waits = offer(&kit, &ann, &carol, "granted", &[Read]).await;
    let waits = kit.call(ann.caller(), waits).await.unwrap().id;
    revoke(&kit, &bob, waits).await.unwrap();
    assert_eq!(reason(accept(&kit, &carol, waits).await), "NOT_OFFERED");
}

#[tokio::test]
async fn others_shares_of_an_entry_are_seen_and_taken_back_on_sim() {
    others_shares_of_an_entry_are_seen_and_taken_back(Kit::sim().await).await;
}

#[tokio::test]
async fn others_shares_of_an_entry_are_seen_and_taken_back_on_sqlite() {
    others_shares_of_an_entry_are_seen_and_taken_back(Kit::sqlite().await).await;
}

#[tokio::test]
async fn others_shares_are_listed_page_by_page_each_once() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let mut expected = BTreeSet::from([given(&kit, &ann, &bob, "granted", &[Admin]).await]);
    for permission in [Read, List, Share] {
        expected.insert(given(&kit, &ann, &carol, "granted", &[permission]).await);
        given(&kit, &ann, &carol, "kept", &[permission]).await;
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let ask = ListShares { states: Vec::new(), after, limit: 1 };
        let page = kit.call(bob.caller(), ask).await.unwrap();
        listed.extend(page.shares.into_iter().map(|share| share.id));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert!(listed.len() < 32, "{listed:?}");
    }
    assert_eq!((listed.len(), listed.into_iter().collect()), (expected.len(), expected));
}

#[tokio::test]
async fn neither_what_is_of_other_entries_as_well_nor_another_administrator_is_taken_back() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let own = given(&kit, &ann, &bob, "granted", &[Admin]).await;
    let both = CreateShare {
        grants: [
            offer(&kit, &ann, &carol, "granted", &[Read]).await.grants,
            offer(&kit, &ann, &carol, "kept", &[Read]).await.grants,
        ]
        .concat(),
        ..offer(&kit, &ann, &carol, "granted", &[Read]).await
    };
    let wide = kit.call(ann.caller(), both).await.unwrap().id;
    accept(&kit, &carol, wide).await.unwrap();
    let entries: Vec<_> = seen(&kit, &bob, wide).await.grants.iter().map(|entry| entry.object).collect();
    assert_eq!(entries, [ann.id("granted").0], "of the other entry he sees nothing");
    assert_eq!(reason(revoke(&kit, &bob, wide).await), "PERMISSION_DENIED");
    assert!(reads(&kit, &ann, &carol).await);
    // who is as much as he is, he cannot put out; nor can they him
    let equal = given(&kit, &ann, &carol, "granted", &[Read, Admin]).await;
    assert_eq!(reason(revoke(&kit, &bob, equal).await), "PERMISSION_DENIED");
    assert_eq!(reason(revoke(&kit, &carol, own).await), "PERMISSION_DENIED");
    for share in [own, equal] {
        assert_eq!(seen(&kit, &ann, share).await.state, ShareState::Accepted);
    }
    // but their own each gives back
    revoke(&kit, &carol, equal).await.unwrap();
}

#[tokio::test]
async fn to_administer_is_given_by_whose_vault_it_is_alone_and_ends_with_its_share() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let own = given(&kit, &ann, &bob, "granted", &[Read, Write, Delete, Admin, Share, List]).await;
    let on = CreateShare { permissions: vec![Admin], ..on(&kit, &ann, &bob, &carol, &[List]).await };
    assert_eq!(reason(kit.call(bob.caller(), on).await), "NOT_SHAREABLE");
    let of_carol = given(&kit, &ann, &carol, "granted", &[Read]).await;
    // whose role gives nothing of a vault takes nothing back in it either
    let only = ["vault.read".to_owned()].to_vec();
    kit.call(ann.caller(), CreateRole { id: "reader".to_owned(), base: Role::Member, permissions: only })
        .await
        .unwrap();
    let user = bob.person.user;
    kit.call(ann.caller(), SetRole { user, role: RoleId::Custom("reader".to_owned()) }).await.unwrap();
    assert_eq!(reason(revoke(&kit, &bob, of_carol).await), "PERMISSION_DENIED");
    kit.call(ann.caller(), SetRole { user, role: Role::Member.into() }).await.unwrap();
    // without the share there is nothing that he knows of
    revoke(&kit, &ann, own).await.unwrap();
    assert_eq!(revoke(&kit, &bob, of_carol).await.unwrap_err(), ActorError::NotFound);
    let listed: Vec<_> = shares(&kit, &bob).await.into_iter().map(|share| share.id).collect();
    assert_eq!(listed, [own]);
    assert!(reads(&kit, &ann, &carol).await);
}
