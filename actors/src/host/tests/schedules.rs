//! Containers that wake by themselves: each time once, whatever dies, and by nobody's right but that of today.

mod rights;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use ocmt_runtime::sim::Op;
use ocmt_types::{Clock, ContainerId, ScheduleId, Timestamp};

use super::World;
use crate::{
    ActorError,
    api::{audit::QueryAudit, auth::LinkPurpose, container::*, schedule::*},
    tenant::TenantMessage,
    tests::{
        kit::{Kit, Person, START, until, until_passing},
        suspension::{resume, suspend},
    },
};

/// [`START`] is eight o'clock: this is due at half past, and each half hour.
const HALF_HOURS: &str = "*/30 * * * *";
pub(super) const HALF: Duration = Duration::from_secs(1800);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn put(container: ContainerId) -> PutSchedule {
    PutSchedule {
        schedule: None,
        container,
        cron: HALF_HOURS.to_owned(),
        time_zone: String::new(),
        enabled: true,
    }
}

async fn list(world: &World, who: &Person, container: ContainerId) -> Vec<ScheduleInfo> {
    let list = ListSchedules { container, after: None, limit: 0 };
    world.kit.call(&who.caller, list).await.unwrap().schedules
}

/// The clock moves, and whoever owns the tenant looks, more than once.
pub(super) fn pass(world: &World, who: &Person, by: Duration) {
    world.kit.clock.advance(by);
    look(world, who);
}

fn look(world: &World, who: &Person) {
    (0..3).for_each(|_| world.kit.system.send(who.tenant, TenantMessage::TimerDue));
}

/// The records of what schedules did: how often, and what the last says.
async fn records(
    world: &World,
    who: &Person,
    action: &str,
) -> (usize, Vec<(String, String)>, Option<String>) {
    let query = QueryAudit { method: Some(action.to_owned()), limit: 100, ..QueryAudit::default() };
    let found = world.kit.call(&who.caller, query).await.unwrap().records;
    let last = found.first().map(|record| (record.details.clone(), record.result.clone()));
    let (details, result) = last.unzip();
    (found.len(), details.unwrap_or_default(), result)
}

fn detail(details: &[(String, String)], name: &str) -> String {
    details.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Signed in anew: sessions that nobody uses end while the clock moves.
pub(super) async fn again(world: &World, who: &Person) -> Person {
    world.kit.sign_in(who, LinkPurpose::SignIn).await
}

async fn comes(world: &World, who: &Person, action: &str, times: usize) {
    until(action, async || records(world, who, action).await.0 >= times).await;
}

#[tokio::test]
async fn a_container_wakes_when_its_schedule_is_due_and_once() {
    for world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.container(&ann).await;
        let made = world.kit.call(&ann.caller, put(container)).await.unwrap();
        assert_eq!(made.next_at, Some(START + HALF));
        let explained = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap();
        assert_eq!(explained.next_wake_at, Some(START + HALF));
        pass(&world, &ann, HALF - Duration::from_millis(1));
        assert_eq!(list(&world, &ann, container).await[0].next_at, Some(START + HALF), "early");
        pass(&world, &ann, MINUTE);
        comes(&world, &ann, "schedule.woke", 1).await;
        look(&world, &ann);
        assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
        assert_eq!(list(&world, &ann, container).await[0].next_at, Some(START + HALF * 2));
        let (times, details, _) = records(&world, &ann, "schedule.woke").await;
        assert_eq!((times, detail(&details, "wake_kind").as_str()), (1, "create"));
        let (times, details, _) = records(&world, &ann, "schedule.due").await;
        assert_eq!((times, detail(&details, "due")), (1, (START + HALF).0.to_string()));
        assert_eq!(detail(&details, "schedule"), made.id.to_string());
        assert_eq!(world.calls(Op::Start), 1);
        // what runs is left as it is, and is kept awake
        pass(&world, &ann, HALF);
        comes(&world, &ann, "schedule.woke", 2).await;
    }
}

