//! Who may do what, quarantine, the cell's key, unlock, and what follows a rotation.

use std::time::Duration;

use ocmt_crypto::{
    cell::{CellKeyStatement, ExpectedCell},
    vault::RotationMode,
};
use ocmt_runtime::{State, sim::Op};
use ocmt_types::{Clock as _, ContainerId, Digest32};

use super::{World, cells::PAYLOAD, spec, unlock_id};
use crate::{
    ActorError, LockReason,
    api::{audit::QueryAudit, container::*, users::Role},
    tests::{
        kit::{Person, until},
        vault,
    },
};

/// Every method that names a container, with the answer it gets.
async fn all(world: &World, person: &Person, container: ContainerId) -> Vec<Option<ActorError>> {
    let (kit, who) = (&world.kit, &person.caller);
    let (reason, grace) = ("because".to_owned(), Duration::ZERO);
    let unlock = UnlockCell {
        container,
        unlock: unlock_id(),
        sealed_payload: PAYLOAD.to_vec(),
        vault: ocmt_store::testing::id(1),
        objects: vec![],
    };
    vec![
        kit.call(who, GetContainer { container }).await.err(),
        kit.call(who, StartContainer { container }).await.err(),
        kit.call(who, WakeContainer { container }).await.err(),
        kit.call(who, PauseContainer { container }).await.err(),
        kit.call(who, StopContainer { container, grace }).await.err(),
        kit.call(who, RemoveContainer { container, delete_volume: false }).await.err(),
        kit.call(who, HoldContainer { container, reason: reason.clone() }).await.err(),
        kit.call(who, ReleaseContainer { container, reason }).await.err(),
        kit.call(who, ExplainIdle { container }).await.err(),
        kit.call(who, GetCellKey { container }).await.err(),
        kit.call(who, unlock).await.err(),
        kit.call(who, ExtendUnlock { container, extension: vec![1] }).await.err(),
        kit.call(who, LockCell { container }).await.err(),
        kit.call(who, IssueGatewayToken { container, lifetime: None }).await.err(),
    ]
}

#[tokio::test]
async fn foreign_and_unknown_containers_are_not_found_whatever_is_asked() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let bob = world.kit.founder("bob@example.com").await;
    let cy = world.kit.member(&ann, "cy@example.com", Role::Member).await;
    for (person, container) in [(&bob, container), (&cy, container), (&ann, ocmt_store::testing::id(9))] {
        for (n, error) in all(&world, person, container).await.into_iter().enumerate() {
            assert_eq!(
                error.map(|error| error.reason().to_owned()),
                Some("NOT_FOUND".to_owned()),
                "method {n}"
            );
        }
    }
    let own = world.kit.call(&cy.caller, ListContainers { user: None, after: None, limit: 0 }).await.unwrap();
    assert!(own.containers.is_empty());
    let asked =
        world.kit.call(&cy.caller, ListContainers { user: Some(ann.user), after: None, limit: 0 }).await;
    assert_eq!(asked.unwrap_err().reason(), "NOT_FOUND");
    let all =
        world.kit.call(&ann.caller, ListContainers { user: None, after: None, limit: 0 }).await.unwrap();
    assert_eq!(all.containers.iter().map(|info| info.id).collect::<Vec<_>>(), [container]);
    assert_eq!(world.engine(container).await, Some(State::Running));
}

#[tokio::test]
async fn a_user_has_one_container_and_may_make_another_when_it_is_gone() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let first = world.running(&ann).await;
    let again = CreateContainer { user: None, spec: spec(), start: true };
    assert_eq!(world.kit.call(&ann.caller, again.clone()).await.unwrap_err().reason(), "ALREADY_EXISTS");
    let remove = || RemoveContainer { container: first, delete_volume: false };
    let tenant = world.kit.system.tenant(ann.tenant);
    tenant.call(ann.caller.clone(), world.kit.keyed(1, 1), remove()).await.unwrap();
    let mut caller = ann.caller.clone();
    caller.request = world.kit.request();
    tenant.call(caller, world.kit.keyed(1, 1), remove()).await.expect("a repeat finds it gone");
    assert_eq!(world.engine(first).await, None);
    assert_eq!(
        world.kit.call(&ann.caller, GetContainer { container: first }).await.unwrap_err().reason(),
        "NOT_FOUND"
    );
    let woken = world.kit.call(&ann.caller, again).await.unwrap();
    assert_eq!((woken.container.state, woken.wake.kind), (ContainerState::Running, WakeKind::Create));
}

#[tokio::test]
async fn a_repeated_stop_does_not_stop_what_was_started_since() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let tenant = world.kit.system.tenant(ann.tenant);
    let stop = || StopContainer { container, grace: Duration::ZERO };
    tenant.call(ann.caller.clone(), world.kit.keyed(3, 3), stop()).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    let mut caller = ann.caller.clone();
    caller.request = world.kit.request();
    let repeated = tenant.call(caller, world.kit.keyed(3, 3), stop()).await.unwrap();
    assert_eq!(repeated.state, ContainerState::Running);
    assert_eq!((world.engine(container).await, world.calls(Op::Stop)), (Some(State::Running), 1));
}

