//! Plain connections: what counts is what is said to count, who may have one, and what ends it.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use ocmt_runtime::{State, sim::Op};
use ocmt_types::{Clock as _, ContainerId, Timestamp};
use tokio::time::timeout;

use super::{
    PAUSE, World,
    gateway::{token, unlocked},
    spec,
};
use crate::{
    ActorError,
    api::{
        auth::{LinkPurpose, SignOut},
        container::{
            plain::{Word, bytes, word},
            *,
        },
    },
    tenant::TenantMessage,
    tests::{
        kit::{Person, until},
        vault,
    },
};

const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(world: &World, person: &Person, container: ContainerId) -> Result<Gateway, ActorError> {
    let token = token(world, person, container).await;
    let shown = Shown { container, token: &token, way: Way::Plain, often: false };
    world.kit.system.connect_gateway(shown, world.kit.meta(), world.kit.request(), None).await
}

async fn sends(gateway: &Gateway, piece: &'static str) {
    gateway.to_cell.send(bytes(piece.as_bytes())).await.unwrap();
}

async fn says(gateway: &Gateway, it: Word) {
    gateway.to_cell.send(word(it)).await.unwrap();
}

async fn hears(gateway: &mut Gateway) -> Bytes {
    timeout(PATIENCE, gateway.from_cell.recv()).await.unwrap().unwrap()
}

async fn end(gateway: &mut Gateway) -> GatewayEnd {
    timeout(PATIENCE, gateway.ended.why()).await.unwrap().unwrap()
}

async fn active_at(world: &World, person: &Person, container: ContainerId) -> Timestamp {
    world.kit.call(&person.caller, ExplainIdle { container }).await.unwrap().active_at
}

#[tokio::test]
async fn bytes_alone_are_no_use_of_the_container_and_words_are() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = connect(&world, &ann, container).await.unwrap();
    let began = active_at(&world, &ann, container).await;
    world.kit.clock.advance(Duration::from_secs(10));
    sends(&gateway, "a ping").await;
    assert_eq!(hears(&mut gateway).await, "echo a ping");
    assert_eq!(active_at(&world, &ann, container).await, began, "bytes count by themselves");
    for it in [Word::Counts, Word::Wakes] {
        world.kit.clock.advance(Duration::from_secs(10));
        says(&gateway, it).await;
        let now = world.kit.clock.now();
        until("it counts", async || active_at(&world, &ann, container).await == now).await;
    }
}

#[tokio::test]
async fn a_sleeping_container_is_woken_by_the_word_and_by_nothing_else() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    let mut gateway = connect(&world, &ann, container).await.unwrap();
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    sends(&gateway, "a pong").await;
    assert_eq!(hears(&mut gateway).await, "echo a pong");
    says(&gateway, Word::Counts).await;
    assert_eq!(world.engine(container).await, Some(State::Paused), "woken by what wakes nobody");
    says(&gateway, Word::Wakes).await;
    sends(&gateway, "a message").await;
    assert_eq!(hears(&mut gateway).await, "echo a message");
    assert_eq!(world.engine(container).await, Some(State::Running), "bytes went before the wake");
}

#[tokio::test]
async fn a_workload_that_owes_an_answer_is_kept_awake_until_it_begins_or_nobody_waits() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    // a clock that is moved by hand wakes nobody
    let look = || world.kit.system.send(ann.tenant, TenantMessage::TimerDue);
    for asks in [1, 2] {
        // nothing but the idle clock is to end
        world.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap();
        let gateway = connect(&world, &ann, container).await.unwrap();
        says(&gateway, Word::Busy).await;
        let owes = async |count: u32| {
            let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
            reasons.iter().filter(|it| it.kind == AwakeKind::Work).map(|it| it.count).sum::<u32>() == count
        };
        until("it owes an answer", async || owes(1).await).await;
        world.kit.clock.advance(PAUSE);
        let due = world.kit.clock.now() + PAUSE;
        until("the clock is set anew", async || {
            look();
            world.due(&ann, container).await == Some(due)
        })
        .await;
        assert_eq!(world.calls(Op::Pause), asks - 1, "paused before it could answer");
        if asks == 1 {
            says(&gateway, Word::Free).await;
        } else {
            drop(gateway);
        }
        until("it owes nothing", async || owes(0).await).await;
        world.kit.clock.advance(PAUSE);
        until("paused", async || {
            look();
            world.calls(Op::Pause) == asks
        })
        .await;
        world.wake(&ann, container).await.unwrap();
    }
}

#[tokio::test]
async fn who_did_not_choose_it_has_no_plain_connection() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let odd = ContainerSpec { workload_port: None, ..spec() };
    let odd = CreateContainer { user: None, spec: odd, start: true };
    assert_eq!(world.kit.call(&ann.caller, odd).await.err().unwrap().reason(), "INVALID_ARGUMENT");
    let sealed = ContainerSpec { gateway_plain: false, ..spec() };
    let create = CreateContainer { user: None, spec: sealed, start: true };
    let container = world.kit.call(&ann.caller, create).await.unwrap().container.id;
    world.unlock(&ann, container, vault).await;
    let refused = connect(&world, &ann, container).await.err().unwrap();
    assert_eq!(refused.reason(), "PLAIN_NOT_CHOSEN");
    assert!(world.kit.system.open_channel(container, &ann.caller, world.kit.meta()).await.is_ok());
}

