//! Connections whose client is at one node and whose cell is at another.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use ocmt_runtime::State;
use ocmt_types::ContainerId;
use tokio::time::timeout;

use super::World;
use crate::{
    ActorError, SystemConfig,
    api::{auth::SignOut, container::*},
    tests::{
        kit::{Kit, Person, until},
        vault,
    },
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What a session that nobody vouches for is good for in these tests.
const PINNED: Duration = Duration::from_secs(4);

/// Ann's tenant is owned by the first, her unlocked container is on the second.
async fn unlocked() -> (World, World, Person, ContainerId) {
    let short = |config: &mut SystemConfig| config.limits.pinned_for = PINNED;
    let a = World::sim_with(short).await;
    let b = a.beside_with(2, short).await;
    let ann = a.kit.founder("ann@example.com").await;
    a.kit.linked.has_memory(&b.kit.node, 1 << 20);
    let vault = vault::vault_of(&a.kit, &ann).await.scope().vault;
    let container = a.running(&ann).await;
    assert_eq!(b.engine(container).await, Some(State::Running));
    a.unlock(&ann, container, vault).await;
    (a, b, ann, container)
}

async fn open(at: &World, who: &Person, container: ContainerId) -> Gateway {
    at.kit.system.open_channel(container, &who.caller, at.kit.meta()).await.unwrap()
}

async fn says(gateway: &mut Gateway, frame: &'static str) -> Bytes {
    gateway.to_cell.send(Bytes::from_static(frame.as_bytes())).await.unwrap();
    timeout(PATIENCE, gateway.from_cell.recv()).await.unwrap().unwrap()
}

async fn end(gateway: &mut Gateway) -> GatewayEnd {
    timeout(PATIENCE, gateway.ended.why()).await.unwrap().unwrap()
}

async fn channels(world: &World, person: &Person, container: ContainerId) -> u32 {
    let explained = world.kit.call(&person.caller, ExplainIdle { container }).await.unwrap();
    explained.reasons.iter().filter(|it| it.kind == AwakeKind::Channel).map(|it| it.count).sum()
}

#[tokio::test]
async fn frames_pass_between_nodes_and_wake_a_frozen_container() {
    let (a, b, ann, container) = unlocked().await;
    let mut gateway = open(&a, &ann, container).await;
    assert_eq!(gateway.wake, Wake::NONE);
    assert_eq!(says(&mut gateway, "one").await, "echo one");
    assert_eq!(channels(&a, &ann, container).await, 1);
    a.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!(b.engine(container).await, Some(State::Paused));
    assert_eq!(says(&mut gateway, "two").await, "echo two");
    assert_eq!(b.engine(container).await, Some(State::Running));
    tokio::time::sleep(PINNED * 2).await; // why: the time after which an unwatched session would end is what is looked at
    assert_eq!(says(&mut gateway, "three").await, "echo three", "its session is vouched for");
    drop(gateway);
    until("the host has no channel any more", async || channels(&a, &ann, container).await == 0).await;
}

#[tokio::test]
async fn why_a_connection_ended_crosses_the_nodes() {
    let (a, _b, ann, container) = unlocked().await;
    let mut gateway = open(&a, &ann, container).await;
    says(&mut gateway, "one").await;
    a.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::Stopped);
    let locked = a.kit.system.open_channel(container, &ann.caller, a.kit.meta()).await.err().unwrap();
    assert_eq!(locked.reason(), "VAULT_LOCKED");
}

#[tokio::test]
async fn the_end_of_the_session_ends_the_connection_at_both_nodes_also_when_the_link_is_full() {
    let (a, b, ann, container) = unlocked().await;
    let mut gateway = open(&a, &ann, container).await;
    says(&mut gateway, "one").await;
    // nobody reads what the cell echoes: the link stands full in both directions
    let full = async {
        loop {
            gateway.to_cell.send(Bytes::from_static(b"more")).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_millis(300), full).await.is_err(), "there is back-pressure");
    a.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::SessionOver);
    until("the host has ended it", async || b.kit.system.env.links.count() == 0).await;
}

/// Its last frames are still on their way to the client by then.
#[tokio::test]
async fn a_session_is_watched_after_the_cell_at_another_node_has_hung_up() {
    let (a, b, ann, container) = unlocked().await;
    let mut gateway = open(&a, &ann, container).await;
    says(&mut gateway, "one").await;
    b.cells.hang_up();
    assert_eq!(end(&mut gateway).await, GatewayEnd::CellClosed);
    until("the host is done with it", async || b.kit.system.env.links.count() == 0).await;
    assert_eq!(gateway.ended.revoked().now_or_never(), None, "the session is good");
    a.kit.call(&ann.caller, SignOut).await.unwrap();
    let revoked = timeout(PATIENCE, gateway.ended.revoked()).await.unwrap();
    assert_eq!(revoked, GatewayEnd::SessionOver);
}

