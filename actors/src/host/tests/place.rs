//! Where containers go, and what a host does before it takes work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use ocmt_runtime::{
    ContainerRef, Runtime as _, State,
    sim::{Fault, Op},
};
use ocmt_store::testing::id;

use super::{World, of, spec};
use crate::{
    ActorError,
    api::{container::*, users::Role},
    dead_man, stop_all,
    tests::kit::{Person, until},
};

/// What a container of these tests reserves.
const MIB: i64 = 100;

fn create() -> CreateContainer {
    let spec = ContainerSpec { memory_bytes: Some(MIB << 20), ..spec() };
    CreateContainer { user: None, spec, start: false }
}

async fn make(world: &World, person: &Person) -> Result<ContainerInfo, ActorError> {
    world.kit.call(&person.caller, create()).await.map(|woken| woken.container)
}

#[tokio::test]
async fn a_container_goes_to_the_host_with_the_most_memory_left() {
    let a = World::sim().await;
    let b = a.beside(2).await;
    a.kit.linked.has_memory(&a.kit.node, 4 * MIB);
    a.kit.linked.has_memory(&b.kit.node, 5 * MIB);
    let ann = a.kit.founder("ann@example.com").await;
    let mut hosts = Vec::new();
    let mut people = vec![ann.clone()];
    for n in 1..10 {
        people.push(a.kit.member(&ann, &format!("user{n}@example.com"), Role::Member).await);
    }
    for person in &people[..9] {
        hosts.push(make(&a, person).await.unwrap().host);
    }
    let on = |world: &World| hosts.iter().filter(|host| **host == world.kit.node.node_id).count();
    assert_eq!((on(&a), on(&b)), (4, 5));
    assert_eq!(hosts[0], b.kit.node.node_id, "the emptier one first");
    let full = make(&a, &people[9]).await.unwrap_err();
    assert_eq!(full.reason(), "NO_HOST_HAS_ROOM");
    assert!(full.to_string().contains("100 MiB"), "{full}");
    let first = a.kit.call(&ann.caller, ListContainers { user: Some(ann.user), after: None, limit: 1 }).await;
    let container = first.unwrap().containers[0].id;
    a.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
    make(&a, &people[9]).await.expect("what was removed has given its memory back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_creates_over_two_nodes_never_overcommit_a_host() {
    for first in [World::sim().await, World::sqlite().await] {
        let second = first.beside(2).await;
        first.kit.linked.has_memory(&first.kit.node, 7 * MIB + 50);
        first.kit.linked.has_memory(&second.kit.node, 6 * MIB + 99);
        let (ann, bob) =
            (first.kit.founder("ann@example.com").await, second.kit.founder("bob@example.com").await);
        let mut people = Vec::new();
        for n in 0..12 {
            people.push((&first, first.kit.member(&ann, &format!("a{n}@example.com"), Role::Member).await));
            people.push((&second, second.kit.member(&bob, &format!("b{n}@example.com"), Role::Member).await));
        }
        let made = join_all(people.iter().map(async |(at, person)| make(at, person).await)).await;
        let on =
            |world: &World| made.iter().flatten().filter(|info| info.host == world.kit.node.node_id).count();
        assert_eq!((on(&first), on(&second)), (7, 6), "as many as fit, and no more");
        assert!(made.iter().filter_map(|made| made.as_ref().err()).all(|e| e.reason() == "NO_HOST_HAS_ROOM"));
        let reserved = first.kit.store.cluster().reserved_memory().await.unwrap();
        for world in [&first, &second] {
            let node = world.kit.node.node_id;
            let rows = first.kit.store.cluster().hosted(node, None, 100).await.unwrap();
            assert_eq!(reserved[&node], rows.iter().map(|row| row.memory_mib).sum::<i64>());
        }
    }
}

#[tokio::test]
async fn an_older_making_of_a_container_is_removed_before_the_host_takes_work() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    // the engine has lost it, so it is made anew; then the older making is there again, and runs
    world.runtime.remove(&of(container)).await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.kit.system.root.kill();
    world.runtime.restore(&of(container));
    let next = ContainerRef { container, generation: 2 };
    let before = world.runtime.calls().len();
    // the engine takes its time: the first looks fail, and it does not let the older one go at once
    for _ in 0..3 {
        world.runtime.fault(Op::List, Fault::EngineDown);
    }
    world.runtime.fault(Op::Remove, Fault::EngineDown);
    world.restart().await;
    until("it is woken", async || world.wake(&ann, container).await.is_ok()).await;
    assert_eq!(world.runtime.inspect(&next).await.unwrap().state, State::Running);
    assert!(world.runtime.inspect(&of(container)).await.is_err(), "the older one is gone");
    let calls = world.runtime.calls().split_off(before);
    let place =
        |wanted: (Op, ContainerRef)| calls.iter().position(|call| *call == (wanted.0, Some(wanted.1)));
    let removed = calls.iter().rposition(|call| *call == (Op::Remove, Some(of(container)))).unwrap();
    assert!(
        removed < place((Op::Start, next)).unwrap(),
        "it was gone before the next was started: {calls:?}"
    );
}

