//! Containers whose tenant is owned by another node than their host.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use ocmt_crypto::cell::{CellKeyStatement, ExpectedCell};
use ocmt_runtime::{Exit, State, sim::Op};
use ocmt_types::{Clock as _, ContainerId, Deadline, Incarnation, Ownership};

use super::{World, of, unlock_cell};
use crate::{
    ActorError, HostStanding,
    api::{container::*, tenant::GetTenant},
    host::{
        message::Turn,
        wire::{self, About, Sent, WireOrder, WireReason, WireWhat},
    },
    tests::{
        kit::{Kit, Person, until},
        vault,
    },
};

/// Ann's tenant is owned by the first, her container is pinned to the second.
pub(super) async fn apart() -> (World, World, Person, ContainerId) {
    let a = World::sim().await;
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    let container = on(&a, &b, &ann).await;
    (a, b, ann, container)
}

/// A container of somebody of `a`, on `b`.
pub(super) async fn on(a: &World, b: &World, person: &Person) -> ContainerId {
    a.kit.linked.has_memory(&b.kit.node, 1 << 20);
    let container = a.container(person).await;
    assert_eq!(a.info(person, container).await.host, b.kit.node.node_id);
    container
}

async fn owner(world: &World, person: &Person) -> Ownership {
    world.ownership(person).await
}

#[tokio::test]
async fn a_container_is_worked_on_by_its_host_alone() {
    let (a, b, ann, container) = apart().await;
    let (kit, who) = (&a.kit, &ann.caller);
    assert_eq!(a.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
    assert_eq!((b.engine(container).await, a.engine(container).await), (Some(State::Running), None));
    assert_eq!(a.wake(&ann, container).await.unwrap(), Wake::NONE);
    let paused = kit.call(who, PauseContainer { container }).await.unwrap();
    assert_eq!((paused.state, paused.host_is), (ContainerState::Paused, HostStanding::Answers));
    assert_eq!(a.wake(&ann, container).await.unwrap().kind, WakeKind::Unpause);
    let explained = kit.call(who, ExplainIdle { container }).await.unwrap();
    assert_eq!(explained.state, ContainerState::Running);
    let stop = StopContainer { container, grace: Duration::ZERO };
    assert_eq!(kit.call(who, stop).await.unwrap().state, ContainerState::Stopped);
    let hold = HoldContainer { container, reason: "odd".to_owned() };
    assert_eq!(kit.call(who, hold).await.unwrap().state, ContainerState::Held);
    let release = ReleaseContainer { container, reason: "fine".to_owned() };
    assert_eq!(kit.call(who, release).await.unwrap().state, ContainerState::Stopped);
    kit.call(who, RemoveContainer { container, delete_volume: false }).await.unwrap();
    assert_eq!(b.engine(container).await, None);
    let gone = kit.call(who, GetContainer { container }).await.unwrap_err();
    assert_eq!(gone, ActorError::NotFound);
    let touched = a.runtime.calls().into_iter().any(|(op, _)| !matches!(op, Op::List | Op::Inspect));
    assert!(!touched, "the owner's own engine was left alone");
}

#[tokio::test]
async fn the_cells_key_is_signed_by_its_host_and_its_unlock_and_locks_go_through_the_owner() {
    let (a, b, ann, container) = apart().await;
    let vault = vault::vault_of(&a.kit, &ann).await.scope().vault;
    let stated = a.kit.call(&ann.caller, GetCellKey { container }).await.unwrap();
    let expected = |node| ExpectedCell { tenant: ann.tenant, container, node, now: a.kit.clock.now() };
    let key = b.kit.system.env.signer.verify_key();
    CellKeyStatement::verify(&stated.statement, &key, &expected(b.kit.node.node_id)).unwrap();
    assert!(CellKeyStatement::verify(&stated.statement, &key, &expected(a.kit.node.node_id)).is_err());
    let until_ = a.unlock(&ann, container, vault).await;
    assert_eq!(a.info(&ann, container).await.unlocked_until, Some(until_));
    let extended = a.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap();
    assert!(extended.until > until_);
    a.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    assert_eq!(a.info(&ann, container).await.unlocked_until, None);
    assert!(a.cells.locks.lock().unwrap().is_empty() && b.cells.locks.lock().unwrap().len() == 1);
    let late = a.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap_err();
    assert_eq!(late.reason(), "VAULT_LOCKED");
}

#[tokio::test]
async fn fifty_wakes_over_both_nodes_are_one_start() {
    let (a, b, ann, container) = apart().await;
    b.cells.dead.store(true, Ordering::SeqCst);
    let cell = async {
        until("all are admitted", async || a.admitted(&ann, "WakeContainer").await == 50).await;
        b.cells.dead.store(false, Ordering::SeqCst);
    };
    let wakes = join_all((0..50).map(async |n| {
        let nodes = if n % 2 == 0 { [&a.kit, &b.kit] } else { [&b.kit, &a.kit] };
        Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), WakeContainer { container }).await
    }));
    let (wakes, ()) = futures_util::join!(wakes, cell);
    assert!(wakes.iter().all(|woken| woken.as_ref().unwrap().wake.kind == WakeKind::Create));
    assert_eq!((b.calls(Op::Create), b.calls(Op::Start), a.calls(Op::Start)), (1, 1, 0));
}

