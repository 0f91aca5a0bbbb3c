//! What cells seal to their user's vault, into the owner's store: once, in order, bounded, and not acknowledged
//! before it is there.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use ocmt_crypto::{
    unlock::{InboxItem, InboxPlace, UnlockKey},
    vault::UnlockedVault,
};
use ocmt_types::{IdGen, MessageId, RandomIds, UnlockId, VaultId};
use zeroize::Zeroizing;

use super::{World, nodes::apart, unlock_id};
use crate::{
    ActorError, CellInboxItem,
    api::{
        audit::QueryAudit,
        container::{PauseContainer, RemoveContainer, StopContainer},
        vault::{FileInboxItems, GetEntry, GetVault, InboxPage, ListInboxItems, Write},
    },
    tests::{
        kit::{Kit, Person, until},
        vault::{self, vault_of},
    },
};

struct Cell<'v> {
    open: &'v UnlockedVault,
    unlock: UnlockId,
}

impl<'v> Cell<'v> {
    fn of(open: &'v UnlockedVault) -> Self {
        Self { open, unlock: unlock_id() }
    }

    fn item(&self, sequence: u64) -> CellInboxItem {
        let scope = self.open.scope();
        let place = InboxPlace { tenant: scope.tenant, vault: scope.vault, unlock: self.unlock, sequence };
        self.sealed(&place)
    }

    fn sealed(&self, place: &InboxPlace) -> CellInboxItem {
        let keyring = self.open.keyring();
        let key = UnlockKey::from(keyring.inbox_mac_key(self.unlock));
        let item = InboxItem { name: "token".to_owned(), value: Zeroizing::new(b"secret".to_vec()) };
        let sealed = item.seal(place, &keyring.inbox.public(), &key, &mut rand::rng()).unwrap();
        CellInboxItem { item: id(), sealed, connection: None }
    }
}

fn id() -> MessageId {
    let ids: &dyn IdGen = &RandomIds;
    ids.id()
}

impl World {
    /// Puts items into the cells, and wakes whoever waits for them.
    fn makes(&self, items: impl IntoIterator<Item = CellInboxItem>) {
        self.cells.inbox.lock().unwrap().extend(items);
        self.cells.inbox_moved.notify_waiters();
    }

    async fn confirmed(&self) {
        until("the cell was told of each", async || self.cells.inbox.lock().unwrap().is_empty()).await;
    }
}

async fn list(kit: &Kit, person: &Person, vault: VaultId) -> InboxPage {
    kit.call(&person.caller, ListInboxItems { vault, after: None, limit: 48 }).await.unwrap()
}

/// All items, page by page.
async fn all(kit: &Kit, person: &Person, vault: VaultId) -> Vec<MessageId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(&person.caller, ListInboxItems { vault, after, limit: 20 }).await.unwrap();
        found.extend(page.items.iter().map(|item| item.item));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

fn dropping(vault: VaultId, items: Vec<MessageId>) -> FileInboxItems {
    let change = Write { vault, puts: Vec::new(), deletes: Vec::new(), manifest: Vec::new() };
    FileInboxItems { items, change }
}

#[tokio::test]
async fn items_are_stored_in_order_and_confirmed_on_both_stores() {
    for world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let open = vault_of(&world.kit, &ann).await;
        let (cell, vault) = (Cell::of(&open), open.scope().vault);
        let container = world.running(&ann).await;
        let items: Vec<CellInboxItem> = (0..60).map(|n| cell.item(n)).collect();
        world.makes(items.clone());
        world.confirmed().await;
        let expected: Vec<MessageId> = items.iter().map(|item| item.item).collect();
        assert_eq!(all(&world.kit, &ann, vault).await, expected);
        let page = list(&world.kit, &ann, vault).await;
        assert_eq!((page.items.len(), page.items[0].container), (48, container));
        assert_eq!(page.items[0].sealed, items[0].sealed);
        let view = world.kit.call(&ann.caller, GetVault { vault: None }).await.unwrap();
        assert_eq!(view.info.inbox, 60);
    }
}

