//! What becomes of letters: tried again until a carrier takes them, given up when they are refused for good.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_store::tables::{Notice, Timer};
use ocmt_types::{NoticeId, TenantId};

use super::kit::{Kit, Person, START, until};
use crate::{api::users::InviteUser, authorize::Role, tenant::TenantMessage};

const CY: &str = "cy@example.com";
const DAN: &str = "dan@example.com";
const OTHER: &str = "other@example.com";

fn invite(email: &str) -> InviteUser {
    InviteUser { email: email.into(), role: Role::Member.into() }
}

/// A notice that is due.
async fn notice_to_other(kit: &Kit, ann: &Person) -> NoticeId {
    let ownership = kit.steal(ann.tenant).await;
    let notice_id: NoticeId = ocmt_store::testing::id(77);
    let mut tx = kit.store.fenced(ownership).await.unwrap();
    tx.insert(&Notice {
        tenant_id: ann.tenant,
        notice_id,
        user_id: Some(ann.user),
        address: OTHER.into(),
        kind: "test.notice".into(),
        subject: String::new(),
        body: b"[[\"fact\",\"one\"]]".to_vec(),
        created_at: START,
        attempts: 0,
        next_attempt_at: Some(START),
        handed_over_at: None,
    })
    .await
    .unwrap();
    tx.set_timer("notice.hand_over", &notice_id.to_string(), START, &[]).await.unwrap();
    tx.commit().await.unwrap();
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    notice_id
}

async fn row(kit: &Kit, tenant: TenantId, notice: NoticeId) -> Option<Notice> {
    kit.reading(tenant).await?.get::<Notice>(notice).await.unwrap()
}

#[tokio::test]
async fn a_notice_is_handed_over_until_somebody_takes_it_and_then_counts() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.refuses.store(true, Ordering::SeqCst);
    let notice = notice_to_other(&kit, &ann).await;
    let row = async || row(&kit, ann.tenant, notice).await;
    until("it was tried", async || row().await.is_some_and(|row| row.attempts == 1)).await;
    kit.mailbox.tried(OTHER, 1).await;
    kit.mailbox.refuses.store(false, Ordering::SeqCst);
    kit.clock.advance(Duration::from_secs(11));
    until("it is written down", async || row().await.is_some_and(|row| row.handed_over_at.is_some())).await;
    let mail = kit.mailbox.nth(OTHER, 0).await;
    assert_eq!(mail.facts, [("fact".to_owned(), "one".to_owned())]);
    assert_eq!(row().await.unwrap().handed_over_at, Some(START + Duration::from_secs(11)));
    assert_eq!(kit.mailbox.tried(OTHER, 2).await, [notice, notice]);
}

#[tokio::test]
async fn a_notice_that_is_refused_for_good_is_given_up_and_counts_for_nothing() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.unknown.lock().unwrap().insert(OTHER.to_owned());
    let notice = notice_to_other(&kit, &ann).await;
    kit.mailbox.tried(OTHER, 1).await;
    let row = async || row(&kit, ann.tenant, notice).await;
    until("it is given up", async || row().await.is_some_and(|row| row.next_attempt_at.is_none())).await;
    assert_eq!(row().await.unwrap().handed_over_at, None, "nobody was told");
    let its = Timer::subject.eq(notice.to_string());
    let tries = kit.rows(ann.tenant).await.count::<Timer>(its).await.unwrap();
    assert_eq!(tries, 0, "it would be tried again");
}

#[tokio::test]
async fn a_letter_that_is_tried_again_is_known_by_its_id() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.refuses.store(true, Ordering::SeqCst);
    kit.call(&ann.caller, invite(CY)).await.unwrap();
    kit.mailbox.tried(CY, 1).await;
    kit.mailbox.refuses.store(false, Ordering::SeqCst);
    kit.mailbox.nth(CY, 0).await;
    kit.call(&ann.caller, invite(DAN)).await.unwrap();
    let (cys, dans) = (kit.mailbox.tried(CY, 2).await, kit.mailbox.tried(DAN, 1).await);
    assert!(cys[0] == cys[1] && cys[0] != dans[0], "{cys:?} {dans:?}");
}

#[tokio::test]
async fn a_letter_that_is_refused_for_good_is_given_up_at_once() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.unknown.lock().unwrap().insert(CY.to_owned());
    kit.mailbox.refuses.store(true, Ordering::SeqCst);
    kit.call(&ann.caller, invite(CY)).await.unwrap();
    kit.mailbox.tried(CY, 1).await;
    // a letter that may yet be taken, and would be behind a second attempt of the other
    kit.call(&ann.caller, invite(DAN)).await.unwrap();
    kit.mailbox.tried(DAN, 3).await;
    assert_eq!(kit.mailbox.tried(CY, 1).await.len(), 1);
}
