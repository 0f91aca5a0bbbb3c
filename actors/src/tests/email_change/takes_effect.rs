//! What happens when the delay has passed, and what does not happen before.

use std::time::Duration;

use super::{
    DAY, NEW, OLD, SHORT, asked, comes_to_count, confirm, confirmed, listed, pass, short, stays, under_way,
};
use crate::{
    api::{
        audit::QueryAudit,
        auth::{LinkPurpose, WhoAmI},
        email_change::CancelEmailChange,
        users::{InviteUser, RemoveUser, Role},
    },
    tests::{
        factors::{by_mail, reason, told},
        kit::{Kit, START, until},
        suspension::{resume, suspend},
    },
};

async fn the_new_address_counts_after_the_delay(kit: Kit) {
    let ann = kit.founder(OLD).await;
    let token = asked(&kit, &ann, "Ann@New.Example").await;
    told(&kit, OLD, "email.change_asked").await;
    assert_eq!(under_way(&kit, &ann).await.unwrap().effective_at, None);
    let done = confirm(&kit, &ann, &token).await.unwrap();
    assert_eq!((done.email.as_str(), done.effective_at), (NEW, START + DAY));
    assert_eq!(under_way(&kit, &ann).await.unwrap().effective_at, Some(START + DAY));
    told(&kit, OLD, "email.change_confirmed").await;
    stays(&kit, &ann, DAY - Duration::from_secs(1)).await;
    let moved = comes_to_count(&kit, &ann, Duration::from_secs(1)).await;
    assert_eq!(listed(&kit, OLD).await, 0, "the old address signs in nowhere");
    told(&kit, OLD, "email.changed").await;
    told(&kit, NEW, "email.changed").await;
    let again = kit.sign_in(&moved, LinkPurpose::SignIn).await;
    let me = kit.call(&again.caller, WhoAmI).await.unwrap();
    assert_eq!((me.email.as_str(), me.user), (NEW, ann.user));
    assert_eq!(under_way(&kit, &again).await, None);
    // each step is in the audit, and no address with it
    let records = kit.call(&again.caller, QueryAudit::default()).await.unwrap().records;
    for step in ["AuthService/RequestEmailChange", "AuthService/ConfirmEmailChange", "email.change"] {
        let own = records.iter().filter(|record| record.method == step && record.result == "OK");
        let objects: Vec<_> = own.map(|record| record.object.clone()).collect();
        assert_eq!(objects, [format!("user/{}", ann.user)], "{step}");
    }
    for record in records {
        assert!(!String::from_utf8_lossy(&record.canonical).contains("new.example"), "{record:?}");
    }
}

#[tokio::test]
async fn the_new_address_counts_after_the_delay_on_sim() {
    the_new_address_counts_after_the_delay(Kit::sim().await).await;
}

#[tokio::test]
async fn the_new_address_counts_after_the_delay_on_sqlite() {
    the_new_address_counts_after_the_delay(Kit::sqlite().await).await;
}

#[tokio::test]
async fn the_new_address_counts_after_the_delay_on_postgres() {
    the_new_address_counts_after_the_delay(Kit::postgres().await).await;
}

