//! How shares end: by their time, taken back, with a person, with a rotation.

use std::time::Duration;

use ocmt_crypto::vault::RotationMode;

use super::{Side, accept, get, given, given_on::on, list, offer, reason, revoke, seen, shares, three};
use crate::{
    ActorError,
    api::{
        shares::{
            CreateShare, ListShares,
            Permission::{List, Read, Share},
            RevokeShare, ShareState,
        },
        users::{CreateRole, RemoveUser, Role, RoleId, SetRole},
    },
    tests::{kit::Kit, vault::rotate},
};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn its_time_ends_an_offer_and_what_was_taken_at_that_very_moment() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let brief =
        CreateShare { lifetime_ms: Some(60_000), ..offer(&kit, &ann, &bob, "granted", &[Read, List]).await };
    let taken = kit.call(ann.caller(), brief.clone()).await.unwrap().id;
    let offered = kit.call(ann.caller(), brief).await.unwrap().id;
    accept(&kit, &bob, taken).await.unwrap();
    kit.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await.is_ok());
    kit.clock.advance(Duration::from_millis(1));
    let read = get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await;
    assert_eq!(read.unwrap_err(), ActorError::NotFound);
    assert_eq!(list(&kit, bob.caller(), ann.vault()).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(reason(accept(&kit, &bob, offered).await), "NOT_OFFERED");
    for side in [&ann, &bob] {
        let states: Vec<_> = shares(&kit, side).await.into_iter().map(|share| share.state).collect();
        assert_eq!(states, [ShareState::Expired; 2]);
    }
    assert!(shares(&kit, &bob).await.iter().all(|share| share.grants[0].sealed.is_empty()));
    // the key may have been kept: its owner is told what to write anew, and it stays run out
    assert_eq!(revoke(&kit, &ann, taken).await.unwrap().rekey, [ann.id("granted").0]);
    assert_eq!(shares(&kit, &ann).await[0].state, ShareState::Expired);
    // and the time goes on for it on another node
    kit.system.root.kill();
    let tree = kit.another_tree().await;
    let ask = ListShares { states: vec![ShareState::Expired], after: None, limit: 10 };
    let tenant = tree.tenant(ann.person.tenant);
    let again = tenant.call(bob.caller().clone(), kit.meta(), ask).await;
    assert_eq!(again.unwrap().shares.len(), 2);
}

#[tokio::test]
async fn a_share_is_ended_by_whom_it_is_between_alone_and_at_once() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Read]).await;
    assert_eq!(revoke(&kit, &carol, share).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(revoke(&kit, &ann, share).await.unwrap().rekey, [ann.id("granted").0]);
    let read = get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await;
    assert_eq!(read.unwrap_err(), ActorError::NotFound);
    assert_eq!(reason(accept(&kit, &bob, share).await), "NOT_OFFERED");
    let shown = &shares(&kit, &bob).await[0];
    assert!(shown.state == ShareState::Revoked && shown.grants[0].sealed.is_empty());
    // an offer that is taken back was never taken
    let ask = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    let offered = kit.call(ann.caller(), ask).await.unwrap().id;
    assert_eq!(revoke(&kit, &ann, offered).await.unwrap().rekey, [ann.id("granted").0]);
    assert_eq!(reason(accept(&kit, &bob, offered).await), "NOT_OFFERED");
}

#[tokio::test]
async fn whoever_was_offered_a_share_declines_it_or_gives_it_back_and_the_owner_still_re_keys() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let ask = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    let offered = kit.call(ann.caller(), ask).await.unwrap().id;
    assert!(revoke(&kit, &bob, offered).await.unwrap().rekey.is_empty(), "he has nothing to write anew");
    assert_eq!(reason(accept(&kit, &bob, offered).await), "NOT_OFFERED");
    // with what was taken goes what was given on of it
    let taken = given(&kit, &ann, &bob, "granted", &[Read, Share]).await;
    let further = kit.call(bob.caller(), on(&kit, &ann, &bob, &carol, &[Read]).await).await.unwrap().id;
    accept(&kit, &carol, further).await.unwrap();
    assert!(revoke(&kit, &bob, taken).await.unwrap().rekey.is_empty());
    for who in [&bob, &carol] {
        let read = get(&kit, who.caller(), ann.vault(), ann.id("granted")).await;
        assert_eq!(read.unwrap_err(), ActorError::NotFound);
    }
    for share in [offered, taken] {
        assert_eq!(seen(&kit, &ann, share).await.state, ShareState::Revoked);
        assert_eq!(revoke(&kit, &ann, share).await.unwrap().rekey, [ann.id("granted").0]);
    }
}

