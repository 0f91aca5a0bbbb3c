//! Containers of a tenant with limits, and of one that is suspended.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_runtime::State;
use ocmt_types::ContainerId;

use super::{World, spec};
use crate::{
    QuotaChange,
    api::{container::*, tenant::GetQuota, users::Role},
    tests::{
        kit::{Kit, Person, until},
        nodes::{ask, hand_over},
        quotas::{done, limit_to},
        suspension::{resume, suspend},
    },
};

const GIB: i64 = 1 << 30;

/// The founder and so many others of one tenant.
async fn people(world: &World, others: usize) -> Vec<Person> {
    let mut people = vec![world.kit.founder("ann@example.com").await];
    for n in 0..others {
        let member = world.kit.member(&people[0], &format!("user{n}@example.com"), Role::Member).await;
        people.push(member);
    }
    people
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn containers_never_exceed_their_quota() {
    let world = World::sim().await;
    let people = people(&world, 5).await;
    limit_to(&world.kit, &people[0], QuotaChange { containers: Some(2), ..QuotaChange::default() }).await;
    let create = || CreateContainer { user: None, spec: spec(), start: false };
    let answers = join_all(people.iter().map(|person| world_call(&world, person, create()))).await;
    assert_eq!(done(answers, "QUOTA_CONTAINERS"), 2);
    assert_eq!(world.kit.call(&people[0].caller, GetQuota::default()).await.unwrap().used.containers, 2);
}

/// Containers and their memory, with the tenant on the move between two nodes that both have hosts.
async fn at_two_nodes_at_once_neither_containers_nor_memory_exceed_their_quotas(a: World) {
    let b = a.beside(2).await;
    let nodes = [&a.kit, &b.kit];
    let people = people(&a, 7).await;
    let ann = &people[0];
    limit_to(&b.kit, ann, QuotaChange { containers: Some(4), ..QuotaChange::default() }).await;
    let create = || CreateContainer { user: None, spec: spec(), start: false };
    let tries = people.iter().zip(1..).map(|(person, key)| ask(nodes, key, &person.caller, create()));
    let (made, ()) = tokio::join!(join_all(tries), hand_over(nodes, ann.tenant));
    let mut containers = Vec::new();
    for (person, made) in people.iter().zip(&made) {
        containers.extend(made.as_ref().ok().map(|made| (person, made.container.id)));
    }
    assert_eq!(done(made, "QUOTA_CONTAINERS"), 4);
    // two of 1.5 GiB fit, and a half
    let quota = QuotaChange { memory_bytes: Some(4 * GIB - GIB / 4), ..QuotaChange::default() };
    limit_to(&b.kit, ann, quota).await;
    let wakes = containers.iter().enumerate().map(|(n, (person, container))| {
        let turns = if n.is_multiple_of(2) { [&a.kit, &b.kit] } else { [&b.kit, &a.kit] };
        let (meta, wake) = (a.kit.meta(), WakeContainer { container: *container });
        async move { Kit::ask_any(&turns, &person.caller, &meta, wake).await }
    });
    assert_eq!(done(join_all(wakes).await, "QUOTA_MEMORY"), 2);
    let used = Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), GetQuota::default()).await.unwrap().used;
    assert_eq!((used.containers, used.memory_bytes), (4, 3 * GIB));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_at_once_neither_containers_nor_memory_exceed_their_quotas_on_sim() {
    at_two_nodes_at_once_neither_containers_nor_memory_exceed_their_quotas(World::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_two_nodes_at_once_neither_containers_nor_memory_exceed_their_quotas_on_postgres() {
    at_two_nodes_at_once_neither_containers_nor_memory_exceed_their_quotas(World::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn volumes_count_by_their_size_as_long_as_their_containers_are_there() {
    const SIZE: i64 = 64 << 20;
    let world = World::sim_with(|config| config.limits.volume_mib = 64).await;
    let people = people(&world, 4).await;
    let used =
        async || world.kit.call(&people[0].caller, GetQuota::default()).await.unwrap().used.storage_bytes;
    let before = used().await;
    let quota = QuotaChange { storage_bytes: Some(before + 2 * SIZE + 1), ..QuotaChange::default() };
    limit_to(&world.kit, &people[0], quota).await;
    let create = || CreateContainer { user: None, spec: spec(), start: false };
    let answers = join_all(people.iter().map(|person| world_call(&world, person, create()))).await;
    let made = answers.iter().position(Result::is_ok).unwrap();
    let container = answers[made].as_ref().unwrap().container.id;
    let refused = answers.iter().position(Result::is_err).unwrap();
    assert_eq!(done(answers, "QUOTA_STORAGE"), 2);
    assert_eq!(used().await, before + 2 * SIZE);
    let remove = RemoveContainer { container, delete_volume: true };
    world_call(&world, &people[made], remove).await.unwrap();
    until("it is given back", async || used().await == before + SIZE).await;
    world_call(&world, &people[refused], create()).await.unwrap();
    assert_eq!(used().await, before + 2 * SIZE);
}

async fn world_call<C: crate::Call>(
    world: &World,
    person: &Person,
    call: C,
) -> Result<C::Answer, crate::ActorError> {
    world.kit.call(&person.caller, call).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_of_what_lives_never_exceeds_its_quota_and_is_given_back() {
    let world = World::sim().await;
    let people = people(&world, 4).await;
    let mut containers: Vec<ContainerId> = Vec::new();
    for person in &people {
        containers.push(world.container(person).await);
    }
    // two of 1.5 GiB fit, and a half
    let quota = QuotaChange { memory_bytes: Some(4 * GIB - GIB / 4), ..QuotaChange::default() };
    limit_to(&world.kit, &people[0], quota).await;
    let wakes = people.iter().zip(&containers).map(|(person, container)| world.wake(person, *container));
    let answers = join_all(wakes).await;
    let woken = answers.iter().position(Result::is_ok).unwrap();
    let asleep = answers.iter().position(Result::is_err).unwrap();
    assert_eq!(done(answers, "QUOTA_MEMORY"), 2);
    let used = world.kit.call(&people[0].caller, GetQuota::default()).await.unwrap().used;
    assert_eq!(used.memory_bytes, 3 * GIB);
    // a paused one keeps its memory, a stopped one does not
    let act = PauseContainer { container: containers[woken] };
    world_call(&world, &people[woken], act).await.unwrap();
    assert!(world.wake(&people[asleep], containers[asleep]).await.is_err());
    let act = StopContainer { container: containers[woken], grace: Duration::ZERO };
    world_call(&world, &people[woken], act).await.unwrap();
    world.wake(&people[asleep], containers[asleep]).await.unwrap();
}

#[tokio::test]
async fn a_suspended_tenants_containers_are_stopped_at_every_host_and_none_wakes() {
    let here = World::sim().await;
    let there = here.beside(2).await;
    let ann = here.kit.founder("ann@example.com").await;
    let bob = here.kit.member(&ann, "bob@example.com", Role::Member).await;
    here.kit.linked.has_memory(&here.kit.node, 2000);
    here.kit.linked.has_memory(&there.kit.node, 0);
    let hers = here.running(&ann).await;
    here.kit.linked.has_memory(&there.kit.node, 8000);
    let his = here.running(&bob).await;
    assert!(here.engine(hers).await.is_some() && there.engine(his).await.is_some(), "one at each host");
    here.kit.call(&bob.caller, PauseContainer { container: his }).await.unwrap();
    suspend(&there.kit, ann.tenant).await;
    for (host, container) in [(&here, hers), (&there, his)] {
        until("it is stopped", async || host.engine(container).await == Some(State::Stopped)).await;
    }
    assert_eq!(here.wake(&ann, hers).await.unwrap_err().reason(), "TENANT_SUSPENDED");
    resume(&there.kit, ann.tenant).await;
    // it waits to be asked for
    here.comes_to(&ann, hers, ContainerState::Stopped).await;
    here.wake(&ann, hers).await.unwrap();
}

#[tokio::test]
async fn a_wake_that_was_admitted_before_does_not_outrun_the_suspension() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let before = world.kit.call(&ann.caller, GetQuota::default()).await.unwrap();
    assert_eq!(before.used.memory_bytes, 0);
    let (woken, ()) = tokio::join!(world.wake(&ann, container), suspend(&world.kit, ann.tenant));
    if let Err(error) = &woken {
        assert_eq!(error.reason(), "TENANT_SUSPENDED", "{error}");
    }
    until("nothing runs", async || {
        !matches!(world.engine(container).await, Some(State::Running | State::Paused))
    })
    .await;
    world.kit.clock.advance(Duration::from_secs(120));
    until("and nothing comes back", async || {
        !matches!(world.engine(container).await, Some(State::Running | State::Paused))
    })
    .await;
}