#[tokio::test]
async fn the_other_sessions_end_with_the_change_and_the_asking_one_goes_on() {
    let kit = Kit::sim_with(short).await;
    let ann = kit.founder(OLD).await;
    let other = by_mail(&kit, &ann).await;
    let key = crate::tests::api_keys::made(&kit, &ann, &["tenant.read"]).await;
    confirmed(&kit, &ann, NEW).await;
    comes_to_count(&kit, &ann, SHORT).await;
    assert_eq!(reason(kit.authenticate(key.secret()).await), "UNAUTHENTICATED", "and keys of before");
    assert_eq!(kit.call(&ann.caller, WhoAmI).await.unwrap().email, NEW);
    assert_eq!(reason(kit.call(&other.caller, WhoAmI).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn links_and_invitations_of_before_open_nothing_after_the_change() {
    let kit = Kit::sim_with(short).await;
    let ann = kit.founder(OLD).await;
    confirmed(&kit, &ann, NEW).await;
    kit.call(&ann.caller, InviteUser { email: NEW.to_owned(), role: Role::Member.into() }).await.unwrap();
    let invitation = kit.mailbox.token_after(NEW, 1).await;
    assert_eq!(invitation.kind, "invite");
    kit.clock.advance(SHORT - Duration::from_secs(1));
    let links = [
        kit.link(OLD, LinkPurpose::SignIn).await,
        kit.link(OLD, LinkPurpose::Recovery).await,
        kit.link(OLD, LinkPurpose::StepUp).await,
    ];
    comes_to_count(&kit, &ann, Duration::from_secs(1)).await;
    for link in &links[..2] {
        assert_eq!(reason(kit.exchange(link).await), "UNAUTHENTICATED");
    }
    let step_up = crate::tests::sign_in::by_link(&links[2]);
    assert_eq!(reason(kit.call(&ann.caller, step_up).await), "UNAUTHENTICATED");
    let accept = crate::api::users::AcceptInvite {
        token: ocmt_types::Secret::new(invitation.tokens[0].1.clone()),
        device: crate::tests::kit::device(),
    };
    let joined = kit.system.accept_invite(accept, &kit.meta(), kit.request()).await;
    assert_eq!(reason(joined), "UNAUTHENTICATED", "nobody joins beside the user by the same address");
}

#[tokio::test]
async fn any_session_of_the_user_stops_it_without_another_proof() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder(OLD).await;
    confirmed(&kit, &ann, NEW).await;
    let later = by_mail(&kit, &ann).await;
    kit.clock.advance(Duration::from_secs(1000));
    kit.call(&later.caller, CancelEmailChange).await.unwrap();
    told(&kit, OLD, "email.change_stopped").await;
    told(&kit, NEW, "email.change_stopped").await;
    assert_eq!(under_way(&kit, &later).await, None);
    assert_eq!(reason(kit.call(&later.caller, CancelEmailChange).await), "NO_EMAIL_CHANGE");
    stays(&kit, &ann, DAY).await;
}

#[tokio::test]
async fn a_stop_before_the_address_is_confirmed_kills_its_link_and_writes_to_nobody_new() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    let token = asked(&kit, &ann, NEW).await;
    kit.call(&ann.caller, CancelEmailChange).await.unwrap();
    told(&kit, OLD, "email.change_stopped").await;
    assert_eq!(reason(confirm(&kit, &ann, &token).await), "BAD_LINK");
    assert_eq!(kit.mailbox.count(NEW), 1, "the link, and nothing more");
}

#[tokio::test]
async fn a_suspended_tenant_holds_the_change_and_its_delay_goes_on_afterwards() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    confirmed(&kit, &ann, NEW).await;
    suspend(&kit, ann.tenant).await;
    pass(&kit, &ann, DAY + DAY).await;
    resume(&kit, ann.tenant).await;
    let again = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let shown = under_way(&kit, &again).await.unwrap().effective_at;
    assert_eq!(shown, Some(START + DAY + DAY + DAY), "the time is the one from after the suspension");
    stays(&kit, &ann, DAY - Duration::from_secs(60)).await;
    comes_to_count(&kit, &ann, Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_removed_user_takes_the_change_along() {
    let kit = Kit::sim().await;
    let host = kit.founder("host@example.com").await;
    let ann = kit.member(&host, OLD, Role::Member).await;
    confirmed(&kit, &ann, NEW).await;
    kit.call(&host.caller, RemoveUser { user: ann.user }).await.unwrap();
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    let all = ocmt_store::Filter::<ocmt_store::tables::EmailChange>::all();
    assert_eq!(tx.count(all).await.unwrap(), 0);
    let timers = ocmt_store::tables::Timer::kind.eq("email.change");
    assert_eq!(tx.count::<ocmt_store::tables::Timer>(timers).await.unwrap(), 0);
    drop(tx);
    pass(&kit, &host, DAY).await;
    let host = kit.sign_in(&host, LinkPurpose::SignIn).await;
    kit.call(&host.caller, WhoAmI).await.unwrap();
    assert_eq!((listed(&kit, OLD).await, listed(&kit, NEW).await), (0, 0));
}

#[tokio::test]
async fn an_address_that_somebody_took_meanwhile_stays_theirs_and_the_old_one_goes_on() {
    let kit = Kit::sim().await;
    let host = kit.founder("host@example.com").await;
    let ann = kit.member(&host, OLD, Role::Member).await;
    confirmed(&kit, &ann, NEW).await;
    let bob = kit.member(&host, NEW, Role::Member).await;
    pass(&kit, &ann, DAY).await;
    told(&kit, OLD, "email.change_stopped").await;
    told(&kit, NEW, "email.change_stopped").await;
    for who in [&ann, &bob] {
        let again = kit.sign_in(who, LinkPurpose::SignIn).await;
        let me = kit.call(&again.caller, WhoAmI).await.unwrap();
        assert_eq!((me.user, me.email), (who.user, who.email.clone()));
    }
    until("nothing is under way", async || {
        under_way(&kit, &kit.sign_in(&ann, LinkPurpose::SignIn).await).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn the_address_that_was_left_is_free_for_somebody_else() {
    let kit = Kit::sim_with(short).await;
    let ann = kit.founder(OLD).await;
    confirmed(&kit, &ann, NEW).await;
    comes_to_count(&kit, &ann, SHORT).await;
    let ann =
        kit.sign_in(&crate::tests::kit::Person { email: NEW.to_owned(), ..ann }, LinkPurpose::SignIn).await;
    let bob = kit.member(&ann, OLD, Role::Member).await;
    assert_ne!(bob.user, ann.user);
    // and the way back is shut while somebody has it
    let token = asked(&kit, &ann, OLD).await;
    assert_eq!(reason(confirm(&kit, &ann, &token).await), "ADDRESS_TAKEN");
}
