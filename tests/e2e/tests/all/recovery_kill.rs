//! A recovery crosses the death of its node after every step that it answered, to the new passphrase; and whatever was cut off
//! in the middle is done again.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{
    Client, ClientError,
    auth::Purpose,
    passphrase::NewPassphrase,
    recovery::{CeremonyState, SetState, Side},
    vault::{Key, Vault},
};
use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    vault::Rollback,
};
use ocmt_testkit::{Person, TestNode};
use ocmt_types::{Digest32, GuardianshipId};

use crate::delays;

const OLD: &str = "violin ledger umbrella quartz";
const NEW: &str = "tramway-Okapi-39-lantern";
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody's client of a node that has come back.
async fn again(node: &TestNode, person: &Person) -> Client {
    reconnect(node, &person.client).await
}

async fn reconnect(node: &TestNode, before: &Client) -> Client {
    let client = node.local().client().await.unwrap();
    client.signed_in(before.credential().unwrap().clone(), before.identity().unwrap())
}

async fn open(node: &TestNode, person: &Person) -> Vault {
    let key = Key::Passphrase(Passphrase::new(OLD).unwrap());
    again(node, person).await.unlock_vault(None, key, &person.device, Rollback::Refuse).await.unwrap()
}

/// Kills the node, and starts it on what is left.
async fn killed(node: TestNode, after: &str) -> TestNode {
    node.crash_and_restart().await.unwrap_or_else(|error| panic!("killed after {after}: {error}"))
}

async fn guardian_knows(node: &TestNode, guard: &Person, which: GuardianshipId) {
    let client = again(node, guard).await;
    let came = async || client.guardianship(which, Side::Guardian).await.ok();
    wait_for(PATIENCE, came).await.expect("the invitation did not come");
}

async fn reaches(client: &Client, id: Digest32, state: CeremonyState) {
    let there = async || client.ceremony(id).await.ok().filter(|one| one.state == state);
    wait_for(PATIENCE, there).await.unwrap_or_else(|| panic!("it does not get to {state:?}"));
}

async fn set_up(mut node: TestNode) -> (TestNode, Person, Vec<Person>) {
    let owner = node.person("ada").await.unwrap();
    owner.vault(OLD).await.unwrap().put("entry", b"value").await.unwrap();
    delays::are_short(&owner).await;
    let mut guards = Vec::new();
    for name in ["grace", "hedy", "joan"] {
        let guard = node.person(name).await.unwrap();
        guard.vault(OLD).await.unwrap();
        let asked = open(&node, &owner).await.invite_guardian(&guard.email, 1).await.unwrap();
        node = killed(node, "an invitation").await;
        guardian_knows(&node, &guard, asked.id).await;
        open(&node, &guard).await.accept_guardianship(asked.id).await.unwrap();
        node = killed(node, "an acceptance").await;
        guards.push(guard);
    }
    let mut vault = open(&node, &owner).await;
    let accepted = again(&node, &owner).await.guardianships(Some(Side::Owner)).await.unwrap();
    vault.deal_shares(2, &accepted, delays::SHORT, true).await.unwrap();
    node = killed(node, "the dealing").await;
    let client = again(&node, &owner).await;
    let active =
        async || client.circle(None).await.ok().flatten().filter(|set| set.state == SetState::Active);
    wait_for(PATIENCE, active).await.expect("the units did not arrive");
    (node, owner, guards)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_crosses_the_death_of_its_node_after_every_step() {
    let (mut node, owner, guards) = set_up(TestNode::start().await.unwrap()).await;
    let pending = node.local().client().await.unwrap();
    let pending = pending.request_link(&owner.email, None, Purpose::Recovery).await.unwrap();
    let link = node.link(&owner.email, "recovery link").await.unwrap();
    let session = pending.finish(&link, "e2e").await.unwrap();
    node = killed(node, "the recovery link").await;
    let device = node.device("lost").unwrap();
    let (request, _) = reconnect(&node, &session).await.open_ceremony(None, &device).await.unwrap();
    let id = request.id();
    node = killed(node, "the opening").await;
    for (n, guard) in guards.iter().take(2).enumerate() {
        let client = again(&node, guard).await;
        let told = async || client.ceremony(id).await.ok();
        wait_for(PATIENCE, told).await.expect("the guardian was not told");
        let vault = open(&node, guard).await;
        let review = vault.review_ceremony(id).await.unwrap();
        let given = vault.approve_ceremony(&review).await.unwrap();
        assert_eq!(given.units_approved, u32::try_from(n).unwrap() + 1, "counted once");
        node = killed(node, "an approval").await;
    }
    let client = reconnect(&node, &session).await;
    reaches(&client, id, CeremonyState::Released).await;
    node = killed(node, "the release").await;
    let client = reconnect(&node, &session).await;
    // a completion that is cut off somewhere: by time, so a cut may fall before the node's part of it; and the same again
    for cut_ms in [60, 200, 280, 400] {
        let client = reconnect(&node, &session).await;
        let recovered = match request.collect(&client, &device).await {
            Ok(recovered) => recovered,
            // its session ended with the completion, whose answer was cut off
            Err(error) => {
                assert_eq!(error.reason().as_deref(), Some("UNAUTHENTICATED"), "{error}");
                break;
            }
        };
        let passphrase = NewPassphrase::new(NEW, &[&owner.email]).unwrap();
        let completing = Box::pin(recovered.complete(passphrase, Cost::DEFAULT, &device));
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(cut_ms), completing).await {
            ended.unwrap();
            break;
        }
        node = killed(node, "a part of the completion").await;
    }
    drop(client);
    finish(&node, &session, &owner, &request, &device).await;
}

/// Completes what may have been completed already, and opens the vault under the new passphrase.
async fn finish(
    node: &TestNode,
    session: &Client,
    owner: &Person,
    request: &ocmt_client::recovery::RecoveryRequest,
    device: &ocmt_client::state::LocalState,
) {
    let client = reconnect(node, session).await;
    match request.collect(&client, device).await {
        Ok(recovered) => {
            let passphrase = NewPassphrase::new(NEW, &[&owner.email]).unwrap();
            Box::pin(recovered.complete(passphrase, Cost::DEFAULT, device)).await.unwrap();
        }
        // its session ended with the completion
        Err(error) => assert_eq!(error.reason().as_deref(), Some("UNAUTHENTICATED"), "{error}"),
    }
    let (pending, link) = node.request_link(&owner.email).await.unwrap();
    let client = pending.finish(&link, "e2e").await.unwrap();
    let unlock = async |typed: &str| {
        let key = Key::Passphrase(Passphrase::new(typed).unwrap());
        client.unlock_vault(None, key, &owner.device, Rollback::Refuse).await
    };
    let vault = unlock(NEW).await.unwrap();
    assert_eq!(vault.get("entry").await.unwrap().value.as_slice(), b"value");
    assert!(matches!(unlock(OLD).await, Err(ClientError::Crypto(_))), "the old passphrase opens it");
}
