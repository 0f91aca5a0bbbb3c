//! The delay of a ceremony does not pass while its tenant is suspended: nobody could veto.

use std::time::Duration;

use super::circle::{Circle, SHORT, pass_delay, short};
use crate::{
    api::recovery::{CeremonyState, CollectShares},
    tests::{
        kit::Kit,
        suspension::{resume, suspend},
    },
};

#[tokio::test]
async fn a_ceremony_waits_as_long_as_if_its_tenant_had_not_been_suspended() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    circle.reaches(&requester.person, id, CeremonyState::Ready).await;
    let half = Duration::from_millis(SHORT.recovery_ms / 2);
    circle.kit.clock.advance(half);
    suspend(&circle.kit, circle.owner.tenant).await;
    circle.kit.clock.advance(2 * half);
    resume(&circle.kit, circle.owner.tenant).await;
    let early = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await;
    assert_eq!(early.err().unwrap().reason(), "CEREMONY_NOT_RELEASED", "a half of the delay is left");
    let view = circle.state_of(&circle.owner, id).await.unwrap();
    assert_eq!(view.state, CeremonyState::Ready);
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
}
