//! The budget of unlocks: hand-outs of key slots, counted by account until one is proved to have opened the vault;
//! and the slot that the proof brings up to date.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{
    kdf::Cost,
    slot::{KeySlot, NewSlot, SlotSecret},
    vault::{LockedVault, ProofOf, Rollback, RotationMode, UnlockedVault},
};
use ocmt_store::tables::UnlockBudget;
use ocmt_types::{Clock as _, Ownership, VaultId};

use super::{
    kit::{Kit, Person},
    vault::{PASSPHRASE, passphrase, proved, read, vault_of},
};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        factors::{Presence, StepUp},
        vault::{GetKeySlots, GetVault, Handout, ListEntries, ReportUnlock},
    },
    tests::factors::{by_mail, enrol},
};

const SECOND: Duration = Duration::from_secs(1);

async fn ask(kit: &Kit, who: &Person) -> Result<Handout, ActorError> {
    kit.call(&who.caller, GetKeySlots { vault: None, kind: None, claim: None }).await
}

/// How long the node says to wait; none if it hands slots out.
async fn wait(kit: &Kit, who: &Person) -> Option<Duration> {
    let error = ask(kit, who).await.err()?;
    assert_eq!(error.reason(), "TOO_MANY_UNLOCKS");
    assert!(error.is_retryable());
    error.retry_after()
}

async fn hand_outs_are_waited_for_until_one_is_proved(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.founder("bob@example.com").await;
    let open = vault_of(&kit, &ann).await;
    vault_of(&kit, &bob).await;
    let first = ask(&kit, &ann).await.unwrap();
    let elsewhere = by_mail(&kit, &ann).await;
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        assert_eq!(wait(&kit, &ann).await, Some(SECOND * seconds));
        // being refused costs nothing, and another session of the account waits, too
        assert_eq!(wait(&kit, &elsewhere).await, Some(SECOND * seconds));
        kit.clock.advance(SECOND * seconds - Duration::from_millis(1));
        assert_eq!(wait(&kit, &ann).await, Some(Duration::from_millis(1)));
        kit.clock.advance(Duration::from_millis(1));
        assert_eq!(wait(&kit, &ann).await, None);
    }
    let last = ask(&kit, &ann).await.unwrap_err();
    assert!(last.to_string().contains("tried 12 times") && last.to_string().contains("in 300 s"), "{last}");
    // others do not wait
    assert_eq!(wait(&kit, &bob).await, None);
    // what is not by the vault signing key proves nothing; the first hand-out is too old by now
    let wrong = ReportUnlock {
        proof: open.prove(ProofOf::StepUp, first.challenge).signature,
        ..proved(&open, &first, None)
    };
    assert!(kit.call(&ann.caller, wrong).await.is_err());
    assert_eq!(wait(&kit, &ann).await, Some(SECOND * 300));
    // neither a restart ends it
    kit.system.root.kill();
    let after = kit.another_tree().await;
    let again = after
        .tenant(ann.tenant)
        .call(ann.caller.clone(), kit.meta(), GetKeySlots { vault: None, kind: None, claim: None })
        .await;
    assert_eq!(again.unwrap_err().retry_after(), Some(SECOND * 300));
    kit.clock.advance(SECOND * 300);
    let meta = || kit.meta();
    let here = after.tenant(ann.tenant);
    let handout = here
        .call(ann.caller.clone(), meta(), GetKeySlots { vault: None, kind: None, claim: None })
        .await
        .unwrap();
    here.call(ann.caller.clone(), meta(), proved(&open, &handout, None)).await.unwrap();
    let fresh =
        here.call(ann.caller.clone(), meta(), GetKeySlots { vault: None, kind: None, claim: None }).await;
    assert!(fresh.is_ok(), "a proved unlock ends the count");
    let second =
        here.call(ann.caller.clone(), meta(), GetKeySlots { vault: None, kind: None, claim: None }).await;
    assert_eq!(second.unwrap_err().retry_after(), Some(SECOND));
}

#[tokio::test]
async fn hand_outs_are_waited_for_until_one_is_proved_on_sim() {
    hand_outs_are_waited_for_until_one_is_proved(Kit::sim().await).await;
}

#[tokio::test]
async fn hand_outs_are_waited_for_until_one_is_proved_on_sqlite() {
    hand_outs_are_waited_for_until_one_is_proved(Kit::sqlite().await).await;
}

