//! Two people of two tenants who do the same to each other at the same moment: neither tenant waits for the other with
//! its own door shut.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::{seal::SealSecretKey, sign::SigningKey};
use ocmt_types::{GuardianshipId, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::circle::make_vault;
use crate::{
    ActorError, Call,
    api::recovery::{
        AcceptGuardianship, GetGuardianship, GuardianKeys, GuardianshipState, InviteGuardian,
        ListGuardianships, ResignGuardianship, Side,
    },
    tests::kit::{Kit, Person, until},
};

/// Pairs at the same time, so that the moments meet in many ways.
const PAIRS: usize = 8;
/// More than two tenants need that wait for nothing but their databases, and less than those who wait for each other's rows are
/// left waiting.
const AT_MOST: Duration = Duration::from_secs(24);

/// One of the two, at their node.
struct Half<'a> {
    kit: &'a Kit,
    person: Person,
    vault: VaultId,
    keys: GuardianKeys,
}

impl<'a> Half<'a> {
    async fn of(kit: &'a Kit, email: &str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let person = kit.founder(email).await;
        let vault = make_vault(kit, &person, &mut rng).await.scope().vault;
        let signing = SigningKey::generate(&mut rng).verify_key().0;
        let sealing = SealSecretKey::generate(&mut rng).public().0;
        Self { kit, person, vault, keys: GuardianKeys { signing, sealing } }
    }

    async fn call<C: Call>(&self, request: C) -> Result<C::Answer, ActorError> {
        self.kit.call(&self.person.caller, request).await
    }

    async fn invites(&self, other: &Self) -> GuardianshipId {
        let (vault, email) = (self.vault, other.person.email.clone());
        self.call(InviteGuardian { vault, email, units: 1 }).await.unwrap().id
    }

    async fn is_invited(&self, guardianship: GuardianshipId) {
        until("the invitation has come", async || {
            let list = ListGuardianships { side: Some(Side::Guardian), ..ListGuardianships::default() };
            let page = self.call(list).await.unwrap();
            page.guardianships.iter().any(|row| row.id == guardianship)
        })
        .await;
    }

    async fn accepts(&self, guardianship: GuardianshipId) {
        self.call(AcceptGuardianship { guardianship, keys: self.keys }).await.unwrap();
    }

    async fn state(&self, guardianship: GuardianshipId) -> GuardianshipState {
        self.call(GetGuardianship { guardianship }).await.unwrap().state
    }
}

/// Invitations, acceptances and resignations that cross.
async fn guard_each_other(ann: &Half<'_>, bob: &Half<'_>) {
    let (of_ann, of_bob) = tokio::join!(ann.invites(bob), bob.invites(ann));
    tokio::join!(bob.is_invited(of_ann), ann.is_invited(of_bob));
    // each is answered after the other's tenant has committed
    tokio::join!(bob.accepts(of_ann), ann.accepts(of_bob));
    assert_eq!(ann.state(of_ann).await, GuardianshipState::Accepted);
    assert_eq!(bob.state(of_bob).await, GuardianshipState::Accepted);
    let (left, taken_back) = tokio::join!(
        bob.call(ResignGuardianship { guardianship: of_ann, only_change: false }),
        ann.call(ResignGuardianship { guardianship: of_ann, only_change: false }),
    );
    left.unwrap();
    taken_back.unwrap();
    let over = [GuardianshipState::Resigned, GuardianshipState::Ended];
    assert!(over.contains(&ann.state(of_ann).await) && over.contains(&bob.state(of_ann).await));
    assert_eq!(bob.state(of_bob).await, GuardianshipState::Accepted);
}

async fn pairs_guard_each_other(a: &Kit, b: &Kit) {
    let mut pairs = Vec::new();
    for n in 0..PAIRS as u64 {
        let ann = Half::of(a, &format!("ann{n}@example.com"), 2 * n).await;
        let bob = Half::of(b, &format!("bob{n}@example.com"), 2 * n + 1).await;
        pairs.push((ann, bob));
    }
    let all = join_all(pairs.iter().map(|(ann, bob)| guard_each_other(ann, bob)));
    tokio::time::timeout(AT_MOST, all).await.expect("two tenants wait for each other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_of_one_node_guard_each_other_at_once_on_sim() {
    let kit = Kit::sim().await;
    pairs_guard_each_other(&kit, &kit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_of_two_nodes_guard_each_other_at_once_on_sim() {
    let a = Kit::sim().await;
    pairs_guard_each_other(&a, &a.beside(2).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_of_two_nodes_guard_each_other_at_once_on_postgres() {
    let a = Kit::postgres().await;
    pairs_guard_each_other(&a, &a.beside(2).await).await;
}
