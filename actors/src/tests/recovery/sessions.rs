//! How long a ceremony and the session that opened it may last, and what does not stop them.

use std::time::Duration;

use ocmt_crypto::ceremony::Verdict;

use super::circle::{Circle, SHORT, ownership, pass_delay, short};
use crate::{
    api::{
        auth::WhoAmI,
        recovery::{CancelCeremony, CeremonyState, CollectShares, VetoCeremony},
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
    },
    tests::kit::{Kit, Person},
};

async fn circle(k: u8, weights: &[u8]) -> Circle {
    Circle::dealt(Kit::sim_with(short).await, k, weights).await
}

async fn lives(circle: &Circle, person: &Person) -> bool {
    circle.kit.call(&person.caller, WhoAmI).await.is_ok()
}

async fn veto(circle: &Circle, ceremony: ocmt_types::Digest32) {
    let veto = VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() };
    circle.kit.call(&circle.owner.caller, veto).await.unwrap();
}

#[tokio::test]
async fn a_policy_made_stricter_after_the_dealing_shuts_nobody_out() {
    let mut circle = circle(2, &[1, 1]).await;
    let tenant = circle.kit.call(&circle.owner.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy {
        lock_ms: 4 * tenant.policy.lock_ms,
        recovery_delay_ms: 4 * tenant.policy.recovery_delay_ms,
        ..tenant.policy
    };
    let update = UpdateTenantPolicy { policy, version: tenant.version };
    circle.kit.call(&circle.owner.caller, update).await.unwrap();
    let mut hasty = circle.requester().await;
    hasty.params.delay_ms -= 1;
    assert_eq!(circle.open(&hasty).await.unwrap_err().reason(), "INVALID_ARGUMENT", "under the set's");
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
}

#[tokio::test]
async fn a_ceremony_waits_at_most_thirty_days_to_be_collected() {
    let mut circle = circle(2, &[1, 1]).await;
    let mut requester = circle.requester().await;
    let latest = Duration::from_millis(SHORT.recovery_ms) + Duration::from_secs(30 * 24 * 3600);
    requester.params.expires_at = requester.params.opened_at + latest + Duration::from_millis(1);
    assert_eq!(circle.open(&requester).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    requester.params.expires_at = requester.params.opened_at + latest;
    circle.open(&requester).await.unwrap();
}

#[tokio::test]
async fn a_recovery_session_ends_with_the_last_ceremony_it_opened() {
    let mut circle = circle(2, &[1, 1]).await;
    let first = circle.opened().await;
    let second = circle.requester_in(first.person.clone());
    circle.open(&second).await.unwrap();
    veto(&circle, first.id()).await;
    assert!(lives(&circle, &first.person).await, "another of its ceremonies goes on");
    veto(&circle, second.id()).await;
    assert!(!lives(&circle, &first.person).await, "a veto leaves no session behind");

    let locked = circle.opened().await;
    circle.lock(0, locked.id()).await.unwrap();
    assert!(!lives(&circle, &locked.person).await);
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms));

    let cancelled = circle.opened().await;
    let cancel = CancelCeremony { ceremony: cancelled.id() };
    circle.kit.call(&cancelled.person.caller, cancel).await.unwrap();
    assert!(!lives(&circle, &cancelled.person).await);

    let denied = circle.opened().await;
    circle.deny(0, denied.id()).await.unwrap();
    assert!(!lives(&circle, &denied.person).await);
}

#[tokio::test]
async fn a_full_session_outlives_the_ceremony_it_opened() {
    let mut circle = circle(2, &[1, 1]).await;
    let full = circle.requester_in(circle.owner.clone());
    circle.open(&full).await.unwrap();
    circle.told(&full).await;
    veto(&circle, full.id()).await;
    assert!(lives(&circle, &circle.owner).await);
}

#[tokio::test]
async fn a_lock_does_not_fail_for_another_ceremony_that_time_has_released() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let (other, stopped) = (circle.opened().await, circle.opened().await);
    for n in 0..2 {
        circle.approve(n, other.id()).await.unwrap();
    }
    circle.reaches(&other.person, other.id(), CeremonyState::Ready).await;
    let statement = circle.statement(2, Verdict::Lock, stopped.id());
    // the node does not look: it finds the release in the lock's own transaction
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.fenced(own).await.unwrap();
    tx.clear_timer("ceremony.look", &other.id().to_string()).await.unwrap();
    tx.commit().await.unwrap();
    pass_delay(&circle);
    let lock = crate::api::recovery::LockCeremony { ceremony: stopped.id(), statement };
    circle.kit.call(&circle.guards[2].person.caller, lock).await.expect("the lock counts");
    let state = async |id| circle.state_of(&circle.owner, id).await.unwrap().state;
    assert_eq!(state(stopped.id()).await, CeremonyState::Locked);
    assert_eq!(state(other.id()).await, CeremonyState::Released, "what is released is not stopped any more");
}

#[tokio::test]
async fn a_ceremony_is_opened_by_a_clock_like_the_nodes() {
    let mut circle = circle(2, &[1, 1]).await;
    let minutes = |n: u64| Duration::from_secs(n * 60);
    for (apart, good) in [(14, true), (16, false)] {
        for late in [true, false] {
            let mut requester = circle.requester().await;
            let at = requester.params.opened_at;
            requester.params.opened_at = if late { at + minutes(apart) } else { at - minutes(apart) };
            let refused = circle.open(&requester).await.err();
            assert_eq!(refused.is_none(), good, "{apart} min, late {late}: {refused:?}");
        }
    }
}
