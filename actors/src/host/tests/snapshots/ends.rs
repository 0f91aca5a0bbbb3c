//! What is left of snapshots: on other hosts, after a node was killed, and when their people go.

use std::{sync::Arc, time::Duration};

use ocmt_crypto::snapshot::Errand;
use ocmt_store::tables::SnapshotState;
use ocmt_types::SnapshotId;

use super::{
    super::{World, nodes::on},
    desk, keeps, listed, passes,
    world::{Kept, Memory, create, kept, open, snapshots},
};
use crate::{
    Snapshots,
    api::{
        container::*,
        snapshot::{ArchiveErrand, GetSnapshotSchedule},
        tenant::{DeleteTenant, GetTenant},
        users::{RemoveUser, Role},
    },
    tests::{factors::by_mail, kit::until},
};

#[tokio::test]
async fn a_host_elsewhere_does_it_and_an_earlier_containers_snapshot_goes_there() {
    let store = Arc::<Memory>::default();
    let a = World::sim_with(keeps(&store)).await;
    let b = a.beside_with(2, keeps(&store)).await;
    let (here, there) = (a.with_disk(), b.with_disk());
    let ann = a.kit.founder("ann@example.com").await;
    let container = a.container(&ann).await;
    assert_eq!(a.info(&ann, container).await.host, a.kit.node.node_id);
    here.put(&ann, b"first");
    let (kept, _) = a.take(&ann, container, &a).await.unwrap();
    a.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
    let container = on(&a, &b, &ann).await;
    assert_eq!(listed(&a, &ann, container).await.len(), 1);
    let done = a.restore(&ann, container, &kept, &b).await.unwrap();
    assert_eq!((done.generation, there.volume(&ann)), (2, b"first".to_vec()));
    there.put(&ann, b"second");
    let (second, _) = a.take(&ann, container, &b).await.unwrap();
    assert!(store.has(second.id));
    assert_eq!(a.wake(&ann, container).await.unwrap().kind, WakeKind::Create);
}

#[tokio::test]
async fn a_node_that_is_killed_leaves_the_old_volume_and_no_half_snapshot() {
    let (mut world, store, disk, ann, container) = desk().await;
    let (kept, _) = world.take(&ann, container, &world).await.unwrap();
    disk.put(&ann, b"second");
    disk.hold();
    for errand in [Errand::Restore, Errand::Take] {
        let as_asked = if errand == Errand::Take { ArchiveErrand::Take } else { ArchiveErrand::Restore };
        let cell = world.archive_cell(&ann, container, as_asked, &world).await.unwrap();
        let half = self::kept();
        {
            let asked = async {
                if errand == Errand::Take {
                    drop(world.kit.call(&ann.caller, create(&half, &ann, container, &cell)).await);
                } else {
                    drop(world.kit.call(&ann.caller, open(&kept, container, errand, &cell)).await);
                }
            };
            let begun = until("it is under way", async || {
                let all = listed(&world, &ann, container).await;
                all.iter().any(|one| matches!(one.state, SnapshotState::Taking | SnapshotState::Restoring))
            });
            futures_util::future::select(Box::pin(asked), Box::pin(begun)).await;
        }
        let store_again = keeps(&store);
        world.restart_with(store_again).await;
        until("it is said to have been cut off", async || {
            passes(&world, &ann, Duration::from_secs(901)).await;
            let all = listed(&world, &ann, container).await;
            all.iter().all(|one| matches!(one.state, SnapshotState::Taken | SnapshotState::Failed))
        })
        .await;
        assert_eq!(
            (disk.volume(&ann), world.info(&ann, container).await.generation),
            (b"second".to_vec(), 1)
        );
        assert!(store.has(kept.id) && !store.has(half.id));
    }
    disk.goes_on.add_permits(8);
    let ann = by_mail(&world.kit, &ann).await;
    let done = world.restore(&ann, container, &kept, &world).await.unwrap();
    assert_eq!((done.generation, disk.volume(&ann)), (2, b"first".to_vec()));
}

#[tokio::test]
async fn with_a_person_or_a_tenant_their_snapshots_go() {
    let (world, store, disk, ann, container) = desk().await;
    let kit = &world.kit;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let bobs = world.container(&bob).await;
    disk.put(&bob, b"bobs");
    let (of_bob, _) = world.take(&bob, bobs, &world).await.unwrap();
    let (of_ann, _) = world.take(&ann, container, &world).await.unwrap();
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    until("bob's are gone", async || {
        passes(&world, &ann, Duration::from_secs(1)).await;
        !store.has(of_bob.id)
    })
    .await;
    assert!(store.has(of_ann.id));
    kit.store.cluster().cluster(ocmt_store::testing::id(1_000), ocmt_types::Timestamp(0)).await.unwrap();
    let confirm_name = kit.call(&ann.caller, GetTenant).await.unwrap().name;
    kit.call(&ann.caller, DeleteTenant { confirm_name }).await.unwrap();
    kit.clock.advance(Duration::from_secs(7 * 24 * 3600));
    until("the tenant is deleted", async || {
        passes(&world, &ann, Duration::from_secs(10)).await;
        kit.store.cluster().deleted_tenant(ann.tenant).await.unwrap().is_some()
    })
    .await;
    assert!(!store.has(of_ann.id));
}

