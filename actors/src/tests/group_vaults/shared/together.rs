//! Opening it together, and what nobody does alone.

use ocmt_crypto::entry::EntryName;

use super::*;
use crate::{
    api::{
        auth::LinkPurpose,
        group_unlocks::CancelGroupUnlock,
        vault::{GetEntry, GetVault},
    },
    tests::kit::until,
};

async fn two_open_it_for_a_time_and_none_alone(kit: Kit) {
    let mut three = Three::on(&kit).await;
    let (vault, bank) = (three.team.vault(), three.team.open.entry_id(&EntryName::new("bank").unwrap()));
    for who in three.all() {
        let refused =
            reason(kit.call(who.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await);
        // Ann owns the tenant, and may know that there is a group's vault
        let expected = if who.person.email.starts_with("ann") { "PERMISSION_DENIED" } else { "NOT_FOUND" };
        assert_eq!(refused, expected, "nobody opens it alone");
    }
    let asked = three.ask(&kit, &three.team.ann, HOUR / 2).await.unwrap();
    for email in ["ann@example.com", "bob@example.com", "carol@example.com"] {
        until("everybody is told", async || kit.mailbox.count_of(email, "group_vault.unlock_asked") == 1)
            .await;
    }
    let one = three.approve(&kit, &three.team.ann, asked.id()).await.unwrap();
    assert_eq!((one.state, one.approved, one.needed), (CeremonyState::Open, 1, 2));
    let early = three.collect(&kit, &three.team.ann, asked.id()).await.err().unwrap();
    assert_eq!(early.reason(), "CEREMONY_NOT_RELEASED");
    assert!(early.to_string().contains("ocmt group vault unlocks"), "no word of guardians: {early}");
    // one's own approval counts once, however often it is given
    let again = three.approve(&kit, &three.team.ann, asked.id()).await.unwrap();
    assert_eq!((again.state, again.approved), (CeremonyState::Open, 1));
    let two = three.approve(&kit, &three.team.bob, asked.id()).await.unwrap();
    assert_eq!(two.state, CeremonyState::Released);
    // to the session that asked, and to no other
    assert_eq!(reason(three.collect(&kit, &three.team.bob, asked.id()).await), "PERMISSION_DENIED");
    let refused = kit.call(three.team.bob.caller(), GetVault { vault: Some(vault) }).await;
    assert_eq!(refused.unwrap_err(), ActorError::NotFound);
    let mut open = three.open(&kit, &three.team.ann, &asked).await.unwrap();
    let object = read(&kit, &three.team.ann.person, vault, bank).await.unwrap();
    assert_eq!(open.open_entry(&object).unwrap().value.as_slice(), b"the value");
    let (change, write) = put(&open, "bank", b"another");
    kit.call(three.team.ann.caller(), BatchPutEntries(write)).await.unwrap();
    open.apply(change).unwrap();
    // when the time is over the node shows nothing more, and new keys are due
    kit.clock.advance(HOUR / 2);
    let refused = kit.call(three.team.ann.caller(), GetEntry { vault, object: bank, version: 0 }).await;
    assert_eq!(reason(refused), "PERMISSION_DENIED");
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "CEREMONY_OVER");
    kit.system.send(three.team.ann.person.tenant, crate::tenant::TenantMessage::TimerDue);
    until("it has ended", async || three.state(&kit, asked.id()).await == CeremonyState::Expired).await;
    let due = three.team.view(&kit).await.due.map(|(why, _)| why);
    assert_eq!(due, Some(crate::api::group_vaults::RotationDue::Unlocked));
    // and whoever opens it next gives it new ones; what was a fresh sign-in is none any more
    for who in [&mut three.team.ann, &mut three.team.bob, &mut three.team.carol] {
        who.person = kit.sign_in(&who.person, LinkPurpose::SignIn).await;
    }
    let fresh = three.ask(&kit, &three.team.bob, HOUR).await.unwrap();
    three.approve(&kit, &three.team.carol, fresh.id()).await.unwrap();
    three.approve(&kit, &three.team.bob, fresh.id()).await.unwrap();
    let mut open = three.open(&kit, &three.team.bob, &fresh).await.unwrap();
    let deal = dealing(&open, &three.all(), 2);
    share(&kit, &three.team.bob, &mut open, deal).await.unwrap();
    assert_eq!(three.team.view(&kit).await.due, None);
    assert_eq!(three.state(&kit, fresh.id()).await, CeremonyState::Completed);
    let refused = kit.call(three.team.bob.caller(), GetVault { vault: Some(vault) }).await;
    assert_eq!(refused.unwrap_err(), ActorError::NotFound, "the unlock has ended with it");
    three.team.open = open;
}

