//! A recovery and a change of address do not pass each other.

use super::circle::{Circle, short};
use crate::{
    api::email_change::RequestEmailChange,
    tests::{
        email_change::{asked, confirm, confirmed, under_way},
        factors::{reason, told},
        kit::Kit,
    },
};

#[tokio::test]
async fn a_recovery_stops_a_change_of_address_and_lets_none_begin() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let (owner, new) = (circle.owner.clone(), "owner@new.example");
    confirmed(&circle.kit, &owner, new).await;
    circle.opened().await;
    assert_eq!(under_way(&circle.kit, &owner).await, None);
    told(&circle.kit, &owner.email, "email.change_stopped").await;
    told(&circle.kit, new, "email.change_stopped").await;
    let ask = RequestEmailChange { new_email: new.to_owned() };
    assert_eq!(reason(circle.kit.call(&owner.caller, ask).await), "CEREMONY_LIVE");
}

#[tokio::test]
async fn a_recovery_kills_the_link_of_a_change_that_was_not_confirmed() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let owner = circle.owner.clone();
    let token = asked(&circle.kit, &owner, "owner@new.example").await;
    circle.opened().await;
    assert_eq!(reason(confirm(&circle.kit, &owner, &token).await), "BAD_LINK");
}
