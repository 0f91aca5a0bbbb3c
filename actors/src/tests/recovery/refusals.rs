//! What is refused: replayed, foreign, late and forged approvals, short delays, stopped ceremonies.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_crypto::{
    ceremony::{Purpose, Verdict},
    guardian::{self, Delays},
};
use ocmt_store::tables::{Approval, Handout};
use ocmt_types::Id as _;

use super::circle::{Circle, SHORT, ownership, pass_delay, short};
use crate::{
    ActorError, Mode,
    api::{
        audit::QueryAudit,
        auth::LinkPurpose,
        recovery::{
            CeremonyActKind, CeremonyState, CollectShares, CompleteCeremony, DenyCeremony, VetoCeremony,
        },
    },
    call::{Reply, answer_of},
    tenant::{TakePost, TenantMessage},
    tests::kit::{Kit, until},
};

async fn circle(k: u8, weights: &[u8]) -> Circle {
    Circle::dealt(Kit::sim_with(short).await, k, weights).await
}

fn veto(ceremony: ocmt_types::Digest32) -> VetoCeremony {
    VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() }
}

#[tokio::test]
async fn r7_a_replayed_approval_counts_once() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let approval = circle.approval(0, id).await;
    for _ in 0..3 {
        circle.send_approval(0, id, approval.clone()).await.unwrap();
    }
    // made anew, and sent from another session
    circle.guards[0].person = circle.kit.sign_in(&circle.guards[0].person, LinkPurpose::SignIn).await;
    circle.approve(0, id).await.unwrap();
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.units_approved, view.state), (1, CeremonyState::Open));
    // somebody else's approval is not one's own
    let refused = circle.send_approval(1, id, approval).await.unwrap_err();
    assert_eq!(refused.reason(), "NOT_FOUND");
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().units_approved, 1);
}

#[tokio::test]
async fn r3_r7_an_approval_of_another_ceremony_is_refused_and_audited() {
    let mut circle = circle(2, &[1, 1]).await;
    let (one, two) = (circle.opened().await, circle.opened().await);
    let approval = circle.approval(0, one.id()).await;
    let refused = circle.send_approval(0, two.id(), approval).await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_ARGUMENT");
    assert_eq!(circle.state_of(&two.person, two.id()).await.unwrap().units_approved, 0);
    let trail = circle.kit.call(&circle.owner.caller, QueryAudit::default()).await.unwrap();
    let audited = |result: &str| {
        trail.records.iter().any(|record| record.method == "ceremony.said" && record.result == result)
    };
    assert!(audited("INVALID_ARGUMENT"), "the attempt is in the owner's trail");
}

#[tokio::test]
async fn a_good_approval_from_another_tenant_than_the_guardians_is_refused() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let body = circle.approval(0, id).await;
    let said = serde_json::json!({
        "ceremony": id.0, "guardianship": circle.guards[0].guardianship, "verdict": "Approve", "body": body,
    });
    let deliver = async |from| {
        let (reply, answer) = Reply::new(circle.kit.request(), None);
        let (message, kind) = (circle.kit.system.env.id(), "ceremony.said".to_owned());
        let take = TakePost { from, message, kind, body: serde_json::to_vec(&said).unwrap(), reply };
        circle.kit.system.send(circle.owner.tenant, TenantMessage::Take(take));
        answer_of(&circle.kit.system.env.clock, circle.kit.deadline(), answer).await
    };
    assert_eq!(deliver(circle.guards[1].person.tenant).await, Err(ActorError::NotFound));
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().units_approved, 0);
    deliver(circle.guards[0].person.tenant).await.unwrap();
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().units_approved, 1);
}

#[tokio::test]
async fn r11_shares_of_a_retired_set_are_refused() {
    let mut circle = circle(2, &[1, 1]).await;
    let set = circle.set.clone();
    circle.rotate().await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    let new = std::mem::replace(&mut circle.set, set);
    let over_old = circle.requester().await;
    assert_eq!(circle.open(&over_old).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    circle.set = new;
    let requester = circle.opened().await;
    circle.approve(0, requester.id()).await.unwrap();
}

/// An unlock of a group's vault, to a device or into its cell, has no delay that its owner could use.
#[tokio::test]
async fn a_vault_is_not_recovered_by_what_is_no_recovery() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let mut requester = circle.requester().await;
    for purpose in [Purpose::Unlock, Purpose::Cell] {
        requester.params.purpose = purpose;
        requester.params.delay_ms = 0;
        let refused = circle.open(&requester).await.unwrap_err();
        assert!(matches!(&refused, ActorError::InvalidArgument { field: "params", .. }), "{refused:?}");
        assert!(circle.find_row(requester.id()).await.is_none());
    }
}

