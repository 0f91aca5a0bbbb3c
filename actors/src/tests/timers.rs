//! Durable timers: early, late, double and asleep.

use std::{sync::Mutex, time::Duration};

use ocmt_store::tables::{Notice, Timer};
use ocmt_types::TenantId;

use super::kit::{Kit, START, Seen, until};
use crate::{ActorError, Limits, tenant::TenantMessage, work::Work};

static FIRED: Seen<(TenantId, String)> = Mutex::new(Vec::new());

/// What firing of `test.count` does.
pub(crate) async fn count(work: &mut Work, timer: &Timer) -> Result<(), ActorError> {
    FIRED.lock().unwrap().push((work.ownership.tenant, timer.subject.clone()));
    Ok(())
}

pub(crate) fn fired(tenant: TenantId) -> usize {
    FIRED.lock().unwrap().iter().filter(|(of, _)| *of == tenant).count()
}

#[tokio::test]
async fn a_timer_fires_once_however_often_it_is_looked_at() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    tx.set_timer("test.count", "x", START + Duration::from_secs(60), &[]).await.unwrap();
    tx.commit().await.unwrap();
    let look = || (0..5).for_each(|_| kit.system.send(ann.tenant, TenantMessage::TimerDue));
    look();
    let _ = kit.call(&ann.caller, crate::api::tenant::GetTenant).await;
    assert_eq!(fired(ann.tenant), 0, "early looks fire nothing");
    kit.clock.advance(Duration::from_secs(90));
    look();
    until("it fires", async || fired(ann.tenant) > 0).await;
    look();
    kit.call(&ann.caller, crate::api::tenant::GetTenant).await.unwrap();
    assert_eq!(fired(ann.tenant), 1);
}

#[tokio::test]
async fn a_timer_of_a_sleeping_tenant_wakes_it() {
    let limits = Limits {
        passivate_after: Duration::from_millis(20),
        poll_every: Duration::from_millis(20),
        ..Limits::default()
    };
    let kit = Kit::sim_with(|config| config.limits = limits).await;
    let ann = kit.founder("ann@example.com").await;
    kit.clock.advance(Duration::from_secs(1));
    let asleep = async || kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap().incarnation.is_none();
    until("it sleeps", asleep).await;
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    tx.set_timer("test.count", "y", START + Duration::from_secs(60), &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fired(ann.tenant), 0);
    kit.clock.advance(Duration::from_secs(60));
    until("it fires", async || fired(ann.tenant) == 1).await;
}

#[tokio::test]
async fn a_notice_is_handed_over_until_somebody_takes_it_and_then_counts() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.mailbox.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let ownership = kit.steal(ann.tenant).await;
    let notice_id = ocmt_store::testing::id(77);
    let mut tx = kit.store.fenced(ownership).await.unwrap();
    tx.insert(&Notice {
        tenant_id: ann.tenant,
        notice_id,
        user_id: Some(ann.user),
        address: "other@example.com".into(),
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
    tx.set_timer("notice.hand_over", &ocmt_types::NoticeId::to_string(&notice_id), START, &[]).await.unwrap();
    tx.commit().await.unwrap();
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    let row = async || {
        let owner = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
        let ownership =
            ocmt_types::Ownership { tenant: ann.tenant, incarnation: owner.incarnation?, epoch: owner.epoch };
        kit.store.read(ownership).await.ok()?.get::<Notice>(notice_id).await.ok()?
    };
    until("it was tried", async || row().await.is_some_and(|row| row.attempts == 1)).await;
    kit.mailbox.refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    kit.clock.advance(Duration::from_secs(11));
    until("it is written down", async || row().await.is_some_and(|row| row.handed_over_at.is_some())).await;
    let mail = kit.mailbox.nth("other@example.com", 0).await;
    assert_eq!(mail.facts, [("fact".to_owned(), "one".to_owned())]);
    assert_eq!(row().await.unwrap().handed_over_at, Some(START + Duration::from_secs(11)));
}
