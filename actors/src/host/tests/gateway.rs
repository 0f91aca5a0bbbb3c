//! Connections: who gets one, what it carries, what ends it, and what keeps a container awake.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use ocmt_runtime::{State, sim::Op};
use ocmt_types::{ContainerId, VaultId};

use super::{PAUSE, World};
use crate::{
    ActorError,
    api::{auth::LinkPurpose, auth::SignOut, container::*},
    tests::{
        kit::{Person, until},
        vault,
    },
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with an unlocked container.
pub(super) async fn unlocked(world: &World) -> (Person, ContainerId, VaultId) {
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.running(&ann).await;
    world.unlock(&ann, container, vault).await;
    (ann, container, vault)
}

pub(super) async fn token(world: &World, person: &Person, container: ContainerId) -> String {
    let issue = IssueGatewayToken { container, lifetime: None };
    world.kit.call(&person.caller, issue).await.unwrap().token.expose().clone()
}

pub(super) async fn connect(
    world: &World,
    container: ContainerId,
    token: &str,
) -> Result<Gateway, ActorError> {
    let shown = Shown { container, token, way: Way::Sealed, often: false };
    world.kit.system.connect_gateway(shown, world.kit.meta(), world.kit.request(), None).await
}

async fn connected(world: &World, person: &Person, container: ContainerId) -> Gateway {
    connect(world, container, &token(world, person, container).await).await.unwrap()
}

async fn says(gateway: &mut Gateway, frame: &'static str) -> Bytes {
    gateway.to_cell.send(Bytes::from_static(frame.as_bytes())).await.unwrap();
    tokio::time::timeout(PATIENCE, gateway.from_cell.recv()).await.unwrap().unwrap()
}

async fn end(gateway: &mut Gateway) -> GatewayEnd {
    tokio::time::timeout(PATIENCE, gateway.ended.why()).await.unwrap().unwrap()
}

#[tokio::test]
async fn frames_pass_both_ways_and_wake_a_frozen_container() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = connected(&world, &ann, container).await;
    assert_eq!(gateway.wake, Wake::NONE);
    assert_eq!(says(&mut gateway, "one").await, "echo one");
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!(world.engine(container).await, Some(State::Paused));
    assert_eq!(says(&mut gateway, "two").await, "echo two");
    assert_eq!(world.engine(container).await, Some(State::Running));
    let woken = connected(&world, &ann, container).await;
    drop(woken.to_cell);
    let mut woken = Gateway { to_cell: tokio::sync::mpsc::channel(1).0, ..woken };
    assert_eq!(end(&mut woken).await, GatewayEnd::ClientClosed);
}

#[tokio::test]
async fn frames_keep_it_awake_and_a_silent_socket_does_not() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    world.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap();
    let mut gateway = connected(&world, &ann, container).await;
    world.kit.clock.advance(PAUSE - Duration::from_secs(1));
    says(&mut gateway, "still here").await;
    world.kit.clock.advance(Duration::from_secs(1));
    let due = ocmt_types::Clock::now(&world.kit.clock) + PAUSE - Duration::from_secs(1);
    until("the clock is set anew", async || world.due(&ann, container).await == Some(due)).await;
    assert_eq!(world.calls(Op::Pause), 0);
    let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
    assert!(
        reasons.iter().any(|reason| reason.kind == AwakeKind::Channel && reason.count == 1),
        "{reasons:?}"
    );
    world.kit.clock.advance(PAUSE);
    until("paused under the open socket", async || world.calls(Op::Pause) > 0).await;
    assert!(!gateway.to_cell.is_closed());
}

#[tokio::test]
async fn a_token_is_good_for_one_container_in_one_session_for_its_time() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let bob = world.kit.founder("bob@example.com").await;
    let his = world.container(&bob).await;
    let hers = token(&world, &ann, container).await;
    let refused = async |container, token: &str| {
        let error = connect(&world, container, token).await.err().expect("was let in");
        assert_eq!(error.reason(), "UNAUTHENTICATED");
    };
    refused(his, &hers).await;
    refused(container, &token(&world, &bob, his).await).await;
    refused(container, &hers[..hers.len() - 2]).await;
    refused(container, "").await;
    refused(container, &ann.token).await;
    // another session of the same person does not stand in for the one that ended
    let again = world.kit.sign_in(&ann, LinkPurpose::SignIn).await;
    world.kit.call(&ann.caller, SignOut).await.unwrap();
    refused(container, &hers).await;
    let late = token(&world, &again, container).await;
    world.kit.clock.advance(Duration::from_secs(15 * 60));
    refused(container, &late).await;
}