#[tokio::test]
async fn r8_approvals_after_release_expiry_cancel_and_veto_are_refused() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let late = circle.approval(2, id).await;
    circle.approve(0, id).await.unwrap();
    circle.approve(1, id).await.unwrap();
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let refused = circle.send_approval(2, id, late.clone()).await.unwrap_err();
    assert_eq!(refused.reason(), "CEREMONY_RELEASED");
    assert_eq!(circle.deny(2, id).await.unwrap_err().reason(), "CEREMONY_RELEASED");
    let vetoed = circle.kit.call(&circle.owner.caller, veto(id)).await.unwrap_err();
    assert!(["CEREMONY_RELEASED", "STEP_UP_REQUIRED"].contains(&vetoed.reason()));
    circle.kit.clock.advance(Duration::from_millis(2 * SHORT.recovery_ms));
    circle.reaches(&circle.owner, id, CeremonyState::Expired).await;
    assert_eq!(circle.send_approval(2, id, late).await.unwrap_err().reason(), "CEREMONY_OVER");
    let collect = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert!(collect.is_err());
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
}

#[tokio::test]
async fn a_veto_stops_it_and_the_release_key_is_gone() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let last = circle.approval(1, id).await;
    circle.approve(0, id).await.unwrap();
    assert!(circle.row(id).await.release_private_wrapped.is_some());
    let forged = circle.statement(0, Verdict::Veto, id);
    let bad = VetoCeremony { statement: forged, ..veto(id) };
    assert_eq!(circle.kit.call(&circle.owner.caller, bad).await.unwrap_err().reason(), "INVALID_ARGUMENT");
    let refused = circle.kit.call(&requester.person.caller, veto(id)).await.unwrap_err();
    assert_eq!(refused.reason(), "PERMISSION_DENIED", "a recovery session vetoes nothing");
    let vetoed = circle.kit.call(&circle.owner.caller, veto(id)).await.unwrap();
    assert!(vetoed.deal_anew, "an approval had come in");
    assert_eq!((vetoed.ceremony.state, vetoed.ceremony.release_statement), (CeremonyState::Vetoed, None));
    assert_eq!(circle.row(id).await.release_private_wrapped, None);
    assert_eq!(circle.send_approval(1, id, last).await.unwrap_err().reason(), "CEREMONY_OVER");
    pass_delay(&circle);
    let collect = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(collect.err().unwrap().reason(), "UNAUTHENTICATED", "its session has ended with it");
}

#[tokio::test]
async fn a_veto_wants_a_sign_in_of_late() {
    let mut circle = circle(2, &[1, 1]).await;
    circle.kit.clock.advance(Duration::from_secs(16 * 60));
    let requester = circle.opened().await;
    let refused = circle.kit.call(&circle.owner.caller, veto(requester.id())).await.unwrap_err();
    assert_eq!(refused.reason(), "STEP_UP_REQUIRED");
}

#[tokio::test]
async fn a_lock_stops_all_ceremonies_for_its_period_and_comes_once() {
    let mut circle = circle(2, &[1, 1]).await;
    let (one, two) = (circle.opened().await, circle.opened().await);
    circle.lock(0, one.id()).await.unwrap();
    for stopped in [&one, &two] {
        let view = circle.state_of(&circle.owner, stopped.id()).await.unwrap();
        assert_eq!(view.state, CeremonyState::Locked);
        assert!(view.locked_until.is_some());
        assert_eq!(circle.row(stopped.id()).await.release_private_wrapped, None);
    }
    let third = circle.requester().await;
    assert_eq!(circle.open(&third).await.unwrap_err().reason(), "LOCKED_BY_GUARDIAN");
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms));
    let fourth = circle.opened().await;
    circle.lock(0, fourth.id()).await.expect("once in each period");
    circle.kit.clock.advance(Duration::from_millis(SHORT.lock_ms - 1));
    let early = circle.requester().await;
    assert_eq!(circle.open(&early).await.unwrap_err().reason(), "LOCKED_BY_GUARDIAN");
}

#[tokio::test]
async fn denials_close_it_and_doubts_are_told() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.doubt(0, id).await.unwrap();
    circle.deny(1, id).await.unwrap();
    assert_eq!(circle.state_of(&requester.person, id).await.unwrap().state, CeremonyState::Open);
    circle.deny(2, id).await.unwrap();
    let view = circle.state_of(&circle.owner, id).await.unwrap();
    assert_eq!(view.state, CeremonyState::Denied);
    let kinds: Vec<_> = view.acts.iter().map(|act| act.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == CeremonyActKind::Denied).count(), 2);
    assert!(kinds.contains(&CeremonyActKind::Doubted));
    let told = |to: &str| circle.kit.mailbox.count(to);
    until("the others are told of the doubt", async || {
        told("guard1@example.com") >= 3 && told("guard2@example.com") >= 3
    })
    .await;
    // a verdict that says one thing does not pass for another
    let other = circle.opened().await;
    let statement = circle.statement(0, Verdict::Doubt, other.id());
    let deny = DenyCeremony { ceremony: other.id(), statement };
    let refused = circle.kit.call(&circle.guards[0].person.caller, deny).await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_notice_that_nobody_takes_never_matures() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.requester().await;
    circle.kit.mailbox.refuses.store(true, Ordering::SeqCst);
    circle.open(&requester).await.unwrap();
    let id = requester.id();
    for guard in &circle.guards {
        until("the guardian is told", async || circle.get(&guard.person, id).await.is_ok()).await;
    }
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    pass_delay(&circle);
    circle.kit.clock.advance(Duration::from_millis(SHORT.recovery_ms));
    let view = circle.state_of(&requester.person, id).await.unwrap();
    assert_eq!((view.state, view.delay_started_at), (CeremonyState::Ready, None));
    let collect = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(collect.err().unwrap().reason(), "CEREMONY_NOT_RELEASED");
    circle.kit.clock.advance(Duration::from_millis(SHORT.recovery_ms));
    circle.reaches(&circle.owner, id, CeremonyState::Expired).await;
}