/// Whoever has a session and no vault takes no mark from a good snapshot, of which the newest that was opened is kept.
#[tokio::test]
async fn a_wrong_key_says_nothing_of_what_is_stored() {
    let store = Arc::<Memory>::default();
    let all = Arc::clone(&store);
    let world = World::sim_with(move |config| {
        config.snapshots = Some(Snapshots { most_bytes: 8 << 20, ..snapshots(&all) });
    })
    .await;
    let disk = world.with_disk();
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let verify = async |by: &Kept| {
        let cell = world.archive_cell(&ann, container, ArchiveErrand::Verify, &world).await.unwrap();
        world.kit.call(&ann.caller, open(by, container, Errand::Verify, &cell)).await
    };
    let shown = async |id: SnapshotId| {
        listed(&world, &ann, container).await.into_iter().find(|one| one.id == id).unwrap()
    };
    // of the second a cell takes no more after the first chunk
    for content in [b"first".to_vec(), vec![7; 2 << 20]] {
        disk.put(&ann, &content);
        let (right, _) = world.take(&ann, container, &world).await.unwrap();
        assert!(verify(&right).await.unwrap().snapshot.opened);
        let wrong = Kept { id: right.id, ..kept() };
        assert_eq!(verify(&wrong).await.unwrap_err().reason(), "SNAPSHOT_FAILED");
        let one = shown(right.id).await;
        assert_eq!((one.state, one.verified, one.opened), (SnapshotState::Taken, true, true));
        assert!(one.failure.unwrap().contains("does not open"));
        // and what is stored is another one
        store.objects.lock().unwrap().get_mut(&right.id).unwrap()[45] ^= 1;
        assert_eq!(verify(&wrong).await.unwrap_err().reason(), "SNAPSHOT_FAILED");
        let one = shown(right.id).await;
        assert_eq!((one.state, one.verified, one.opened), (SnapshotState::Taken, false, false));
    }
}

#[tokio::test]
async fn a_node_without_a_store_says_so() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let off = world.archive_cell(&ann, container, ArchiveErrand::Take, &world).await.unwrap_err();
    assert_eq!(off.reason(), "SNAPSHOTS_OFF");
    // what a client asks before a vault is opened
    let asked = world.kit.call(&ann.caller, GetSnapshotSchedule { container }).await.err().unwrap();
    assert_eq!(asked.reason(), "SNAPSHOTS_OFF");
}

/// The last step goes under the ownership of the order: an owner of before puts nothing in its place.
#[tokio::test]
async fn a_restore_whose_tenant_moved_meanwhile_touches_no_volume() {
    let store = Arc::<Memory>::default();
    let a = World::sim_with(keeps(&store)).await;
    let b = a.beside_with(2, keeps(&store)).await;
    let disk = a.with_disk();
    b.with_disk();
    let ann = a.kit.founder("ann@example.com").await;
    let container = a.container(&ann).await;
    disk.put(&ann, b"first");
    let (kept, _) = a.take(&ann, container, &a).await.unwrap();
    disk.put(&ann, b"second");
    disk.hold();
    let cell = a.archive_cell(&ann, container, ArchiveErrand::Restore, &a).await.unwrap();
    let restore = open(&kept, container, Errand::Restore, &cell);
    let (restored, ()) = futures_util::join!(a.kit.call(&ann.caller, restore), async {
        until("it is under way", async || {
            let all = listed(&a, &ann, container).await;
            all.iter().any(|one| one.state == SnapshotState::Restoring)
        })
        .await;
        let before = a.ownership(&ann).await;
        a.kit.store.cluster().release(before).await.unwrap();
        b.kit.call(&ann.caller, GetTenant).await.unwrap();
        disk.goes_on.add_permits(1);
    });
    assert!(restored.is_err());
    assert_eq!(disk.volume(&ann), b"second");
}

/// A repeat of what was done has no second effect, and hears how it went.
#[tokio::test]
async fn a_repeated_restore_hears_that_it_was_done() {
    let (world, _, disk, ann, container) = desk().await;
    let (kept, _) = world.take(&ann, container, &world).await.unwrap();
    let cell = world.archive_cell(&ann, container, ArchiveErrand::Restore, &world).await.unwrap();
    let restore = open(&kept, container, Errand::Restore, &cell);
    let first = world.kit.call(&ann.caller, restore.clone()).await.unwrap();
    disk.put(&ann, b"changed since");
    assert_eq!(world.kit.call(&ann.caller, restore).await.unwrap(), first);
    assert_eq!(
        (disk.volume(&ann), world.info(&ann, container).await.generation),
        (b"changed since".to_vec(), 2)
    );
    assert_eq!(listed(&world, &ann, container).await[0].failure, None);
}
