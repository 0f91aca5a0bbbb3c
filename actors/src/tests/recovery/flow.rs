//! The whole way: invited, dealt, lost, opened, approved, released, collected, completed, dealt anew.

use std::time::Duration;

use ocmt_crypto::guardian::{Delays, DrillChallenge};
use ocmt_store::tables::{Ceremony, CeremonyPurpose, CeremonyState as Stored, GuardianshipIn};
use ocmt_types::Digest32;

use super::circle::{Circle, SHORT, at, ownership, pass_delay, short};
use crate::{
    Mode,
    api::{
        auth::{LinkPurpose, WhoAmI},
        recovery::{
            AnswerChallenge, CancelCeremony, CeremonyState, ChallengeGuardian, CollectShares, GetGuardianSet,
            GetGuardianship, GuardianshipState, InviteGuardian, ListCeremonies, ResignGuardianship,
        },
        vault::GetVault,
    },
    tests::kit::{Kit, until},
};

async fn a_lost_vault_is_recovered(kit: Kit) {
    let mut circle = Circle::dealt(kit, 3, &[1, 1, 2]).await;
    let old_epoch = circle.vault.epoch();
    let requester = circle.opened().await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    circle.approve(2, id).await.unwrap();
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    let early = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(early.err().unwrap().reason(), "CEREMONY_NOT_RELEASED", "the delay has not passed");
    let slots = circle.kit.call(&requester.person.caller, GetVault { vault: Some(circle.vault_id()) }).await;
    assert_eq!(
        slots.unwrap_err().reason(),
        "PERMISSION_DENIED",
        "before release nothing of the vault is shown"
    );

    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    assert_eq!(collected.approvals.len(), 2);
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    let (done, vault) = circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    assert_eq!((done.vault.key_epoch, done.ceremony.state), (old_epoch + 1, CeremonyState::Completed));
    assert_eq!(circle.row(id).await.release_private_wrapped, None, "the release key is gone");
    assert!(done.ended_credentials >= 2);
    for ended in [&requester.person, &circle.owner] {
        assert_eq!(circle.kit.call(&ended.caller, WhoAmI).await.unwrap_err().reason(), "UNAUTHENTICATED");
    }

    // the owner is back, and deals anew
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    circle.vault = vault;
    let gone = circle.kit.call(&circle.owner.caller, GetGuardianSet { vault: None }).await;
    assert_eq!(gone.unwrap_err().reason(), "NOT_FOUND", "the set has served");
    for guard in &circle.guards {
        until("the units are dropped", async || {
            let own = circle.kit.store.read(ownership(&circle.kit, guard.person.tenant).await.unwrap()).await;
            let row = own.unwrap().get::<GuardianshipIn>(guard.guardianship).await.unwrap().unwrap();
            row.sealed_units.is_none()
        })
        .await;
    }
    circle.deal(3).await.expect("the vault was rotated by the completion");
    circle.arrived().await;
}