#[tokio::test]
async fn what_is_held_stays_down_until_it_is_released() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let hold = HoldContainer { container, reason: "strange traffic".to_owned() };
    let held = world.kit.call(&ann.caller, hold).await.unwrap();
    assert_eq!(held.state, ContainerState::Held);
    assert_eq!(held.failure.as_deref(), Some("strange traffic"));
    assert_eq!(world.engine(container).await, Some(State::Stopped));
    let starts = world.calls(Op::Start);
    for (n, error) in [
        world.wake(&ann, container).await.err(),
        world.kit.call(&ann.caller, StartContainer { container }).await.err(),
        world.kit.call(&ann.caller, GetCellKey { container }).await.err(),
        world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.err(),
        world.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.err(),
        world.kit.system.open_channel(container, &ann.caller, world.kit.meta()).await.err(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(error.unwrap().reason(), "CONTAINER_HELD", "{n}");
    }
    assert_eq!(world.calls(Op::Start), starts);
    let release = ReleaseContainer { container, reason: "it was a test".to_owned() };
    let released = world.kit.call(&ann.caller, release.clone()).await.unwrap();
    assert_eq!((released.state, released.failure), (ContainerState::Stopped, None));
    assert_eq!(world.kit.call(&ann.caller, release).await.unwrap_err().reason(), "CONTAINER_NOT_HELD");
    assert_eq!(world.wake(&ann, container).await.unwrap().kind, WakeKind::Start);
    let page = world.kit.call(&ann.caller, QueryAudit { limit: 100, ..QueryAudit::default() }).await.unwrap();
    for method in [
        "ContainerService/HoldContainer",
        "ContainerService/ReleaseContainer",
        "container.running",
        "container.stopped",
    ] {
        assert!(
            page.records.iter().any(|record| record.method == method && record.result == "OK"),
            "{method}"
        );
    }
    assert!(page.records.iter().any(|record| record.result == "CONTAINER_HELD"), "refusals too");
}

#[tokio::test]
async fn a_hold_during_a_wake_wins() {
    for _ in 0..10 {
        let world = World::sim().await;
        let ann = world.kit.founder("ann@example.com").await;
        let container = world.container(&ann).await;
        let hold = HoldContainer { container, reason: "stop".to_owned() };
        let (woken, held) =
            futures_util::join!(world.wake(&ann, container), world.kit.call(&ann.caller, hold));
        assert_eq!(held.unwrap().state, ContainerState::Held);
        assert!(woken.is_ok() || woken.unwrap_err().reason() == "CONTAINER_HELD");
        assert_ne!(world.engine(container).await, Some(State::Running));
    }
}

#[tokio::test]
async fn the_cells_key_is_signed_by_the_host_and_wakes_the_container() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let stated = world.kit.call(&ann.caller, GetCellKey { container }).await.unwrap();
    assert_eq!((stated.wake.kind, stated.unlocked), (WakeKind::Create, false));
    let expected = ExpectedCell {
        tenant: ann.tenant,
        container,
        node: world.kit.node.node_id,
        now: world.kit.clock.now(),
    };
    let key = world.kit.system.env.signer.verify_key();
    let verified = CellKeyStatement::verify(&stated.statement, &key, &expected).unwrap();
    assert_eq!((verified.place().container, verified.place().generation), (container, 1));
}

#[tokio::test]
async fn an_unlock_hands_the_named_versions_over_and_no_others() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let mut open = vault::vault_of(&world.kit, &ann).await;
    vault::store(&world.kit, &ann, &mut open, "api key", b"secret").await;
    let container = world.running(&ann).await;
    let leaves: Vec<_> = open.leaves().copied().collect();
    let unlock = |objects, payload: &[u8]| UnlockCell {
        container,
        unlock: unlock_id(),
        sealed_payload: payload.to_vec(),
        vault: open.scope().vault,
        objects,
    };
    let named: Vec<_> = leaves.iter().map(|leaf| (leaf.object_id, leaf.version)).collect();
    let stale: Vec<_> = named.iter().map(|(id, version)| (*id, version + 1)).collect();
    let answer = async |unlock| {
        world.kit.call(&ann.caller, unlock).await.map(|_| ()).map_err(|error| error.reason().to_owned())
    };
    assert_eq!(answer(unlock(stale, PAYLOAD)).await, Err("VERSION_CHANGED".to_owned()));
    assert_eq!(answer(unlock(vec![(Digest32([9; 32]), 1)], PAYLOAD)).await, Err("NOT_FOUND".to_owned()));
    assert_eq!(answer(unlock(named.clone(), b"other")).await, Err("CELL_PAYLOAD_REFUSED".to_owned()));
    assert_eq!(answer(unlock(named.clone(), PAYLOAD)).await, Ok(()));
    let handed = world.cells.objects.lock().unwrap().clone();
    assert_eq!(handed.iter().map(|(id, version, _)| (*id, *version)).collect::<Vec<_>>(), named);
    assert!(handed.iter().all(|(_, _, body)| !body.is_empty()));
    assert_eq!(answer(unlock(named, PAYLOAD)).await, Err("CELL_NOT_LOCKED".to_owned()));
    let before = world.info(&ann, container).await.unlocked_until.unwrap();
    let extended = world.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap();
    assert!(extended.until > before);
    assert_eq!(world.info(&ann, container).await.unlocked_until, Some(extended.until));
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    let late = world.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap_err();
    assert_eq!(late.reason(), "VAULT_LOCKED");
}

#[tokio::test]
async fn a_rotation_of_the_vault_locks_the_owners_cell() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let mut open = vault::vault_of(&world.kit, &ann).await;
    let container = world.running(&ann).await;
    world.unlock(&ann, container, open.scope().vault).await;
    vault::rotate(&world.kit, &ann, &mut open, RotationMode::Rekey, true).await.unwrap();
    until("it is locked", async || world.cells.locks.lock().unwrap().as_slice() == [LockReason::Rotated])
        .await;
    until("and known to be", async || world.info(&ann, container).await.unlocked_until.is_none()).await;
    world.kit.clock.advance(Duration::from_secs(120));
    world.wake(&ann, container).await.unwrap();
    assert_eq!(world.cells.locks.lock().unwrap().len(), 1, "its timer is done with");
}
