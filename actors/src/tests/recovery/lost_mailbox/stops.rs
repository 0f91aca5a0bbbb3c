//! What guardians who lie, the owner and others can do to a ceremony that a guardian's word began.

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{StopStatement, Verdict, lost_mailbox},
    sign::SigningKey,
};
use ocmt_types::Clock as _;

use super::{
    super::circle::{Circle, Requester, SHORT, short},
    NEW,
};
use crate::{
    ActorError,
    api::recovery::{CeremonyState, VetoCeremony, Vetoed},
    tests::kit::{Kit, until},
};

async fn circle(k: u8, weights: &[u8]) -> Circle {
    Circle::dealt(Kit::sim_with(short).await, k, weights).await
}

async fn veto(circle: &Circle, of: &Requester) -> Result<Vetoed, ActorError> {
    let veto = VetoCeremony { ceremony: of.id(), statement: Vec::new(), retirement: Vec::new() };
    circle.kit.call(&circle.owner.caller, veto).await
}

async fn state(circle: &Circle, of: &Requester) -> CeremonyState {
    circle.state_of(&circle.owner, of.id()).await.unwrap().state
}

#[tokio::test]
async fn guardians_of_fewer_than_k_units_never_open_it() {
    let mut circle = circle(3, &[2, 1, 1]).await;
    let requester = circle.lost_proposed(NEW).await;
    for _ in 0..3 {
        circle.sign_lost(0, &requester).await.unwrap();
    }
    assert_eq!(state(&circle, &requester).await, CeremonyState::Proposed, "two units, however often");
    assert_eq!(circle.open(&requester).await.unwrap().state, CeremonyState::Proposed, "nor by asking again");
    let at = circle.kit.clock.now();
    let here = lost_mailbox(NEW);
    let by = Verdict::Override { by: requester.id() };
    let stranger = SigningKey::generate(&mut circle.rng);
    let second = circle.lost_proposed("owner@second.example").await;
    let of_second = Verdict::Override { by: second.id() };
    for (what, bad) in [
        ("another address", circle.statement(1, by, lost_mailbox("thief@new.example"))),
        ("another ceremony", circle.statement(1, of_second, here)),
        ("the ceremony alone", circle.statement(1, by, requester.id())),
        ("another verdict", circle.statement(1, Verdict::Doubt, here)),
        ("a stranger", StopStatement::sign(by, here, at, &stranger)),
        ("nothing", Vec::new()),
    ] {
        let refused = circle.say_signed(1, &requester, bad).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT", "{what}");
    }
    // another guardian's word, sent as one's own
    let foreign = circle.statement(2, by, here);
    assert_eq!(circle.say_signed(1, &requester, foreign).await.unwrap_err().reason(), "NOT_FOUND");
    assert_eq!(state(&circle, &requester).await, CeremonyState::Proposed);
    circle.sign_lost(2, &requester).await.unwrap();
    assert_eq!(state(&circle, &requester).await, CeremonyState::Open, "and the third unit does");
    assert_eq!(state(&circle, &second).await, CeremonyState::Proposed, "another is not disturbed");
}

#[tokio::test]
async fn the_owner_vetoes_it_proposed_and_open() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let proposed = circle.lost_proposed(NEW).await;
    assert_eq!(veto(&circle, &proposed).await.unwrap().ceremony.state, CeremonyState::Vetoed);
    assert_eq!(circle.sign_lost(0, &proposed).await.unwrap_err().reason(), "CEREMONY_OVER");
    assert!(circle.kit.authenticate(&proposed.person.token).await.is_err(), "its session has ended");
    let open = circle.lost_opened(NEW, 2).await;
    circle.approve(0, open.id()).await.unwrap();
    let vetoed = veto(&circle, &open).await.unwrap();
    assert_eq!((vetoed.ceremony.state, vetoed.deal_anew), (CeremonyState::Vetoed, true));
    assert_eq!(circle.row(open.id()).await.release_private_wrapped, None);
}

#[tokio::test]
async fn a_guardian_locks_it_while_it_is_proposed_and_every_other_with_it() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let (one, usual) = (circle.lost_proposed(NEW).await, circle.opened().await);
    circle.lock(1, usual.id()).await.unwrap();
    assert_eq!(state(&circle, &one).await, CeremonyState::Locked, "a lock on another stops it");
    let late = circle.lost(NEW).await;
    assert_eq!(circle.open(&late).await.unwrap_err().reason(), "LOCKED_BY_GUARDIAN");
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms));
    let next = circle.lost_proposed("owner@next.example").await;
    circle.lock(2, next.id()).await.unwrap();
    assert_eq!(state(&circle, &next).await, CeremonyState::Locked);
}

