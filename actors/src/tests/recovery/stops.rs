//! What stops a recovery is done in a tenant that has no calls left.

use super::circle::{Circle, short};
use crate::{
    QuotaChange,
    api::{
        auth::WhoAmI,
        recovery::{CeremonyState, ListCeremonies, VetoCeremony},
    },
    tests::{kit::Kit, quotas::limit_to, sign_in::by_link},
};

async fn without_calls() -> Circle {
    Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await
}

#[tokio::test]
async fn a_veto_and_what_comes_before_it_need_no_call_of_the_tenants_quota() {
    let mut circle = without_calls().await;
    let requester = circle.opened().await;
    limit_to(&circle.kit, &circle.owner, QuotaChange { calls_per_minute: Some(1), ..QuotaChange::default() })
        .await;
    let owner = circle.owner.caller.clone();
    let used_up = async || circle.kit.call(&owner, WhoAmI).await.err().map(|error| error.reason().to_owned());
    used_up().await;
    assert_eq!(used_up().await.as_deref(), Some("QUOTA_CALLS"));
    let live = ListCeremonies { only_live: true, after: None, limit: 0 };
    assert_eq!(circle.kit.call(&owner, live).await.unwrap().ceremonies.len(), 1);
    let veto = VetoCeremony { ceremony: requester.id(), statement: Vec::new(), retirement: Vec::new() };
    let stopped = circle.kit.call(&owner, veto).await.unwrap();
    assert_eq!(stopped.ceremony.state, CeremonyState::Vetoed);
    // looking at ceremonies has an end too
    let mut refused = None;
    for _ in 0..400 {
        let live = ListCeremonies { only_live: true, after: None, limit: 0 };
        refused = refused.or(circle.kit.call(&owner, live).await.err());
    }
    assert_eq!(refused.map(|error| error.reason().to_owned()).as_deref(), Some("QUOTA_CALLS"));
    // and whoever used that up took nothing from showing who one is
    let judged = circle.kit.call(&owner, by_link("no token")).await.err();
    assert!(judged.is_some_and(|error| error.reason() != "QUOTA_CALLS"));
}

#[tokio::test]
async fn a_guardian_locks_though_their_tenant_has_no_calls_left() {
    let mut circle = without_calls().await;
    let requester = circle.opened().await;
    let guard = circle.guards[0].person.clone();
    limit_to(&circle.kit, &guard, QuotaChange { calls_per_minute: Some(1), ..QuotaChange::default() }).await;
    let _ = circle.kit.call(&guard.caller, WhoAmI).await;
    assert_eq!(circle.kit.call(&guard.caller, WhoAmI).await.unwrap_err().reason(), "QUOTA_CALLS");
    circle.lock(0, requester.id()).await.unwrap();
    let state = circle.state_of(&circle.owner, requester.id()).await.unwrap().state;
    assert_eq!(state, CeremonyState::Locked);
}