#[tokio::test]
async fn who_waits_no_longer_for_another_host_takes_the_order_back() {
    let (a, b, ann, container) = apart().await;
    let vault = vault::vault_of(&a.kit, &ann).await.scope().vault;
    b.cells.dead.store(true, Ordering::SeqCst);
    let hasty = Deadline::after(&a.kit.clock, Duration::from_millis(100));
    let tenant = a.kit.system.tenant(ann.tenant);
    let patient = a.wake(&ann, container);
    let later = async {
        let unlock = unlock_cell(container, vault);
        let late = tenant.call(ann.caller.clone(), hasty, unlock).await.unwrap_err();
        assert_eq!(late.reason(), "DEADLINE_EXCEEDED");
        b.cells.dead.store(false, Ordering::SeqCst);
    };
    let (woken, ()) = futures_util::join!(patient, later);
    woken.unwrap();
    let busy = || b.kit.system.env.admission.is_busy(ann.tenant);
    until("the host has nothing more to do", async || !busy()).await;
    assert_eq!(a.info(&ann, container).await.unlocked_until, None, "nobody waited for the unlock");
}

fn order(ownership: Ownership, container: ContainerId, count: u64, what: WireWhat) -> Vec<u8> {
    let turn = Turn { epoch: ownership.epoch, count };
    let about = About::new(ownership, container, turn, Duration::ZERO);
    wire::seal(&Sent::Order(WireOrder { about, what })).unwrap()
}

#[tokio::test]
async fn an_order_of_an_older_owner_and_one_for_another_host_are_refused_unread() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    let own = owner(&a, &ann).await;
    let take = async |world: &World, own, what| {
        let order = order(own, container, 1_000, what);
        world.kit.system.take_order(order, world.kit.deadline()).await
    };
    take(&b, own, WireWhat::Explain).await.expect("the owner of today is answered");
    let older = Ownership { epoch: ocmt_types::Epoch(own.epoch.0 - 1), ..own };
    let another = Ownership { incarnation: Incarnation([9; 16]), ..own };
    for stale in [older, another] {
        for what in
            [WireWhat::Explain, WireWhat::Lock { reason: WireReason::User, asked: true }, WireWhat::Wake]
        {
            assert_eq!(take(&b, stale, what).await.unwrap_err(), ActorError::NotOwner { owner: None });
        }
    }
    assert!(b.cells.locks.lock().unwrap().is_empty(), "nothing was done");
    assert_eq!(take(&a, own, WireWhat::Wake).await.unwrap_err().reason(), "HOST_ELSEWHERE");
    b.kit.linked.lease.store(false, Ordering::SeqCst);
    assert_eq!(take(&b, own, WireWhat::Explain).await.unwrap_err().reason(), "NO_LEASE");
}

#[tokio::test]
async fn an_unlock_that_a_later_lock_has_overtaken_is_refused() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    let own = owner(&a, &ann).await;
    let take = async |count, what| {
        b.kit.system.take_order(order(own, container, count, what), b.kit.deadline()).await
    };
    take(2_000, WireWhat::Lock { reason: WireReason::Rotated, asked: true }).await.unwrap();
    let unlock = crate::CellUnlock {
        unlock: super::unlock_id(),
        sealed_payload: super::cells::PAYLOAD.to_vec(),
        together: false,
        objects: vec![],
    };
    assert_eq!(take(1_999, unlock.into()).await.unwrap_err().reason(), "CHANGED_MEANWHILE");
    assert_eq!(a.info(&ann, container).await.unlocked_until, None);
    take(2_001, WireWhat::Explain).await.unwrap();
}