/// How often somebody was told in the log that containers cannot be looked after.
#[derive(Clone, Default)]
struct Told(Arc<AtomicUsize>);

impl tracing::Subscriber for Told {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        let about = ["ocmt_actors::host::reconcile", "ocmt_actors::host::container::ops"];
        of.is_event() && *of.level() <= tracing::Level::WARN && about.contains(&of.target())
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn orders_wait_for_the_first_look_and_hear_why_there_is_none_and_the_log_once() {
    let told = Told::default();
    let _heard = tracing::subscriber::set_default(told.clone());
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.kit.system.reconciled().await;
    world.runtime.set_down(true);
    world.restart().await;
    // the node serves everything else meanwhile
    world.kit.system.reconciled().await;
    until("it is said", async || {
        world.wake(&ann, container).await.is_err_and(|error| error.reason() == "ENGINE_DOWN")
    })
    .await;
    let (looked, before) = (world.calls(Op::List), told.0.load(Ordering::SeqCst));
    until("it is looked again and again", async || world.calls(Op::List) > looked + 1).await;
    // the life before may have told of it too
    assert_eq!(told.0.load(Ordering::SeqCst), before, "an engine may be away for as long as the node runs");
    assert!(before > 0, "its operator hears of it");
    world.runtime.set_down(false);
    until("it is woken", async || world.wake(&ann, container).await.is_ok()).await;
}

#[tokio::test]
async fn a_node_that_is_over_for_good_stops_what_runs_and_what_is_frozen() {
    let clock: Arc<dyn ocmt_types::Clock> = Arc::new(ocmt_types::ManualClock::at(crate::tests::kit::START));
    let runtime = ocmt_runtime::sim::SimRuntime::new(id(1), clock);
    let secret = ocmt_types::Secret::new([1; 32]);
    let mut containers = Vec::new();
    for n in [5, 6] {
        let container = runtime.create(&super::restart::stray(id(1), n)).await.unwrap();
        runtime.start(&container, &secret).await.unwrap();
        containers.push(container);
    }
    runtime.pause(&containers[1]).await.unwrap();
    stop_all(&runtime, Duration::from_secs(1)).await;
    for container in &containers {
        assert_eq!(runtime.inspect(container).await.unwrap().state, State::Stopped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_its_lease_for_too_long_pauses_what_runs_and_a_wake_brings_it_back() {
    let clock: Arc<dyn ocmt_types::Clock> = Arc::new(ocmt_types::ManualClock::at(crate::tests::kit::START));
    let runtime = ocmt_runtime::sim::SimRuntime::new(id(1), clock);
    let secret = ocmt_types::Secret::new([1; 32]);
    let container = runtime.create(&super::restart::stray(id(1), 5)).await.unwrap();
    runtime.start(&container, &secret).await.unwrap();
    let state = async || runtime.inspect(&container).await.unwrap().state;
    let (lost, seen) = tokio::sync::watch::channel(None);
    let limit = Duration::from_secs(600);
    let watch = dead_man(Arc::new(runtime.clone()), limit, move || *seen.borrow());
    let _watch = crate::supervisor::task(watch);
    let moment = Duration::from_secs(3);
    lost.send_replace(Some(limit - moment));
    tokio::time::sleep(moment).await; // why: the clock of the test is not the real one
    assert_eq!(state().await, State::Running, "not yet");
    lost.send_replace(Some(limit));
    tokio::time::sleep(moment).await; // why: the clock of the test is not the real one
    assert_eq!(state().await, State::Paused);
    // a cell whose lease has ended in the cold gets the time to lock
    let thaws = || runtime.calls().iter().filter(|(op, _)| *op == Op::Unpause).count();
    tokio::time::sleep(Duration::from_secs(330)).await; // why: the clock of the test is not the real one
    assert_eq!((thaws(), state().await), (1, State::Paused));
    lost.send_replace(None);
    tokio::time::sleep(moment).await; // why: the clock of the test is not the real one
    runtime.unpause(&container).await.unwrap();
    tokio::time::sleep(Duration::from_secs(900)).await; // why: the clock of the test is not the real one
    assert_eq!(state().await, State::Running, "with the lease it is nobody's business");
}
