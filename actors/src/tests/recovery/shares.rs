//! A recovery ends what its owner gave and took: whoever lost the vault may have lost the keys to somebody.

use ocmt_crypto::entry::EntryName;

use super::circle::{Circle, pass_delay, short};
use crate::{
    api::{
        auth::LinkPurpose,
        programs::EntryGrant,
        recovery::{CeremonyState, CollectShares},
        shares::{AcceptShare, CreateShare, ListShares, Permission, ShareState},
        users::Role,
    },
    tests::{
        kit::{Kit, Person},
        programs::owner,
        vault::store,
    },
};

async fn given(kit: &Kit, giver: &Person, taker: &Person, ask: CreateShare) {
    let share = kit.call(&giver.caller, ask).await.unwrap().id;
    kit.call(&taker.caller, AcceptShare { share }).await.unwrap();
}

async fn states(kit: &Kit, of: &Person) -> Vec<ShareState> {
    let all = ListShares { limit: 100, ..ListShares::default() };
    kit.call(&of.caller, all).await.unwrap().shares.into_iter().map(|share| share.state).collect()
}

#[tokio::test]
async fn a_recovery_ends_what_its_owner_gave_and_took() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let ann = circle.owner.clone();
    let bob = circle.kit.member(&ann, "bob@example.com", Role::Member).await;
    let bobs = owner(&circle.kit, &bob).await;
    store(&circle.kit, &ann, &mut circle.vault, "granted", b"value").await;
    let name = EntryName::new("granted").unwrap();
    let to = |open: &ocmt_crypto::vault::UnlockedVault, taker: &Person| CreateShare {
        vault: open.scope().vault,
        taker_email: taker.email.clone(),
        permissions: vec![Permission::List],
        grants: vec![EntryGrant { object: open.entry_id(&name), version: 1, sealed: Vec::new() }],
        lifetime_ms: None,
        share: None,
        write_grants: Vec::new(),
    };
    given(&circle.kit, &ann, &bob, to(&circle.vault, &bob)).await;
    given(&circle.kit, &bob, &ann, to(&bobs, &ann)).await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.approve(0, id).await.unwrap();
    circle.approve(1, id).await.unwrap();
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let bob = circle.kit.sign_in(&bob, LinkPurpose::SignIn).await;
    assert_eq!(states(&circle.kit, &bob).await, [ShareState::Accepted; 2]);
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    assert_eq!(states(&circle.kit, &bob).await, [ShareState::Revoked; 2]);
}
