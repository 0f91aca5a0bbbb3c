//! Snapshots: cells that run nothing, whose they are, and what is left when something is cut off.

mod ends;
mod scheduled;
mod world;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use ocmt_crypto::snapshot::Errand;
use ocmt_store::tables::SnapshotState;
use ocmt_types::ContainerId;

use self::world::{Disk, Kept, Memory, create, kept, open, snapshots};
use super::World;
use crate::{
    ActorError, OperatorAct, SystemConfig,
    api::{
        container::*,
        snapshot::{ArchiveErrand, CreateSnapshot, DeleteSnapshot, ListSnapshots, SnapshotInfo},
        tenant::GetQuota,
        users::Role,
    },
    quota::QuotaChange,
    tenant::TenantMessage,
    tests::{
        factors::{by_mail, reason},
        kit::{Person, until},
        suspension::operate,
    },
};

async fn desk() -> (World, Arc<Memory>, Arc<Disk>, Person, ContainerId) {
    let store = Arc::<Memory>::default();
    let world = World::sim_with(keeps(&store)).await;
    let disk = world.with_disk();
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    disk.put(&ann, b"first");
    (world, store, disk, ann, container)
}

fn keeps(store: &Arc<Memory>) -> impl Fn(&mut SystemConfig) + use<> {
    let store = Arc::clone(store);
    move |config| config.snapshots = Some(snapshots(&store))
}

async fn listed(world: &World, person: &Person, container: ContainerId) -> Vec<SnapshotInfo> {
    let list = ListSnapshots { container, after: None, limit: 0 };
    world.kit.call(&person.caller, list).await.unwrap().snapshots
}

async fn state(world: &World, person: &Person, container: ContainerId, kept: &Kept) -> Option<SnapshotState> {
    let all = listed(world, person, container).await;
    all.into_iter().find(|one| one.id == kept.id).map(|one| one.state)
}

async fn passes(world: &World, person: &Person, time: Duration) {
    world.kit.clock.advance(time);
    world.kit.system.send(person.tenant, TenantMessage::TimerDue);
}

async fn stop(world: &World, person: &Person, container: ContainerId) {
    let stop = StopContainer { container, grace: Duration::ZERO };
    world.kit.call(&person.caller, stop).await.unwrap();
}

#[tokio::test]
async fn a_volume_is_taken_and_put_back_as_a_new_generation() {
    let (world, store, disk, ann, container) = desk().await;
    let (kept, done) = world.take(&ann, container, &world).await.unwrap();
    assert_eq!((done.snapshot.state, done.snapshot.verified), (SnapshotState::Taken, true));
    assert!(done.snapshot.size_bytes > 0 && store.has(kept.id));
    assert!(!store.objects.lock().unwrap()[&kept.id].windows(5).any(|part| part == b"first"));
    disk.put(&ann, b"second");
    let done = world.restore(&ann, container, &kept, &world).await.unwrap();
    assert_eq!((done.generation, disk.volume(&ann)), (2, b"first".to_vec()));
    assert_eq!(world.info(&ann, container).await.generation, 2);
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
    assert_eq!(world.info(&ann, container).await.generation, 2);
    stop(&world, &ann, container).await;
    // over one that was made: the engine forgets it
    disk.put(&ann, b"third");
    let done = world.restore(&ann, container, &kept, &world).await.unwrap();
    assert_eq!((done.generation, disk.volume(&ann)), (3, b"first".to_vec()));
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
}

