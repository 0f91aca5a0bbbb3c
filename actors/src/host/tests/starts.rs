//! Starts of a host wait for their turn, and what ends again and again is left alone.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::{
    Exit, State,
    sim::{Fault, Op},
};

use super::{World, of};
use crate::{api::container::*, tests::kit::until};

#[tokio::test]
async fn starts_wait_for_their_turn_and_one_that_is_called_off_leaves_the_queue() {
    let world = World::sim_with(|config| config.limits.starts_at_once = 1).await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "cy"] {
        let person = world.kit.founder(&format!("{name}@example.com")).await;
        let container = world.container(&person).await;
        people.push((person, container));
    }
    world.cells.dead.store(true, Ordering::SeqCst);
    let wakes = futures_util::future::join_all(people.iter().map(|(who, what)| world.wake(who, *what)));
    let later = async {
        for (who, _) in &people {
            until("all are admitted", async || world.admitted(who, "WakeContainer").await == 1).await;
        }
        until("one starts", async || world.calls(Op::Start) == 1).await;
        let mut waiting = Vec::new();
        for (who, what) in &people {
            if world.engine(*what).await.is_none() {
                waiting.push((who, *what));
            }
        }
        assert_eq!(waiting.len(), 2, "two start at once");
        let (who, container) = waiting[0];
        let hold = HoldContainer { container, reason: "odd".to_owned() };
        world.kit.call(&who.caller, hold).await.unwrap();
        assert_eq!(world.calls(Op::Start), 1);
        world.cells.dead.store(false, Ordering::SeqCst);
        container
    };
    let (wakes, held) = futures_util::join!(wakes, later);
    for ((_, container), woken) in people.iter().zip(wakes) {
        match woken {
            Ok(wake) => assert_eq!(wake.kind, WakeKind::Create),
            Err(error) => assert_eq!((*container, error.reason()), (held, "CONTAINER_HELD")),
        }
    }
    assert_eq!((world.calls(Op::Start), world.engine(held).await), (2, None));
}

#[tokio::test]
async fn what_ends_as_it_starts_is_left_alone_for_longer_and_longer() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    for _ in 0..3 {
        world.runtime.fault(Op::Start, Fault::Dies);
        assert_eq!(world.wake(&ann, container).await.unwrap_err().reason(), "WAKE_FAILED");
    }
    let starts = world.calls(Op::Start);
    let left_alone = world.wake(&ann, container).await.unwrap_err();
    assert_eq!((left_alone.reason(), left_alone.retry_after()), ("CRASH_LOOP", Some(Duration::from_secs(5))));
    assert_eq!(world.calls(Op::Start), starts, "it was not tried");
    world.kit.clock.advance(Duration::from_secs(5));
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
}

#[tokio::test]
async fn want_of_memory_is_said_as_such_and_counts() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    for round in 0..3 {
        world.runtime.end(&of(container), Exit { code: Some(137), oom: true });
        world.comes_to(&ann, container, ContainerState::Failed).await;
        let info = world.info(&ann, container).await;
        assert!(
            info.exit.unwrap().out_of_memory && info.failure.unwrap().contains("memory"),
            "round {round}"
        );
        if round < 2 {
            assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
        }
    }
    assert_eq!(world.wake(&ann, container).await.unwrap_err().reason(), "CRASH_LOOP");
    assert_eq!(world.engine(container).await, Some(State::Stopped));
}
