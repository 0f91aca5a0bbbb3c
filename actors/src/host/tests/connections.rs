//! Connections of containers: what is begun is finished once, by the session that began it; what a node knows of them
//! comes with their tokens' items.

mod turns;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use ocmt_crypto::{
    unlock::{InboxItem, InboxPlace, UnlockKey},
    vault::UnlockedVault,
};
use ocmt_types::{Clock as _, ContainerId, IdGen, RandomIds, UnlockId};
use zeroize::Zeroizing;

use super::{World, nodes::apart, unlock_id};
use crate::{
    ActorError, CellConnection, CellInboxItem,
    api::{
        auth::LinkPurpose,
        connections::*,
        container::{LockCell, RemoveContainer},
        users::Role,
        vault::{FileInboxItems, GetVault, ListInboxItems, Write},
    },
    env::Scope,
    tenant::connections::{Ended, Over},
    tests::{
        kit::{Kit, Person, until},
        vault::vault_of,
    },
    work::run_system,
};

const BACK: &str = "https://node.example/oauth/callback/git";

fn begin(container: ContainerId) -> BeginAuthorization {
    let scopes = vec!["read".to_owned()];
    BeginAuthorization { container, provider: "git".to_owned(), scopes, redirect: BACK.to_owned() }
}

fn finish(container: ContainerId, begun: &AuthorizationBegun) -> FinishAuthorization {
    FinishAuthorization { container, state: begun.state.clone(), answer: b"sealed to the cell".to_vec() }
}

/// Tokens as a cell sends them in an unlock of its own.
fn tokens(open: &UnlockedVault, sequence: u64) -> CellInboxItem {
    let connection =
        CellConnection { provider: "git".to_owned(), scopes: vec!["read".to_owned(), "a b".to_owned()] };
    item(open, unlock_id(), sequence, Some(connection))
}

fn item(
    open: &UnlockedVault,
    unlock: UnlockId,
    sequence: u64,
    connection: Option<CellConnection>,
) -> CellInboxItem {
    let scope = open.scope();
    let place = InboxPlace { tenant: scope.tenant, vault: scope.vault, unlock, sequence };
    let key = UnlockKey::from(open.keyring().inbox_mac_key(unlock));
    let item = InboxItem { name: "oauth/tokens/git".to_owned(), value: Zeroizing::new(b"t".to_vec()) };
    let sealed = item.seal(&place, &open.keyring().inbox.public(), &key, &mut rand::rng()).unwrap();
    let ids: &dyn IdGen = &RandomIds;
    CellInboxItem { item: ids.id(), sealed, connection }
}

/// Somebody with an unlocked container.
async fn unlocked(world: &World) -> (Person, UnlockedVault, ContainerId) {
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let container = world.running(&ann).await;
    world.unlock(&ann, container, open.scope().vault).await;
    (ann, open, container)
}

async fn list(world: &World, person: &Person, container: ContainerId) -> Vec<ConnectionInfo> {
    let ask = ListConnections { container, after: None, limit: 0 };
    world.kit.call(&person.caller, ask).await.unwrap().connections
}

fn is_bad_state<T>(result: Result<T, ActorError>) -> bool {
    result.is_err_and(|error| error.reason() == "BAD_STATE")
}

#[tokio::test]
async fn an_authorization_is_finished_once_and_its_connection_comes_with_the_tokens_on_both_stores() {
    for world in [World::sim().await, World::sqlite().await] {
        let (ann, open, container) = unlocked(&world).await;
        let begun = world.kit.call(&ann.caller, begin(container)).await.unwrap();
        let wish = world.cells.connecting.wishes.lock().unwrap().pop().unwrap();
        assert_eq!((wish.provider.as_str(), wish.redirect.as_str()), ("git", BACK));
        assert_eq!((&wish.state, wish.authorization), (&begun.state, begun.authorization));
        assert_eq!(begun.expires_at, world.kit.clock.now() + Duration::from_secs(600));
        assert!(list(&world, &ann, container).await.is_empty(), "listed before it was made");
        *world.cells.connecting.tokens.lock().unwrap() = Some(tokens(&open, 0));
        let made = world.kit.call(&ann.caller, finish(container, &begun)).await.unwrap();
        assert_eq!((made.provider.as_str(), made.container, made.unfiled), ("git", container, true));
        assert_eq!((made.scopes.as_slice(), made.refreshed_at), (["read".to_owned()].as_slice(), None));
        let finished = world.cells.connecting.finished.lock().unwrap().clone();
        assert_eq!(finished, [(begun.authorization, b"sealed to the cell".to_vec())]);
        assert_eq!(list(&world, &ann, container).await, [made]);
        assert!(is_bad_state(world.kit.call(&ann.caller, finish(container, &begun)).await), "finished twice");
    }
}