#[tokio::test]
async fn denials_end_it_before_it_opens_and_take_a_signature_back() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let requester = circle.lost_proposed(NEW).await;
    circle.sign_lost(0, &requester).await.unwrap();
    circle.deny(0, requester.id()).await.unwrap();
    circle.sign_lost(1, &requester).await.unwrap();
    let view = circle.state_of(&requester.person, requester.id()).await.unwrap();
    assert_eq!(
        (view.state, view.units_signed()),
        (CeremonyState::Proposed, 1),
        "one of two has taken it back"
    );
    circle.deny(2, requester.id()).await.unwrap();
    assert_eq!(state(&circle, &requester).await, CeremonyState::Denied, "two cannot be reached");
}

#[tokio::test]
async fn other_guardians_in_between_end_it() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.lost_proposed(NEW).await;
    let link = circle.lost_link(1, "owner@late.example").await;
    circle.rotate().await;
    circle.deal(2).await.unwrap();
    assert_eq!(state(&circle, &requester).await, CeremonyState::Vetoed);
    assert_eq!(circle.sign_lost(0, &requester).await.unwrap_err().reason(), "CEREMONY_OVER");
    // the same people guard again: a link of theirs is still good, and what it proposes is over the set of today
    circle.arrived().await;
    let person = circle.inert(&link, "owner@late.example").await;
    let again = circle.lost_in(person);
    assert_eq!(circle.open(&again).await.unwrap().state, CeremonyState::Proposed);
}

/// Whoever reads the old mail vetoes each: guardians of one unit more go on over that.
#[tokio::test]
async fn it_goes_on_over_the_veto_of_a_thief_in_the_old_mailbox() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let stopped = circle.lost_opened(NEW, 2).await;
    veto(&circle, &stopped).await.unwrap();
    let mut over = circle.lost(NEW).await;
    over.params.overrides = Some(stopped.id());
    let view = circle.open(&over).await.unwrap();
    assert_eq!((view.state, view.lost_mailbox), (CeremonyState::Proposed, true));
    for guard in &circle.guards {
        until("the guardian is asked", async || circle.get(&guard.person, over.id()).await.is_ok()).await;
    }
    // a signature for the address alone is none for going on over the stop
    assert_eq!(circle.sign_lost(0, &over).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    assert_eq!(veto(&circle, &over).await.unwrap_err().reason(), "CEREMONY_OVERRIDES");
    for n in 0..3 {
        assert_eq!(state(&circle, &over).await, CeremonyState::Proposed, "{n} of 3 have signed");
        circle.sign_for(n, &over).await.unwrap();
    }
    circle.told(&over).await;
    assert_eq!(veto(&circle, &over).await.unwrap_err().reason(), "CEREMONY_OVERRIDES");
    circle.lost_released(&over, 2).await;
    circle.completes(&over).await.unwrap();
    assert_eq!(circle.kit.store.directory().addresses(NEW).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_and_a_veto_at_once_have_one_outcome() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    for _ in 0..8 {
        let requester = circle.lost_proposed(NEW).await;
        let (a, b, stopped) = tokio::join!(
            circle.sign_lost(0, &requester),
            circle.sign_lost(1, &requester),
            veto(&circle, &requester)
        );
        assert!(stopped.is_ok(), "proposed or open, a veto counts");
        for signed in [a, b] {
            assert!(signed.is_ok() || signed.unwrap_err().reason() == "CEREMONY_OVER");
        }
        assert_eq!(state(&circle, &requester).await, CeremonyState::Vetoed);
        assert!(circle.kit.authenticate(&requester.person.token).await.is_err());
        circle.kit.clock.advance(Duration::from_secs(7 * 24 * 3600));
        circle.owner = circle.kit.sign_in(&circle.owner, crate::api::auth::LinkPurpose::SignIn).await;
        for n in 0..circle.guards.len() {
            let person = circle.guards[n].person.clone();
            circle.guards[n].person =
                circle.kit.sign_in(&person, crate::api::auth::LinkPurpose::SignIn).await;
        }
    }
}
