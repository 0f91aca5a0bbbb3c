//! Snapshots that are taken by themselves: each time once, at rest, by today's right, and never in the place of a good one.

mod claimed;
mod dated;
mod forged;
mod goes_on;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_crypto::{
    datakey::DataKey,
    sign::SigningKey,
    snapshot_schedule::{Schedule, ScheduleKey},
    vault::UnlockedVault,
};
use ocmt_store::{
    Filter,
    tables::{SnapshotState, Vault},
};
use ocmt_types::ContainerId;

use super::{
    super::{World, nodes::on, spec},
    listed, passes, stop,
    world::{Disk, Kept, Memory, snapshots},
};
use crate::{
    Snapshots, SystemConfig,
    api::{
        audit::QueryAudit,
        container::*,
        snapshot::{
            ArchiveErrand, DeleteSnapshotSchedule, GetSnapshotSchedule, PutSnapshotSchedule, SnapshotInfo,
            SnapshotScheduleInfo,
        },
    },
    tests::{
        factors::{by_mail, reason},
        kit::{Person, START, until},
        programs::owner,
    },
};

/// [`START`] is eight o'clock: this is due at half past, and each half hour.
const HALF_HOURS: &str = "*/30 * * * *";
const DAILY: &str = "30 8 * * *";
const HALF: Duration = Duration::from_secs(1800);
const MINUTE: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 24 * 3_600_000;

struct Desk {
    world: World,
    store: Arc<Memory>,
    disk: Arc<Disk>,
    ann: Person,
    container: ContainerId,
    keys: Keys,
}

/// What a client has: a vault, and the volume key in it.
struct Keys {
    open: UnlockedVault,
    volume_key: DataKey,
}

impl Keys {
    async fn of(world: &World, person: &Person) -> Self {
        let open = owner(&world.kit, person).await;
        Self { open, volume_key: DataKey::generate(&mut rand::rng()) }
    }

    fn schedule(&self, person: &Person, container: ContainerId) -> Schedule {
        Schedule {
            tenant: person.tenant,
            user: person.user,
            container,
            number: 1,
            cron: HALF_HOURS.to_owned(),
            time_zone: "UTC".to_owned(),
            keep: 2,
            key: self.pair(container).public(),
            key_version: 1,
        }
    }

    fn pair(&self, container: ContainerId) -> ScheduleKey {
        ScheduleKey::of((1, &self.volume_key), self.open.scope(), container).unwrap()
    }

    fn put(&self, schedule: &Schedule) -> PutSnapshotSchedule {
        put_by(schedule, &self.open.keyring().identity_signing)
    }

    /// What opens one that was taken.
    fn opens(&self, taken: &SnapshotInfo) -> Kept {
        let sealed = &taken.by_schedule.as_ref().unwrap().sealed_key;
        Kept { id: taken.id, key: self.pair(taken.container).open(taken.id, sealed).unwrap() }
    }
}

fn put_by(schedule: &Schedule, identity: &SigningKey) -> PutSnapshotSchedule {
    let signed = schedule.sign(identity).unwrap();
    PutSnapshotSchedule { container: schedule.container, signed, vault_epoch: 1 }
}

fn keeps_six(store: &Arc<Memory>) -> impl Fn(&mut SystemConfig) + use<> {
    let store = Arc::clone(store);
    move |config| config.snapshots = Some(Snapshots { per_user: 6, ..snapshots(&store) })
}

async fn desk_in(world: World, store: Arc<Memory>) -> Desk {
    let disk = world.with_disk();
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    disk.put(&ann, b"first");
    let keys = Keys::of(&world, &ann).await;
    Desk { world, store, disk, ann, container, keys }
}

async fn desk() -> Desk {
    let store = Arc::<Memory>::default();
    desk_in(World::sim_with(keeps_six(&store)).await, store).await
}

impl Desk {
    fn schedule(&self) -> Schedule {
        self.keys.schedule(&self.ann, self.container)
    }

    async fn put(&self, schedule: &Schedule) -> SnapshotScheduleInfo {
        self.world.kit.call(&self.ann.caller, self.keys.put(schedule)).await.unwrap()
    }

    async fn shown(&self) -> Option<SnapshotScheduleInfo> {
        let get = GetSnapshotSchedule { container: self.container };
        self.world.kit.call(&self.ann.caller, get).await.unwrap().schedule
    }