#[tokio::test]
async fn only_the_session_that_began_it_finishes_it_and_only_for_its_container() {
    let world = World::sim().await;
    let (ann, _, container) = unlocked(&world).await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let bobs = world.running(&bob).await;
    let eve = world.kit.founder("eve@example.com").await;
    let eves = world.running(&eve).await;
    let elsewhere = world.kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let begun = world.kit.call(&ann.caller, begin(container)).await.unwrap();
    // another session of the same user, another user of the tenant, another tenant: each with a container of theirs
    assert!(is_bad_state(world.kit.call(&elsewhere.caller, finish(container, &begun)).await));
    assert!(is_bad_state(world.kit.call(&bob.caller, finish(bobs, &begun)).await));
    assert!(is_bad_state(world.kit.call(&eve.caller, finish(eves, &begun)).await));
    for (person, container) in [(&bob, container), (&eve, container)] {
        let foreign = world.kit.call(&person.caller, finish(container, &begun)).await.unwrap_err();
        assert_eq!(foreign, ActorError::NotFound);
        let foreign = world.kit.call(&person.caller, begin(container)).await.err().unwrap();
        assert_eq!(foreign, ActorError::NotFound);
    }
    for state in ["", "x", &"x".repeat(128)] {
        let it = FinishAuthorization { state: (*state).to_owned(), ..finish(container, &begun) };
        assert!(is_bad_state(world.kit.call(&ann.caller, it).await));
    }
    assert!(world.cells.connecting.finished.lock().unwrap().is_empty(), "a cell was asked");
    // it was used up by none of them: what is missing now is the provider's part alone
    let own = world.kit.call(&ann.caller, finish(container, &begun)).await.unwrap_err();
    assert_eq!(own.reason(), "PROVIDER_REFUSED");
}

