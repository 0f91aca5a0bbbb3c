//! The idle clock, leases that end in the cold, and suspends that are called off.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::{
    State,
    sim::{Fault, Op},
};
use ocmt_types::{ContainerId, VaultId};

use super::{PAUSE, STOP, World, unlock_cell};
use crate::{
    LockReason,
    api::{audit::QueryAudit, container::*},
    tenant::TenantMessage,
    tests::{
        kit::{Person, until},
        vault,
    },
};

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn an_idle_container_is_paused_then_stopped_and_timers_that_come_double_do_no_harm() {
    for world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.running(&ann).await;
        let look = || (0..5).for_each(|_| world.kit.system.send(ann.tenant, TenantMessage::TimerDue));
        world.kit.clock.advance(PAUSE - MOMENT);
        look();
        assert_eq!(world.info(&ann, container).await.state, ContainerState::Running, "early");
        world.kit.clock.advance(MOMENT);
        look();
        world.comes_to(&ann, container, ContainerState::Paused).await;
        look();
        world.kit.clock.advance(STOP - PAUSE);
        look();
        world.comes_to(&ann, container, ContainerState::Stopped).await;
        look();
        assert_eq!((world.calls(Op::Pause), world.calls(Op::Stop)), (1, 1));
        until("its timer is gone", async || world.due(&ann, container).await.is_none()).await;
    }
}

#[tokio::test]
async fn requests_keep_it_awake_and_looking_does_not() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.clock.advance(PAUSE - MOMENT);
    world.wake(&ann, container).await.unwrap();
    world.kit.clock.advance(PAUSE - MOMENT);
    let explained = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap();
    assert_eq!(explained.state, ContainerState::Running);
    assert_eq!(explained.pause_due_at, Some(explained.active_at + PAUSE));
    assert_eq!(explained.pause_due_at, Some(ocmt_types::Clock::now(&world.kit.clock) + MOMENT));
    world.kit.clock.advance(MOMENT);
    world.comes_to(&ann, container, ContainerState::Paused).await;
    let explained = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap();
    assert_eq!((explained.pause_due_at, explained.stop_due_at), (None, Some(explained.active_at + STOP)));
    assert!(explained.reasons.is_empty());
}

#[tokio::test]
async fn what_the_cell_reports_as_work_keeps_it_awake() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    *world.cells.idle_for.lock().unwrap() = Some(Duration::from_secs(20));
    world.kit.clock.advance(PAUSE);
    let due = ocmt_types::Clock::now(&world.kit.clock) + PAUSE - Duration::from_secs(20);
    until("the clock is set anew", async || world.due(&ann, container).await == Some(due)).await;
    assert_eq!(world.calls(Op::Pause), 0);
    world.cells.execs.store(1, Ordering::SeqCst);
    *world.cells.idle_for.lock().unwrap() = None;
    world.kit.clock.advance(PAUSE);
    let due = ocmt_types::Clock::now(&world.kit.clock) + PAUSE;
    until("a program runs in it", async || world.due(&ann, container).await == Some(due)).await;
    assert_eq!(world.calls(Op::Pause), 0);
    let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.kind == AwakeKind::Exec && reason.count == 1));
    world.cells.execs.store(0, Ordering::SeqCst);
    world.cells.log_followers.store(2, Ordering::SeqCst);
    world.kit.clock.advance(PAUSE);
    let due = ocmt_types::Clock::now(&world.kit.clock) + PAUSE;
    until("its logs are followed", async || world.due(&ann, container).await == Some(due)).await;
    assert_eq!(world.calls(Op::Pause), 0);
    let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.kind == AwakeKind::Logs && reason.count == 2));
    world.cells.log_followers.store(0, Ordering::SeqCst);
    world.kit.clock.advance(PAUSE);
    world.comes_to(&ann, container, ContainerState::Paused).await;
}

