//! What runs inside a container, and is not well.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_store::tables::AlertGroup;
use ocmt_types::Secret;

use super::{World, nodes::apart, of};
use crate::{
    SystemConfig,
    api::{
        alert::{AlertKind, DeleteChannel, PutChannel, Severity},
        audit::QueryAudit,
        auth::LinkPurpose,
        container::{ContainerState, StopContainer},
    },
    host::container::health::STARVED_EVERY,
    tests::kit::{Kit, Person, until},
};

fn watchful(config: &mut SystemConfig) {
    config.limits.profile_every = Duration::from_millis(30);
}

async fn noted(world: &World, who: &Person, what: &str) -> Vec<String> {
    let query = QueryAudit { method: Some(what.to_owned()), limit: 100, ..QueryAudit::default() };
    let page = world.kit.call(&who.caller, query).await.unwrap();
    page.records.iter().map(|record| format!("{record:?}")).collect()
}

/// Until it was looked at a few times more.
async fn looked_at(world: &World) {
    let before = world.runtime.compared();
    until("it was looked at again", async || world.runtime.compared() > before + 4).await;
}

#[tokio::test]
async fn a_workload_that_ended_by_itself_is_told_once_and_again_when_it_ends_again() {
    let world = World::sqlite_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let ended = async || noted(&world, &ann, "container.workload_ended").await;
    looked_at(&world).await;
    assert!(ended().await.is_empty(), "it runs");
    for times in [1, 2] {
        *world.cells.exit.lock().unwrap() = Some(3);
        until("it is written down", async || ended().await.len() == times).await;
        looked_at(&world).await;
        assert_eq!(ended().await.len(), times, "it was told more than once");
        let info = world.info(&ann, container).await;
        assert_eq!(info.state, ContainerState::Running);
        assert!(info.exit.is_some_and(|exit| exit.code == Some(3) && !exit.out_of_memory), "{info:?}");
        *world.cells.exit.lock().unwrap() = None;
        looked_at(&world).await;
    }
}

#[tokio::test]
async fn a_look_that_outlives_a_stop_and_a_start_writes_nothing_of_the_old_life_into_the_next() {
    let world = World::sim_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let cells = &world.cells;
    let asks = || cells.status_asks.load(Ordering::SeqCst);
    // a host that is slow for once gives the look up: then there is nothing to see
    for _ in 0..5 {
        *cells.late_exit.lock().unwrap() = Some(3);
        until("a look to wait", async || cells.answers_late.load(Ordering::SeqCst)).await;
        world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
        world.wake(&ann, container).await.unwrap();
        cells.answers_late.store(false, Ordering::SeqCst);
        // one at a time: the old look is over then
        let before = asks();
        until("it was asked again", async || asks() > before + 3).await;
        let info = world.info(&ann, container).await;
        assert_eq!((info.state, info.exit), (ContainerState::Running, None));
        assert!(noted(&world, &ann, "container.workload_ended").await.is_empty(), "it is of the old life");
        if cells.came_late.load(Ordering::SeqCst) > 0 {
            return;
        }
    }
    panic!("no look outlived a stop and a start");
}

#[tokio::test]
async fn a_workload_that_ends_after_a_start_as_it_did_before_it_is_told_again() {
    let world = World::sim_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let ended = async || noted(&world, &ann, "container.workload_ended").await.len();
    *world.cells.exit.lock().unwrap() = Some(3);
    until("it is written down", async || ended().await == 1).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    until("the second life's end is written down", async || ended().await == 2).await;
}

#[tokio::test]
async fn an_end_whose_record_takes_longer_than_until_the_next_looks_is_told_all_the_same() {
    let world = World::sqlite_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    world.running(&ann).await;
    let writing = world.kit.store.fenced(world.ownership(&ann).await).await.unwrap();
    *world.cells.exit.lock().unwrap() = Some(3);
    looked_at(&world).await;
    drop(writing);
    until("it is written down", async || noted(&world, &ann, "container.workload_ended").await.len() == 1)
        .await;
}

#[tokio::test]
async fn what_the_kernel_ended_for_want_of_memory_is_told_as_such() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.starves(&of(container));
    until("it is written down", async || noted(&world, &ann, "container.out_of_memory").await.len() == 1)
        .await;
    let info = world.info(&ann, container).await;
    assert_eq!(info.state, ContainerState::Running);
    assert!(info.exit.is_some_and(|exit| exit.code == Some(137) && exit.out_of_memory), "{info:?}");
}

#[tokio::test]
async fn want_of_memory_two_hundred_times_is_one_record_and_the_next_one_counts_them() {
    let world = World::sim_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let told = async || noted(&world, &ann, "container.out_of_memory").await;
    for _ in 0..200 {
        world.runtime.starves(&of(container));
    }
    until("it is written down", async || !told().await.is_empty()).await;
    looked_at(&world).await;
    assert_eq!(told().await.len(), 1);
    world.kit.clock.advance(STARVED_EVERY + Duration::from_secs(1));
    world.runtime.starves(&of(container));
    until("the next is written down", async || told().await.len() == 2).await;
    let both = told().await.concat();
    assert!(both.contains(r#"("times", "1")"#) && both.contains(r#"("times", "200")"#), "{both}");
}

#[tokio::test]
async fn a_cell_that_does_not_answer_again_and_again_is_told_once() {
    let world = World::sim_with(watchful).await;
    let ann = world.kit.founder("ann@example.com").await;
    world.running(&ann).await;
    let silent = async || noted(&world, &ann, "container.silent").await.len();
    looked_at(&world).await;
    assert_eq!(silent().await, 0);
    world.cells.dead.store(true, Ordering::SeqCst);
    until("it is written down", async || silent().await == 1).await;
    looked_at(&world).await;
    assert_eq!(silent().await, 1);
    world.cells.dead.store(false, Ordering::SeqCst);
    looked_at(&world).await;
    world.cells.dead.store(true, Ordering::SeqCst);
    until("and again when it happens again", async || silent().await == 2).await;
}

#[tokio::test]
async fn a_host_of_another_owner_tells_the_channels_that_there_are() {
    let (a, b, ann, container) = apart().await;
    let ann = a.kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let put = |url: &str| PutChannel {
        channel: None,
        kind: AlertKind::Slack,
        name: "ours".to_owned(),
        target: Some(Secret::new(url.to_owned())),
        secret: None,
        min_severity: Severity::Info,
        actions: vec!["container.".to_owned()],
    };
    let (before, after) = ("https://before.example.org/", "https://after.example.org/");
    let told = |there: &str| {
        let count = |kit: &Kit| kit.mailbox.count_of(there, "alert.container.out_of_memory");
        count(&a.kit).max(count(&b.kit))
    };
    let channel = a.kit.call(&ann.caller, put(before)).await.unwrap().id;
    a.wake(&ann, container).await.unwrap();
    b.runtime.starves(&of(container));
    until("it is told", async || told(before) == 1).await;
    a.kit.call(&ann.caller, DeleteChannel { channel }).await.unwrap();
    a.kit.call(&ann.caller, put(after)).await.unwrap();
    a.kit.clock.advance(STARVED_EVERY + Duration::from_secs(1));
    a.wake(&ann, container).await.unwrap();
    b.runtime.starves(&of(container));
    until("the channel of today is told", async || told(after) == 1).await;
    assert_eq!(told(before), 1);
    let mut tx = a.kit.store.read(a.ownership(&ann).await).await.unwrap();
    let of_the_deleted = tx.find::<AlertGroup>(AlertGroup::channel_id.eq(channel)).await.unwrap();
    assert_eq!(of_the_deleted.len(), 0, "the deleted one is used");
}
