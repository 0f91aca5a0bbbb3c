//! Durable timers: early, late, double and asleep.

use std::{sync::Mutex, time::Duration};

use ocmt_store::tables::Timer;
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