/// Whoever had the vault open once has nothing by a signature that was kept.
/// A hundred at once, whatever passphrases they have: nothing tells the node before the hand-out, and Argon2id is the
/// clients'. One is answered, and the owner goes on answering others meanwhile.
#[tokio::test]
async fn v7_of_a_hundred_unlocks_at_once_one_is_handed_slots_and_others_are_served() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let open = vault_of(&kit, &ann).await;
    vault_of(&kit, &bob).await;
    let elsewhere = by_mail(&kit, &ann).await;
    let unlocks = join_all((0..100).map(|n| ask(&kit, if n % 2 == 0 { &ann } else { &elsewhere })));
    let reads = join_all((0..100).map(|_| kit.call(&ann.caller, GetVault { vault: None })));
    let (unlocks, reads, other) = tokio::join!(unlocks, reads, ask(&kit, &bob));
    assert!(other.is_ok() && reads.iter().all(Result::is_ok));
    let (handed, refused): (Vec<_>, Vec<_>) = unlocks.into_iter().partition(Result::is_ok);
    assert_eq!((handed.len(), refused.len()), (1, 99));
    for error in refused.into_iter().filter_map(Result::err) {
        assert_eq!((error.reason(), error.retry_after()), ("TOO_MANY_UNLOCKS", Some(SECOND)));
    }
    // the right one among them ends the wait
    let handout = handed.into_iter().find_map(Result::ok).unwrap();
    kit.call(&ann.caller, proved(&open, &handout, None)).await.unwrap();
    assert!(ask(&kit, &ann).await.is_ok());
}

#[tokio::test]
async fn a_hand_out_proves_for_an_hour_and_no_longer() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    let first = ask(&kit, &ann).await.unwrap();
    kit.clock.advance(SECOND * 3_600);
    let later = by_mail(&kit, &ann).await;
    let signature = open.prove(ProofOf::StepUp, first.challenge).signature;
    let proof = Presence::Vault { vault: first.vault, handout: first.handout, signature };
    assert_eq!(kit.call(&later.caller, StepUp { proof }).await.err().unwrap().reason(), "NOT_FOUND");
    let late = kit.call(&later.caller, proved(&open, &first, None)).await.unwrap_err();
    assert_eq!(late.reason(), "NOT_FOUND");
    let second = ask(&kit, &later).await.unwrap();
    kit.clock.advance(SECOND * 300);
    kit.call(&later.caller, proved(&open, &second, None)).await.expect("within the hour");
}

#[tokio::test]
async fn a_wait_that_a_clock_wrote_that_ran_ahead_keeps_nobody_out() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    vault_of(&kit, &ann).await;
    ask(&kit, &ann).await.unwrap();
    let own = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let own = Ownership { tenant: ann.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    for (seconds, waits) in [(300, true), (301, false)] {
        let mut tx = kit.store.fenced(own).await.unwrap();
        let row = tx.get::<UnlockBudget>(ann.user).await.unwrap().unwrap();
        let not_before = kit.clock.now() + SECOND * seconds;
        assert!(tx.update(&UnlockBudget { not_before, ..row }).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(ask(&kit, &ann).await.is_err(), waits, "{seconds} s");
    }
}

#[tokio::test]
async fn only_a_session_that_may_read_the_vault_gets_slots_and_others_cost_nothing() {
    let kit = Kit::sim().await;
    let founder = kit.founder("ann@example.com").await;
    let vault = vault_of(&kit, &founder).await.scope().vault;
    let bob = kit.member(&founder, "bob@example.com", crate::authorize::Role::Admin).await;
    let ann = enrol(&kit, &founder).await;
    let pending = by_mail(&kit, &ann.person).await;
    let recovering = kit.sign_in(&founder, LinkPurpose::Recovery).await;
    for _ in 0..3 {
        for (who, why) in
            [(&pending, "PERMISSION_DENIED"), (&recovering, "PERMISSION_DENIED"), (&bob, "NOT_FOUND")]
        {
            let refused = kit
                .call(&who.caller, GetKeySlots { vault: Some(vault), kind: None, claim: None })
                .await
                .unwrap_err();
            assert_eq!(refused.reason(), why, "{refused}");
        }
    }
    assert!(ask(&kit, &ann.person).await.is_ok(), "the owner has not waited for any of them");
}

#[tokio::test]
async fn confirming_by_the_open_vault_ends_the_count() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let open = vault_of(&kit, &ann).await;
    ask(&kit, &ann).await.unwrap();
    kit.clock.advance(SECOND);
    let handout = ask(&kit, &ann).await.unwrap();
    let signature = open.prove(ProofOf::StepUp, handout.challenge).signature;
    let proof = Presence::Vault { vault: handout.vault, handout: handout.handout, signature };
    let stepped = kit.call(&ann.caller, StepUp { proof }).await.unwrap();
    let caller = kit.authenticate(stepped.token.expose()).await.unwrap();
    assert!(kit.call(&caller, GetKeySlots { vault: None, kind: None, claim: None }).await.is_ok());
}

/// Unlocks, and brings the slot up to `least`.
async fn renewing(kit: &Kit, who: &Person, least: Cost) -> (UnlockedVault, Handout, Option<Vec<u8>>) {
    let handout = ask(kit, who).await.unwrap();
    let open = locked(kit, who, &handout).await;
    let (typed, rng) = (passphrase(PASSPHRASE), &mut rand::rng());
    let secret = SlotSecret::Passphrase(&typed);
    let open = open.open(&secret, None, Rollback::Refuse).unwrap();
    let renewed = open.renew_slot(&secret, least, rng).unwrap().map(|it| it.slot().to_bytes());
    (open, handout, renewed)
}