#[tokio::test]
async fn an_item_that_is_sent_again_is_stored_once_even_after_it_was_taken_out() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    world.running(&ann).await;
    world.cells.deaf.store(true, Ordering::SeqCst);
    let item = cell.item(0);
    world.makes([item.clone()]);
    until("it is stored", async || list(&world.kit, &ann, vault).await.items.len() == 1).await;
    let asks = world.cells.inbox_asks.load(Ordering::SeqCst);
    until("it was sent again", async || world.cells.inbox_asks.load(Ordering::SeqCst) > asks + 3).await;
    assert_eq!(list(&world.kit, &ann, vault).await.items.len(), 1);
    world.kit.call(&ann.caller, dropping(vault, vec![item.item])).await.unwrap();
    let asks = world.cells.inbox_asks.load(Ordering::SeqCst);
    until("and again", async || world.cells.inbox_asks.load(Ordering::SeqCst) > asks + 3).await;
    assert_eq!(list(&world.kit, &ann, vault).await.items.len(), 0);
    world.cells.deaf.store(false, Ordering::SeqCst);
    world.confirmed().await;
}

/// Why the cells' last items were refused, which are forgotten with it.
fn refusals(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.cells.inbox_refused.lock().unwrap()).into_iter().map(|(_, why)| why).collect()
}

async fn audited(world: &World, ann: &Person) -> usize {
    let method = Some("vault.inbox_received".to_owned());
    let query = QueryAudit { method, limit: 100, ..QueryAudit::default() };
    world.kit.call(&ann.caller, query).await.unwrap().records.len()
}

#[tokio::test]
async fn an_inbox_is_bounded_for_a_container_and_a_vault_and_refusals_write_nothing() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    let mut sent = 0;
    for n in 0..2 {
        let container = world.running(&ann).await;
        world.makes((sent..sent + 128).map(|n| cell.item(n)));
        world.confirmed().await;
        sent += 128;
        assert!(refusals(&world).is_empty());
        let before = audited(&world, &ann).await;
        world.makes((sent..sent + 5).map(|n| cell.item(n)));
        world.confirmed().await;
        let refused = refusals(&world);
        assert_eq!(refused.len(), 5);
        let why = if n == 0 { "128 items of this container" } else { "inbox is full" };
        assert!(refused[0].contains(why), "{}", refused[0]);
        assert_eq!(audited(&world, &ann).await, before, "a workload fills the audit");
        let remove = RemoveContainer { container, delete_volume: false };
        world.kit.call(&ann.caller, remove).await.unwrap();
    }
    let waiting = all(&world.kit, &ann, vault).await;
    assert_eq!(waiting.len(), 256);
    world.kit.call(&ann.caller, dropping(vault, waiting[..48].to_vec())).await.unwrap();
    world.running(&ann).await;
    world.makes([cell.item(sent)]);
    world.confirmed().await;
    assert_eq!(all(&world.kit, &ann, vault).await.len(), 256 - 48 + 1);
}

#[tokio::test]
async fn one_unlock_sends_so_many_items_and_no_more() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    world.running(&ann).await;
    for batch in 0..8 {
        world.makes((batch * 128..(batch + 1) * 128).map(|n| cell.item(n)));
        world.confirmed().await;
        for some in all(&world.kit, &ann, vault).await.chunks(48) {
            world.kit.call(&ann.caller, dropping(vault, some.to_vec())).await.unwrap();
        }
    }
    assert!(refusals(&world).is_empty());
    world.makes([cell.item(5_000)]);
    world.confirmed().await;
    assert!(refusals(&world)[0].contains("has sent 1024 items"));
    world.makes([Cell::of(&open).item(0)]);
    world.confirmed().await;
    assert_eq!(all(&world.kit, &ann, vault).await.len(), 1, "another unlock's");
}

