//! Who takes part, and what they may do by that.

use ocmt_crypto::entry::EntryName;
use ocmt_types::{Digest32, VaultId};

use super::*;
use crate::api::{
    groups::SetMemberRole,
    vault::{BatchGetEntries, GetEntry, GetVault, WatchVault},
};

async fn get(kit: &Kit, who: &Side, vault: VaultId, object: Digest32) -> Result<Vec<u8>, ActorError> {
    let found = kit.call(who.caller(), GetEntry { vault, object, version: 0 }).await?;
    Ok(found.objects[0].body.clone())
}

/// What every call about the vault says to somebody.
async fn said(kit: &Kit, who: &Side, vault: VaultId, object: Digest32) -> Vec<String> {
    let call = who.caller();
    vec![
        reason(kit.call(call, GetVault { vault: Some(vault) }).await),
        reason(kit.call(call, GetKeySlots { vault: Some(vault), kind: None, claim: None }).await),
        reason(kit.call(call, ListEntries { vault, after: None, limit: 0 }).await),
        reason(get(kit, who, vault, object).await),
        reason(kit.call(call, BatchGetEntries { vault, objects: vec![object] }).await),
        reason(kit.system.watch_vault(call.clone(), kit.meta(), WatchVault { vault, from: None }).await),
    ]
}

async fn only_who_is_admitted_opens_it(kit: Kit) {
    let mut team = Team::on(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let (vault, entry) = (team.vault(), team.open.entry_id(&EntryName::new("bank").unwrap()));
    // a member of the group alone, who owns the tenant beside that or not, sees that there is one and nothing of it
    let dee = kit.member(&team.ann.person, "dee@example.com", Role::Admin).await;
    let dee = Side::of(&kit, dee).await;
    let eve = kit.founder("eve@example.com").await;
    let eve = Side::of(&kit, eve).await;
    for stranger in [&team.bob, &team.carol, &eve] {
        assert_eq!(said(&kit, stranger, vault, entry).await, vec!["NOT_FOUND"; 6]);
    }
    assert_eq!(said(&kit, &dee, vault, entry).await, vec!["PERMISSION_DENIED"; 6]);
    let seen = kit.call(team.bob.caller(), GetGroupVault { group: team.group }).await.unwrap();
    assert_eq!((seen.vault, seen.due), (Some(vault), None));
    let foreign = kit.call(eve.caller(), GetGroupVault { group: team.group }).await;
    assert_eq!(foreign.unwrap_err(), ActorError::NotFound);
    // who has accepted is not admitted
    accept(&kit, &team.bob, &team.ann, team.group, team.open.scope()).await.unwrap();
    assert_eq!(said(&kit, &team.bob, vault, entry).await, vec!["NOT_FOUND"; 6]);
    admit(&kit, &team.ann, &mut team.open, team.group, &team.bob).await.unwrap();
    let mut his = unlock(&kit, &team.bob, &team.ann, vault).await.unwrap();
    let object = read(&kit, &team.bob.person, vault, entry).await.unwrap();
    assert_eq!(his.open_entry(&object).unwrap().value.as_slice(), b"the value");
    // and writes, which the others read
    let (change, write) = put(&his, "bobs", b"of Bob");
    kit.call(team.bob.caller(), BatchPutEntries(write)).await.unwrap();
    his.apply(change).unwrap();
    team.reopen(&kit).await;
    let theirs = team.open.entry_id(&EntryName::new("bobs").unwrap());
    let object = read(&kit, &team.ann.person, vault, theirs).await.unwrap();
    assert_eq!(team.open.open_entry(&object).unwrap().value.as_slice(), b"of Bob");
    // keys are the administrators' to change
    accept(&kit, &team.carol, &team.bob, team.group, his.scope()).await.unwrap();
    assert_eq!(reason(admit(&kit, &team.bob, &mut his, team.group, &team.carol).await), "PERMISSION_DENIED");
    assert_eq!(reason(staged(&kit, &team.bob, &his, &[]).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn only_who_is_admitted_opens_it_on_sim() {
    Box::pin(only_who_is_admitted_opens_it(Kit::sim().await)).await;
}

#[tokio::test]
async fn only_who_is_admitted_opens_it_on_sqlite() {
    Box::pin(only_who_is_admitted_opens_it(Kit::sqlite().await)).await;
}

#[tokio::test]
async fn who_only_looks_on_takes_no_part_and_an_observer_of_the_tenant_writes_nothing() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let (vault, group) = (team.vault(), team.group);
    let lower = SetMemberRole { group, user: team.carol.person.user, role: GroupRole::Observer };
    kit.call(team.ann.caller(), lower).await.unwrap();
    let refused = accept(&kit, &team.carol, &team.ann, group, team.open.scope()).await;
    assert_eq!(reason(refused), "PERMISSION_DENIED");
    let lower = SetMemberRole { group, user: team.bob.person.user, role: GroupRole::Observer };
    let his = unlock(&kit, &team.bob, &team.ann, vault).await.unwrap();
    kit.call(team.ann.caller(), lower).await.unwrap();
    let refused =
        kit.call(team.bob.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await;
    assert_eq!(refused.unwrap_err(), ActorError::NotFound);
    let (_, write) = put(&his, "bobs", b"of Bob");
    assert_eq!(reason(kit.call(team.bob.caller(), BatchPutEntries(write)).await), "NOT_FOUND");
    assert!(team.view(&kit).await.due.is_some(), "he had the key");
}

#[tokio::test]
async fn an_observer_of_the_tenant_reads_and_writes_nothing() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    let role = crate::api::users::SetRole { user: team.bob.person.user, role: Role::Observer.into() };
    kit.call(team.ann.caller(), role).await.unwrap();
    let his = unlock(&kit, &team.bob, &team.ann, team.vault()).await.unwrap();
    let (_, write) = put(&his, "bobs", b"of Bob");
    assert_eq!(reason(kit.call(team.bob.caller(), BatchPutEntries(write)).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn opening_it_is_not_counted_and_ends_no_count_of_ones_own() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    for _ in 0..8 {
        kit.call(team.bob.caller(), GetKeySlots { vault: Some(team.vault()), kind: None, claim: None })
            .await
            .unwrap();
    }
    // his own is counted, and the group's proof is not the proof of it
    kit.call(team.bob.caller(), GetKeySlots { vault: None, kind: None, claim: None }).await.unwrap();
    unlock(&kit, &team.bob, &team.ann, team.vault()).await.unwrap();
    let again = kit.call(team.bob.caller(), GetKeySlots { vault: None, kind: None, claim: None }).await;
    assert_eq!(reason(again), "TOO_MANY_UNLOCKS");
}