#[tokio::test]
async fn a_node_that_only_carries_a_connection_hears_of_the_end_of_its_session() {
    let (a, b, ann, container) = unlocked().await;
    let issue = IssueGatewayToken { container, lifetime: None };
    let token = a.kit.call(&ann.caller, issue).await.unwrap().token.expose().clone();
    let session = b.kit.system.session_elsewhere(container, &token).unwrap();
    assert!(timeout(PINNED * 2, session.over()).await.is_err(), "its owner vouches for it");
    a.kit.call(&ann.caller, SignOut).await.unwrap();
    timeout(PATIENCE, session.over()).await.expect("it is over");
    assert!(b.kit.system.session_elsewhere(container, &token[1..]).is_err());
}

#[tokio::test]
async fn a_host_that_hears_no_more_of_a_session_ends_its_connection() {
    let (a, b, ann, container) = unlocked().await;
    let mut gateway = open(&a, &ann, container).await;
    says(&mut gateway, "one").await;
    // the frames still pass, the word of the session does not
    a.kit.linked.cut_off.store(true, Ordering::SeqCst);
    assert_eq!(says(&mut gateway, "two").await, "echo two", "a pinned stream goes on");
    until("the host has ended it", async || b.kit.system.env.links.count() == 0).await;
    assert_eq!(end(&mut gateway).await, GatewayEnd::Moved);
}

#[tokio::test]
async fn a_connection_outlives_the_move_of_its_tenant_and_ends_with_its_session_there() {
    let (a, b, ann, container) = unlocked().await;
    let c = a.beside_with(3, |config| config.limits.pinned_for = PINNED).await;
    let mut gateway = open(&a, &ann, container).await;
    says(&mut gateway, "one").await;
    a.kit.linked.prefers_here(false);
    b.kit.linked.prefers_here(false);
    c.kit.linked.prefers_here(true);
    a.kit.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    until("the third node has it", async || c.kit.authenticate(&ann.token).await.is_ok()).await;
    tokio::time::sleep(PINNED * 2).await; // why: the time after which an unwatched session would end is what is looked at
    assert_eq!(says(&mut gateway, "two").await, "echo two");
    assert_eq!(c.ownership(&ann).await.incarnation, c.kit.node.incarnation);
    assert!(a.kit.linked.held.load(Ordering::SeqCst) > 0, "its session is watched among other letters");
    c.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::SessionOver);
    until("the host has ended it", async || b.kit.system.env.links.count() == 0).await;
}

#[tokio::test]
async fn a_token_issued_at_one_node_is_good_at_another_and_nowhere_after_sign_out() {
    let (a, b, ann, container) = unlocked().await;
    let issue = IssueGatewayToken { container, lifetime: None };
    let token = a.kit.call(&ann.caller, issue).await.unwrap().token.expose().clone();
    let connect = async |world: &World| -> Result<Gateway, ActorError> {
        let shown = Shown { container, token: &token, way: Way::Sealed, often: false };
        world.kit.system.connect_gateway(shown, world.kit.meta(), world.kit.request(), None).await
    };
    let mut first = connect(&a).await.unwrap();
    assert_eq!(says(&mut first, "hello").await, "echo hello");
    assert!(
        matches!(connect(&b).await.err(), Some(ActorError::NotOwner { .. })),
        "the session is asked for at its tenant"
    );
    a.kit.linked.prefers_here(false);
    b.kit.linked.prefers_here(true);
    a.kit.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    let mut second = connect(&b).await.unwrap();
    assert_eq!(says(&mut second, "hello").await, "echo hello");
    b.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(
        (end(&mut first).await, end(&mut second).await),
        (GatewayEnd::SessionOver, GatewayEnd::SessionOver)
    );
    for world in [&a, &b] {
        let refused = connect(world).await.err().unwrap();
        assert!(
            matches!(refused, ActorError::Unauthenticated(_) | ActorError::NotOwner { .. }),
            "{refused:?}"
        );
    }
    let again = Kit::ask_any(&[&a.kit, &b.kit], &ann.caller, &a.kit.meta(), GetContainer { container }).await;
    assert_eq!(again.unwrap_err().reason(), "UNAUTHENTICATED");
}
