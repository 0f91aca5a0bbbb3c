//! A node that comes back: what ran goes on, what was cut off is finished, what nobody knows is removed.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::{
    ContainerSpec as EngineSpec, Egress, Exit, Limits, Runtime as _, State,
    sim::{Fault, Op},
};
use ocmt_types::{ContainerId, Epoch, TenantId, UserId};

use super::{IMAGE, PAUSE, World, of};
use crate::{
    api::container::*,
    tests::{kit::until, vault},
};

pub(super) fn stray(tenant: TenantId, container: u64) -> EngineSpec {
    EngineSpec {
        tenant,
        user: ocmt_store::testing::id::<UserId>(5),
        container: ocmt_store::testing::id::<ContainerId>(container),
        generation: 1,
        epoch: Epoch(1),
        image: IMAGE.parse().unwrap(),
        argv: vec![],
        workload_port: None,
        start_locked: false,
        plain: false,
        limits: Limits::default(),
        egress: Egress::Off,
        sealed_volume_bytes: None,
    }
}

#[tokio::test]
async fn running_cells_are_adopted_and_reached_again_and_strays_are_removed() {
    for mut world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
        let container = world.running(&ann).await;
        let until_ = world.unlock(&ann, container, vault).await;
        let known = world.runtime.create(&stray(ann.tenant, 77)).await.unwrap();
        let unknown = world.runtime.create(&stray(ocmt_store::testing::id(99), 78)).await.unwrap();
        world.restart().await;
        for stray in [known, unknown] {
            until("strays are removed", async || world.runtime.inspect(&stray).await.is_err()).await;
        }
        assert_eq!(world.wake(&ann, container).await.unwrap(), Wake::NONE);
        let stated = world.kit.call(&ann.caller, GetCellKey { container }).await.unwrap();
        assert_eq!(stated.wake.kind, WakeKind::None);
        assert_eq!(world.info(&ann, container).await.unlocked_until, Some(until_), "it kept its unlock");
        assert_eq!(world.calls(Op::Start), 1);
    }
}

#[tokio::test]
async fn the_idle_clock_goes_on_from_the_row() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.clock.advance(PAUSE - Duration::from_secs(1));
    world.restart().await;
    assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
    world.kit.clock.advance(Duration::from_secs(1));
    world.comes_to(&ann, container, ContainerState::Paused).await;
}

#[tokio::test]
async fn a_wake_that_was_cut_off_goes_on() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.runtime.fault(Op::Start, Fault::Hang);
    let cut_off = world.wake(&ann, container);
    let crash = async { until("it hangs", async || world.calls(Op::Start) == 1).await };
    tokio::select! {
        _ = cut_off => panic!("the engine hangs"),
        () = crash => {}
    }
    world.restart().await;
    world.comes_to(&ann, container, ContainerState::Running).await;
    assert_eq!((world.calls(Op::Create), world.calls(Op::Start)), (1, 2));
}

#[tokio::test]
async fn a_pause_and_a_stop_that_were_cut_off_are_finished() {
    for (op, state) in [(Op::Pause, ContainerState::Paused), (Op::Stop, ContainerState::Stopped)] {
        let mut world = World::sim().await;
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.running(&ann).await;
        world.runtime.fault(op, Fault::Hang);
        let act = async {
            match op {
                Op::Pause => drop(world.kit.call(&ann.caller, PauseContainer { container }).await),
                _ => drop(
                    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await,
                ),
            }
        };
        let crash = async { until("it hangs", async || world.calls(op) == 1).await };
        tokio::select! {
            () = act => panic!("the engine hangs"),
            () = crash => {}
        }
        world.restart().await;
        world.comes_to(&ann, container, state).await;
    }
}

#[tokio::test]
async fn what_died_while_the_node_was_away_is_known_and_left_alone() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.system.root.kill();
    world.runtime.end(&of(container), Exit { code: Some(3), oom: false });
    world.restart().await;
    world.comes_to(&ann, container, ContainerState::Failed).await;
    assert_eq!(world.info(&ann, container).await.exit.unwrap().code, Some(3));
    assert_eq!(world.calls(Op::Start), 1);
}

#[tokio::test]
async fn what_is_gone_with_its_machine_is_known_at_the_first_touch_of_its_tenant() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.system.root.kill();
    world.runtime.remove(&of(container)).await.unwrap();
    world.restart().await;
    world.comes_to(&ann, container, ContainerState::Failed).await;
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
}

#[tokio::test]
async fn an_engine_that_is_down_is_said_and_passes() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.runtime.set_down(true);
    assert_eq!(world.wake(&ann, container).await.unwrap_err().reason(), "ENGINE_DOWN");
    world.kit.call(&ann.caller, GetContainer { container }).await.expect("everything else works");
    world.runtime.set_down(false);
    world.wake(&ann, container).await.unwrap();
    assert_eq!(world.engine(container).await, Some(State::Running));
}

#[tokio::test]
async fn a_moved_tenant_writes_no_more_and_its_next_activation_finds_the_truth() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.cells.dead.store(true, Ordering::SeqCst);
    let wake = world.wake(&ann, container);
    let steal = async {
        until("it wakes", async || world.cells.key_asks.load(Ordering::SeqCst) > 0).await;
        world.kit.steal(ann.tenant).await;
        world.cells.dead.store(false, Ordering::SeqCst);
    };
    let (wake, _) = futures_util::join!(wake, steal);
    assert!(wake.unwrap_err().is_retryable());
    until("a repeat wakes it", async || world.wake(&ann, container).await.is_ok()).await;
    assert_eq!(world.engine(container).await, Some(State::Running));
}
