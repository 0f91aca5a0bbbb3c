//! A veto against the last approval: one winner, decided in the database.

use std::time::Duration;

use ocmt_crypto::guardian::Delays;
use ocmt_types::{Clock as _, SystemClock};

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

/// Each with nodes, a database and people of its own, at the same time.
const CIRCLES: u32 = 4;
/// Races in each. For a thousand in all: `OCMT_RACES=250 cargo nextest run -p ocmt-actors a_veto_racing`.
const ROUNDS: u32 = 40;
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

/// How often the approval and how often the veto came first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Won {
    released: u32,
    vetoed: u32,
}

/// The veto is said at the owner's node, the last approval at the guardians'.
async fn races(near: Kit, rounds: u32) -> Won {
    let far = near.beside_with(2, blink).await;
    let mut circle = Circle::gather_over(near, Some(far), &[1, 1], BLINK).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    // full ones, which outlive what is stopped
    let mut session = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    let mut won = Won::default();
    for round in 0..rounds {
        if round % 9 == 8 {
            session = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
        }
        let mut requester = circle.requester_in(session.clone());
        requester.params.expires_at = requester.params.opened_at + Duration::from_secs(3600);
        circle.open(&requester).await.unwrap();
        circle.told(&requester).await;
        let id = requester.id();
        let begun = SystemClock.boottime();
        circle.approve(0, id).await.unwrap();
        let takes = SystemClock.boottime() - begun;
        let last = circle.approval(1, id).await;
        circle.kit.clock.advance(Duration::from_millis(100));
        let veto = async {
            // why: the two are to meet at another point in each round, over as long as an approval takes; no level would let them
            // race, and nothing is waited for here: whoever comes first wins, and either may
            tokio::time::sleep(takes * (round * 7 % 13) / 10).await;
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
                won.released += 1;
                let cancel = crate::api::recovery::CancelCeremony { ceremony: id };
                circle.kit.call(&session.caller, cancel).await.unwrap();
            }
            (Err(refused), Ok(_)) => {
                assert_eq!(refused.reason(), "CEREMONY_OVER");
                assert_eq!(CeremonyState::from(row.state), CeremonyState::Vetoed);
                assert!(row.release_private_wrapped.is_none());
                assert_eq!(collect.err().unwrap().reason(), "CEREMONY_OVER");
                won.vetoed += 1;
            }
            (approval, veto) => panic!("not one winner: {approval:?} {:?}", veto.map(|_| "vetoed")),
        }
    }
    won
}

/// A runtime of its own, so that the devices' cryptography of one holds no other up.
fn run(races: impl Future<Output = Won>) -> Won {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(Box::pin(races))
}

#[test]
fn a_veto_racing_the_last_approval_over_two_nodes_has_one_winner_on_postgres() {
    let rounds = std::env::var("OCMT_RACES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let all: Vec<Won> = std::thread::scope(|scope| {
        let circle = || {
            scope.spawn(move || run(async { Box::pin(races(Kit::postgres_with(blink).await, rounds)).await }))
        };
        let circles: Vec<_> = (0..CIRCLES).map(|_| circle()).collect();
        circles.into_iter().map(|circle| circle.join().unwrap()).collect()
    });
    let (released, vetoed) = all.iter().fold((0, 0), |sum, won| (sum.0 + won.released, sum.1 + won.vetoed));
    assert_eq!(released + vetoed, CIRCLES * rounds);
    assert!(released > 0 && vetoed > 0, "a race that one side always wins is none: {released} and {vetoed}");
}