/// Two nodes, a container on the other one, and a time that was taken while nothing got there.
async fn order_lost() -> (World, World, Person, ContainerId) {
    let (a, b, ann, container) = super::nodes::apart().await;
    a.kit.call(&ann.caller, put(container)).await.unwrap();
    a.kit.linked.cut_off.store(true, Ordering::SeqCst);
    pass(&a, &ann, HALF + MINUTE);
    comes(&a, &ann, "schedule.due", 1).await;
    a.kit.linked.cut_off.store(false, Ordering::SeqCst);
    (a, b, ann, container)
}

#[tokio::test]
async fn an_order_that_is_lost_is_given_again_and_the_time_is_taken_once() {
    let (a, b, ann, _) = order_lost().await;
    assert_eq!(b.calls(Op::Start), 0, "the order was lost");
    pass(&a, &ann, MINUTE);
    comes(&a, &ann, "schedule.woke", 1).await;
    pass(&a, &ann, MINUTE * 5);
    assert_eq!(b.calls(Op::Start), 1);
    assert_eq!(records(&a, &ann, "schedule.due").await.0, 1);
    assert_eq!(records(&a, &ann, "schedule.woke").await.0, 1);
}

#[tokio::test]
async fn a_stop_that_came_after_the_order_is_not_undone_by_the_next_try() {
    let (a, b, ann, container) = order_lost().await;
    a.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    pass(&a, &ann, MINUTE);
    comes(&a, &ann, "schedule.refused", 1).await;
    pass(&a, &ann, MINUTE * 10);
    assert_eq!(detail(&records(&a, &ann, "schedule.refused").await.1, "reason"), "CHANGED_MEANWHILE");
    assert_eq!(b.calls(Op::Start), 0);
}

#[tokio::test]
async fn a_node_that_dies_in_between_leaves_the_wake_to_the_next() {
    let mut world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    // a wake that does not end: the node dies in the middle of it
    world.cells.dead.store(true, Ordering::SeqCst);
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.due", 1).await;
    world.restart().await;
    world.cells.dead.store(false, Ordering::SeqCst);
    // a wake has less than a minute, and the next time is due before half an hour is over
    let passes = || pass(&world, &ann, MINUTE);
    let woke = async || records(&world, &ann, "schedule.woke").await.0 == 1;
    until_passing("it is woken", passes, woke).await;
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_take_a_time_once() {
    let a = World::sim().await;
    let b = a.beside(2).await;
    let mut people = Vec::new();
    for n in 0..10 {
        let ann = a.kit.founder(&format!("u{n}@example.com")).await;
        let container = a.container(&ann).await;
        a.kit.call(&ann.caller, put(container)).await.unwrap();
        people.push(ann);
    }
    a.kit.clock.advance(HALF + MINUTE);
    // whoever owned the tenant is robbed of it while both look
    let robbed = people.iter().map(async |ann| {
        look(&a, ann);
        a.kit.steal(ann.tenant).await;
        look(&b, ann);
        look(&a, ann);
    });
    join_all(robbed).await;
    for ann in &people {
        let nodes = [&a.kit, &b.kit];
        let query = |action: &str| QueryAudit {
            method: Some(action.to_owned()),
            limit: 100,
            ..QueryAudit::default()
        };
        let taken = async || {
            let asked = Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), query("schedule.due")).await;
            asked.unwrap().records.len()
        };
        until("the time is taken", async || {
            look(&a, ann);
            look(&b, ann);
            taken().await > 0
        })
        .await;
        look(&a, ann);
        look(&b, ann);
        assert_eq!(taken().await, 1);
    }
}

#[tokio::test]
async fn what_was_missed_is_caught_up_with_once_within_an_hour_and_skipped_after_it() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world
        .kit
        .call(&ann.caller, PutSchedule { cron: "*/10 * * * *".to_owned(), ..put(container) })
        .await
        .unwrap();
    // fifty minutes without anybody at work: four of five times are gone
    pass(&world, &ann, Duration::from_secs(55 * 60));
    comes(&world, &ann, "schedule.woke", 1).await;
    let next = list(&world, &ann, container).await[0].next_at;
    assert_eq!(next, Some(START + Duration::from_secs(3600)));
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 1);
    pass(&world, &ann, Duration::from_secs(3 * 3600));
    let ann = again(&world, &ann).await;
    comes(&world, &ann, "schedule.missed", 1).await;
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 1, "three hours late");
    let next = list(&world, &ann, container).await[0].next_at.unwrap();
    assert!(next > world.kit.clock.now() && next <= world.kit.clock.now() + Duration::from_secs(600));
}

