//! Slots of a backup key that were waited for, at two nodes: refused at one while they are collected at the other. Once the
//! refusal was answered nothing is handed out any more, whoever won.

use std::time::Duration;

use ocmt_crypto::slot::SlotKind;
use ocmt_types::Ownership;

use crate::{
    api::{
        auth::LinkPurpose,
        tenant::GetTenant,
        vault::{GetKeySlots, GetVault, RefuseSlotRequest},
    },
    call::Call,
    error::ActorError,
    tests::{
        asked::Paper,
        kit::{Kit, Person, until},
        nodes::{hand_over, unlocks::at_either},
    },
};

const ROUNDS: u8 = 16;
const DELAY: Duration = Duration::from_secs(60);
const BUDGET: Duration = Duration::from_secs(300);

/// As a client does whose node stopped before it answered: each of these calls may be repeated.
async fn sure<C: Call + Clone>(
    nodes: [&Kit; 2],
    first: usize,
    who: &Person,
    ask: C,
) -> Result<C::Answer, ActorError> {
    for _ in 0..20 {
        match at_either(nodes, first, who, ask.clone()).await {
            Err(ActorError::OutcomeUnknown) => {}
            other => return other,
        }
    }
    Err(ActorError::OutcomeUnknown)
}

/// Anew, at the first node, which has the tenant for it.
async fn signed_in(nodes: [&Kit; 2], who: &Person) -> Person {
    for (n, kit) in nodes.iter().enumerate() {
        *kit.linked.prefers.lock().unwrap() = Some(n == 0);
    }
    let cluster = nodes[0].store.cluster();
    let row = cluster.owner(who.tenant).await.unwrap().unwrap();
    if let Some(incarnation) = row.incarnation {
        cluster.release(Ownership { tenant: who.tenant, incarnation, epoch: row.epoch }).await.unwrap();
    }
    until("the first node has it", async || nodes[0].call(&who.caller, GetTenant).await.is_ok()).await;
    nodes[0].sign_in(who, LinkPurpose::SignIn).await
}

async fn a_refusal_and_a_hand_out_have_an_order(a: Kit) {
    let b = a.beside(2).await;
    let mut paper = Paper::of(a, DELAY).await;
    let mut won = [0, 0];
    for round in 0..ROUNDS {
        let nodes = [&paper.kit, &b];
        let ask = GetKeySlots { vault: None, kind: Some(SlotKind::Backup), claim: Some([round; 32]) };
        let waits = sure(nodes, 0, &paper.ann, ask.clone()).await.unwrap_err();
        assert_eq!(waits.reason(), "WAY_WAITS");
        paper.kit.clock.advance(DELAY);
        let ann = signed_in(nodes, &paper.ann).await;
        let request = sure(nodes, 1, &ann, GetVault { vault: None }).await.unwrap().request.unwrap().id;
        let refuse = RefuseSlotRequest { vault: Some(paper.vault()), request: Some(request) };
        let (handed, refused, _) = tokio::join!(
            sure(nodes, usize::from(round % 2), &ann, ask.clone()),
            sure(nodes, usize::from(1 - round % 2), &ann, refuse),
            hand_over(nodes, ann.tenant),
        );
        refused.unwrap();
        match handed {
            Ok(handout) => {
                assert!(handout.slots.iter().any(|slot| slot.kind == SlotKind::Backup as u8));
                won[0] += 1;
            }
            Err(error) => {
                assert_eq!(error.reason(), "WAY_REFUSED");
                won[1] += 1;
            }
        }
        paper.kit.clock.advance(BUDGET);
        let never = sure(nodes, usize::from(round % 2), &ann, ask).await.unwrap_err();
        assert_eq!(never.reason(), "WAY_REFUSED", "after the refusal was answered");
        paper.kit.clock.advance(BUDGET * 2);
        paper.ann = signed_in([&paper.kit, &b], &ann).await;
    }
    assert_eq!(won[0] + won[1], u32::from(ROUNDS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_and_a_hand_out_have_an_order_at_two_nodes_on_sim() {
    Box::pin(a_refusal_and_a_hand_out_have_an_order(Kit::sim().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_and_a_hand_out_have_an_order_at_two_nodes_on_postgres() {
    Box::pin(a_refusal_and_a_hand_out_have_an_order(Kit::postgres().await)).await;
}