#[tokio::test]
async fn a_locked_cell_gives_none_and_session_lock_and_stop_end_it() {
    let world = World::sim().await;
    let (ann, container, vault) = unlocked(&world).await;
    let mut gateway = connect(&world, &ann, container).await.unwrap();
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::Locked);
    assert_eq!(connect(&world, &ann, container).await.err().unwrap().reason(), "VAULT_LOCKED");
    world.unlock(&ann, container, vault).await;
    let mut gateway = connect(&world, &ann, container).await.unwrap();
    world.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::SessionOver);
    assert!(gateway.to_cell.is_closed());
}

#[tokio::test]
async fn a_cell_looks_at_the_token_itself_wherever_its_host_is() {
    let a = World::sim().await;
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    a.kit.linked.has_memory(&b.kit.node, 1 << 20);
    let vault = vault::vault_of(&a.kit, &ann).await.scope().vault;
    let container = a.running(&ann).await;
    a.unlock(&ann, container, vault).await;
    connect(&a, &ann, container).await.expect("in time");
    // good where it was let in, and over by the time it is at the cell
    *b.cells.ahead.lock().unwrap() = Duration::from_secs(15 * 60);
    let refused = connect(&a, &ann, container).await.err().unwrap();
    assert_eq!(refused.reason(), "UNAUTHENTICATED");
    assert!(a.kit.system.open_channel(container, &ann.caller, a.kit.meta()).await.is_ok());
}

#[tokio::test]
async fn who_waits_for_a_slow_workload_holds_up_nobody_and_hears_of_a_lock() {
    let world = World::sim().await;
    let (ann, container, _) = unlocked(&world).await;
    world.cells.slow.store(true, Ordering::SeqCst);
    let waits = connect(&world, &ann, container);
    let others = async {
        until("it is on its way", async || {
            let reasons = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap().reasons;
            reasons.iter().any(|it| it.kind == AwakeKind::Work)
        })
        .await;
        // the container's other work goes on meanwhile
        world.wake(&ann, container).await.unwrap();
        world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    };
    let (waited, ()) = timeout(PATIENCE, async { tokio::join!(waits, others) }).await.unwrap();
    assert_eq!(waited.err().unwrap().reason(), "CONTAINER_STOPPED");
    until("nothing is owed", async || {
        let explained = world.kit.call(&ann.caller, ExplainIdle { container }).await.unwrap();
        explained.reasons.iter().all(|it| it.kind != AwakeKind::Work && it.kind != AwakeKind::Channel)
    })
    .await;
}

#[tokio::test]
async fn of_many_requests_the_audit_has_the_first_of_a_while_and_of_each_session() {
    let world = World::sim().await;
    let (ann, container, vault) = unlocked(&world).await;
    world.kit.call(&ann.caller, ExtendUnlock { container, extension: vec![1] }).await.unwrap();
    let ask = async |who: &Person, often: bool| {
        let token = token(&world, who, container).await;
        let shown = Shown { container, token: &token, way: Way::Plain, often };
        world.kit.system.connect_gateway(shown, world.kit.meta(), world.kit.request(), None).await.unwrap();
    };
    let recorded = async || world.admitted(&ann, "ConnectGateway").await;
    for _ in 0..5 {
        ask(&ann, true).await;
    }
    assert_eq!(recorded().await, 1);
    let again = world.kit.sign_in(&ann, LinkPurpose::SignIn).await;
    ask(&again, true).await;
    assert_eq!(recorded().await, 2, "another session is another's");
    ask(&ann, false).await;
    ask(&ann, false).await;
    assert_eq!(recorded().await, 4, "WebSockets are recorded each");
    world.kit.clock.advance(Duration::from_secs(301));
    world.unlock(&ann, container, vault).await;
    ask(&ann, true).await;
    assert_eq!(recorded().await, 5);
}

#[tokio::test]
async fn it_passes_between_nodes_and_what_counts_there_is_what_is_said() {
    let a = World::sim().await;
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    a.kit.linked.has_memory(&b.kit.node, 1 << 20);
    let vault = vault::vault_of(&a.kit, &ann).await.scope().vault;
    let container = a.running(&ann).await;
    assert_eq!(b.engine(container).await, Some(State::Running));
    a.unlock(&ann, container, vault).await;
    let mut gateway = connect(&a, &ann, container).await.unwrap();
    let began = active_at(&a, &ann, container).await;
    b.kit.clock.advance(Duration::from_secs(10));
    sends(&gateway, "a ping").await;
    assert_eq!(hears(&mut gateway).await, "echo a ping");
    assert_eq!(active_at(&a, &ann, container).await, began);
    a.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    says(&gateway, Word::Wakes).await;
    sends(&gateway, "a message").await;
    assert_eq!(hears(&mut gateway).await, "echo a message");
    assert_eq!(b.engine(container).await, Some(State::Running));
    a.kit.call(&ann.caller, SignOut).await.unwrap();
    assert_eq!(end(&mut gateway).await, GatewayEnd::SessionOver);
}