#[tokio::test]
async fn looking_through_one_changes_nothing_and_finds_what_was_tampered_with() {
    let (world, store, disk, ann, container) = desk().await;
    let (kept, _) = world.take(&ann, container, &world).await.unwrap();
    disk.put(&ann, b"second");
    let verify = async || {
        let cell = world.archive_cell(&ann, container, ArchiveErrand::Verify, &world).await.unwrap();
        world.kit.call(&ann.caller, open(&kept, container, Errand::Verify, &cell)).await
    };
    assert!(verify().await.unwrap().snapshot.verified);
    assert_eq!(world.info(&ann, container).await.generation, 1);
    let good = store.objects.lock().unwrap()[&kept.id].clone();
    let (other, _) = world.take(&ann, container, &world).await.unwrap();
    let another = store.objects.lock().unwrap()[&other.id].clone();
    let mut bent = good.clone();
    bent[45] ^= 1;
    for wrong in
        [bent, good[..good.len() - 1].to_vec(), Vec::new(), another, [good.as_slice(), &good].concat()]
    {
        store.objects.lock().unwrap().insert(kept.id, wrong);
        assert_eq!(verify().await.unwrap_err().reason(), "SNAPSHOT_FAILED");
        let restored = world.restore(&ann, container, &kept, &world).await;
        assert_eq!(restored.unwrap_err().reason(), "SNAPSHOT_FAILED");
        assert_eq!(
            (disk.volume(&ann), world.info(&ann, container).await.generation),
            (b"second".to_vec(), 1)
        );
    }
    let shown = listed(&world, &ann, container).await.into_iter().find(|one| one.id == kept.id).unwrap();
    assert!(!shown.verified && shown.failure.is_some(), "what does not open is not said to");
    store.objects.lock().unwrap().insert(kept.id, good);
    assert!(verify().await.unwrap().snapshot.verified);
}

#[tokio::test]
async fn nothing_is_taken_of_what_runs_and_whoever_wants_it_to_run_comes_first() {
    let (world, _, _, ann, container) = desk().await;
    world.wake(&ann, container).await.unwrap();
    let refused = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap_err();
    assert_eq!(refused.reason(), "CONTAINER_RUNNING");
    stop(&world, &ann, container).await;
    let cell = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap();
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
    let kept = kept();
    let late = world.kit.call(&ann.caller, create(&kept, &ann, container, &cell)).await.unwrap_err();
    assert_eq!(late.reason(), "SNAPSHOT_CELL_GONE");
}

#[tokio::test]
async fn what_has_begun_is_not_cut_off_by_a_wake_but_by_quarantine() {
    let (world, store, disk, ann, container) = desk().await;
    disk.hold();
    let cell = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap();
    let taken = kept();
    let (done, woken, ()) = futures_util::join!(
        world.kit.call(&ann.caller, create(&taken, &ann, container, &cell)),
        async {
            until("it is under way", async || {
                state(&world, &ann, container, &taken).await == Some(SnapshotState::Taking)
            })
            .await;
            world.wake(&ann, container).await
        },
        async {
            until("a wake waits", async || world.admitted(&ann, "WakeContainer").await == 1).await;
            disk.goes_on.add_permits(1);
        }
    );
    assert_eq!(done.unwrap().snapshot.state, SnapshotState::Taken);
    assert_eq!(woken.unwrap().kind, WakeKind::Create);
    stop(&world, &ann, container).await;

    let cell = world.archive_cell(&ann, container, ArchiveErrand::Restore, &world).await.unwrap();
    let hold = HoldContainer { container, reason: "odd".to_owned() };
    let (restored, held) = futures_util::join!(
        world.kit.call(&ann.caller, open(&taken, container, Errand::Restore, &cell)),
        async {
            until("it is under way", async || {
                state(&world, &ann, container, &taken).await == Some(SnapshotState::Restoring)
            })
            .await;
            world.kit.call(&ann.caller, hold).await
        }
    );
    assert_eq!(restored.unwrap_err().reason(), "SNAPSHOT_FAILED");
    assert_eq!(held.unwrap().state, ContainerState::Held);
    assert_eq!(disk.volume(&ann), b"first");
    assert!(store.has(taken.id));
    let refused = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap_err();
    assert_eq!(refused.reason(), "CONTAINER_HELD");
}

