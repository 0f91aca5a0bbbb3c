//! Messages between tenants: once in effect, whatever is lost on the way.

use std::{sync::Mutex, time::Duration};

use ocmt_store::{
    Fault, Point,
    tables::{Outbox, Timer},
};
use ocmt_types::TenantId;

use super::kit::{Kit, Seen, until};
use crate::{
    ActorError,
    api::tenant::GetTenant,
    call::{Reply, answer_of},
    env::Scope,
    tenant::TenantMessage,
    work::{SystemWork, Work, run_system},
};

static TAKEN: Seen<(TenantId, TenantId, Vec<u8>)> = Mutex::new(Vec::new());
static ECHOED: Seen<(TenantId, Result<Vec<u8>, ActorError>)> = Mutex::new(Vec::new());

/// What `test.echo` does at the receiver: the effect is a row, so that it is undone with its transaction.
pub(crate) async fn echo(work: &mut Work, from: TenantId, body: &[u8]) -> Result<Vec<u8>, ActorError> {
    if body == b"refuse" {
        return Err(ActorError::precondition("TEST_REFUSES", "as asked"));
    }
    let seen = work.tx.get::<Timer>(("test.effects".into(), String::new())).await?;
    let count = seen.map_or(0, |row| row.payload[0]) + 1;
    let far = work.now + Duration::from_secs(1 << 30);
    work.tx.set_timer("test.effects", "", far, &[count]).await?;
    TAKEN.lock().unwrap().push((from, work.ownership.tenant, body.to_vec()));
    Ok(body.to_vec())
}

/// And its answer at the sender.
pub(crate) async fn echoed(
    work: &mut Work,
    _row: &Outbox,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    ECHOED.lock().unwrap().push((work.ownership.tenant, result.clone()));
    Ok(())
}

struct Send(TenantId, &'static [u8]);
impl SystemWork for Send {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        work.post(self.0, "test.echo", self.1).await.map(drop)
    }
}

pub(crate) fn answers(tenant: TenantId) -> Vec<Result<Vec<u8>, ActorError>> {
    ECHOED.lock().unwrap().iter().filter(|(of, _)| *of == tenant).map(|(_, result)| result.clone()).collect()
}

pub(crate) async fn effects(kit: &Kit, tenant: TenantId) -> u8 {
    let Some(mut tx) = kit.reading(tenant).await else {
        return 0;
    };
    tx.get::<Timer>(("test.effects".into(), String::new())).await.unwrap().map_or(0, |row| row.payload[0])
}

pub(crate) async fn waiting(kit: &Kit, tenant: TenantId) -> Option<i64> {
    Some(kit.reading(tenant).await?.count::<Outbox>(ocmt_store::Filter::all()).await.unwrap())
}

pub(crate) async fn attempts(kit: &Kit, tenant: TenantId) -> Option<i64> {
    let row = kit.reading(tenant).await?.first::<Outbox>(ocmt_store::Filter::all()).await.unwrap();
    row.map(|row| row.attempts)
}

/// Writes a message in a transaction of the sender, as a handler would, and wakes the sender.
pub(crate) async fn send(kit: &Kit, from: TenantId, to: TenantId, body: &'static [u8]) {
    let ownership = kit.steal(from).await;
    let scope = Scope::new(kit.system.env.clone(), ownership);
    run_system(&scope, Send(to, body)).await.unwrap();
    kit.clock.advance(Duration::from_secs(6));
    kit.system.send(from, TenantMessage::TimerDue);
}

async fn a_message_is_delivered_and_answered(kit: Kit) {
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    send(&kit, ann.tenant, bob.tenant, b"hello").await;
    until("the answer is settled", async || waiting(&kit, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant), [Ok(b"hello".to_vec())]);
    assert_eq!(effects(&kit, bob.tenant).await, 1);
}

#[tokio::test]
async fn a_message_is_delivered_and_answered_on_sim() {
    a_message_is_delivered_and_answered(Kit::sim().await).await;
}

