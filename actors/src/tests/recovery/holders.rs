//! A session that has opened a ceremony stays until the ceremony is over.

use std::time::Duration;

use ocmt_store::tables::{Assurance, Session};

use super::circle::{Circle, Requester, SHORT, ownership, short};
use crate::{
    api::{
        auth::{LinkPurpose, ListSessions, RevokeOtherSessions, RevokeSession, WhoAmI},
        recovery::{CancelCeremony, CeremonyState},
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
    },
    tests::kit::{Kit, Person},
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
    let mut circle = Box::pin(circle_of_two()).await;
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
    let circle = Box::pin(circle_of_two()).await;
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
    let mut circle = Box::pin(circle_of_two()).await;
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
        let mut circle = Box::pin(circle_of_two()).await;
        let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
        let requester = circle.requester_in(thief.clone());
        circle.open(&requester).await.unwrap();
        circle.kit.call(&thief.caller, ListSessions).await.expect("a full session");
        let tenant = circle.kit.system.tenant(circle.owner.tenant);
        let mut stream = tenant.open_stream(&thief.caller, circle.kit.deadline()).await.unwrap();
        let owner = circle.owner.caller.clone();
        let session = thief.caller.user().unwrap().session;
        let ended = if all {
            circle.kit.call(&owner, RevokeOtherSessions::default()).await.unwrap()
        } else {
            circle.kit.call(&owner, RevokeSession { session }).await.unwrap()
        };
        assert_eq!(ended.ended, 1);
        let over = tokio::time::timeout(Duration::from_secs(20), stream.over()).await;
        over.expect("what it had open goes on");
        // the token is good, and for the ceremony alone
        let again = circle.kit.authenticate(&thief.token).await.unwrap();
        assert!(circle.kit.call(&again, ListSessions).await.is_err(), "a full session goes on");
        assert!(circle.kit.call(&again, GetTenant).await.is_err());
        circle.kit.call(&again, CancelCeremony { ceremony: requester.id() }).await.expect("its ceremony");
    }
}

impl Circle {
    /// Parameters of a ceremony over `stopped` that a full session opens.
    fn over_in(&mut self, thief: &Person, stopped: &Requester) -> Requester {
        let mut over = self.requester_in(thief.clone());
        over.params.overrides = Some(stopped.id());
        over.params.delay_ms = SHORT.lock_ms;
        over
    }

    async fn session(&self, of: &Person) -> Session {
        let own = ownership(&self.kit, of.tenant).await.unwrap();
        let mut tx = self.kit.store.read(own).await.unwrap();
        tx.get::<Session>(of.caller.user().unwrap().session).await.unwrap().unwrap()
    }

    async fn state(&self, of: &Requester) -> CeremonyState {
        self.state_of(&self.owner, of.id()).await.unwrap().state
    }
}

#[tokio::test]
async fn a_full_session_that_is_put_out_ends_with_what_it_proposed() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    for all in [true, false] {
        let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
        let over = circle.over_in(&thief, &stopped);
        assert_eq!(circle.open(&over).await.unwrap().state, CeremonyState::Proposed);
        let owner = circle.owner.caller.clone();
        if all {
            circle.kit.call(&owner, RevokeOtherSessions::default()).await.unwrap();
        } else {
            let session = thief.caller.user().unwrap().session;
            circle.kit.call(&owner, RevokeSession { session }).await.unwrap();
        }
        assert!(circle.kit.authenticate(&thief.token).await.is_err(), "it is kept alive by a proposal");
        assert_eq!(circle.state(&over).await, CeremonyState::Cancelled);
    }
}

#[tokio::test]
async fn a_session_that_was_put_out_opens_no_other_ceremony_and_is_not_lengthened() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    let (open, over) = (circle.requester_in(thief.clone()), circle.over_in(&thief, &stopped));
    circle.open(&open).await.unwrap();
    circle.open(&over).await.unwrap();
    let before = circle.session(&thief).await;
    let session = before.session_id;
    let owner = circle.owner.caller.clone();
    circle.kit.call(&owner, RevokeSession { session }).await.unwrap();
    assert_eq!(circle.state(&open).await, CeremonyState::Open, "what is open is ended by a veto");
    assert_eq!(circle.state(&over).await, CeremonyState::Cancelled);
    let again = circle.kit.authenticate(&thief.token).await.unwrap();
    let another = circle.over_in(&Person { caller: again.clone(), ..thief.clone() }, &stopped);
    assert_eq!(circle.open(&another).await.unwrap_err().reason(), "SESSION_PUT_OUT");
    let after = circle.session(&thief).await;
    assert_eq!((after.expires_at, after.assurance), (before.expires_at, Assurance::Narrowed));
    assert_eq!(
        circle.kit.call(&owner, RevokeSession { session }).await.unwrap_err().reason(),
        "CEREMONY_LIVE"
    );
    circle.kit.call(&again, CancelCeremony { ceremony: open.id() }).await.unwrap();
    assert!(circle.kit.authenticate(&thief.token).await.is_err(), "it ends with its last ceremony");
}

#[tokio::test]
async fn what_a_recovery_session_proposed_is_not_ended_by_a_plain_session() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let stopped = circle.vetoed().await;
    let over = circle.proposed(&stopped).await;
    let owner = circle.owner.caller.clone();
    circle.kit.call(&owner, RevokeOtherSessions::default()).await.unwrap();
    let session = over.person.caller.user().unwrap().session;
    assert_eq!(
        circle.kit.call(&owner, RevokeSession { session }).await.unwrap_err().reason(),
        "CEREMONY_LIVE"
    );
    assert_eq!(circle.state(&over).await, CeremonyState::Proposed);
}