#[tokio::test]
async fn a_cell_does_one_thing_for_one_payload() {
    let (world, store, disk, ann, container) = desk().await;
    let (first, _) = world.take(&ann, container, &world).await.unwrap();
    disk.put(&ann, b"second");
    // sealed to a cell of before
    let old = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap();
    let taken = kept();
    world.kit.call(&ann.caller, create(&taken, &ann, container, &old)).await.unwrap();
    world.kit.call(&ann.caller, DeleteSnapshot { snapshot: taken.id }).await.unwrap();
    world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap();
    let again = kept();
    let refused = world.kit.call(&ann.caller, create(&again, &ann, container, &old)).await.unwrap_err();
    assert_eq!(refused.reason(), "SNAPSHOT_CELL_GONE");
    // and if it is said to be for the present one
    let again = kept();
    let cell = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap();
    let (other, present) = (create(&again, &ann, container, &old), create(&again, &ann, container, &cell));
    let mixed = CreateSnapshot { cell_key: present.cell_key, ..other };
    let refused = world.kit.call(&ann.caller, mixed).await.unwrap_err();
    assert_eq!(refused.reason(), "SNAPSHOT_FAILED");
    assert_eq!(state(&world, &ann, container, &again).await, Some(SnapshotState::Failed));
    assert!(!store.has(again.id));
    // a cell that was asked for to look through one restores nothing
    let cell = world.archive_cell(&ann, container, ArchiveErrand::Verify, &world).await.unwrap();
    let refused = world.kit.call(&ann.caller, open(&first, container, Errand::Restore, &cell)).await;
    assert_eq!(refused.unwrap_err().reason(), "SNAPSHOT_FAILED");
    assert_eq!(disk.volume(&ann), b"second");
}

#[tokio::test]
async fn of_many_at_once_each_has_a_cell_of_its_own_one_after_the_other() {
    let (world, store, _, ann, container) = desk().await;
    let all = join_all((0..4).map(async |_| world.take(&ann, container, &world).await)).await;
    for taken in &all {
        match taken {
            Ok((kept, _)) => assert!(store.has(kept.id)),
            Err(error) => {
                assert!(matches!(error.reason(), "SNAPSHOT_CELL_GONE" | "TOO_MANY_SNAPSHOTS"), "{error}");
            }
        }
    }
    let taken = all.iter().filter(|taken| taken.is_ok()).count();
    assert!((1..=2).contains(&taken), "{taken}: the bound is two");
    assert_eq!(store.objects.lock().unwrap().len(), taken);
}

#[tokio::test]
async fn others_find_nothing_whatever_they_know() {
    let (world, _, _, ann, container) = desk().await;
    let kit = &world.kit;
    let (kept, _) = world.take(&ann, container, &world).await.unwrap();
    let (bob, eve) =
        (kit.member(&ann, "bob@example.com", Role::Admin).await, kit.founder("eve@example.com").await);
    let bobs = world.container(&bob).await;
    let cell = world.archive_cell(&bob, bobs, ArchiveErrand::Restore, &world).await.unwrap();
    for other in [&bob, &eve] {
        let list = ListSnapshots { container, after: None, limit: 0 };
        assert_eq!(kit.call(&other.caller, list).await.unwrap_err(), ActorError::NotFound);
        let asked = world.archive_cell(other, container, ArchiveErrand::Take, &world).await;
        assert_eq!(asked.unwrap_err(), ActorError::NotFound);
        let restored = kit.call(&other.caller, open(&kept, bobs, Errand::Restore, &cell)).await;
        assert_eq!(restored.unwrap_err(), ActorError::NotFound);
        let created = kit.call(&other.caller, create(&kept, other, container, &cell)).await;
        assert_eq!(created.unwrap_err(), ActorError::NotFound);
    }
    assert_eq!(reason(kit.call(&eve.caller, DeleteSnapshot { snapshot: kept.id }).await), "NOT_FOUND");
    // an id that somebody has taken is not told apart from one's own
    let cell = world.archive_cell(&bob, bobs, ArchiveErrand::Take, &world).await.unwrap();
    assert!(kit.call(&bob.caller, create(&kept, &bob, bobs, &cell)).await.is_err());
    assert_eq!(listed(&world, &ann, container).await.len(), 1);
    assert!(listed(&world, &bob, bobs).await.is_empty());
}