#[tokio::test]
async fn a_message_is_delivered_and_answered_on_sqlite() {
    a_message_is_delivered_and_answered(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_refusal_ends_the_message_without_an_effect() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    send(&kit, ann.tenant, bob.tenant, b"refuse").await;
    until("it is settled", async || waiting(&kit, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant)[0].as_ref().unwrap_err().reason(), "TEST_REFUSES");
    assert_eq!(effects(&kit, bob.tenant).await, 0);
}

#[tokio::test]
async fn a_message_to_nobody_is_refused() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    send(&kit, ann.tenant, ocmt_store::testing::id(4711), b"hello").await;
    until("it is settled", async || waiting(&kit, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant), [Err(ActorError::NotFound)]);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_delivered_again_and_works_once() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    kit.call(&bob.caller, GetTenant).await.unwrap();
    // the receiver commits, but cannot know it: the sender hears nothing good and tries again later
    let ownership = kit.steal(ann.tenant).await;
    let scope = Scope::new(kit.system.env.clone(), ownership);
    run_system(&scope, Send(bob.tenant, b"hello")).await.unwrap();
    let row = kit
        .store
        .read(ownership)
        .await
        .unwrap()
        .first::<Outbox>(ocmt_store::Filter::all())
        .await
        .unwrap()
        .unwrap();
    for applied in [true, false] {
        kit.store.faults().unwrap().plan(Point::Commit, Fault::OutcomeUnknown { applied });
        let (reply, answer) = Reply::new(kit.request(), None);
        let take = crate::tenant::TakePost {
            from: ann.tenant,
            message: row.message_id,
            kind: row.kind.clone(),
            body: row.body.clone(),
            reply,
        };
        kit.system.send(bob.tenant, TenantMessage::Take(take));
        assert!(answer_of(&kit.system.env.clock, kit.deadline(), answer).await.is_err());
        until("the receiver is back", async || kit.call(&bob.caller, GetTenant).await.is_ok()).await;
    }
    kit.store.faults().unwrap().clear();
    kit.clock.advance(Duration::from_secs(6));
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    until("it is settled", async || waiting(&kit, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant), [Ok(b"hello".to_vec())]);
    assert_eq!(effects(&kit, bob.tenant).await, 1);
}

#[tokio::test]
async fn two_tenants_that_write_to_each_other_do_not_wait_for_each_other() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let (one, two) = (kit.steal(ann.tenant).await, kit.steal(bob.tenant).await);
    for _ in 0..5 {
        run_system(&Scope::new(kit.system.env.clone(), one), Send(bob.tenant, b"to bob")).await.unwrap();
        run_system(&Scope::new(kit.system.env.clone(), two), Send(ann.tenant, b"to ann")).await.unwrap();
    }
    kit.clock.advance(Duration::from_secs(6));
    kit.system.send(ann.tenant, TenantMessage::TimerDue);
    kit.system.send(bob.tenant, TenantMessage::TimerDue);
    until("all are settled", async || {
        // a delivery that met a restart is tried again by its timer
        kit.clock.advance(Duration::from_secs(1));
        waiting(&kit, ann.tenant).await == Some(0) && waiting(&kit, bob.tenant).await == Some(0)
    })
    .await;
    assert_eq!((effects(&kit, ann.tenant).await, effects(&kit, bob.tenant).await), (5, 5));
}

#[tokio::test]
async fn a_message_to_a_tenant_that_is_busy_is_no_refusal_and_works_later() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let admission = &kit.system.env.admission;
    let work: Vec<_> = std::iter::from_fn(|| admission.take(bob.tenant, 0).ok()).collect();
    send(&kit, ann.tenant, bob.tenant, b"hello").await;
    until("several attempts were made", async || {
        kit.clock.advance(Duration::from_secs(5));
        attempts(&kit, ann.tenant).await >= Some(3)
    })
    .await;
    assert_eq!(answers(ann.tenant), []);
    drop(work);
    until("it is settled", async || {
        kit.clock.advance(Duration::from_secs(5));
        waiting(&kit, ann.tenant).await == Some(0)
    })
    .await;
    assert_eq!(answers(ann.tenant), [Ok(b"hello".to_vec())]);
    assert_eq!(effects(&kit, bob.tenant).await, 1);
}
