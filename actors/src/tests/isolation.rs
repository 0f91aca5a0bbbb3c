//! A panic ends one actor: that call fails with INTERNAL and its id, and nobody else notices.

use crate::{
    ActorError,
    api::{auth::WhoAmI, tenant::GetTenant},
    call::{Reply, answer_of},
    tenant::{Poison, TenantMessage},
};

use super::kit::{Kit, Person, until};

async fn poison(kit: &Kit, person: &Person, at: Poison) -> ActorError {
    let id = kit.request();
    let (reply, answer) = Reply::new(id, None);
    kit.system.send(person.tenant, TenantMessage::Poison(at, reply));
    let error = answer_of(&kit.system.env.clock, kit.deadline(), answer).await.unwrap_err();
    assert_eq!(error, ActorError::Internal(id));
    error
}

#[tokio::test]
async fn a_panic_in_a_session_ends_that_call_alone() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let epochs = (kit.epoch(ann.tenant).await, kit.epoch(bob.tenant).await);
    let session = ann.caller.user().unwrap().session;
    assert_eq!(poison(&kit, &ann, Poison::Session(session)).await.reason(), "INTERNAL");
    // the next works, from the row
    until("the session is back", async || kit.authenticate(&ann.token).await.is_ok()).await;
    kit.call(&ann.caller, WhoAmI).await.unwrap();
    kit.call(&bob.caller, WhoAmI).await.unwrap();
    assert_eq!((kit.epoch(ann.tenant).await, kit.epoch(bob.tenant).await), epochs, "no tenant was restarted");
}

#[tokio::test]
async fn a_panic_in_a_tenant_restarts_it_from_the_truth_and_no_other() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let before = kit.epoch(bob.tenant).await;
    let mut stream = kit.system.tenant(bob.tenant).open_stream(&bob.caller, kit.deadline()).await.unwrap();
    for at in [Poison::Work, Poison::Handler] {
        let epoch = kit.epoch(ann.tenant).await;
        poison(&kit, &ann, at).await;
        until("the tenant answers again", async || kit.call(&ann.caller, GetTenant).await.is_ok()).await;
        assert!(kit.epoch(ann.tenant).await > epoch, "activated by a fresh claim");
        kit.authenticate(&ann.token).await.unwrap();
        // the pause after a second failure goes by the clock
        kit.clock.advance(std::time::Duration::from_secs(61));
    }
    kit.call(&bob.caller, GetTenant).await.unwrap();
    assert_eq!(kit.epoch(bob.tenant).await, before);
    let over = tokio::time::timeout(std::time::Duration::from_millis(50), stream.over()).await;
    assert!(over.is_err(), "another tenant's stream goes on");
}

#[tokio::test]
async fn a_tenant_that_keeps_failing_is_restarted_more_and_more_slowly() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for _ in 0..2 {
        poison(&kit, &ann, Poison::Work).await;
        until("it is noticed", async || {
            let epoch = kit.epoch(ann.tenant).await;
            match kit.call(&ann.caller, GetTenant).await {
                Ok(_) => true,
                Err(error) => error.retry_after().is_some() && epoch == kit.epoch(ann.tenant).await,
            }
        })
        .await;
    }
    // the clock stands: the pause after the second failure is not over
    until("calls are refused", async || kit.call(&ann.caller, GetTenant).await.is_err()).await;
    let error = kit.call(&ann.caller, GetTenant).await.unwrap_err();
    assert_eq!(error.reason(), "RESTARTING");
    assert!(error.is_retryable());
    kit.clock.advance(error.retry_after().unwrap());
    kit.call(&ann.caller, GetTenant).await.unwrap();
}
