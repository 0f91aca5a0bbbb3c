//! Who may not ask, for what, and what nobody learns by asking.

use std::time::Duration;

use super::{NEW, OLD, asked, confirm};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        email_change::{CancelEmailChange, GetEmailChange, RequestEmailChange},
        users::Role,
    },
    tests::{
        factors::{by_mail, enrol, reason, step_up},
        kit::Kit,
    },
};

fn ask(new: &str) -> RequestEmailChange {
    RequestEmailChange { new_email: new.to_owned() }
}

#[tokio::test]
async fn m6_another_address_wants_a_fresh_proof_with_the_second_factor_if_there_is_one() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(&ann.caller, ask(NEW)).await, Err(ActorError::StepUpRequired));
    let ann = by_mail(&kit, &ann).await;
    let plain = by_mail(&kit, &ann).await;
    let ann = enrol(&kit, &ann).await;
    assert_eq!(kit.call(&plain.caller, ask(NEW)).await, Err(ActorError::StepUpRequired));
    assert_eq!(kit.mailbox.count(NEW), 0);
    let stepped = step_up(&kit, &plain.caller, ann.digits(&kit, 0)).await.unwrap();
    let caller = kit.authenticate(stepped.token.expose()).await.unwrap();
    kit.call(&caller, ask(NEW)).await.unwrap();
    // a sign-in whose factor is due, and one for recovery, neither ask nor stop
    let pending = by_mail(&kit, &ann.person).await;
    let recovery = kit.sign_in(&ann.person, LinkPurpose::Recovery).await;
    for weak in [&pending, &recovery] {
        assert_eq!(reason(kit.call(&weak.caller, ask(NEW)).await), "PERMISSION_DENIED");
        assert_eq!(reason(kit.call(&weak.caller, GetEmailChange).await), "PERMISSION_DENIED");
        assert_eq!(reason(kit.call(&weak.caller, CancelEmailChange).await), "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn what_is_no_address_and_what_is_the_same_is_refused() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    for bad in [
        "",
        "ann",
        "a@b@c.de",
        "ann@localhost",
        "ann@[192.0.2.1]",
        "a@b.cd\r\nBcc: x@y.zz",
        " ANN@example.com ",
    ] {
        assert_eq!(reason(kit.call(&ann.caller, ask(bad)).await), "INVALID_ARGUMENT", "{bad:?}");
    }
    assert_eq!(kit.mailbox.count(OLD), 1, "the link of the sign-up");
}

#[tokio::test]
async fn asking_tells_nobody_whose_an_address_is() {
    let kit = Kit::sim().await;
    let host = kit.founder("host@example.com").await;
    let ann = kit.member(&host, OLD, Role::Member).await;
    let (here, there) = ("bob@example.com", "cy@example.com");
    kit.member(&host, here, Role::Member).await;
    kit.founder(there).await;
    let mut answers = Vec::new();
    for address in [here, there, NEW] {
        let (before, told) = (kit.mailbox.count(address), kit.mailbox.count(OLD));
        answers.push(kit.call(&ann.caller, ask(address)).await);
        assert_eq!(kit.mailbox.token_after(address, before).await.kind, "email_change");
        assert_eq!(kit.mailbox.nth(OLD, told).await.kind, "email.change_asked");
    }
    assert!(answers.iter().all(|answer| answer.is_ok() && *answer == answers[0]), "{answers:?}");
    // whoever can read the mail of an address may hear of it; one elsewhere is no hindrance
    let token = asked(&kit, &ann, here).await;
    assert_eq!(reason(confirm(&kit, &ann, &token).await), "ADDRESS_TAKEN");
    let token = asked(&kit, &ann, there).await;
    confirm(&kit, &ann, &token).await.unwrap();
}