    /// All that are there, the oldest first.
    async fn taken(&self) -> Vec<SnapshotInfo> {
        let mut all = listed(&self.world, &self.ann, self.container).await;
        all.retain(|one| one.state == SnapshotState::Taken);
        all.sort_by_key(|one| one.created_at);
        all
    }

    async fn pass(&self, time: Duration) {
        passes(&self.world, &self.ann, time).await;
    }

    /// Waits until so many are there in all.
    async fn comes_to(&self, count: usize) {
        until("it is taken", async || {
            self.pass(Duration::ZERO).await;
            self.taken().await.len() == count
        })
        .await;
    }

    async fn records(&self, action: &str) -> usize {
        let query = QueryAudit { method: Some(action.to_owned()), limit: 100, ..QueryAudit::default() };
        self.world.kit.call(&self.ann.caller, query).await.unwrap().records.len()
    }

    async fn recorded(&self, action: &str, times: usize) {
        until(action, async || {
            self.pass(Duration::ZERO).await;
            self.records(action).await >= times
        })
        .await;
        assert_eq!(self.records(action).await, times, "{action}");
    }

    /// The next snapshot by schedule is there, beside as many as there were after the oldest went.
    async fn next_one(&mut self) -> SnapshotInfo {
        let before: Vec<_> = self.taken().await.into_iter().map(|one| one.id).collect();
        self.ann = by_mail(&self.world.kit, &self.ann).await;
        self.pass(HALF + MINUTE).await;
        let is_fresh = |one: &SnapshotInfo| !before.contains(&one.id);
        until("the next one is taken", async || {
            self.pass(Duration::ZERO).await;
            self.taken().await.iter().any(is_fresh)
        })
        .await;
        self.taken().await.into_iter().find(is_fresh).unwrap()
    }
}

#[tokio::test]
async fn what_is_due_is_taken_once_and_opens_under_its_users_key_alone() {
    let (one, other) = (Arc::<Memory>::default(), Arc::<Memory>::default());
    let sim = desk_in(World::sim_with(keeps_six(&one)).await, one).await;
    let sqlite = desk_in(World::sqlite_with(keeps_six(&other)).await, other).await;
    for mut desk in [sim, sqlite] {
        assert!(desk.shown().await.is_none());
        let put = desk.put(&desk.schedule()).await;
        assert_eq!((put.next_at, put.due_at, put.rests), (Some(START + HALF), None, None));
        desk.pass(HALF - Duration::from_millis(1)).await;
        assert_eq!(desk.shown().await.unwrap().next_at, Some(START + HALF), "early");
        desk.pass(MINUTE).await;
        desk.comes_to(1).await;
        desk.pass(MINUTE).await;
        let taken = desk.taken().await;
        assert_eq!((taken.len(), taken[0].verified, taken[0].opened), (1, true, false));
        assert!(taken[0].wrapped_key.is_empty());
        let shown = desk.shown().await.unwrap();
        assert_eq!((shown.next_at, shown.due_at, shown.failure), (Some(START + HALF * 2), None, None));
        assert_eq!(desk.records("snapshot.taken").await, 1);
        let object = desk.store.objects.lock().unwrap()[&taken[0].id].clone();
        assert!(!object.windows(5).any(|part| part == b"first"));
        let kept = desk.keys.opens(&taken[0]);
        desk.disk.put(&desk.ann, b"second");
        desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
        desk.world.restore(&desk.ann, desk.container, &kept, &desk.world).await.unwrap();
        assert_eq!(desk.disk.volume(&desk.ann), b"first");
        assert!(desk.taken().await[0].opened);
    }
}

