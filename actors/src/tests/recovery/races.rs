//! A veto against the last approval: one winner, decided in the database.

use std::time::Duration;

use ocmt_crypto::guardian::Delays;

use super::circle::Circle;
use crate::{
    SystemConfig,
    api::{
        auth::LinkPurpose,
        recovery::{CeremonyState, CollectShares, VetoCeremony},
        tenant::TenantPolicy,
    },
    tests::kit::Kit,
};

const ROUNDS: usize = 200;
const BLINK: Delays = Delays { lock_ms: 100, recovery_ms: 100, change_ms: 50, change_window_ms: 50 };

fn blink(config: &mut SystemConfig) {
    config.policy = TenantPolicy {
        sessions_per_user: 100,
        lock_ms: 100,
        recovery_delay_ms: 100,
        change_delay_ms: 50,
        change_window_ms: 50,
        ..TenantPolicy::default()
    };
}

/// The veto is said at the owner's node, the last approval at the guardians'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_racing_the_last_approval_has_one_winner_over_two_nodes() {
    let near = Kit::sim_with(blink).await;
    let far = near.beside_with(2, blink).await;
    let mut circle = Circle::gather_over(near, Some(far), &[1, 1], BLINK).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    // full ones, which outlive what is stopped
    let mut session = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    let (mut approved, mut vetoed) = (0, 0);
    for round in 0..ROUNDS {
        if round % 9 == 8 {
            session = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
        }
        let mut requester = circle.requester_in(session.clone());
        requester.params.expires_at = requester.params.opened_at + Duration::from_secs(3600);
        circle.open(&requester).await.unwrap();
        circle.told(&requester).await;
        let id = requester.id();
        circle.approve(0, id).await.unwrap();
        let last = circle.approval(1, id).await;
        circle.kit.clock.advance(Duration::from_millis(100));
        let veto = async {
            // later or earlier in each round; whoever comes first wins, and either may
            for _ in 0..round * 7 % 90 {
                tokio::task::yield_now().await;
            }
            let veto = VetoCeremony { ceremony: id, statement: Vec::new(), retirement: Vec::new() };
            circle.kit.call(&circle.owner.caller, veto).await
        };
        let (approval, veto) = tokio::join!(circle.send_approval(1, id, last), veto);
        let row = circle.row(id).await;
        let collect = circle.kit.call(&session.caller, CollectShares { ceremony: id }).await;
        match (approval, veto) {
            (Ok(_), Err(refused)) => {
                assert_eq!(refused.reason(), "CEREMONY_RELEASED");
                assert_eq!(CeremonyState::from(row.state), CeremonyState::Released);
                collect.expect("what was released is collected");
                approved += 1;
                let cancel = crate::api::recovery::CancelCeremony { ceremony: id };
                circle.kit.call(&session.caller, cancel).await.unwrap();
            }
            (Err(refused), Ok(_)) => {
                assert_eq!(refused.reason(), "CEREMONY_OVER");
                assert_eq!(CeremonyState::from(row.state), CeremonyState::Vetoed);
                assert!(row.release_private_wrapped.is_none());
                assert_eq!(collect.err().unwrap().reason(), "CEREMONY_OVER");
                vetoed += 1;
            }
            (approval, veto) => panic!("not one winner: {approval:?} {:?}", veto.map(|_| "vetoed")),
        }
    }
    assert_eq!(approved + vetoed, ROUNDS);
    println!("{approved} released, {vetoed} vetoed");
}
