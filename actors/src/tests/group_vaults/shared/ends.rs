//! What ends with whoever leaves.

use ocmt_store::{
    Filter,
    tables::{
        Approval, Ceremony, CeremonyState as Stored, GroupPart, GuardianSet as StoredSet, GuardianSetState,
        Timer, Vault,
    },
};
use ocmt_types::Ownership;

use super::*;
use crate::{
    api::{groups::DeleteGroup, users::RemoveUser},
    tests::kit::until,
};

#[tokio::test]
async fn who_is_out_has_approved_nothing_before_or_after() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let bobs = three.approval(&kit, &three.team.bob, asked.id()).await;
    three.approve(&kit, &three.team.bob, asked.id()).await.unwrap();
    three.team.remove(&kit, &three.team.bob).await.unwrap();
    let view = three.approve(&kit, &three.team.ann, asked.id()).await.unwrap();
    assert_eq!((view.state, view.approved), (CeremonyState::Open, 1), "his is void");
    let late = ApproveGroupUnlock { group: three.team.group, ceremony: asked.id(), approval: bobs.clone() };
    assert_eq!(kit.call(three.team.bob.caller(), late.clone()).await.unwrap_err(), ActorError::NotFound);
    // nor when he is in the group again, and has accepted
    add(&kit, &three.team.ann, three.team.group, &three.team.bob, GroupRole::Admin).await;
    accept(&kit, &three.team.bob, &three.team.ann, three.team.group, three.team.open.scope()).await.unwrap();
    assert_eq!(kit.call(three.team.bob.caller(), late).await.unwrap_err(), ActorError::NotFound);
    let view = three.approve(&kit, &three.team.carol, asked.id()).await.unwrap();
    assert_eq!(view.state, CeremonyState::Released, "two who are there");
}

#[tokio::test]
async fn a_part_given_by_who_is_out_is_not_collected_and_their_own_unlock_ends() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(&kit, who, asked.id()).await.unwrap();
    }
    let bobs = three.ask(&kit, &three.team.bob, HOUR).await.unwrap();
    let lower =
        SetMemberRole { group: three.team.group, user: three.team.bob.person.user, role: GroupRole::Member };
    kit.call(three.team.ann.caller(), lower).await.unwrap();
    assert_eq!(three.state(&kit, asked.id()).await, CeremonyState::Cancelled, "it was open with his part");
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "CEREMONY_OVER");
    assert_eq!(three.state(&kit, bobs.id()).await, CeremonyState::Cancelled);
    assert!(three.team.view(&kit).await.due.is_some());
}

#[tokio::test]
async fn nobody_leaves_where_too_few_would_be_left_to_open_it() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    three.team.remove(&kit, &three.team.carol).await.unwrap();
    // admitting somebody would not help: parts come with a new key
    let leaves = three.team.remove(&kit, &three.team.bob).await.map(drop);
    let removed = kit.call(three.team.ann.caller(), RemoveUser { user: three.team.bob.person.user }).await;
    for refused in [leaves, removed.map(drop)] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), "LAST_KEY");
        assert!(refused.to_string().contains("deal its key anew"), "{refused}");
    }
    // with two left both have to approve
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let denied = three.deny(&kit, &three.team.bob, asked.id()).await.unwrap();
    assert_eq!(denied.state, CeremonyState::Denied);
}

#[tokio::test]
async fn one_who_holds_a_part_ends_an_unlock_that_is_open() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    three.team.remove(&kit, &three.team.carol).await.unwrap();
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(&kit, who, asked.id()).await.unwrap();
    }
    three.open(&kit, &three.team.ann, &asked).await.unwrap();
    // she cannot be taken out, and he approved himself
    assert_eq!(reason(three.team.remove(&kit, &three.team.ann).await), "LAST_KEY");
    let ended = three.deny(&kit, &three.team.bob, asked.id()).await.unwrap();
    assert!(!ended.state.is_live());
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "CEREMONY_OVER");
    let list = ListEntries { vault: three.team.vault(), after: None, limit: 0 };
    assert!(kit.call(three.team.ann.caller(), list).await.is_err(), "it is shown to her no more");
    assert!(three.team.view(&kit).await.due.is_some(), "she had the key");
}

