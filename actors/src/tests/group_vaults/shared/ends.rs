//! What ends with whoever leaves.

use super::*;

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
    assert_eq!(reason(three.team.remove(&kit, &three.team.bob).await), "LAST_KEY");
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
    let ask = OpenGroupUnlock { group: three.team.group, params: old.params.encode() };
    assert_eq!(reason(kit.call(three.team.ann.caller(), ask).await), "INVALID_ARGUMENT");
    three.team.open = open;
}
