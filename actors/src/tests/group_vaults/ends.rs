//! What ends with whoever leaves, and with the group.

use ocmt_crypto::{entry::EntryName, slot::KeySlot};
use ocmt_store::{
    Filter, ReadTx,
    tables::{GroupVault, ObjectBody, Slot, Usage, Vault, VaultMember, VaultObject},
};

use super::*;
use crate::{
    api::{
        groups::{DeleteGroup, SetMemberRole},
        users::RemoveUser,
        vault::{GetEntry, GetVault},
    },
    tests::kit::until,
};

/// The tenant's rows, as whoever has the database reads them.
async fn rows(kit: &Kit, team: &Team) -> ReadTx {
    kit.rows(team.ann.person.tenant).await
}

async fn a_member_who_leaves_reads_nothing_at_once_and_new_keys_are_due(kit: Kit) {
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let vault = team.vault();
    let entry = team.open.entry_id(&EntryName::new("bank").unwrap());
    let his = unlock(&kit, &team.bob, &team.ann, vault).await.unwrap();
    assert_eq!(team.remove(&kit, &team.bob).await, Ok(MemberRemoved { rotation_due: true }));
    for refused in [
        reason(
            kit.call(team.bob.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await,
        ),
        reason(kit.call(team.bob.caller(), GetEntry { vault, object: entry, version: 0 }).await),
        reason(kit.call(team.bob.caller(), GetGroupVault { group: team.group }).await),
        reason(kit.call(team.bob.caller(), BatchPutEntries(put(&his, "x", b"y").1)).await),
    ] {
        assert_eq!(refused, "NOT_FOUND");
    }
    let view = team.view(&kit).await;
    assert!(view.due.is_some() && view.participants.iter().all(|one| one.user != team.bob.person.user));
    until("the administrator is told", async || {
        kit.mailbox.count_of("ann@example.com", "group_vault.rotation_due") == 1
    })
    .await;
    // the slot stands in the manifest until a rotation, which makes none for him
    let bobs = slots_of(&team.open, &team.bob);
    let refused = rotate(&kit, &team.ann, &mut team.open, &[]).await;
    assert_eq!(reason(refused), "NOT_ADMITTED");
    rotate(&kit, &team.ann, &mut team.open, &bobs).await.unwrap();
    assert_eq!(team.view(&kit).await.due, None);
    assert!(slots_of(&team.open, &team.bob).is_empty());
    // what he kept opens nothing that is written from now on
    team.store(&kit, "bank", b"another value").await;
    let object = read(&kit, &team.ann.person, vault, entry).await.unwrap();
    assert!(his.open_entry(&object).is_err() && his.data_key(&object).is_err());
    // he comes back as everybody comes
    add(&kit, &team.ann, team.group, &team.bob, GroupRole::Member).await;
    let refused =
        kit.call(team.bob.caller(), GetKeySlots { vault: Some(vault), kind: None, claim: None }).await;
    assert_eq!(refused.unwrap_err(), ActorError::NotFound);
    let Team { ann, bob, group, open, .. } = &mut team;
    take_in(&kit, ann, open, *group, bob).await;
    let his = unlock(&kit, bob, ann, vault).await.unwrap();
    assert_eq!(his.open_entry(&object).unwrap().value.as_slice(), b"another value");
}

#[tokio::test]
async fn a_member_who_leaves_reads_nothing_at_once_and_new_keys_are_due_on_sim() {
    Box::pin(a_member_who_leaves_reads_nothing_at_once_and_new_keys_are_due(Kit::sim().await)).await;
}

#[tokio::test]
async fn a_member_who_leaves_reads_nothing_at_once_and_new_keys_are_due_on_sqlite() {
    Box::pin(a_member_who_leaves_reads_nothing_at_once_and_new_keys_are_due(Kit::sqlite().await)).await;
}

#[tokio::test]
async fn a_rotation_begun_before_somebody_left_makes_no_slot_for_them() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    let (finish, _) = staged(&kit, &team.ann, &team.open, &[]).await.unwrap();
    team.remove(&kit, &team.bob).await.unwrap();
    assert_eq!(reason(kit.call(team.ann.caller(), finish).await), "NOT_ADMITTED");
    let bobs = slots_of(&team.open, &team.bob);
    rotate(&kit, &team.ann, &mut team.open, &bobs).await.expect("begun anew");
    assert_eq!(team.view(&kit).await.due, None);
}