#[tokio::test]
async fn new_keys_leave_nothing_to_parts_of_before() {
    let kit = Kit::sim().await;
    let mut three = Three::on(&kit).await;
    three.team.remove(&kit, &three.team.carol).await.unwrap();
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(&kit, who, asked.id()).await.unwrap();
    }
    let mut open = three.open(&kit, &three.team.ann, &asked).await.unwrap();
    // a part for who is out, and a rotation that deals none, are refused
    let deal = dealing(&open, &three.all(), 2);
    assert_eq!(reason(share(&kit, &three.team.ann, &mut open, deal).await), "NOT_ADMITTED");
    let refused = rotate(&kit, &three.team.ann, &mut open, &[]).await;
    assert_eq!(reason(refused), "DEAL_MISSING");
    let before = three.set(&kit, &three.team.ann).await;
    let deal = dealing(&open, &[&three.team.ann, &three.team.bob], 2);
    share(&kit, &three.team.ann, &mut open, deal).await.unwrap();
    let after = three.set(&kit, &three.team.ann).await;
    assert!(before.id() != after.id() && after.total() == 2);
    let mut old = three.asking(&kit, &three.team.ann, HOUR).await;
    (old.params.set, old.params.set_hash) = (before.id(), before.hash());
    let ask = OpenGroupUnlock { group: three.team.group, params: old.params.encode(), cell: None };
    assert_eq!(reason(kit.call(three.team.ann.caller(), ask).await), "INVALID_ARGUMENT");
    three.team.open = open;
}

/// More sets than one query returns, and more unlocks than one step takes.
#[tokio::test]
async fn a_group_that_ends_leaves_nothing_of_its_unlocks_and_sets() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    three.approve(&kit, &three.team.bob, asked.id()).await.unwrap();
    let tenant = three.team.ann.person.tenant;
    let owner = kit.store.cluster().owner(tenant).await.unwrap().unwrap();
    let own = Ownership { tenant, incarnation: owner.incarnation.unwrap(), epoch: owner.epoch };
    let mut tx = kit.store.fenced(own).await.unwrap();
    let live = tx.get::<Ceremony>(asked.id()).await.unwrap().unwrap();
    let said = tx.first::<Approval>(Filter::<Approval>::all()).await.unwrap().unwrap();
    let set = tx.get::<StoredSet>(live.set_id).await.unwrap().unwrap();
    let part = tx.first::<GroupPart>(GroupPart::set_id.eq(set.set_id)).await.unwrap().unwrap();
    for n in 0..1_001_u64 {
        let set_id = ocmt_store::testing::id(n);
        tx.insert(&StoredSet { set_id, state: GuardianSetState::Retired, ..set.clone() }).await.unwrap();
        tx.insert(&GroupPart { set_id, ..part.clone() }).await.unwrap();
    }
    for n in 0..70 {
        let ceremony_id = Digest32([n; 32]);
        tx.insert(&Ceremony { ceremony_id, state: Stored::Expired, ..live.clone() }).await.unwrap();
        tx.insert(&Approval { ceremony_id, ..said.clone() }).await.unwrap();
    }
    tx.commit().await.unwrap();
    kit.call(three.team.ann.caller(), DeleteGroup { group: three.team.group }).await.unwrap();
    // no release key waits for the timer that takes the rest
    let mut read = kit.store.read(own).await.unwrap();
    assert_eq!(read.get::<Ceremony>(asked.id()).await.unwrap(), None);
    until("its rows are taken", async || {
        let mut read = kit.store.read(own).await.unwrap();
        read.get::<Vault>(three.team.vault()).await.unwrap().is_none()
    })
    .await;
    let mut read = kit.store.read(own).await.unwrap();
    assert_eq!(read.count::<Ceremony>(Filter::all()).await.unwrap(), 0);
    assert_eq!(read.count::<Approval>(Filter::all()).await.unwrap(), 0);
    assert_eq!(read.count::<StoredSet>(Filter::all()).await.unwrap(), 0);
    assert_eq!(read.count::<GroupPart>(Filter::all()).await.unwrap(), 0);
    assert_eq!(read.count::<Timer>(Timer::kind.eq("group_unlock.look")).await.unwrap(), 0);
}