#[tokio::test]
async fn a_request_during_a_suspend_finds_the_container_running() {
    for _ in 0..20 {
        let world = World::sim().await;
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.running(&ann).await;
        world.kit.clock.advance(PAUSE);
        world.kit.system.send(ann.tenant, TenantMessage::TimerDue);
        // somewhere before, in, or after the pause
        world.wake(&ann, container).await.unwrap();
        assert_eq!(world.engine(container).await, Some(State::Running));
        assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
    }
}

#[tokio::test]
async fn a_lease_that_ends_while_paused_is_locked_and_frozen_again() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.running(&ann).await;
    let until_ = world.unlock(&ann, container, vault).await;
    assert_eq!(world.info(&ann, container).await.unlocked_until, Some(until_));
    let paused = world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!(paused.unlocked_until, Some(until_), "paused memory keeps its unlock");
    world.kit.clock.advance(super::cells::LEASE);
    until("it is locked", async || *world.cells.locks.lock().unwrap() == [LockReason::Lease]).await;
    world.comes_to(&ann, container, ContainerState::Paused).await;
    until("it is frozen again", async || world.calls(Op::Pause) == 2).await;
    assert_eq!(world.engine(container).await, Some(State::Paused));
    until("so it is in the store", async || world.info(&ann, container).await.unlocked_until.is_none()).await;
}

#[tokio::test]
async fn a_frozen_cell_that_does_not_lock_is_ended() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.running(&ann).await;
    world.unlock(&ann, container, vault).await;
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    world.cells.dead.store(true, Ordering::SeqCst);
    world.kit.clock.advance(super::cells::LEASE);
    world.comes_to(&ann, container, ContainerState::Failed).await;
    assert_eq!(world.engine(container).await, Some(State::Stopped));
}

#[tokio::test]
async fn a_lock_that_could_not_seal_is_a_lock_and_whoever_asked_is_told() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.running(&ann).await;
    world.cells.unsealed.store(true, Ordering::SeqCst);
    world.unlock(&ann, container, vault).await;
    let told = world.kit.call(&ann.caller, LockCell { container }).await.unwrap_err();
    assert_eq!(told.reason(), "VOLUME_NOT_SEALED");
    assert_eq!(world.info(&ann, container).await.unlocked_until, None);
    assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
    // nor at the end of a lease, when nobody is there to be told
    world.unlock(&ann, container, vault).await;
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    world.kit.clock.advance(super::cells::LEASE);
    until("it is frozen again", async || world.calls(Op::Pause) == 2).await;
    world.comes_to(&ann, container, ContainerState::Paused).await;
    until("so it is in the store", async || world.info(&ann, container).await.unlocked_until.is_none()).await;
    assert_eq!(*world.cells.locks.lock().unwrap(), [LockReason::User, LockReason::Lease]);
    assert_eq!(world.calls(Op::Kill), 0);
    until("the audit says so", async || unsealed(&world, &ann, "container.locked").await == 2).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    assert_eq!(unsealed(&world, &ann, "container.stopped").await, 1);
}

/// How many of these the audit has with a volume that was not sealed.
async fn unsealed(world: &World, person: &Person, method: &str) -> usize {
    let query = QueryAudit { method: Some(method.to_owned()), limit: 100, ..QueryAudit::default() };
    let found = world.kit.call(&person.caller, query).await.unwrap().records;
    let detail = ("volume".to_owned(), "not sealed".to_owned());
    found.iter().filter(|record| record.details.contains(&detail)).count()
}

async fn runs() -> (World, Person, ContainerId, VaultId) {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.running(&ann).await;
    (world, ann, container, vault)
}

/// An unlock is taken, or refused, and nobody hears so.
async fn loses_the_answer(world: &World, ann: &Person, container: ContainerId, vault: VaultId) {
    world.cells.mute.store(true, Ordering::SeqCst);
    let lost = world.kit.call(&ann.caller, unlock_cell(container, vault)).await.unwrap_err();
    assert_eq!(lost.reason(), "CELL_UNREACHABLE");
}