#[tokio::test]
async fn the_end_of_the_session_ends_the_connection() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = connected(&world, &ann, container).await;
    says(&mut gateway, "one").await;
    world.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::SessionOver);
    assert!(gateway.to_cell.is_closed());
}

#[tokio::test]
async fn a_lock_and_a_stop_end_the_connection_and_a_locked_cell_takes_none() {
    let world = World::sim().await;
    let (ann, container, vault) = unlocked(&world).await;
    let mut gateway = connected(&world, &ann, container).await;
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::Locked);
    assert_eq!(world.info(&ann, container).await.unlocked_until, None);
    let locked = connect(&world, container, &token(&world, &ann, container).await).await.err().unwrap();
    assert_eq!(locked.reason(), "VAULT_LOCKED");
    world.unlock(&ann, container, vault).await;
    let mut gateway = connected(&world, &ann, container).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::Stopped);
    let locked = connect(&world, container, &token(&world, &ann, container).await).await.err().unwrap();
    assert_eq!(locked.reason(), "VAULT_LOCKED", "a stopped container wakes locked");
}

#[tokio::test]
async fn a_connection_can_be_opened_in_the_session_itself() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = world.kit.system.open_channel(container, &ann.caller, world.kit.meta()).await.unwrap();
    assert_eq!(says(&mut gateway, "hello").await, "echo hello");
    let bob = world.kit.founder("bob@example.com").await;
    let foreign =
        world.kit.system.open_channel(container, &bob.caller, world.kit.meta()).await.err().unwrap();
    assert_eq!(foreign.reason(), "NOT_FOUND");
}

/// The cell ends its channels as it begins to lock: the workload then has its grace, and a volume is sealed.
#[tokio::test]
async fn a_client_hears_that_it_was_a_lock_or_a_stop_before_the_cell_is_done_with_it() {
    let world = World::sim().await;
    let (ann, container, vault) = unlocked(&world).await;
    let slow = |slow| world.cells.slow_to_lock.store(slow, Ordering::SeqCst);
    let heard = async |mut gateway: Gateway| {
        let heard = end(&mut gateway).await;
        slow(false);
        heard
    };
    let gateway = connected(&world, &ann, container).await;
    slow(true);
    let lock = world.kit.call(&ann.caller, LockCell { container });
    let (locked, said) = tokio::join!(lock, heard(gateway));
    assert_eq!((locked, said), (Ok(()), GatewayEnd::Locked));
    world.unlock(&ann, container, vault).await;
    let gateway = connected(&world, &ann, container).await;
    slow(true);
    let stop = world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO });
    let (stopped, said) = tokio::join!(stop, heard(gateway));
    assert_eq!((stopped.is_ok(), said), (true, GatewayEnd::Stopped));
    // nothing of it is said in the next life
    world.kit.call(&ann.caller, StartContainer { container }).await.unwrap();
    world.unlock(&ann, container, vault).await;
    let gateway = connected(&world, &ann, container).await;
    world.cells.hang_up();
    assert_eq!(heard(gateway).await, GatewayEnd::CellClosed);
}

/// Its last frames are still on their way to the client by then, and do not hold the container awake.
#[tokio::test]
async fn a_session_is_watched_after_the_cell_has_hung_up() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = connected(&world, &ann, container).await;
    says(&mut gateway, "one").await;
    world.cells.hang_up();
    assert_eq!(end(&mut gateway).await, GatewayEnd::CellClosed);
    until("no channel holds it awake", async || {
        let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
        reasons.iter().all(|reason| reason.kind != AwakeKind::Channel)
    })
    .await;
    assert_eq!(gateway.ended.revoked().now_or_never(), None, "the session is good");
    world.kit.call(&ann.caller, SignOut).await.unwrap();
    let revoked = tokio::time::timeout(PATIENCE, gateway.ended.revoked()).await.unwrap();
    assert_eq!(revoked, GatewayEnd::SessionOver);
}