#[tokio::test]
async fn it_waits_for_what_runs_and_a_second_time_that_passes_is_told_once() {
    let desk = desk().await;
    let (pause, stop_after) = (Some(DAY_MS), Some(2 * DAY_MS));
    let awake = ContainerSpec { pause_after_ms: pause, stop_after_ms: stop_after, ..spec() };
    let bob = desk.world.kit.founder("bob@example.com").await;
    let create = CreateContainer { user: None, spec: awake, start: true };
    let container = desk.world.kit.call(&bob.caller, create).await.unwrap().container.id;
    desk.disk.put(&bob, b"bobs");
    let keys = Keys::of(&desk.world, &bob).await;
    let mut desk = Desk { ann: bob, container, keys, ..desk };
    desk.put(&desk.schedule()).await;
    desk.pass(HALF + MINUTE).await;
    until("it is due", async || desk.shown().await.unwrap().due_at == Some(START + HALF)).await;
    assert_eq!(desk.records("snapshot.overdue").await, 0);
    desk.pass(HALF).await;
    desk.recorded("snapshot.overdue", 1).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.pass(HALF).await;
    until("the third passes", async || desk.shown().await.unwrap().next_at == Some(START + HALF * 4)).await;
    assert_eq!(desk.records("snapshot.overdue").await, 1);
    assert_eq!(desk.shown().await.unwrap().due_at, Some(START + HALF), "the oldest counts");
    assert!(listed(&desk.world, &desk.ann, desk.container).await.is_empty());
    // a paused one has files in the middle of something
    desk.world.kit.call(&desk.ann.caller, PauseContainer { container }).await.unwrap();
    desk.pass(MINUTE).await;
    assert!(listed(&desk.world, &desk.ann, desk.container).await.is_empty());
    stop(&desk.world, &desk.ann, container).await;
    // its host finds out by itself: no timer is due
    until("it is taken at the stop", async || desk.taken().await.len() == 1).await;
    assert_eq!(desk.shown().await.unwrap().due_at, None);
}

#[tokio::test]
async fn a_host_that_did_not_hear_of_it_is_told_again_and_takes_it_once() {
    let store = Arc::<Memory>::default();
    let a = World::sim_with(keeps_six(&store)).await;
    let b = a.beside_with(2, keeps_six(&store)).await;
    let disk = b.with_disk();
    let ann = a.kit.founder("ann@example.com").await;
    let container = on(&a, &b, &ann).await;
    disk.put(&ann, b"first");
    let keys = Keys::of(&a, &ann).await;
    let desk = Desk { world: a, store, disk, ann, container, keys };
    desk.put(&desk.schedule()).await;
    desk.world.kit.linked.cut_off.store(true, Ordering::SeqCst);
    desk.pass(HALF + MINUTE).await;
    until("it is due", async || desk.shown().await.unwrap().due_at.is_some()).await;
    assert!(desk.taken().await.is_empty());
    desk.world.kit.linked.cut_off.store(false, Ordering::SeqCst);
    desk.pass(MINUTE * 11).await;
    desk.comes_to(1).await;
    desk.pass(MINUTE * 11).await;
    assert_eq!((desk.taken().await.len(), desk.records("snapshot.taken").await), (1, 1));
}

#[tokio::test]
async fn past_its_number_the_oldest_goes_but_nothing_that_was_asked_for_or_opened() {
    let mut desk = desk().await;
    let (asked_for, _) = desk.world.take(&desk.ann, desk.container, &desk.world).await.unwrap();
    desk.put(&Schedule { keep: 1, ..desk.schedule() }).await;
    let first = desk.next_one().await;
    desk.open_to_its_end(&first).await;
    let second = desk.next_one().await;
    let third = desk.next_one().await;
    let mut there: Vec<_> = desk.taken().await.into_iter().map(|one| one.id).collect();
    let mut kept = vec![asked_for.id, first.id, third.id];
    there.sort_unstable();
    kept.sort_unstable();
    assert_eq!(there, kept);
    until("its object goes", async || {
        desk.pass(Duration::ZERO).await;
        !desk.store.has(second.id)
    })
    .await;
    assert!(desk.store.has(first.id) && desk.store.has(asked_for.id));
}

