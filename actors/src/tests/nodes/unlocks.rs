//! Unlocks and removals of key slots at two nodes at once, while the owner changes: one hand-out a wait, and one slot
//! stays.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{kdf::Cost, slot::NewSlot};
use ocmt_store::tables::Slot;
use ocmt_types::{Ownership, SlotId, VaultId};

use crate::{
    ActorError,
    api::vault::{AddKeySlot, GetKeySlots, RemoveKeySlot},
    call::Call,
    tests::{
        kit::{Kit, Person},
        nodes::handed_over,
        vault::{passphrase, vault_of},
    },
};

const TRIES: usize = 24;
const KEPT: usize = 3;

/// Asks as an edge does that has one node first, and goes to the other when the tenant is not there.
pub(super) async fn at_either<C: Call + Clone>(
    nodes: [&Kit; 2],
    first: usize,
    who: &Person,
    ask: C,
) -> Result<C::Answer, ActorError> {
    for turn in first..first + 20_000 {
        let kit = nodes[turn % 2];
        let tenant = kit.system.tenant(who.tenant);
        match tenant.call(who.caller.clone(), kit.meta(), ask.clone()).await {
            Err(error) if error.outcome_unknown() => return Err(error),
            Err(error) if error.is_retryable() && error.reason() != "TOO_MANY_UNLOCKS" => {}
            other => return other,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took the call");
}

async fn one_hand_out_a_wait(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    vault_of(&a, &ann).await;
    let mut seen = 0;
    for wait in [1, 2, 4] {
        let calls = (0..TRIES)
            .map(|n| at_either([&a, &b], n, &ann, GetKeySlots { vault: None, kind: None, claim: None }));
        let (answers, owners) = tokio::join!(join_all(calls), handed_over([&a, &b], ann.tenant, 40));
        seen += owners.len();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "of {TRIES} at once");
        let waits = answers.into_iter().filter_map(Result::err).map(|error| error.retry_after());
        let expected = vec![Some(Duration::from_secs(wait)); TRIES - 1];
        assert_eq!(waits.collect::<Vec<_>>(), expected);
        a.clock.advance(Duration::from_secs(wait));
    }
    assert!(seen > 3, "one node had the tenant all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_hand_out_a_wait_at_two_nodes_on_sim() {
    one_hand_out_a_wait(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_hand_out_a_wait_at_two_nodes_on_postgres() {
    one_hand_out_a_wait(Kit::postgres().await).await;
}

/// Each remover wants another slot gone, from the same state, all at once: one is heard, the others have to look
/// again. Whoever goes on until nothing more may go is left with one.
async fn one_slot_stays(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let mut open = vault_of(&a, &ann).await;
    let vault = open.scope().vault;
    for n in 1..KEPT {
        let mut edit = open.edit();
        let new = passphrase(&format!("passphrase number {n}"));
        edit.add_slot(&NewSlot::Passphrase(&new, Cost::LEAST), &mut rand::rng()).unwrap();
        let change = edit.finish().unwrap();
        let ask =
            AddKeySlot { vault, slot: change.added_slots[0].clone(), manifest: change.manifest.clone() };
        a.call(&ann.caller, ask).await.unwrap();
        open.apply(change).unwrap();
    }
    for left in (1..KEPT).rev() {
        let changes: Vec<_> = open
            .slots()
            .iter()
            .map(|slot| {
                let mut edit = open.edit();
                edit.remove_slot(slot.id()).unwrap();
                (slot.id(), edit.finish().unwrap())
            })
            .collect();
        let calls = changes.iter().enumerate().map(|(n, (slot, change))| {
            let ask = RemoveKeySlot { vault, slot: *slot, manifest: change.manifest.clone() };
            at_either([&a, &b], n, &ann, ask)
        });
        let (answers, _) = tokio::join!(join_all(calls), handed_over([&a, &b], ann.tenant, 40));
        // whose answer was lost at a hand-over may be the one
        assert!(answers.iter().filter(|answer| answer.is_ok()).count() <= 1, "{answers:?}");
        let stored = stored(&a, &ann, vault).await;
        assert_eq!(stored.len(), left, "{answers:?}");
        let won = changes.into_iter().find(|(slot, _)| !stored.contains(slot)).unwrap().1;
        open.apply(won).unwrap();
    }
    let last = open.slots()[0].id();
    let asks = (0..4)
        .map(|n| at_either([&a, &b], n, &ann, RemoveKeySlot { vault, slot: last, manifest: Vec::new() }));
    for refused in join_all(asks).await {
        assert_eq!(refused.unwrap_err().reason(), "LAST_SLOT");
    }
    assert_eq!(stored(&a, &ann, vault).await, [last]);
}

/// The slots as they are stored, read by this test itself as the tenant's owner for a moment.
async fn stored(kit: &Kit, ann: &Person, vault: VaultId) -> Vec<SlotId> {
    let cluster = kit.store.cluster();
    let row = cluster.owner(ann.tenant).await.unwrap().unwrap();
    if let Some(incarnation) = row.incarnation {
        cluster.release(Ownership { tenant: ann.tenant, incarnation, epoch: row.epoch }).await.unwrap();
    }
    let own = kit.steal(ann.tenant).await;
    let mut tx = kit.store.read(own).await.unwrap();
    let slots = tx.find(Slot::vault_id.eq(vault)).await.unwrap();
    drop(tx);
    cluster.release(own).await.unwrap();
    slots.into_iter().map(|slot| slot.slot_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_removals_at_two_nodes_one_slot_stays_on_sim() {
    one_slot_stays(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_removals_at_two_nodes_one_slot_stays_on_postgres() {
    one_slot_stays(Kit::postgres().await).await;
}