#[tokio::test]
async fn a_rotation_that_wraps_anew_leaves_new_keys_due_and_who_gets_no_slot_is_out() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    let bobs = slots_of(&team.open, &team.bob);
    rotate(&kit, &team.ann, &mut team.open, &bobs).await.unwrap();
    let refused = kit.call(team.bob.caller(), GetVault { vault: Some(team.vault()) }).await;
    assert_eq!(refused.unwrap_err(), ActorError::NotFound, "he is of the group, and takes no part");
    let Team { ann, carol, group, open, .. } = &mut team;
    take_in(&kit, ann, open, *group, carol).await;
    team.remove(&kit, &team.carol).await.unwrap();
    let carols = slots_of(&team.open, &team.carol);
    rewrap(&kit, &team.ann, &mut team.open, &carols).await;
    assert!(team.view(&kit).await.due.is_some(), "the data keys are those that she had");
}

#[tokio::test]
async fn nobody_leaves_a_vault_that_nobody_else_opens() {
    let kit = Kit::sim().await;
    let mut team = Team::on(&kit).await;
    let (group, ann) = (team.group, team.ann.person.user);
    let raise = SetMemberRole { group, user: team.carol.person.user, role: GroupRole::Admin };
    kit.call(team.ann.caller(), raise).await.unwrap();
    let leave = || RemoveMember { group, user: ann };
    let lower = || SetMemberRole { group, user: ann, role: GroupRole::Observer };
    assert_eq!(reason(kit.call(team.ann.caller(), leave()).await), "LAST_KEY");
    assert_eq!(reason(kit.call(team.carol.caller(), lower()).await), "LAST_KEY");
    let Team { ann, bob, group, open, .. } = &mut team;
    take_in(&kit, ann, open, *group, bob).await;
    let gone = kit.call(team.ann.caller(), leave()).await.unwrap();
    assert!(gone.rotation_due);
    unlock(&kit, &team.bob, &team.ann, team.vault()).await.expect("believed still: the succession leads on");
}

#[tokio::test]
async fn who_is_removed_from_the_tenant_is_out_of_the_vault_too() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    kit.call(team.ann.caller(), RemoveUser { user: team.bob.person.user }).await.unwrap();
    let view = team.view(&kit).await;
    assert!(view.due.is_some() && view.participants.len() == 2);
}