/// A clock that somebody sets back.
struct Set {
    inner: Arc<dyn Clock>,
    back_ms: Arc<AtomicI64>,
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp(self.inner.now().0 - self.back_ms.load(Ordering::SeqCst))
    }
    fn boottime(&self) -> Duration {
        self.inner.boottime()
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_wake_twice_for_one_time() {
    let back_ms = Arc::new(AtomicI64::new(0));
    let of_clock = Arc::clone(&back_ms);
    let world = World::sim_with(|config| {
        let inner = Arc::clone(&config.clock);
        config.clock = Arc::new(Set { inner, back_ms: of_clock });
    })
    .await;
    let clock = world.kit.clock.clone();
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    clock.advance(HALF + MINUTE);
    look(&world, &ann);
    comes(&world, &ann, "schedule.woke", 1).await;
    back_ms.store(20 * 60_000, Ordering::SeqCst);
    for _ in 0..25 {
        clock.advance(MINUTE);
        look(&world, &ann);
    }
    assert_eq!(list(&world, &ann, container).await[0].next_at, Some(START + HALF * 2));
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 1, "half past came twice");
}

#[tokio::test]
async fn what_is_off_or_deleted_or_gone_with_its_container_wakes_nothing() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let (who, kit) = (&ann.caller, &world.kit);
    let off = kit.call(who, PutSchedule { enabled: false, ..put(container) }).await.unwrap();
    assert_eq!(off.next_at, None);
    let deleted = kit.call(who, put(container)).await.unwrap().id;
    let changed = kit.call(who, put(container)).await.unwrap().id;
    let change = PutSchedule { schedule: Some(changed), enabled: false, ..put(container) };
    assert_eq!(kit.call(who, change).await.unwrap().id, changed);
    kit.call(who, DeleteSchedule { schedule: deleted }).await.unwrap();
    let gone = kit.call(who, DeleteSchedule { schedule: deleted }).await.unwrap_err();
    assert_eq!(gone, ActorError::NotFound);
    assert_eq!(list(&world, &ann, container).await.len(), 2);
    pass(&world, &ann, HALF + MINUTE);
    pass(&world, &ann, HALF);
    let ann = again(&world, &ann).await;
    let who = &ann.caller;
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 0);
    kit.call(who, put(container)).await.unwrap();
    kit.call(who, RemoveContainer { container, delete_volume: false }).await.unwrap();
    let another = world.container(&ann).await;
    assert!(list(&world, &ann, another).await.is_empty());
    pass(&world, &ann, HALF + MINUTE);
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 0);
}

async fn no_more_than_twenty(a: World) {
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    let container = a.container(&ann).await;
    let nodes = [&a.kit, &b.kit];
    let asked = join_all(
        (0..30).map(async |_| Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), put(container)).await),
    )
    .await;
    let made = asked.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(made, 20);
    let refused = asked.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|error| error.reason() == "TOO_MANY_SCHEDULES"));
}

#[tokio::test]
async fn no_more_than_twenty_in_parallel_on_two_nodes() {
    no_more_than_twenty(World::sim().await).await;
}

#[tokio::test]
async fn a_repeat_makes_no_second_schedule() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let tenant = world.kit.system.tenant(ann.tenant);
    let mut ids: Vec<ScheduleId> = Vec::new();
    for _ in 0..3 {
        let made = tenant.call(ann.caller.clone(), world.kit.keyed(1, 1), put(container)).await;
        ids.push(made.unwrap().id);
    }
    ids.dedup();
    assert_eq!((ids.len(), list(&world, &ann, container).await.len()), (1, 1));
}