#[tokio::test]
async fn a_tenant_that_was_given_up_is_woken_for_what_a_cell_has() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    world.running(&ann).await;
    world.makes([cell.item(0)]);
    world.confirmed().await;
    let before = world.kit.epoch(ann.tenant).await;
    world.kit.system.release(ann.tenant, Duration::from_secs(5)).await.unwrap();
    // who gives one up claims it again only after two seconds
    world.kit.clock.advance(Duration::from_secs(3));
    // nobody calls the tenant
    world.makes([cell.item(1)]);
    world.confirmed().await;
    assert!(world.kit.epoch(ann.tenant).await > before, "else this shows nothing");
    assert_eq!(all(&world.kit, &ann, vault).await.len(), 2);
}

#[tokio::test]
async fn what_is_not_sealed_to_the_users_own_vault_is_not_taken() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.founder("bob@example.com").await;
    let (open, foreign) = (vault_of(&world.kit, &ann).await, vault_of(&world.kit, &bob).await);
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    world.running(&ann).await;
    let mine = InboxPlace { tenant: ann.tenant, vault, unlock: cell.unlock, sequence: 0 };
    let theirs = Cell::of(&foreign);
    let mut long = cell.item(0);
    long.sealed.resize(69_633, 0);
    world.makes([
        theirs.item(0),
        cell.sealed(&InboxPlace { tenant: bob.tenant, ..mine }),
        cell.sealed(&InboxPlace { vault: foreign.scope().vault, ..mine }),
        CellInboxItem { item: id(), sealed: b"no item at all".to_vec(), connection: None },
        long,
    ]);
    world.confirmed().await;
    assert_eq!(world.cells.inbox_refused.lock().unwrap().len(), 5);
    assert!(all(&world.kit, &ann, vault).await.is_empty());
    assert!(all(&world.kit, &bob, foreign.scope().vault).await.is_empty());
    // and nobody else reads or files it
    world.makes([cell.item(0)]);
    world.confirmed().await;
    let there = all(&world.kit, &ann, vault).await;
    let look = world.kit.call(&bob.caller, ListInboxItems { vault, after: None, limit: 0 }).await;
    assert_eq!(look.unwrap_err(), ActorError::NotFound);
    let drop = world.kit.call(&bob.caller, dropping(vault, there.clone())).await;
    assert_eq!(drop.unwrap_err(), ActorError::NotFound);
    let own = dropping(foreign.scope().vault, there.clone());
    assert_eq!(world.kit.call(&bob.caller, own).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(all(&world.kit, &ann, vault).await, there);
}

#[tokio::test]
async fn filing_is_all_or_nothing() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let mut open = vault_of(&world.kit, &ann).await;
    let vault = open.scope().vault;
    world.running(&ann).await;
    world.makes((0..3).map(|n| Cell::of(&open).item(n)));
    world.confirmed().await;
    let there = all(&world.kit, &ann, vault).await;
    let (change, write) = vault::put(&open, "token", b"secret");
    let file = |items: Vec<MessageId>, write: Write| FileInboxItems { items, change: write };
    let stale = Write { manifest: b"no manifest".to_vec(), ..write.clone() };
    let unknown = vec![there[0], id()];
    for wrong in [
        file(there.clone(), stale),
        file(unknown, write.clone()),
        file(vec![there[0], there[0]], write.clone()),
        file(Vec::new(), write.clone()),
        FileInboxItems { items: there.clone(), change: Write { puts: Vec::new(), ..write.clone() } },
    ] {
        assert!(world.kit.call(&ann.caller, wrong).await.is_err());
    }
    assert_eq!(all(&world.kit, &ann, vault).await, there, "nothing left the inbox");
    let object = write.puts[0].object_id;
    let absent = world.kit.call(&ann.caller, GetEntry { vault, object, version: 0 }).await;
    assert_eq!(absent.unwrap_err(), ActorError::NotFound, "and nothing was written");
    world.kit.call(&ann.caller, file(there[..2].to_vec(), write)).await.unwrap();
    open.apply(change).unwrap();
    assert_eq!(all(&world.kit, &ann, vault).await, there[2..]);
    world.kit.call(&ann.caller, GetEntry { vault, object, version: 0 }).await.unwrap();
    let again = vault::put(&open, "token", b"other").1;
    let again = world.kit.call(&ann.caller, file(there[..2].to_vec(), again)).await.unwrap_err();
    assert_eq!(again.reason(), "CHANGED_MEANWHILE");
}