#[tokio::test]
async fn of_many_who_finish_at_the_same_time_over_two_nodes_one_is_heard() {
    let (a, b, ann, container) = apart().await;
    let open = vault_of(&a.kit, &ann).await;
    a.wake(&ann, container).await.unwrap();
    a.unlock(&ann, container, open.scope().vault).await;
    let begun = a.kit.call(&ann.caller, begin(container)).await.unwrap();
    assert_eq!(b.cells.connecting.wishes.lock().unwrap().len(), 1, "it is the host that asks the cell");
    *b.cells.connecting.tokens.lock().unwrap() = Some(tokens(&open, 0));
    let all = join_all((0..20).map(async |n| {
        let nodes = if n % 2 == 0 { [&a.kit, &b.kit] } else { [&b.kit, &a.kit] };
        Kit::ask_any(&nodes, &ann.caller, &a.kit.meta(), finish(container, &begun)).await
    }));
    let all = all.await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(all.into_iter().filter(|one| is_bad_state(one.clone())).count(), 19);
    assert_eq!(b.cells.connecting.finished.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_authorization_is_over_after_ten_minutes_and_there_are_only_so_many() {
    let world = World::sim().await;
    let (ann, _, container) = unlocked(&world).await;
    let mut begun = Vec::new();
    for _ in 0..32 {
        begun.push(world.kit.call(&ann.caller, begin(container)).await.unwrap());
    }
    let full = world.kit.call(&ann.caller, begin(container)).await.err().unwrap();
    assert_eq!(full.reason(), "AUTHORIZATIONS_FULL");
    // the cell of these tests locks before: what is asked of it is not what is looked at
    world.kit.clock.advance(Duration::from_millis(599_999));
    let asked = world.kit.call(&ann.caller, finish(container, &begun[0])).await.unwrap_err();
    assert_ne!(asked.reason(), "BAD_STATE", "it was over too early");
    world.kit.clock.advance(Duration::from_millis(1));
    assert!(is_bad_state(world.kit.call(&ann.caller, finish(container, &begun[1])).await));
    let next = world.kit.call(&ann.caller, begin(container)).await.err().unwrap();
    assert_eq!(next.reason(), "VAULT_LOCKED", "those that are over still count");
}

#[tokio::test]
async fn renewed_tokens_are_told_and_an_end_or_a_removal_forgets() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    let begun = world.kit.call(&ann.caller, begin(container)).await.unwrap();
    *world.cells.connecting.tokens.lock().unwrap() = Some(tokens(&open, 0));
    let made = world.kit.call(&ann.caller, finish(container, &begun)).await.unwrap();
    let items =
        world.kit.call(&ann.caller, ListInboxItems { vault: open.scope().vault, after: None, limit: 1 });
    let item = items.await.unwrap().items[0].item;
    let change =
        Write { vault: open.scope().vault, puts: Vec::new(), deletes: Vec::new(), manifest: Vec::new() };
    world.kit.call(&ann.caller, FileInboxItems { items: vec![item], change }).await.unwrap();
    assert!(!list(&world, &ann, container).await[0].unfiled);

    world.kit.clock.advance(Duration::from_secs(5));
    world.cells.inbox.lock().unwrap().push(tokens(&open, 1));
    world.cells.inbox_moved.notify_waiters();
    until("the renewal is told", async || {
        list(&world, &ann, container).await[0].refreshed_at == Some(world.kit.clock.now())
    })
    .await;
    let renewed = list(&world, &ann, container).await.remove(0);
    assert_eq!(
        (renewed.connection, renewed.created_at, renewed.unfiled),
        (made.connection, made.created_at, true)
    );

    let bob = world.kit.member(&ann, "bob@example.com", Role::Admin).await;
    let foreign = world
        .kit
        .call(&bob.caller, Disconnect { connection: made.connection, anyway: false })
        .await
        .unwrap_err();
    assert_eq!(foreign, ActorError::NotFound);
    let ended =
        world.kit.call(&ann.caller, Disconnect { connection: made.connection, anyway: false }).await.unwrap();
    assert!(ended.revoked);
    assert_eq!(*world.cells.connecting.ended.lock().unwrap(), ["git"]);
    assert!(list(&world, &ann, container).await.is_empty());
    let again = world
        .kit
        .call(&ann.caller, Disconnect { connection: made.connection, anyway: false })
        .await
        .unwrap_err();
    assert_eq!(again, ActorError::NotFound);

    let begun = world.kit.call(&ann.caller, begin(container)).await.unwrap();
    world.cells.inbox.lock().unwrap().push(tokens(&open, 2));
    world.cells.inbox_moved.notify_waiters();
    until("it is there again", async || list(&world, &ann, container).await.len() == 1).await;
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    let locked = world.kit.call(&ann.caller, finish(container, &begun)).await.unwrap_err();
    assert_eq!(locked.reason(), "VAULT_LOCKED");
    world.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
    let other = world.container(&ann).await;
    assert!(list(&world, &ann, other).await.is_empty());
    let ownership = world.ownership(&ann).await;
    let mut tx = world.kit.store.read(ownership).await.unwrap();
    let left = tx.find::<ocmt_store::tables::OauthConnection>(ocmt_store::Filter::all()).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn newer_tokens_take_the_place_of_those_that_wait_and_have_room_beside_the_workloads_items() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    let (unlock, vault) = (unlock_id(), open.scope().vault);
    let sent = async |items: Vec<CellInboxItem>| {
        world.cells.inbox.lock().unwrap().extend(items);
        world.cells.inbox_moved.notify_waiters();
        until("each is settled", async || world.cells.inbox.lock().unwrap().is_empty()).await;
    };
    sent((0..129).map(|n| item(&open, unlock, n, None)).collect()).await;
    assert_eq!(world.cells.inbox_refused.lock().unwrap().len(), 1, "the workload's own bound");
    let git = || Some(CellConnection { provider: "git".to_owned(), scopes: Vec::new() });
    let all: Vec<CellInboxItem> = [200, 202, 201, 203].map(|n| item(&open, unlock, n, git())).into();
    let newest = all[3].item;
    sent(all).await;
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = world.kit.call(&ann.caller, ListInboxItems { vault, after, limit: 48 }).await.unwrap();
        waiting.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((waiting.len(), waiting.last().unwrap().item), (129, newest));
    assert_eq!(list(&world, &ann, container).await.len(), 1);
    // a name that is none has the bound of the others
    sent(vec![item(
        &open,
        unlock,
        300,
        Some(CellConnection { provider: "../x".to_owned(), scopes: Vec::new() }),
    )])
    .await;
    assert_eq!(world.cells.inbox_refused.lock().unwrap().len(), 2);
    // an unlock of its own takes nothing from another's
    sent(vec![item(&open, unlock_id(), 0, git())]).await;
    let view = world.kit.call(&ann.caller, GetVault { vault: None }).await.unwrap();
    assert_eq!(view.info.inbox, 130);
}

#[tokio::test]
async fn what_a_locked_cell_did_not_begin_counts_for_nothing_and_an_end_is_possible_without_it() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    world.cells.inbox.lock().unwrap().push(tokens(&open, 0));
    world.cells.inbox_moved.notify_waiters();
    until("it is there", async || list(&world, &ann, container).await.len() == 1).await;
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    for _ in 0..40 {
        let locked = world.kit.call(&ann.caller, begin(container)).await.err().unwrap();
        assert_eq!(locked.reason(), "VAULT_LOCKED");
    }
    let connection = list(&world, &ann, container).await[0].connection;
    let locked = world.kit.call(&ann.caller, Disconnect { connection, anyway: false }).await.unwrap_err();
    assert_eq!((locked.reason(), list(&world, &ann, container).await.len()), ("VAULT_LOCKED", 1));
    let ended = world.kit.call(&ann.caller, Disconnect { connection, anyway: true }).await.unwrap();
    assert!(!ended.revoked && list(&world, &ann, container).await.is_empty());
}

