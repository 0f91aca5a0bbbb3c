//! A session that has opened a ceremony stays until the ceremony is over.

use super::circle::{Circle, short};
use crate::{
    api::{
        auth::{LinkPurpose, ListSessions, RevokeOtherSessions, RevokeSession, WhoAmI},
        recovery::CancelCeremony,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
    },
    tests::kit::Kit,
};

/// A ceremony is open, and a user has two sessions of each kind at the most.
async fn circle_of_two() -> Circle {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let info = circle.kit.call(&circle.owner.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { sessions_per_user: 2, ..info.policy };
    let change = UpdateTenantPolicy { policy, version: info.version };
    circle.kit.call(&circle.owner.caller, change).await.unwrap();
    circle
}

#[tokio::test]
async fn sign_ins_of_either_kind_end_no_session_that_a_ceremony_needs() {
    let mut circle = circle_of_two().await;
    let requester = circle.opened().await;
    for purpose in [LinkPurpose::SignIn, LinkPurpose::Recovery] {
        for _ in 0..4 {
            circle.kit.sign_in(&circle.owner, purpose).await;
        }
    }
    circle.kit.call(&requester.person.caller, WhoAmI).await.expect("the ceremony goes on");
}

#[tokio::test]
async fn recovery_sign_ins_end_no_ordinary_session_and_their_cap_holds() {
    let circle = circle_of_two().await;
    let mut recovery = Vec::new();
    for _ in 0..4 {
        recovery.push(circle.kit.sign_in(&circle.owner, LinkPurpose::Recovery).await);
    }
    circle.kit.call(&circle.owner.caller, WhoAmI).await.expect("an ordinary session");
    let mut live = 0;
    for session in &recovery {
        live += u32::from(circle.kit.authenticate(&session.token).await.is_ok());
    }
    assert_eq!(live, 2);
}

#[tokio::test]
async fn a_plain_session_cannot_end_a_ceremony_by_ending_its_session() {
    let mut circle = circle_of_two().await;
    let requester = circle.opened().await;
    let owner = circle.owner.caller.clone();
    let revoke = || RevokeSession { session: requester.person.caller.user().unwrap().session };
    assert_eq!(circle.kit.call(&owner, revoke()).await.unwrap_err().reason(), "CEREMONY_LIVE");
    circle.kit.call(&owner, RevokeOtherSessions::default()).await.unwrap();
    circle.kit.call(&requester.person.caller, WhoAmI).await.expect("the ceremony goes on");
    let cancel = CancelCeremony { ceremony: requester.id() };
    circle.kit.call(&requester.person.caller, cancel).await.unwrap();
    circle.kit.call(&owner, revoke()).await.expect("nothing needs it any more");
    assert!(circle.kit.call(&requester.person.caller, WhoAmI).await.is_err());
}

#[tokio::test]
async fn a_full_session_that_opened_a_ceremony_is_left_with_the_ceremony_alone() {
    for all in [true, false] {
        let mut circle = circle_of_two().await;
        let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
        let requester = circle.requester_in(thief.clone());
        circle.open(&requester).await.unwrap();
        circle.kit.call(&thief.caller, ListSessions).await.expect("a full session");
        let owner = circle.owner.caller.clone();
        let session = thief.caller.user().unwrap().session;
        let ended = if all {
            circle.kit.call(&owner, RevokeOtherSessions::default()).await.unwrap()
        } else {
            circle.kit.call(&owner, RevokeSession { session }).await.unwrap()
        };
        assert_eq!(ended.ended, 1);
        // the token is good, and for the ceremony alone
        let again = circle.kit.authenticate(&thief.token).await.unwrap();
        assert!(circle.kit.call(&again, ListSessions).await.is_err(), "a full session goes on");
        assert!(circle.kit.call(&again, GetTenant).await.is_err());
        circle.kit.call(&again, CancelCeremony { ceremony: requester.id() }).await.expect("its ceremony");
    }
}
