//! The link to the new address: once, in the session that asked, the newest alone, for a while.

use std::time::Duration;

use futures_util::future::join_all;

use super::{NEW, OLD, asked, confirm, under_way};
use crate::{
    api::email_change::RequestEmailChange,
    tests::{
        factors::{by_mail, reason},
        kit::{Kit, START},
    },
};

#[tokio::test]
async fn a_link_confirms_once_however_many_show_it_together() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder(OLD).await;
    let token = asked(&kit, &ann, NEW).await;
    let shown = join_all((0..10).map(|_| confirm(&kit, &ann, &token))).await;
    assert_eq!(shown.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(shown.into_iter().filter(Result::is_err).all(|answer| reason(answer) == "BAD_LINK"));
}

#[tokio::test]
async fn a_repeat_with_the_same_key_has_the_same_answer() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    let tenant = kit.system.tenant(ann.tenant);
    let ask = || RequestEmailChange { new_email: NEW.to_owned() };
    for _ in 0..3 {
        tenant.call(ann.caller.clone(), kit.keyed(1, 1), ask()).await.unwrap();
    }
    let token = kit.mailbox.token_after(NEW, 0).await.tokens[0].1.clone();
    let show =
        || crate::api::email_change::ConfirmEmailChange { token: ocmt_types::Secret::new(token.clone()) };
    let first = tenant.call(ann.caller.clone(), kit.keyed(2, 2), show()).await.unwrap();
    kit.clock.advance(Duration::from_secs(60));
    let again = tenant.call(ann.caller.clone(), kit.keyed(2, 2), show()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(kit.mailbox.count(NEW), 1);
}

#[tokio::test]
async fn a_link_is_good_in_the_session_that_asked_and_nowhere_else() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    let other = by_mail(&kit, &ann).await;
    let stranger = kit.founder("eve@example.com").await;
    let token = asked(&kit, &ann, NEW).await;
    for elsewhere in [&other, &stranger] {
        assert_eq!(reason(confirm(&kit, elsewhere, &token).await), "BAD_LINK");
    }
    assert_eq!(reason(kit.exchange(&token).await), "UNAUTHENTICATED", "it signs nobody in");
    confirm(&kit, &ann, &token).await.unwrap();
}

#[tokio::test]
async fn a_newer_wish_ends_the_older_one() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    let older = asked(&kit, &ann, NEW).await;
    let newer = asked(&kit, &ann, "ann@newer.example").await;
    assert_eq!(reason(confirm(&kit, &ann, &older).await), "BAD_LINK");
    confirm(&kit, &ann, &newer).await.unwrap();
    // and one that was confirmed
    asked(&kit, &ann, NEW).await;
    let pending = under_way(&kit, &ann).await.unwrap();
    assert_eq!((pending.email.as_str(), pending.effective_at), (NEW, None));
}

#[tokio::test]
async fn a_link_ends_with_its_lifetime() {
    let kit = Kit::sim().await;
    let ann = kit.founder(OLD).await;
    let token = asked(&kit, &ann, NEW).await;
    kit.clock.advance(Duration::from_secs(600));
    assert_eq!(reason(confirm(&kit, &ann, &token).await), "BAD_LINK");
    assert_eq!(under_way(&kit, &ann).await, None);
    let ann = by_mail(&kit, &ann).await;
    let token = asked(&kit, &ann, NEW).await;
    kit.clock.advance(Duration::from_secs(599));
    let done = confirm(&kit, &ann, &token).await.unwrap();
    assert_eq!(done.effective_at, START + Duration::from_secs(600 + 599) + super::DAY);
}

#[tokio::test]
async fn somebody_writes_to_five_addresses_in_ten_minutes_and_no_more() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder(OLD).await;
    let ask = async |n: usize| {
        kit.call(&ann.caller, RequestEmailChange { new_email: format!("a{n}@new.example") }).await
    };
    let together = join_all((0..12).map(ask)).await;
    assert_eq!(together.iter().filter(|answer| answer.is_ok()).count(), 5);
    let refused = together.into_iter().filter(Result::is_err);
    assert!(refused.into_iter().all(|answer| reason(answer) == "TOO_MANY_EMAIL_CHANGES"));
    kit.clock.advance(Duration::from_secs(600));
    let fresh = by_mail(&kit, &ann).await;
    kit.call(&fresh.caller, RequestEmailChange { new_email: NEW.to_owned() }).await.unwrap();
}