async fn locked(kit: &Kit, who: &Person, handout: &Handout) -> LockedVault {
    let vault: VaultId = handout.vault;
    let page = kit.call(&who.caller, ListEntries { vault, after: None, limit: 0 }).await.unwrap();
    let keyring = read(kit, who, vault, ocmt_crypto::object::keyring_id()).await.unwrap();
    let scope = ocmt_crypto::datakey::VaultScope { tenant: who.tenant, vault };
    let slots: Vec<Vec<u8>> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
    let leaves = page.entries.iter().map(|head| head.leaf).collect();
    LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring).unwrap()
}

fn cost_of(handout: &Handout) -> (u32, u32, u32) {
    KeySlot::from_bytes(&handout.slots[0].slot).unwrap().cost().unwrap().parts()
}

#[tokio::test]
async fn a_slot_takes_greater_costs_with_the_proof_of_its_use_and_never_lower_ones() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    vault_of(&kit, &ann).await;
    let more = Cost::new(20 * 1024, 3, 2).unwrap();
    let (open, handout, renewed) = renewing(&kit, &ann, more).await;
    assert!(renewed.is_some() && cost_of(&handout) == Cost::LEAST.parts());
    kit.call(&ann.caller, proved(&open, &handout, renewed)).await.unwrap();
    let (open, handout, renewed) = renewing(&kit, &ann, more).await;
    assert_eq!((cost_of(&handout), renewed.is_some()), ((20 * 1024, 3, 2), false));
    assert_eq!(open.manifest().counter, 1, "the manifest is as it was");
    kit.call(&ann.caller, proved(&open, &handout, renewed)).await.unwrap();
    let (_, _, renewed) = renewing(&kit, &ann, Cost::LEAST).await;
    assert!(renewed.is_none());
}

#[tokio::test]
async fn what_is_not_the_used_slot_signed_by_the_vault_is_not_stored() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    vault_of(&kit, &ann).await;
    let more = Cost::new(20 * 1024, 3, 2).unwrap();
    let (open, handout, renewed) = renewing(&kit, &ann, more).await;
    let renewed = renewed.unwrap();
    // every byte counts
    let mut bent = renewed.clone();
    bent[60] ^= 1;
    // the same slot, and not what the vault has signed
    let mut unsigned = renewed.clone();
    *unsigned.last_mut().unwrap() ^= 1;
    // a slot of the very same vault, with another id and key
    let mut edit = open.edit();
    let other = passphrase("another passphrase entirely");
    edit.add_slot(&NewSlot::Passphrase(&other, Cost::LEAST), &mut rand::rng()).unwrap();
    let another = edit.finish().unwrap().added_slots.remove(0);
    for bad in [bent, unsigned, another, vec![1; 300]] {
        let refused = kit.call(&ann.caller, proved(&open, &handout, Some(bad))).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT");
    }
    // and without the proof nothing of it is
    let unproved = ReportUnlock {
        proof: open.prove(ProofOf::StepUp, handout.challenge).signature,
        ..proved(&open, &handout, Some(renewed))
    };
    assert!(kit.call(&ann.caller, unproved).await.is_err());
    kit.clock.advance(SECOND);
    assert_eq!(cost_of(&ask(&kit, &ann).await.unwrap()), Cost::LEAST.parts());
}

#[tokio::test]
async fn a_renewed_slot_is_stored_where_a_slot_could_be_added_and_an_older_one_is_refused() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    vault_of(&kit, &ann).await;
    let more = Cost::new(20 * 1024, 3, 2).unwrap();
    // long after the sign-in the unlock is taken, and the slot stays
    kit.clock.advance(SECOND * 301);
    let (open, handout, renewed) = renewing(&kit, &ann, more).await;
    let old = handout.slots[0].slot.clone();
    kit.call(&ann.caller, proved(&open, &handout, renewed)).await.unwrap();
    let fresh = by_mail(&kit, &ann).await;
    let (open, handout, renewed) = renewing(&kit, &fresh, more).await;
    assert_eq!(cost_of(&handout), Cost::LEAST.parts());
    kit.call(&fresh.caller, proved(&open, &handout, renewed)).await.unwrap();
    // the slot of before is signed by the same key, and weaker
    let (open, handout, _) = renewing(&kit, &fresh, more).await;
    assert_eq!(cost_of(&handout), more.parts());
    let refused = kit.call(&fresh.caller, proved(&open, &handout, Some(old))).await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn reading_a_vault_in_rotation_hands_no_slots_out() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let cut_off = super::vault::rotate(&kit, &ann, &mut open, RotationMode::Rekey, false).await;
    assert!(cut_off.is_err());
    let view = kit.call(&ann.caller, GetVault { vault: None }).await.unwrap();
    assert!(view.rotation.unwrap().slots.is_empty());
}
