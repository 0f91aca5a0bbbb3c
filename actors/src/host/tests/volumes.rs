//! A container that is removed with its volume: who may, and that it is done once begun.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::sim::{Fault, Op};
use ocmt_store::tables::Container;
use ocmt_types::ContainerId;

use super::{World, nodes::apart, spec};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        container::{ContainerSpec, CreateContainer, GetContainer, RemoveContainer},
        snapshot::{ArchiveErrand, GetSnapshotCellKey},
        users::Role,
    },
    tests::kit::{Person, until},
};

fn remove(container: ContainerId, delete_volume: bool) -> RemoveContainer {
    RemoveContainer { container, delete_volume }
}

async fn is_gone(world: &World, by: &Person, container: ContainerId) -> bool {
    world.kit.call(&by.caller, GetContainer { container }).await == Err(ActorError::NotFound)
}

/// What the audit has of the end of a container.
async fn told(world: &World, by: &Person) -> Vec<(String, String)> {
    let query =
        QueryAudit { method: Some("container.removed".to_owned()), limit: 100, ..QueryAudit::default() };
    let mut records = world.kit.call(&by.caller, query).await.unwrap().records;
    records.pop().expect("its end is in the audit").details
}

async fn its_volume_goes_only_if_asked(world: World) {
    let ann = world.kit.founder("ann@example.com").await;
    let first = world.running(&ann).await;
    world.kit.call(&ann.caller, remove(first, false)).await.unwrap();
    assert!(world.runtime.erased().is_empty() && told(&world, &ann).await.is_empty());
    let second = world.running(&ann).await;
    world.kit.call(&ann.caller, remove(second, true)).await.unwrap();
    assert!(is_gone(&world, &ann, second).await);
    assert_eq!(world.runtime.erased(), [ann.user]);
    assert_eq!(told(&world, &ann).await, [("volume".to_owned(), "erased".to_owned())]);
    // and another is made as ever
    world.running(&ann).await;
}

#[tokio::test]
async fn its_volume_goes_only_if_asked_on_sim() {
    its_volume_goes_only_if_asked(World::sim().await).await;
}

#[tokio::test]
async fn its_volume_goes_only_if_asked_on_sqlite() {
    its_volume_goes_only_if_asked(World::sqlite().await).await;
}

#[tokio::test]
async fn beside_its_user_only_an_owner_erases_it() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let dan = world.kit.member(&ann, "dan@example.com", Role::Admin).await;
    let container = world.container(&bob).await;
    let refused = world.kit.call(&dan.caller, remove(container, true)).await.unwrap_err();
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
    assert!(!is_gone(&world, &bob, container).await, "a refusal removed it");
    world.kit.call(&ann.caller, remove(container, true)).await.unwrap();
    assert_eq!(world.runtime.erased(), [bob.user]);
    let container = world.container(&bob).await;
    world.kit.call(&bob.caller, remove(container, true)).await.unwrap();
    let container = world.container(&bob).await;
    world.kit.call(&dan.caller, remove(container, false)).await.unwrap();
    assert_eq!(world.runtime.erased().len(), 2);
}

#[tokio::test]
async fn what_was_begun_is_done_though_the_engine_or_the_node_was_away() {
    let mut world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.fault(Op::Erase, Fault::EngineDown);
    let refused = world.kit.call(&ann.caller, remove(container, true)).await.unwrap_err();
    assert_eq!(refused.reason(), "ENGINE_DOWN");
    assert!(world.runtime.erased().is_empty() && !is_gone(&world, &ann, container).await);
    world.restart().await;
    world.kit.clock.advance(Duration::from_secs(61));
    until("it is gone", async || is_gone(&world, &ann, container).await).await;
    // without asking again; who was cut off behind it does it once more, which harms nobody
    let erased = world.runtime.erased();
    assert!(!erased.is_empty() && erased.iter().all(|user| *user == ann.user), "{erased:?}");
}

#[tokio::test]
async fn its_host_erases_it_wherever_its_owner_is() {
    let (a, b, ann, container) = apart().await;
    a.wake(&ann, container).await.unwrap();
    a.kit.linked.cut_off.store(true, Ordering::SeqCst);
    let lost = a.kit.call(&ann.caller, remove(container, true)).await.unwrap_err();
    assert_eq!(lost.reason(), "HOST_UNREACHABLE");
    a.kit.linked.cut_off.store(false, Ordering::SeqCst);
    a.kit.clock.advance(Duration::from_secs(61));
    until("it is gone", async || is_gone(&a, &ann, container).await).await;
    let erased = b.runtime.erased();
    assert!(!erased.is_empty() && erased.iter().all(|user| *user == ann.user), "{erased:?}");
    assert!(a.runtime.erased().is_empty(), "a host that has no such volume");
}

/// That it goes too was asked for after its removal had begun.
#[tokio::test]
async fn a_volume_that_is_to_go_while_the_container_ends_is_erased_and_told_so() {
    let world = World::sqlite().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.cells.slow_to_lock.store(true, Ordering::SeqCst);
    let asks = async || {
        let mut tx = world.kit.store.read(world.ownership(&ann).await).await.unwrap();
        tx.get::<Container>(container).await.unwrap().is_some_and(|row| row.erase_volume)
    };
    let with_volume = async {
        until("it ends", async || !world.cells.locks.lock().unwrap().is_empty()).await;
        world.kit.call(&ann.caller, remove(container, true)).await
    };
    let then_goes_on = async {
        until("its volume is to go too", asks).await;
        world.cells.slow_to_lock.store(false, Ordering::SeqCst);
    };
    let (first, second, ()) =
        tokio::join!(world.kit.call(&ann.caller, remove(container, false)), with_volume, then_goes_on);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert!(is_gone(&world, &ann, container).await);
    assert_eq!(world.runtime.erased(), [ann.user]);
    assert_eq!(told(&world, &ann).await, [("volume".to_owned(), "erased".to_owned())]);
}

#[tokio::test]
async fn a_sealed_volume_has_its_bounds_and_no_snapshots() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let create = |sealed: i64, memory_bytes| {
        let spec = ContainerSpec { sealed_volume_bytes: Some(sealed), memory_bytes, ..spec() };
        CreateContainer { user: None, spec, start: false }
    };
    for (sealed, memory) in [((1 << 20) - 1, None), (65 << 20, None), (17 << 20, Some(32 << 20))] {
        let refused = world.kit.call(&ann.caller, create(sealed, memory)).await.err().unwrap();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT", "{sealed} of {memory:?}");
    }
    let made = world.kit.call(&ann.caller, create(16 << 20, Some(32 << 20))).await.unwrap().container;
    assert_eq!(made.spec.sealed_volume_bytes, Some(16 << 20));
    for errand in [ArchiveErrand::Take, ArchiveErrand::Restore, ArchiveErrand::Verify] {
        let ask = GetSnapshotCellKey { container: made.id, errand };
        assert_eq!(world.kit.call(&ann.caller, ask).await.err().unwrap().reason(), "SEALED_VOLUME");
    }
}