#[tokio::test]
async fn two_open_it_for_a_time_and_none_alone_on_sim() {
    Box::pin(two_open_it_for_a_time_and_none_alone(Kit::sim().await)).await;
}

#[tokio::test]
async fn two_open_it_for_a_time_and_none_alone_on_sqlite() {
    Box::pin(two_open_it_for_a_time_and_none_alone(Kit::sqlite().await)).await;
}

#[tokio::test]
async fn enough_who_refuse_end_it_and_who_asked_gives_it_up() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    three.approve(&kit, &three.team.ann, asked.id()).await.unwrap();
    let denied = three.deny(&kit, &three.team.bob, asked.id()).await.unwrap();
    assert_eq!(denied.state, CeremonyState::Open, "Carol may still say yes");
    assert_eq!(reason(three.approve(&kit, &three.team.bob, asked.id()).await), "ALREADY_DECIDED");
    let denied = three.deny(&kit, &three.team.carol, asked.id()).await.unwrap();
    assert_eq!((denied.state, denied.release_statement), (CeremonyState::Denied, None));
    assert_eq!(three.team.view(&kit).await.due, None, "nobody had the key");
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let give_up = CancelGroupUnlock { group: three.team.group, ceremony: asked.id() };
    assert_eq!(reason(kit.call(three.team.bob.caller(), give_up.clone()).await), "PERMISSION_DENIED");
    let over = kit.call(three.team.ann.caller(), give_up).await.unwrap();
    assert_eq!(over.state, CeremonyState::Cancelled);
    // one that was released leaves new keys due, however it ends
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(&kit, who, asked.id()).await.unwrap();
    }
    let give_up = CancelGroupUnlock { group: three.team.group, ceremony: asked.id() };
    kit.call(three.team.ann.caller(), give_up).await.unwrap();
    assert!(three.team.view(&kit).await.due.is_some());
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "CEREMONY_OVER");
}

#[tokio::test]
async fn a_dump_of_the_database_opens_nothing_before_enough_have_approved() {
    let kit = Kit::sqlite().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    three.approve(&kit, &three.team.ann, asked.id()).await.unwrap();
    // with the requester's own part and key, and all that stands in the database
    let owner = kit.store.cluster().owner(three.team.ann.person.tenant).await.unwrap().unwrap();
    let own = ocmt_types::Ownership {
        tenant: three.team.ann.person.tenant,
        incarnation: owner.incarnation.unwrap(),
        epoch: owner.epoch,
    };
    let mut dump = kit.store.read(own).await.unwrap();
    let row = dump.get::<ocmt_store::tables::Ceremony>(asked.id()).await.unwrap().unwrap();
    let wrapped = row.release_private_wrapped.unwrap();
    assert!(wrapped.len() > 32 && row.released_at.is_none());
    let all = ocmt_store::Filter::all();
    let parts = dump.find::<ocmt_store::tables::GroupPart>(all).await.unwrap();
    assert_eq!(parts.len(), 3);
    let set = three.set(&kit, &three.team.ann).await;
    let hers = &three.team.ann.own.keyring().identity_seal;
    let opened = parts.iter().filter(|part| {
        let theirs = [three.team.ann.identity(), three.team.bob.identity(), three.team.carol.identity()];
        theirs.iter().any(|identity| open_units(&part.sealed, &set, identity, hers).is_ok())
    });
    assert_eq!(opened.count(), 1, "her own, and nobody else's");
    let approvals = dump.find::<ocmt_store::tables::Approval>(ocmt_store::Filter::all()).await.unwrap();
    let release = SealSecretKey::generate(&mut rand::rng());
    let given =
        Collection { ceremony: &asked.params, set: &set, release: &release, requester: &asked.secret };
    let bodies: Vec<Vec<u8>> = approvals.into_iter().map(|row| row.body).collect();
    let collected = crypto::collect(&given, &bodies, |_| Ok(())).unwrap();
    assert!(collected.outcome.is_err(), "the release key is in no database");
}