/// A connection with `git` whose tokens came.
async fn connected(
    world: &World,
    ann: &Person,
    open: &UnlockedVault,
    container: ContainerId,
) -> ConnectionInfo {
    world.cells.inbox.lock().unwrap().push(tokens(open, 0));
    world.cells.inbox_moved.notify_waiters();
    until("it is there", async || list(world, ann, container).await.len() == 1).await;
    list(world, ann, container).await.remove(0)
}

#[tokio::test]
async fn an_end_that_is_asked_for_again_under_its_key_is_answered_as_it_was_and_ends_nothing_made_since() {
    for world in [World::sim().await, World::sqlite().await] {
        let (ann, open, container) = unlocked(&world).await;
        let made = connected(&world, &ann, &open, container).await;
        let ask = async |key: u8, request: u8| {
            let end = Disconnect { connection: made.connection, anyway: false };
            let tenant = world.kit.system.tenant(ann.caller.tenant());
            tenant.call(ann.caller.clone(), world.kit.keyed(key, request), end).await
        };
        // what was not done is done by the same request later
        world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
        assert_eq!(ask(7, 1).await.unwrap_err().reason(), "VAULT_LOCKED");
        world.unlock(&ann, container, open.scope().vault).await;
        // both of two that run side by side hear what the provider said to one
        for answer in join_all([ask(7, 1), ask(7, 1)]).await {
            assert_eq!(answer, Ok(Disconnected { revoked: true }));
        }
        assert!(list(&world, &ann, container).await.is_empty());
        let asked = world.cells.connecting.ended.lock().unwrap().len();
        assert_eq!(ask(7, 1).await, Ok(Disconnected { revoked: true }));
        assert_eq!(ask(8, 1).await, Err(ActorError::NotFound), "another request");
        assert!(matches!(ask(7, 2).await, Err(ActorError::InvalidArgument { .. })), "its key");
        let again = connected(&world, &ann, &open, container).await;
        assert_eq!(ask(7, 1).await, Ok(Disconnected { revoked: true }));
        assert_eq!(list(&world, &ann, container).await, [again]);
        assert_eq!(world.cells.connecting.ended.lock().unwrap().len(), asked, "the cell was asked again");
    }
}

#[tokio::test]
async fn an_end_is_of_the_connection_that_was_named_and_not_of_one_that_was_made_since() {
    let world = World::sim().await;
    let (ann, open, container) = unlocked(&world).await;
    let made = connected(&world, &ann, &open, container).await;
    let end = Disconnect { connection: made.connection, anyway: false };
    world.kit.call(&ann.caller, end).await.unwrap();
    let again = connected(&world, &ann, &open, container).await;
    // of one that waited for its turn meanwhile
    let own = world.ownership(&ann).await;
    let scope = Scope::new(Arc::clone(&world.kit.system.env), own);
    let over = Over { container, connection: made.connection };
    // it had no key, so nothing of how it ended was kept
    assert_eq!(run_system(&scope, over).await.err(), Some(ActorError::NotFound));
    let late = Ended { container, connection: made.connection, revoked: true };
    run_system(&scope, late).await.unwrap();
    assert_eq!(list(&world, &ann, container).await, [again]);
}
