//! Whose the new address is, before, meanwhile and in the end.

use std::time::Duration;

use super::{
    super::circle::{Circle, short},
    NEW,
};
use crate::{
    api::{auth::LinkPurpose, recovery::CeremonyState, users::Role},
    tests::{
        email_change::{asked, confirm, under_way},
        factors::{reason, told},
        kit::Kit,
    },
};

async fn circle() -> Circle {
    Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await
}

#[tokio::test]
async fn an_address_of_another_user_is_refused_to_whoever_shows_the_link_and_to_nobody_before() {
    let circle = circle().await;
    circle.kit.member(&circle.owner, NEW, Role::Member).await;
    circle.report(0, NEW).await.expect("the guardian is told nothing about the address");
    let mail = circle.kit.mailbox.token_after(NEW, 1).await;
    let refused = circle.kit.exchange(&mail.tokens[0].1).await.err().unwrap();
    assert_eq!(refused.reason(), "ADDRESS_TAKEN");
}

#[tokio::test]
async fn an_address_that_another_user_took_meanwhile_ends_nothing_and_moves_nothing() {
    let mut circle = circle().await;
    let old = circle.owner.email.clone();
    let requester = circle.lost_opened(NEW, 2).await;
    circle.kit.member(&circle.owner, NEW, Role::Member).await;
    circle.lost_released(&requester, 2).await;
    assert_eq!(circle.completes(&requester).await.unwrap_err().reason(), "ADDRESS_TAKEN");
    let view = circle.state_of(&requester.person, requester.id()).await.unwrap();
    assert_eq!((view.state, view.owner_email), (CeremonyState::Released, old));
}

#[tokio::test]
async fn a_user_of_another_tenant_may_have_the_address_too() {
    let mut circle = circle().await;
    circle.kit.founder(NEW).await;
    let requester = circle.lost_opened(NEW, 2).await;
    circle.lost_released(&requester, 2).await;
    circle.completes(&requester).await.unwrap();
    assert_eq!(circle.kit.store.directory().addresses(NEW).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_merely_proposed_holds_no_address_and_what_is_opened_does() {
    let mut circle = circle().await;
    let owner = circle.owner.clone();
    let requester = circle.lost_proposed(NEW).await;
    let token = asked(&circle.kit, &owner, "owner@third.example").await;
    confirm(&circle.kit, &owner, &token).await.expect("a guardian's word alone does not hold it");
    for n in 0..2 {
        circle.sign_lost(n, &requester).await.unwrap();
    }
    assert_eq!(under_way(&circle.kit, &owner).await, None, "it was stopped");
    told(&circle.kit, &owner.email, "email.change_stopped").await;
    let ask = crate::api::email_change::RequestEmailChange { new_email: "owner@fourth.example".to_owned() };
    assert_eq!(reason(circle.kit.call(&owner.caller, ask).await), "CEREMONY_LIVE");
}

/// Links that went to the old address before, and sessions of whoever reads it.
#[tokio::test]
async fn whoever_reads_the_old_mail_is_out_in_the_end() {
    let mut circle = circle().await;
    let requester = circle.lost_opened(NEW, 2).await;
    circle.lost_released(&requester, 2).await;
    let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    let link = circle.kit.link(&circle.owner.email, LinkPurpose::SignIn).await;
    circle.completes(&requester).await.unwrap();
    assert!(circle.kit.authenticate(&thief.token).await.is_err());
    assert!(circle.kit.exchange(&link).await.is_err());
    assert!(circle.kit.authenticate(&requester.person.token).await.is_err(), "the requester signs in anew");
    circle.kit.clock.advance(Duration::from_secs(1));
    circle.owner.email = NEW.to_owned();
    circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
}
