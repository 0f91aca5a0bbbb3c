//! A new generation of the sealing key while a ceremony runs.

use ocmt_crypto::sealing::SealingKeys;

use super::circle::{Circle, pass_delay, short};
use crate::{
    api::recovery::{CeremonyState, CollectShares},
    tests::kit::{Kit, sealing_key},
};

#[tokio::test]
async fn a_ceremony_is_collected_under_the_next_sealing_key_alone() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    let ring = circle.kit.system.env.sealing.clone();
    ring.replace(SealingKeys::new([sealing_key(1), sealing_key(2)]));
    let before = circle.row(id).await;
    circle.kit.system.rewrap(before.tenant_id, circle.kit.deadline()).await.unwrap();
    let wrapped = circle.row(id).await.release_private_wrapped.unwrap();
    assert_eq!(SealingKeys::generation_of(&wrapped), Ok(2));
    ring.replace(SealingKeys::new([sealing_key(2)]));
    circle.approve(1, id).await.unwrap();
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
}