#[tokio::test]
async fn a_cell_that_does_not_answer_to_its_unlock_is_locked_after_it() {
    let (world, ann, container, vault) = runs().await;
    loses_the_answer(&world, &ann, container, vault).await;
    until("what was unlocked, and no row says so, is locked", async || {
        *world.cells.locks.lock().unwrap() == [LockReason::Lease]
    })
    .await;
    // it is locked: it takes the next one
    world.cells.mute.store(false, Ordering::SeqCst);
    world.unlock(&ann, container, vault).await;
    assert_eq!(world.calls(Op::Kill), 0);
}

#[tokio::test]
async fn a_cell_that_answers_neither_to_its_unlock_nor_how_it_is_is_locked_all_the_same() {
    let (world, ann, container, vault) = runs().await;
    world.cells.silent.store(true, Ordering::SeqCst);
    loses_the_answer(&world, &ann, container, vault).await;
    until("it is locked", async || *world.cells.locks.lock().unwrap() == [LockReason::Lease]).await;
}

#[tokio::test]
async fn who_unlocks_hears_that_the_answer_was_lost_before_the_lock_that_follows() {
    let (world, ann, container, vault) = runs().await;
    world.cells.slow_to_lock.store(true, Ordering::SeqCst);
    loses_the_answer(&world, &ann, container, vault).await;
    until("it is being locked", async || !world.cells.locks.lock().unwrap().is_empty()).await;
    assert_eq!(world.calls(Op::Kill), 0, "it was answered before the lock was given up");
    world.cells.mute.store(false, Ordering::SeqCst);
    world.cells.slow_to_lock.store(false, Ordering::SeqCst);
    world.unlock(&ann, container, vault).await;
}

#[tokio::test]
async fn a_lost_answer_to_an_unlock_ends_nobody_elses() {
    let (world, ann, container, vault) = runs().await;
    let until_ = world.unlock(&ann, container, vault).await;
    for silent in [false, true] {
        world.cells.silent.store(silent, Ordering::SeqCst);
        loses_the_answer(&world, &ann, container, vault).await;
        // comes after whatever follows
        world.kit.call(&ann.caller, GetCellKey { container }).await.unwrap();
    }
    assert_eq!(world.info(&ann, container).await.unlocked_until, Some(until_));
    assert!(world.cells.locks.lock().unwrap().is_empty());
    assert_eq!(world.calls(Op::Kill), 0);
}

#[tokio::test]
async fn a_stop_locks_first_also_what_is_paused() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    assert_eq!(*world.cells.locks.lock().unwrap(), [LockReason::Stop]);
    let ops: Vec<_> = world
        .runtime
        .calls()
        .into_iter()
        .map(|(op, _)| op)
        .filter(|op| !matches!(op, Op::List | Op::Inspect))
        .collect();
    assert_eq!(ops, [Op::Create, Op::Start, Op::Pause, Op::Unpause, Op::Stop]);
}

#[tokio::test]
async fn a_suspend_that_fails_is_tried_again_later_and_nothing_is_stuck() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.fault(Op::Pause, Fault::EngineDown);
    world.kit.clock.advance(PAUSE);
    until("it was tried", async || world.calls(Op::Pause) == 1).await;
    world.comes_to(&ann, container, ContainerState::Running).await;
    world.kit.clock.advance(Duration::from_secs(61));
    world.comes_to(&ann, container, ContainerState::Paused).await;
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Unpause);
}

#[tokio::test]
async fn a_shorter_policy_applies_to_what_runs() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let own = ContainerSpec { pause_after_ms: None, stop_after_ms: None, ..super::spec() };
    let create = CreateContainer { user: None, spec: own, start: true };
    let container = world.kit.call(&ann.caller, create).await.unwrap().container.id;
    let tenant = world.kit.call(&ann.caller, crate::api::tenant::GetTenant).await.unwrap();
    let policy =
        crate::api::tenant::TenantPolicy { pause_after_ms: 60_000, stop_after_ms: 120_000, ..tenant.policy };
    let update = crate::api::tenant::UpdateTenantPolicy { policy, version: tenant.version };
    world.kit.call(&ann.caller, update).await.unwrap();
    world.kit.clock.advance(Duration::from_secs(60));
    world.comes_to(&ann, container, ContainerState::Paused).await;
}