#[tokio::test]
async fn r12_a_lost_vault_is_recovered_on_sim() {
    Box::pin(a_lost_vault_is_recovered(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn r12_a_lost_vault_is_recovered_on_sqlite() {
    Box::pin(a_lost_vault_is_recovered(Kit::sqlite_with(short).await)).await;
}

#[tokio::test]
async fn the_delays_of_production_outlive_every_session_but_the_requesters() {
    let kit = Kit::sim_with(|config| config.mode = Mode::Production).await;
    let mut circle = Circle::gather(kit, &[1, 1], Delays::DEFAULT).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    circle.kit.clock.advance(Duration::from_secs(48 * 3600) - Duration::from_secs(60));
    let early = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(early.err().unwrap().reason(), "CEREMONY_NOT_RELEASED");
    assert!(circle.kit.call(&circle.owner.caller, WhoAmI).await.is_err(), "a full session has ended");
    circle.kit.clock.advance(Duration::from_secs(60));
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    circle.unlock(&requester, &collected).await;
    circle.kit.clock.advance(Duration::from_secs(144 * 3600));
    let late = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(late.err().unwrap().reason(), "UNAUTHENTICATED", "and it ends with its ceremony");
}

#[tokio::test]
async fn a_full_session_opens_nothing_that_outlives_it() {
    let kit = Kit::sim_with(|config| config.mode = Mode::Production).await;
    let mut circle = Circle::gather(kit, &[1, 1], Delays::DEFAULT).await;
    circle.deal(2).await.unwrap();
    let owner = circle.owner.clone();
    let full = circle.requester_in(owner);
    assert_eq!(circle.open(&full).await.unwrap_err().reason(), "SESSION_TOO_SHORT");
    assert!(circle.find_row(full.id()).await.is_none());
}

#[tokio::test]
async fn an_invitation_waits_for_the_sign_up_of_its_address() {
    let kit = Kit::sim_with(short).await;
    let mut circle = Circle::gather(kit, &[], SHORT).await;
    let (vault, email) = (circle.vault_id(), "late@example.com".to_owned());
    let known = circle.kit.founder("known@example.com").await;
    let ask = async |email: &str| {
        let invite = InviteGuardian { vault, email: email.to_owned(), units: 1 };
        circle.kit.call(&circle.owner.caller, invite).await.unwrap()
    };
    let (one, two) = (ask(&email).await, ask(&known.email).await);
    let alike = |row: &crate::api::recovery::Guardianship| {
        let mut row = row.clone();
        row.id = one.id;
        row.counterpart_email = String::new();
        row
    };
    assert_eq!(alike(&one), alike(&two), "whether the address is known is not told");
    assert_eq!(circle.kit.mailbox.nth(&email, 0).await.kind, "guardian.invited");
    let late = circle.kit.founder(&email).await;
    circle.kit.clock.advance(Duration::from_secs(60));
    circle.invited(&late, one.id).await;
    circle.invited(&known, two.id).await;
    circle
        .kit
        .call(&late.caller, ResignGuardianship { guardianship: one.id, only_change: false })
        .await
        .unwrap();
    until("the owner hears of it", async || {
        let get = GetGuardianship { guardianship: one.id };
        circle.kit.call(&circle.owner.caller, get).await.unwrap().state == GuardianshipState::Resigned
    })
    .await;
    let _ = &mut circle;
}

#[tokio::test]
async fn a_drill_shows_that_units_are_there() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let set = circle.set.clone().unwrap();
    let guardianship = circle.guards[0].guardianship;
    let signed =
        DrillChallenge { set: set.id(), nonce: [3; 32], expires: at(&circle) + Duration::from_secs(600) };
    let ask = ChallengeGuardian { guardianship, challenge: signed.encode() };
    let asked = circle.kit.call(&circle.owner.caller, ask).await.unwrap();
    let get = || GetGuardianship { guardianship };
    until("the challenge has come", async || {
        let own = circle.kit.call(&circle.guards[0].person.caller, get()).await.unwrap();
        own.open_challenge.as_ref() == Some(&asked)
    })
    .await;
    let row = circle.kit.call(&circle.guards[0].person.caller, get()).await.unwrap();
    let answer_of = |n: usize, row: &crate::api::recovery::Guardianship| {
        let guard = &circle.guards[n];
        let identity = guard.signing.verify_key();
        let units =
            ocmt_crypto::guardian::open_units(&row.sealed_units, &set, &identity, &guard.sealing).unwrap();
        units.iter().map(|unit| unit.answer(&signed, at(&circle)).unwrap()).collect::<Vec<_>>()
    };
    let other = {
        let get = GetGuardianship { guardianship: circle.guards[1].guardianship };
        circle.kit.call(&circle.guards[1].person.caller, get).await.unwrap()
    };
    let send = async |answers| {
        let answer = AnswerChallenge { guardianship, challenge: asked.id, answers };
        circle.kit.call(&circle.guards[0].person.caller, answer).await
    };
    let foreign = send(answer_of(1, &other)).await.unwrap_err();
    assert_eq!(foreign.reason(), "INVALID_ARGUMENT", "another's units are not one's own");
    send(answer_of(0, &row)).await.unwrap();
    let known = circle.kit.call(&circle.owner.caller, get()).await.unwrap();
    assert_eq!((known.drilled_at, known.open_challenge), (Some(at(&circle)), None));
    assert_eq!(
        send(answer_of(0, &row)).await.unwrap_err().reason(),
        "NOT_FOUND",
        "a challenge is answered once"
    );
    circle.set = None;
}

#[tokio::test]
async fn a_changed_set_needs_a_rotation_and_ends_what_was_opened_over_the_old_one() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    let leaver = circle.guards.pop().unwrap();
    circle.change_waited(2).await;
    let plan = circle.plan(2);
    assert_eq!(circle.deal_by(plan.clone()).await.unwrap_err().reason(), "ROTATION_NEEDED");
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().state, CeremonyState::Open);
    circle.rotate().await;
    circle.deal_by(plan).await.unwrap();
    circle.arrived().await;
    let ended = circle.state_of(&circle.owner, id).await.unwrap();
    assert_eq!(ended.state, CeremonyState::Vetoed, "shares of a retired set open nothing");
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
    until("the leaver guards no more", async || {
        let get = GetGuardianship { guardianship: leaver.guardianship };
        let row = circle.kit.call(&leaver.person.caller, get).await.unwrap();
        row.state == GuardianshipState::Ended && row.sealed_units.is_empty()
    })
    .await;
    let (approver, ceremony) = (&circle.guards[1], id);
    let late = circle.kit.call(
        &approver.person.caller,
        crate::api::recovery::ApproveCeremony { ceremony, approval: vec![1, 2, 3] },
    );
    assert!(late.await.is_err());
}

#[tokio::test]
async fn a_requester_gives_up_and_everybody_sees_it() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let seen = circle.kit.call(&requester.person.caller, CancelCeremony { ceremony: id }).await.unwrap();
    assert_eq!((seen.state, &seen.release_statement), (CeremonyState::Cancelled, &None));
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
    for guard in &circle.guards {
        circle.reaches(&guard.person, id, CeremonyState::Cancelled).await;
        let live = ListCeremonies { only_live: true, ..ListCeremonies::default() };
        assert!(circle.kit.call(&guard.person.caller, live).await.unwrap().ceremonies.is_empty());
        let all = circle.kit.call(&guard.person.caller, ListCeremonies::default()).await.unwrap();
        assert_eq!(all.ceremonies.len(), 1);
    }
}

/// As many as one query returns, all of them asked for since.
#[tokio::test]
async fn unlocks_of_a_groups_vault_leave_ones_own_recovery_in_the_list() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let own = circle.row(requester.id()).await;
    let mut tx =
        circle.kit.store.fenced(ownership(&circle.kit, circle.owner.tenant).await.unwrap()).await.unwrap();
    for n in 0..1_000_u16 {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let unlock = Ceremony {
            ceremony_id: Digest32(id),
            purpose: CeremonyPurpose::Unlock,
            state: Stored::Completed,
            opened_at: own.opened_at + Duration::from_millis(1),
            ..own.clone()
        };
        tx.insert(&unlock).await.unwrap();
    }
    tx.commit().await.unwrap();
    let listed = circle.kit.call(&circle.owner.caller, ListCeremonies::default()).await.unwrap().ceremonies;
    assert_eq!(listed.iter().map(|view| view.id).collect::<Vec<_>>(), [requester.id().0]);
}