#[tokio::test]
async fn a_group_that_ends_leaves_nothing_of_its_vault() {
    let kit = Kit::sqlite().await;
    let mut team = Team::with_bob(&kit).await;
    let mut before = rows(&kit, &team).await;
    let used = before.get::<Usage>(()).await.unwrap().unwrap().storage_bytes;
    let bodies = before.count::<ObjectBody>(Filter::all()).await.unwrap();
    drop(before);
    for n in 0..70 {
        team.store(&kit, &format!("bank {n}"), b"the value").await;
    }
    kit.call(team.ann.caller(), DeleteGroup { group: team.group }).await.unwrap();
    let vault = team.vault();
    // objects are taken by and by, and the vault's own row with the last: until then it is nobody's
    for who in [&team.ann, &team.bob] {
        // who administers the tenant knows of a group's vault that they may not open, and not of this
        let gone = kit.call(who.caller(), GetVault { vault: Some(vault) }).await;
        assert_eq!(gone.unwrap_err(), ActorError::NotFound);
    }
    until("its rows are taken", async || {
        rows(&kit, &team).await.get::<Vault>(vault).await.unwrap().is_none()
    })
    .await;
    let mut left = rows(&kit, &team).await;
    assert_eq!(left.get::<Vault>(vault).await.unwrap(), None);
    assert_eq!(left.count::<GroupVault>(Filter::all()).await.unwrap(), 0);
    assert_eq!(left.count::<VaultMember>(Filter::all()).await.unwrap(), 0);
    assert_eq!(left.count::<Slot>(Slot::vault_id.eq(vault)).await.unwrap(), 0);
    assert_eq!(left.count::<VaultObject>(VaultObject::vault_id.eq(vault)).await.unwrap(), 0);
    assert_eq!(left.count::<ObjectBody>(Filter::all()).await.unwrap(), bodies - 1);
    assert!(left.get::<Usage>(()).await.unwrap().unwrap().storage_bytes < used);
    let again = kit.call(team.bob.caller(), GetVault { vault: Some(vault) }).await;
    assert_eq!(again.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn a_dump_of_the_database_opens_nothing_to_who_left_before_the_last_keys() {
    let kit = Kit::sqlite().await;
    let mut team = Team::with_bob(&kit).await;
    team.remove(&kit, &team.bob).await.unwrap();
    let bobs = slots_of(&team.open, &team.bob);
    rotate(&kit, &team.ann, &mut team.open, &bobs).await.unwrap();
    team.store(&kit, "bank", b"the violin ledger").await;
    for file in kit.database_files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(17).any(|part| part == b"the violin ledger"), "{}", file.display());
    }
    let mut dump = rows(&kit, &team).await;
    let his = team.bob.own.keyring().identity_seal.public();
    let rows = dump.find::<Slot>(Slot::vault_id.eq(team.vault())).await.unwrap();
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| KeySlot::from_bytes(&row.body).unwrap().public() != his));
}

#[tokio::test]
async fn nobody_is_removed_whose_groups_vault_would_end_or_be_shut_with_them() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let carol = kit.member(&ann, "carol@example.com", Role::Member).await;
    let (ann, bob) = (Side::of(&kit, ann).await, Side::of(&kit, bob).await);
    let carol = Side::of(&kit, carol).await;
    let group = kit.call(bob.caller(), CreateGroup { name: "team".into() }).await.unwrap().id;
    let mut open = found(&kit, &bob, group).await.unwrap();
    add(&kit, &bob, group, &ann, GroupRole::Member).await;
    take_in(&kit, &bob, &mut open, group, &ann).await;
    let vault = open.scope().vault;
    let remove = async || reason(kit.call(ann.caller(), RemoveUser { user: bob.person.user }).await);
    // nobody but who removes is left to administer it: it would end, with what they keep there
    assert_eq!(remove().await, "LAST_ADMIN");
    unlock(&kit, &ann, &bob, vault).await.expect("nothing has changed");
    // somebody to step in, and nobody but who goes who opens it
    add(&kit, &bob, group, &carol, GroupRole::Member).await;
    kit.call(ann.caller(), RemoveMember { group, user: ann.person.user }).await.unwrap();
    assert_eq!(remove().await, "LAST_KEY");
    take_in(&kit, &bob, &mut open, group, &carol).await;
    assert_eq!(remove().await, "");
    unlock(&kit, &carol, &bob, vault).await.expect("the heir opens it");
    until("the heir is told", async || {
        kit.mailbox.count_of("carol@example.com", "group_vault.rotation_due") == 1
    })
    .await;
    // a group of one's own goes with its owner
    let own = kit.call(carol.caller(), CreateGroup { name: "own".into() }).await.unwrap().id;
    found(&kit, &carol, own).await.unwrap();
    kit.call(ann.caller(), DeleteGroup { group }).await.unwrap();
    kit.call(ann.caller(), RemoveUser { user: carol.person.user }).await.unwrap();
}