#[tokio::test]
async fn a_host_that_is_away_is_said_and_everything_else_goes_on() {
    let (a, b, ann, container) = apart().await;
    let bob = a.kit.founder("bob@example.com").await;
    a.kit.linked.has_memory(&a.kit.node, 1 << 30);
    let his = a.running(&bob).await;
    a.wake(&ann, container).await.unwrap();
    b.kit.linked.leaves();
    b.kit.is_declared_dead().await;
    let info = a.info(&ann, container).await;
    assert_eq!((info.state, info.host_is), (ContainerState::Running, HostStanding::Away));
    for error in [
        a.wake(&ann, container).await.err(),
        a.kit.call(&ann.caller, GetCellKey { container }).await.err(),
        a.kit.call(&ann.caller, ExplainIdle { container }).await.err(),
        a.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.err(),
        a.kit.system.open_channel(container, &ann.caller, a.kit.meta()).await.err(),
    ] {
        let error = error.unwrap();
        assert_eq!(error.reason(), "HOST_UNREACHABLE");
        assert!(error.is_retryable() && error.to_string().contains("ocmt cluster"), "{error}");
    }
    a.kit.call(&ann.caller, GetTenant).await.expect("the tenant answers");
    assert_eq!(a.info(&bob, his).await.host_is, HostStanding::Answers);
    a.wake(&bob, his).await.expect("others are not touched by it");
}

#[tokio::test]
async fn a_host_that_comes_back_finds_what_ran_and_starts_nothing_twice() {
    let (a, mut b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    let second = a.kit.member(&ann, "cy@example.com", crate::api::users::Role::Member).await;
    let died = on(&a, &b, &second).await;
    a.wake(&second, died).await.unwrap();
    b.kit.linked.leaves();
    b.kit.is_declared_dead().await;
    b.kit.system.root.kill();
    b.runtime.end(&of(died), Exit { code: Some(3), oom: false });
    b.comes_back(Incarnation([77; 16])).await;
    b.kit.system.reconciled().await;
    assert_eq!(a.wake(&ann, container).await.unwrap(), Wake::NONE, "it ran all the time");
    a.comes_to(&second, died, ContainerState::Failed).await;
    assert_eq!(b.calls(Op::Start), 2);
    assert_eq!(a.wake(&second, died).await.unwrap().kind, WakeKind::Start);
}

#[tokio::test]
async fn a_host_that_was_struck_off_has_lost_its_containers() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    b.kit.linked.leaves();
    a.kit.linked.forget(&b.kit.node);
    let info = a.info(&ann, container).await;
    assert_eq!((info.state, info.host_is), (ContainerState::Failed, HostStanding::Forgotten));
    assert!(info.failure.unwrap().contains("struck off"));
    assert_eq!(a.wake(&ann, container).await.unwrap_err().reason(), "CONTAINER_LOST");
    a.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
    a.kit.linked.has_memory(&a.kit.node, 1 << 30);
    let next = a.running(&ann).await;
    assert_eq!(a.info(&ann, next).await.host, a.kit.node.node_id);
}

#[tokio::test]
async fn what_a_host_sees_is_written_under_the_owner_of_today() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    let before = owner(&a, &ann).await;
    a.kit.linked.prefers_here(false);
    b.kit.linked.prefers_here(true);
    a.kit.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    // nobody owns the tenant: what the host sees makes it ask, and whoever claims the tenant orders a look
    b.runtime.end(&of(container), Exit { code: Some(9), oom: false });
    until("the end is written", async || {
        b.kit.store.cluster().hosted(b.kit.node.node_id, None, 10).await.unwrap()[0].exit_code == Some(9)
    })
    .await;
    assert!(owner(&a, &ann).await.epoch > before.epoch);
    let wake = WakeContainer { container };
    let woken = Kit::ask_any(&[&a.kit, &b.kit], &ann.caller, &a.kit.meta(), wake).await.unwrap();
    assert_eq!(woken.wake.kind, WakeKind::Start);
}