#[tokio::test]
async fn a_repeated_answer_hands_out_no_keys() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let ask = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    let share = kit.call(ann.caller(), ask).await.unwrap().id;
    let tenant = kit.system.tenant(ann.person.tenant);
    let accept = crate::api::shares::AcceptShare { share };
    let first = tenant.call(bob.caller().clone(), kit.keyed(1, 1), accept.clone()).await.unwrap();
    assert!(!first.grants[0].sealed.is_empty());
    revoke(&kit, &ann, share).await.unwrap();
    let again = tenant.call(bob.caller().clone(), kit.keyed(1, 1), accept).await.unwrap();
    assert!(again.grants[0].sealed.is_empty());
}

#[tokio::test]
async fn a_share_ends_with_either_person() {
    for leaves in ["giver", "taker"] {
        let kit = Kit::sim().await;
        let (ann, bob, carol) = three(&kit).await;
        let share = given(&kit, &bob, &carol, "granted", &[Read]).await;
        let ask = offer(&kit, &bob, &carol, "kept", &[Read]).await;
        let waits = kit.call(bob.caller(), ask).await.unwrap().id;
        let (gone, stays) = if leaves == "giver" { (&bob, &carol) } else { (&carol, &bob) };
        kit.call(ann.caller(), RemoveUser { user: gone.person.user }).await.unwrap();
        assert!(get(&kit, carol.caller(), bob.vault(), bob.id("granted")).await.is_err());
        assert!(accept(&kit, &carol, waits).await.is_err());
        let left = shares(&kit, stays).await;
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|share| share.state == ShareState::Revoked), "{leaves}");
        if leaves == "taker" {
            assert_eq!(revoke(&kit, &bob, share).await.unwrap().rekey, [bob.id("granted").0]);
        }
    }
}

#[tokio::test]
async fn nobody_reads_by_the_word_of_somebody_who_may_not_read() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    given(&kit, &bob, &carol, "granted", &[Read]).await;
    let role =
        CreateRole { id: "blind".to_owned(), base: Role::Member, permissions: vec!["user.list".to_owned()] };
    kit.call(ann.caller(), role).await.unwrap();
    let read = async || get(&kit, carol.caller(), bob.vault(), bob.id("granted")).await;
    for (side, code) in [(&bob, "NOT_FOUND"), (&carol, "PERMISSION_DENIED")] {
        let user = side.person.user;
        kit.call(ann.caller(), SetRole { user, role: RoleId::Custom("blind".to_owned()) }).await.unwrap();
        assert_eq!(reason(read().await), code);
        kit.call(ann.caller(), SetRole { user, role: Role::Member.into() }).await.unwrap();
        assert!(read().await.is_ok());
    }
}

#[tokio::test]
async fn a_rotation_that_re_keys_ends_what_was_given() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Read, Share, List]).await;
    let person = ann.person.clone();
    rotate(&kit, &person, &mut ann.open, RotationMode::Rewrap, true).await.unwrap();
    assert!(get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await.is_ok(), "the same data keys");
    rotate(&kit, &person, &mut ann.open, RotationMode::Rekey, true).await.unwrap();
    let read = get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await;
    assert_eq!(read.unwrap_err(), ActorError::NotFound);
    assert_eq!(shares(&kit, &ann).await[0].state, ShareState::Revoked);
    assert!(revoke(&kit, &ann, share).await.unwrap().rekey.is_empty(), "there are no keys of now");
}

#[tokio::test]
async fn t1_shares_of_another_tenant_are_not_there_and_nothing_is_said_of_its_addresses() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let eve = kit.founder("eve@example.com").await;
    let eve = Side::of(&kit, eve).await;
    let share = given(&kit, &ann, &bob, "granted", &[Read]).await;
    for id in [share, ocmt_store::testing::id(4711)] {
        assert_eq!(accept(&kit, &eve, id).await.unwrap_err(), ActorError::NotFound);
        let refused = kit.call(eve.caller(), RevokeShare { share: id }).await;
        assert_eq!(refused.unwrap_err(), ActorError::NotFound);
    }
    for vault in [ann.vault(), ocmt_store::testing::id(4711)] {
        let stolen = CreateShare { vault, ..offer(&kit, &eve, &eve, "granted", &[List]).await };
        assert_eq!(kit.call(eve.caller(), stolen).await.err(), Some(ActorError::NotFound));
    }
    assert!(shares(&kit, &eve).await.is_empty());
    // somebody elsewhere, nobody anywhere, and somebody here without keys: the same words
    kit.member(&ann.person, "new@example.com", Role::Member).await;
    let mut said = Vec::new();
    for address in ["eve@example.com", "nobody@example.com", "new@example.com"] {
        let ask = offer(&kit, &ann, &bob, "granted", &[Read]).await;
        let ask = CreateShare { taker_email: address.to_owned(), ..ask };
        said.push(kit.call(ann.caller(), ask).await.unwrap_err());
    }
    assert_eq!(said[0].reason(), "NO_TAKER");
    assert!(said.iter().all(|error| error == &said[0]), "{said:?}");
}
