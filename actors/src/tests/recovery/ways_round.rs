//! Ways round the completion and round the guardians: each is closed.

use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    slot::{NewSlot, SlotKind},
};
use ocmt_types::SlotId;

use super::{
    circle::{Circle, pass_delay, short},
    steps::stage_rotation,
};
use crate::{
    ActorError,
    api::{
        recovery::{CeremonyState, CollectShares, GetGuardianSet, GetGuardianship, GuardianshipState},
        vault::{AddKeySlot, FinishRotation, RemoveKeySlot},
    },
    tests::kit::{Kit, until},
};

async fn circle(k: u8, weights: &[u8]) -> Circle {
    Circle::dealt(Kit::sim_with(short).await, k, weights).await
}

fn recovery_slot(circle: &Circle) -> SlotId {
    let slots = circle.vault.slots();
    slots.iter().find(|slot| slot.kind() == SlotKind::Recovery).expect("a set is dealt").id()
}

#[tokio::test]
async fn after_release_only_the_completion_gives_the_vault_new_slots_and_keys() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let (id, vault_id) = (requester.id(), circle.vault_id());
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let who = requester.person.caller.clone();
    let collected = circle.kit.call(&who, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;

    let thiefs = Passphrase::new("of a thief, to come back with").unwrap();
    let mut edit = vault.edit();
    edit.add_slot(&NewSlot::Passphrase(&thiefs, Cost::LEAST), &mut circle.rng).unwrap();
    let change = edit.finish().unwrap();
    let add = AddKeySlot { vault: vault_id, slot: change.added_slots[0].clone(), manifest: change.manifest };
    assert_eq!(circle.kit.call(&who, add).await.unwrap_err().reason(), "PERMISSION_DENIED");
    let mut edit = vault.edit();
    let gone = recovery_slot(&circle);
    edit.remove_slot(gone).unwrap();
    let remove = RemoveKeySlot { vault: vault_id, slot: gone, manifest: edit.finish().unwrap().manifest };
    assert_eq!(circle.kit.call(&who, remove).await.unwrap_err().reason(), "PERMISSION_DENIED");
    let passphrase = Some("without a proof of completion");
    let (rotation, slots, manifest, _) =
        stage_rotation(&circle.kit, &who, &vault, passphrase, &mut circle.rng).await.unwrap();
    let finish = FinishRotation { vault: vault_id, rotation, slots, manifest, deal: None };
    assert_eq!(circle.kit.call(&who, finish).await.unwrap_err().reason(), "PERMISSION_DENIED");

    circle.complete(&requester, vault, (challenge, handout)).await.expect("the way that is meant");
}

async fn nobody_guards(circle: &Circle, ceremony: ocmt_types::Digest32) {
    let set = circle.kit.call(&circle.owner.caller, GetGuardianSet { vault: None }).await;
    assert_eq!(set.err(), Some(ActorError::NotFound), "no set is shown as one that still opens the vault");
    let ended = circle.state_of(&circle.owner, ceremony).await.unwrap();
    assert_eq!(ended.state, CeremonyState::Vetoed);
    assert_eq!(circle.row(ceremony).await.release_private_wrapped, None);
    for guard in &circle.guards {
        until("the units are dropped", async || {
            let get = GetGuardianship { guardianship: guard.guardianship };
            let row = circle.kit.call(&guard.person.caller, get).await.unwrap();
            row.state == GuardianshipState::Accepted && row.sealed_units.is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_set_whose_recovery_slot_is_removed_counts_no_more() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let gone = recovery_slot(&circle);
    let mut edit = circle.vault.edit();
    edit.remove_slot(gone).unwrap();
    let change = edit.finish().unwrap();
    let remove = RemoveKeySlot { vault: circle.vault_id(), slot: gone, manifest: change.manifest.clone() };
    circle.kit.call(&circle.owner.caller, remove).await.unwrap();
    circle.vault.apply(change).unwrap();
    nobody_guards(&circle, requester.id()).await;
}

#[tokio::test]
async fn a_set_whose_recovery_slot_is_rotated_away_counts_no_more_and_its_leavers_still_leave() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    rotate_without(&mut circle).await;
    nobody_guards(&circle, requester.id()).await;
    let leaver = circle.guards.pop().unwrap();
    circle.change_waited(2).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    until("who is not in the next set guards no more", async || {
        let get = GetGuardianship { guardianship: leaver.guardianship };
        circle.kit.call(&leaver.person.caller, get).await.unwrap().state == GuardianshipState::Ended
    })
    .await;
}

/// What the owner's client does before it deals anew: a rotation that drops the recovery slot.
async fn rotate_without(circle: &mut Circle) {
    let who = circle.owner.caller.clone();
    let passphrase = Some("the owner's new one");
    let (rotation, slots, manifest, completed) =
        stage_rotation(&circle.kit, &who, &circle.vault, passphrase, &mut circle.rng).await.unwrap();
    let finish = FinishRotation { vault: circle.vault_id(), rotation, slots, manifest, deal: None };
    circle.kit.call(&who, finish).await.unwrap();
    circle.vault.complete(completed).unwrap();
}

#[tokio::test]
async fn a_rotation_ends_with_at_least_one_slot_and_at_most_255() {
    let mut circle = circle(2, &[1, 1]).await;
    let who = circle.owner.caller.clone();
    let (rotation, slots, manifest, _) =
        stage_rotation(&circle.kit, &who, &circle.vault, None, &mut circle.rng).await.unwrap();
    for slots in [Vec::new(), vec![slots[0].clone(); 256]] {
        let finish = FinishRotation {
            vault: circle.vault_id(),
            rotation,
            slots,
            manifest: manifest.clone(),
            deal: None,
        };
        let refused = circle.kit.call(&who, finish).await.unwrap_err();
        assert_eq!(refused, ActorError::invalid("slots", "must be 1 to 255"));
    }
    let finish = FinishRotation { vault: circle.vault_id(), rotation, slots, manifest, deal: None };
    circle.kit.call(&who, finish).await.unwrap();
}