/// Whoever has a session and no more takes nobody's snapshots away by taking their own.
#[tokio::test]
async fn one_past_the_bound_is_refused_and_none_goes_for_it_unless_it_is_deleted() {
    let (world, store, _, ann, container) = desk().await;
    let first = world.take(&ann, container, &world).await.unwrap().0;
    let second = world.take(&ann, container, &world).await.unwrap().0;
    world.kit.clock.advance(Duration::from_secs(400));
    for _ in 0..3 {
        let refused = world.take(&ann, container, &world).await.err().unwrap();
        assert_eq!(refused.reason(), "TOO_MANY_SNAPSHOTS");
    }
    assert!(store.has(first.id) && store.has(second.id));
    // what takes something away asks who is there
    let delete = DeleteSnapshot { snapshot: first.id };
    assert_eq!(reason(world.kit.call(&ann.caller, delete.clone()).await), "STEP_UP_REQUIRED");
    let restored = world.restore(&ann, container, &first, &world).await.err().unwrap();
    assert_eq!(restored.reason(), "STEP_UP_REQUIRED");
    let ann = by_mail(&world.kit, &ann).await;
    world.kit.call(&ann.caller, delete.clone()).await.unwrap();
    assert_eq!(reason(world.kit.call(&ann.caller, delete).await), "NOT_FOUND");
    until("it is gone", async || {
        passes(&world, &ann, Duration::from_secs(1)).await;
        !store.has(first.id)
    })
    .await;
    world.take(&ann, container, &world).await.unwrap();
    assert!(store.has(second.id));
}

#[tokio::test]
async fn a_store_that_is_away_keeps_what_is_to_go_until_it_is_back() {
    let (world, store, disk, ann, container) = desk().await;
    let (kept, _) = world.take(&ann, container, &world).await.unwrap();
    store.away.store(true, Ordering::SeqCst);
    let failed = world.take(&ann, container, &world).await.err().unwrap();
    assert_eq!(failed.reason(), "SNAPSHOT_FAILED");
    assert!(failed.to_string().contains("is away"), "{failed}");
    assert_eq!(
        world.restore(&ann, container, &kept, &world).await.err().unwrap().reason(),
        "SNAPSHOT_FAILED"
    );
    assert_eq!(disk.volume(&ann), b"first");
    world.kit.call(&ann.caller, DeleteSnapshot { snapshot: kept.id }).await.unwrap();
    passes(&world, &ann, Duration::from_secs(1)).await;
    assert!(store.has(kept.id));
    store.away.store(false, Ordering::SeqCst);
    until("it is gone", async || {
        passes(&world, &ann, Duration::from_secs(601)).await;
        !store.has(kept.id)
    })
    .await;
}

#[tokio::test]
async fn a_store_that_gives_back_less_than_it_was_given_has_no_snapshot() {
    let (world, store, _, ann, container) = desk().await;
    store.loses.store(true, Ordering::SeqCst);
    let failed = world.take(&ann, container, &world).await.err().unwrap();
    assert_eq!(failed.reason(), "SNAPSHOT_FAILED");
    let shown = listed(&world, &ann, container).await;
    assert_eq!((shown[0].state, shown[0].verified), (SnapshotState::Failed, false));
    assert!(store.objects.lock().unwrap().is_empty(), "what is worth nothing is kept");
    store.loses.store(false, Ordering::SeqCst);
    world.take(&ann, container, &world).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_past_the_quota_or_the_bound_is_none() {
    let (world, store, _, ann, container) = desk().await;
    let used = async || {
        let ask = GetQuota::default();
        world.kit.call(&ann.caller, ask).await.unwrap().used.storage_bytes
    };
    let before = used().await;
    let (_, done) = world.take(&ann, container, &world).await.unwrap();
    assert_eq!(used().await, before + i64::try_from(done.snapshot.size_bytes).unwrap());
    let change = QuotaChange { storage_bytes: Some(used().await + 10), ..QuotaChange::default() };
    operate(&world.kit, ann.tenant, OperatorAct::SetQuota(change)).await.unwrap();
    assert_eq!(world.take(&ann, container, &world).await.err().unwrap().reason(), "QUOTA_STORAGE");
    assert_eq!(used().await, before + i64::try_from(done.snapshot.size_bytes).unwrap());
    let all = listed(&world, &ann, container).await;
    let failed = all.iter().find(|one| one.state == SnapshotState::Failed).unwrap();
    assert!(failed.failure.as_deref().is_some_and(|why| why.contains("quota")));
    assert!(!store.has(failed.id), "its ciphertext is gone at once");
    let change = QuotaChange { storage_bytes: Some(used().await), ..QuotaChange::default() };
    operate(&world.kit, ann.tenant, OperatorAct::SetQuota(change)).await.unwrap();
    assert_eq!(world.take(&ann, container, &world).await.err().unwrap().reason(), "QUOTA_STORAGE");
    assert_eq!(listed(&world, &ann, container).await.len(), 2, "nothing was begun");
}
