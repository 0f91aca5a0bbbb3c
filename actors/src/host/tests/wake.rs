//! Wakes: one for all who wait, in the way that is needed, ready when the cell answers.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use ocmt_runtime::{
    State,
    sim::{Fault, Op},
};
use ocmt_types::Deadline;

use super::{World, of};
use crate::{CallMeta, api::container::*, tests::kit::until};

#[tokio::test]
async fn fifty_concurrent_wakes_are_one_start() {
    for world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.container(&ann).await;
        // the cell takes its time: all come before it is ready
        world.cells.dead.store(true, Ordering::SeqCst);
        let cell = async {
            until("all are admitted", async || world.admitted(&ann, "WakeContainer").await == 50).await;
            world.cells.dead.store(false, Ordering::SeqCst);
        };
        let (wakes, ()) = futures_util::join!(join_all((0..50).map(|_| world.wake(&ann, container))), cell);
        assert!(wakes.iter().all(|wake| wake.as_ref().unwrap().kind == WakeKind::Create));
        assert_eq!((world.calls(Op::Create), world.calls(Op::Start)), (1, 1));
        assert_eq!(world.wake(&ann, container).await.unwrap(), Wake::NONE);
        let info = world.info(&ann, container).await;
        assert_eq!((info.state, info.generation), (ContainerState::Running, 1));
    }
}

#[tokio::test]
async fn a_wake_says_from_where_the_container_came_back() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    assert_eq!(world.info(&ann, container).await.state, ContainerState::Absent);
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
    let paused = world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!((paused.state, world.engine(container).await), (ContainerState::Paused, Some(State::Paused)));
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Unpause);
    let stop = StopContainer { container, grace: Duration::from_secs(1) };
    let stopped = world.kit.call(&ann.caller, stop.clone()).await.unwrap();
    assert_eq!(
        (stopped.state, world.engine(container).await),
        (ContainerState::Stopped, Some(State::Stopped))
    );
    assert_eq!(world.kit.call(&ann.caller, stop).await.unwrap().state, ContainerState::Stopped, "again");
    let error = world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap_err();
    assert_eq!(error.reason(), "CONTAINER_NOT_RUNNING");
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
    let secrets = world.runtime.start_secret(&of(container));
    assert!(secrets.is_some());
}

#[tokio::test]
async fn every_start_has_a_secret_of_its_own_and_the_store_holds_none_in_clear() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let first = world.runtime.start_secret(&of(container)).unwrap();
    let mut tx = world.kit.store.read(world.ownership(&ann).await).await.unwrap();
    let row = tx.get::<ocmt_store::tables::Container>(container).await.unwrap().unwrap();
    let wrapped = row.start_secret.unwrap();
    assert!(wrapped.windows(32).all(|window| window != first));
    drop(tx);
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    let mut tx = world.kit.store.read(world.ownership(&ann).await).await.unwrap();
    let row = tx.get::<ocmt_store::tables::Container>(container).await.unwrap().unwrap();
    assert_eq!((row.start_secret, row.cell_addr), (None, None), "what is stopped keeps no secret");
    drop(tx);
    world.wake(&ann, container).await.unwrap();
    assert_ne!(world.runtime.start_secret(&of(container)).unwrap(), first);
}

#[tokio::test]
async fn a_wake_is_ready_when_the_cell_answers_and_not_before() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.cells.dead.store(true, Ordering::SeqCst);
    let wake = world.wake(&ann, container);
    let later = async {
        until("the cell is asked", async || world.cells.key_asks.load(Ordering::SeqCst) >= 3).await;
        assert_eq!(world.info(&ann, container).await.state, ContainerState::Creating);
        world.cells.dead.store(false, Ordering::SeqCst);
    };
    let (wake, ()) = futures_util::join!(wake, later);
    assert_eq!(wake.unwrap().kind, WakeKind::Create);
}

#[tokio::test]
async fn a_failed_wake_fails_those_who_wait_for_it_and_nobody_else() {
    let world = World::sim().await;
    let (ann, bob) = (world.kit.founder("ann@example.com").await, world.kit.founder("bob@example.com").await);
    let (hers, his) = (world.container(&ann).await, world.running(&bob).await);
    world.runtime.fault(Op::Start, Fault::Dies);
    let failed = join_all((0..10).map(|_| world.wake(&ann, hers))).await;
    for error in failed.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.reason(), "WAKE_FAILED");
    }
    assert_eq!(world.calls(Op::Start), 2, "one for all of hers, one of his before");
    let info = world.info(&ann, hers).await;
    assert_eq!(info.state, ContainerState::Failed);
    assert!(info.failure.unwrap().contains("before it was ready"));
    assert_eq!(world.wake(&bob, his).await.unwrap(), Wake::NONE);
    assert_eq!(world.wake(&ann, hers).await.unwrap().kind, WakeKind::Start, "the next one tries again");
    assert_eq!(world.info(&ann, hers).await.failure, None);
}

#[tokio::test]
async fn a_cell_that_dies_before_it_is_ready_is_said_at_once() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.runtime.fault(Op::Start, Fault::Dies);
    let error = world.wake(&ann, container).await.unwrap_err();
    assert_eq!(error.reason(), "WAKE_FAILED");
    assert!(error.to_string().contains("exit code 1"), "{error}");
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
}

#[tokio::test]
async fn who_waits_too_long_goes_away_and_the_wake_goes_on_for_the_others() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.cells.dead.store(true, Ordering::SeqCst);
    let hasty = CallMeta::from(Deadline::after(&world.kit.clock, Duration::from_millis(50)));
    let tenant = world.kit.system.tenant(ann.tenant);
    let hasty = tenant.call(ann.caller.clone(), hasty, WakeContainer { container });
    let patient = world.wake(&ann, container);
    let cell = async {
        until("the cell is asked", async || world.cells.key_asks.load(Ordering::SeqCst) >= 6).await;
        world.cells.dead.store(false, Ordering::SeqCst);
    };
    let (hasty, patient, ()) = futures_util::join!(hasty, patient, cell);
    assert_eq!(hasty.unwrap_err().reason(), "DEADLINE_EXCEEDED");
    assert_eq!(patient.unwrap().kind, WakeKind::Create);
    assert_eq!(world.calls(Op::Start), 1);
}

#[tokio::test]
async fn a_container_that_vanished_is_made_anew_as_another_generation() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    ocmt_runtime::Runtime::remove(&world.runtime, &of(container)).await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
    assert_eq!(world.info(&ann, container).await.generation, 2);
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_recorded() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.end(&of(container), ocmt_runtime::Exit { code: Some(137), oom: true });
    world.comes_to(&ann, container, ContainerState::Failed).await;
    let info = world.info(&ann, container).await;
    let exit = info.exit.unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (Some(137), true));
    assert!(info.failure.unwrap().contains("memory"));
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
    assert_eq!(world.info(&ann, container).await.exit, None);
}