#[tokio::test]
async fn whoever_keeps_fewer_shows_who_they_are_and_no_earlier_or_foreign_one_is_put() {
    let desk = desk().await;
    let schedule = desk.schedule();
    desk.put(&Schedule { number: 5, keep: 3, ..schedule.clone() }).await;
    let put =
        async |change: Schedule| reason(desk.world.kit.call(&desk.ann.caller, desk.keys.put(&change)).await);
    assert_eq!(put(Schedule { number: 5, ..schedule.clone() }).await, "VERSION_CHANGED");
    assert_eq!(put(Schedule { number: 4, ..schedule.clone() }).await, "VERSION_CHANGED");
    desk.pass(MINUTE * 20).await;
    assert_eq!(put(Schedule { number: 6, keep: 2, ..schedule.clone() }).await, "STEP_UP_REQUIRED");
    assert_eq!(put(Schedule { number: 6, keep: 4, ..schedule.clone() }).await, "");
    let next = |keep| Schedule { number: 9, keep, ..schedule.clone() };
    // six of a user, and two for what they ask for
    assert_eq!(put(next(5)).await, "INVALID_ARGUMENT");
    assert_eq!(put(Schedule { cron: "* * * * *".to_owned(), ..next(4) }).await, "INVALID_ARGUMENT");
    assert_eq!(put(Schedule { user: ocmt_store::testing::id(9), ..next(4) }).await, "INVALID_ARGUMENT");
    let forged = put_by(&next(4), &SigningKey::generate(&mut rand::rng()));
    assert_eq!(reason(desk.world.kit.call(&desk.ann.caller, forged).await), "INVALID_ARGUMENT");
    let later = PutSnapshotSchedule { vault_epoch: 2, ..desk.keys.put(&next(4)) };
    assert_eq!(reason(desk.world.kit.call(&desk.ann.caller, later).await), "VERSION_CHANGED");
    let end = DeleteSnapshotSchedule { container: desk.container };
    assert_eq!(reason(desk.world.kit.call(&desk.ann.caller, end.clone()).await), "STEP_UP_REQUIRED");
    let eve = desk.world.kit.founder("eve@example.com").await;
    assert_eq!(reason(desk.world.kit.call(&eve.caller, desk.keys.put(&next(4))).await), "NOT_FOUND");
    assert_eq!(reason(desk.world.kit.call(&eve.caller, end.clone()).await), "NOT_FOUND");
    let ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.world.kit.call(&ann.caller, end).await.unwrap();
    assert!(desk.shown().await.is_none());
    let own = crate::api::snapshot::GetSnapshotCellKey {
        container: desk.container,
        errand: ArchiveErrand::Scheduled,
    };
    assert_eq!(reason(desk.world.kit.call(&ann.caller, own).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn under_other_keys_of_the_vault_it_rests_and_says_so_once() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    let ownership = desk.world.ownership(&desk.ann).await;
    let mut tx = desk.world.kit.store.fenced(ownership).await.unwrap();
    let vault = tx.first::<Vault>(Filter::all()).await.unwrap().unwrap();
    tx.update(&Vault { key_epoch: 2, ..vault }).await.unwrap();
    tx.commit().await.unwrap();
    assert!(desk.shown().await.unwrap().rests.unwrap().contains("other keys"));
    desk.pass(HALF + MINUTE).await;
    desk.recorded("snapshot.refused", 1).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.pass(HALF).await;
    until("the next passes", async || desk.shown().await.unwrap().next_at == Some(START + HALF * 3)).await;
    assert_eq!(desk.records("snapshot.refused").await, 1);
    assert!(listed(&desk.world, &desk.ann, desk.container).await.is_empty());
    // put anew for the keys of now, it is taken
    let anew = desk.keys.put(&Schedule { number: 2, ..desk.schedule() });
    desk.world.kit.call(&desk.ann.caller, PutSnapshotSchedule { vault_epoch: 2, ..anew }).await.unwrap();
    desk.pass(HALF).await;
    desk.comes_to(1).await;
}

#[tokio::test]
async fn one_that_comes_to_nothing_is_begun_again_a_few_times_and_then_given_up() {
    let mut desk = desk().await;
    desk.put(&Schedule { cron: DAILY.to_owned(), ..desk.schedule() }).await;
    desk.store.away.store(true, Ordering::SeqCst);
    desk.pass(HALF + MINUTE).await;
    for times in 1..=4 {
        desk.recorded("snapshot.failed", times).await;
        desk.pass(MINUTE * 41).await;
        desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    }
    desk.recorded("snapshot.given_up", 1).await;
    let shown = desk.shown().await.unwrap();
    assert!(shown.due_at.is_none() && shown.failure.unwrap().contains("is away"));
    assert_eq!(desk.records("snapshot.failed").await, 4);
    desk.store.away.store(false, Ordering::SeqCst);
    desk.pass(Duration::from_secs(24 * 3600)).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.comes_to(1).await;
    assert_eq!(desk.shown().await.unwrap().failure, None);
}

#[tokio::test]
async fn with_its_container_it_ends_and_what_was_taken_stays() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    let taken = desk.next_one().await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    let remove = RemoveContainer { container: desk.container, delete_volume: false };
    desk.world.kit.call(&desk.ann.caller, remove).await.unwrap();
    until("it is removed", async || {
        desk.world.kit.call(&desk.ann.caller, GetContainer { container: desk.container }).await.is_err()
    })
    .await;
    desk.pass(HALF).await;
    desk.container = desk.world.container(&desk.ann).await;
    assert!(desk.shown().await.is_none());
    assert_eq!(desk.taken().await.iter().map(|one| one.id).collect::<Vec<_>>(), [taken.id]);
}