#[tokio::test]
async fn many_clients_at_two_nodes_file_an_item_once() {
    let (a, b, ann, container) = apart().await;
    let open = vault_of(&a.kit, &ann).await;
    let vault = open.scope().vault;
    a.wake(&ann, container).await.unwrap();
    b.makes([Cell::of(&open).item(0)]);
    b.confirmed().await;
    let there = all(&a.kit, &ann, vault).await;
    let filings = join_all((0..20).map(async |n| {
        let nodes = if n % 2 == 0 { [&a.kit, &b.kit] } else { [&b.kit, &a.kit] };
        let (_, write) = vault::put(&open, "token", &[n]);
        let file = || FileInboxItems { items: there.clone(), change: write.clone() };
        for turn in 0..20_000 {
            let tenant = nodes[turn % 2].system.tenant(ann.tenant);
            match tenant.call(ann.caller.clone(), nodes[0].meta(), file()).await {
                Err(ActorError::NotOwner { .. }) => tokio::task::yield_now().await,
                other => return other.is_ok(),
            }
        }
        false
    }));
    assert_eq!(filings.await.into_iter().filter(|won| *won).count(), 1);
    assert!(all(&a.kit, &ann, vault).await.is_empty());
}

#[tokio::test]
async fn what_is_left_is_taken_in_before_a_cell_is_frozen_or_stopped() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let open = vault_of(&world.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    let container = world.running(&ann).await;
    // nobody is told that these came
    world.cells.inbox.lock().unwrap().push(cell.item(0));
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    assert_eq!(all(&world.kit, &ann, vault).await.len(), 1);
    assert!(world.cells.inbox.lock().unwrap().is_empty(), "and confirmed");
    world.wake(&ann, container).await.unwrap();
    until("it is listened to again", async || world.cells.inbox_asks.load(Ordering::SeqCst) > 3).await;
    world.makes([cell.item(1)]);
    world.confirmed().await;
    world.cells.inbox.lock().unwrap().push(cell.item(2));
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    assert_eq!(all(&world.kit, &ann, vault).await.len(), 3);
}

#[tokio::test]
async fn a_host_goes_on_under_the_next_owner_and_after_a_crash() {
    let (a, mut b, ann, container) = apart().await;
    let open = vault_of(&a.kit, &ann).await;
    let (cell, vault) = (Cell::of(&open), open.scope().vault);
    a.wake(&ann, container).await.unwrap();
    b.makes([cell.item(0)]);
    b.confirmed().await;
    // the owner dies; the host itself takes the tenant
    a.kit.is_declared_dead().await;
    until("the other node owns it", async || {
        b.kit.call(&ann.caller, ListInboxItems { vault, after: None, limit: 0 }).await.is_ok()
    })
    .await;
    b.makes([cell.item(1)]);
    b.confirmed().await;
    assert_eq!(all(&b.kit, &ann, vault).await.len(), 2);
    // an item is in the cell while its host is gone
    b.cells.inbox.lock().unwrap().push(cell.item(2));
    b.restart().await;
    until("the new life takes it in", async || {
        let page = b.kit.call(&ann.caller, ListInboxItems { vault, after: None, limit: 0 }).await;
        page.is_ok_and(|page| page.items.len() == 3)
    })
    .await;
    b.confirmed().await;
}