#[tokio::test]
async fn short_delays_are_refused_in_production_and_below_the_tenants() {
    let kit = Kit::sim_with(|config| config.mode = Mode::Production).await;
    let mut circle = Circle::gather(kit, &[1, 1], SHORT).await;
    assert_eq!(circle.deal(2).await.unwrap_err().reason(), "INVALID_ARGUMENT", "under an hour");
    circle.delays = Delays { lock_ms: Delays::DEFAULT.lock_ms - 1, ..Delays::DEFAULT };
    assert_eq!(circle.deal(2).await.unwrap_err().reason(), "INVALID_ARGUMENT", "under the tenant's");
    circle.delays = Delays::DEFAULT;
    circle.deal(2).await.unwrap();
    let mut requester = circle.requester().await;
    requester.params.delay_ms -= 1;
    assert_eq!(circle.open(&requester).await.unwrap_err().reason(), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn r5_a_set_that_is_not_what_was_agreed_is_refused() {
    let kit = Kit::sim_with(short).await;
    let mut circle = Circle::gather(kit, &[1, 1], SHORT).await;
    let owner = circle.vault.keyring().identity_signing.expose();
    let owner = ocmt_crypto::sign::SigningKey::from_bytes(&owner);
    // more units than agreed
    let mut plan = circle.plan(3);
    plan.seats[0].units = 2;
    let dealt = guardian::deal(&plan, &owner, &mut circle.rng).unwrap();
    let (request, _) = circle.deal_request(&dealt);
    assert!(circle.kit.call(&circle.owner.caller, request).await.is_err());
    // keys that nobody accepted with
    let mut plan = circle.plan(2);
    plan.seats[0].keys.sealing = ocmt_crypto::seal::SealPublicKey([9; 32]);
    let dealt = guardian::deal(&plan, &owner, &mut circle.rng).unwrap();
    let (request, _) = circle.deal_request(&dealt);
    let refused = circle.kit.call(&circle.owner.caller, request).await.unwrap_err();
    assert_eq!(refused.reason(), "GUARDIAN_NOT_ACCEPTED");
    // a box too few
    let plan = circle.plan(2);
    let dealt = guardian::deal(&plan, &owner, &mut circle.rng).unwrap();
    let (mut request, _) = circle.deal_request(&dealt);
    request.units.pop();
    assert_eq!(
        circle.kit.call(&circle.owner.caller, request).await.unwrap_err().reason(),
        "INVALID_ARGUMENT"
    );
    // signed by somebody else
    let stranger = ocmt_crypto::sign::SigningKey::generate(&mut circle.rng);
    let dealt = guardian::deal(&plan, &stranger, &mut circle.rng).unwrap();
    let (request, _) = circle.deal_request(&dealt);
    assert_eq!(
        circle.kit.call(&circle.owner.caller, request).await.unwrap_err().reason(),
        "INVALID_ARGUMENT"
    );
}

#[tokio::test]
async fn completion_wants_proof_of_an_open_vault_before_anything_changes() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    let forged = CompleteCeremony {
        ceremony: id,
        rotation: ocmt_types::RotationId::from_bytes([1; 16]),
        slots: Vec::new(),
        manifest: Vec::new(),
        handout,
        proof: ocmt_crypto::sign::Signature([1; 64]),
        bad_guardianships: Vec::new(),
    };
    let refused = circle.kit.call(&requester.person.caller, forged).await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_ARGUMENT");
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let kept = circle.kit.store.read(own).await.unwrap().get::<Handout>((circle.vault_id(), handout)).await;
    assert!(kept.unwrap().is_some(), "a refused call changes nothing");
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
}

#[tokio::test]
async fn approvals_rest_as_the_guardians_sealed_them() {
    let mut circle = circle(2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    let approval = circle.approval(0, id).await;
    circle.send_approval(0, id, approval.clone()).await.unwrap();
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let rows = circle.kit.store.read(own).await.unwrap().find::<Approval>(Approval::ceremony_id.eq(id)).await;
    let bodies: Vec<_> = rows.unwrap().into_iter().map(|row| row.body).collect();
    assert_eq!(bodies, [approval]);
}
