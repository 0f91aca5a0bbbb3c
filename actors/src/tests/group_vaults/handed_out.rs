//! Single secrets of a group's vault, handed to people and programs by an administrator.

use ocmt_crypto::{
    entry::EntryName,
    grant,
    seal::{SealPublicKey, SealSecretKey},
};
use ocmt_types::ShareId;

use super::*;
use crate::api::{
    groups::SetMemberRole,
    programs::{CreateProgramToken, EntryGrant},
    shares::{AcceptShare, CreateShare, Permission, RevokeShare},
    vault::GetEntry,
};

/// A grant of the entry `bank`, made by somebody's own key.
async fn grant_of(kit: &Kit, team: &Team, by: &Side, to: &SealPublicKey) -> EntryGrant {
    let object = team.open.entry_id(&EntryName::new("bank").unwrap());
    let object = read(kit, &team.ann.person, team.vault(), object).await.unwrap();
    let key = team.open.data_key(&object).unwrap();
    let place = object.place(team.open.scope());
    let signer = &by.own.keyring().identity_signing;
    let sealed = grant::seal(&place, &key, to, signer, &mut rand::rng()).unwrap();
    EntryGrant { object: object.object_id, version: object.version, sealed }
}

async fn offer(kit: &Kit, team: &Team, by: &Side, to: &Side) -> CreateShare {
    let grant = grant_of(kit, team, by, &to.own.keyring().identity_seal.public()).await;
    CreateShare {
        vault: team.vault(),
        taker_email: to.person.email.clone(),
        permissions: vec![Permission::Read],
        grants: vec![grant],
        lifetime_ms: None,
        share: None,
        write_grants: Vec::new(),
    }
}

async fn given(kit: &Kit, team: &Team, by: &Side, to: &Side) -> ShareId {
    let share = kit.call(by.caller(), offer(kit, team, by, to).await).await.unwrap().id;
    kit.call(to.caller(), AcceptShare { share }).await.unwrap();
    share
}

/// A program with a token for the entry `bank`.
async fn program_of(kit: &Kit, team: &Team, by: &Side) -> Caller {
    let key = SealSecretKey::generate(&mut rand::rng());
    let ask = CreateProgramToken {
        name: "deploys".to_owned(),
        vault: team.vault(),
        program_key: key.public().0,
        grants: vec![grant_of(kit, team, by, &key.public()).await],
        lifetime_ms: 3_600_000,
        asked_by: ocmt_types::Digest32(rand::random()),
    };
    let token = kit.call(by.caller(), ask).await.unwrap();
    kit.authenticate(token.secret.expose()).await.unwrap()
}

async fn reads(kit: &Kit, team: &Team, who: &Caller) -> String {
    let object = team.open.entry_id(&EntryName::new("bank").unwrap());
    reason(kit.call(who, GetEntry { vault: team.vault(), object, version: 0 }).await)
}

async fn role(kit: &Kit, team: &Team, who: &Side, role: GroupRole) {
    let set = SetMemberRole { group: team.group, user: who.person.user, role };
    kit.call(team.ann.caller(), set).await.unwrap();
}

#[tokio::test]
async fn an_administrator_gives_a_single_secret_and_takes_it_back() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    team.store(&kit, "kept", b"another").await;
    // who takes part and administers nothing gives nothing
    let refused = kit.call(team.bob.caller(), offer(&kit, &team, &team.bob, &team.carol).await).await;
    assert_eq!(reason(refused), "PERMISSION_DENIED");
    let share = given(&kit, &team, &team.ann, &team.carol).await;
    assert_eq!(reads(&kit, &team, team.carol.caller()).await, "");
    let kept = team.open.entry_id(&EntryName::new("kept").unwrap());
    let more = GetEntry { vault: team.vault(), object: kept, version: 0 };
    assert_eq!(kit.call(team.carol.caller(), more).await.unwrap_err(), ActorError::NotFound);
    let ended = kit.call(team.ann.caller(), RevokeShare { share }).await.unwrap();
    assert_eq!(ended.rekey.len(), 1, "its key is to be replaced");
    assert_eq!(reads(&kit, &team, team.carol.caller()).await, "NOT_FOUND");
}

#[tokio::test]
async fn what_somebody_handed_out_ends_when_they_leave_or_administer_no_more() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    for leaves in [false, true] {
        role(&kit, &team, &team.bob, GroupRole::Admin).await;
        given(&kit, &team, &team.bob, &team.carol).await;
        assert_eq!(reads(&kit, &team, team.carol.caller()).await, "");
        let program = program_of(&kit, &team, &team.bob).await;
        assert_eq!(reads(&kit, &team, &program).await, "");
        match leaves {
            true => drop(team.remove(&kit, &team.bob).await.unwrap()),
            false => role(&kit, &team, &team.bob, GroupRole::Member).await,
        }
        assert_eq!(reads(&kit, &team, team.carol.caller()).await, "NOT_FOUND");
        assert_eq!(reads(&kit, &team, &program).await, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn what_was_given_to_whoever_takes_no_part_any_more_ends() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    given(&kit, &team, &team.ann, &team.bob).await;
    team.remove(&kit, &team.bob).await.unwrap();
    assert_eq!(reads(&kit, &team, team.bob.caller()).await, "NOT_FOUND");
}

#[tokio::test]
async fn who_administers_the_tenant_has_what_was_given_like_everybody() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let dee = kit.member(&team.ann.person, "dee@example.com", Role::Admin).await;
    let dee = Side::of(&kit, dee).await;
    let listed = async || {
        let list = ListEntries { vault: team.vault(), after: None, limit: 0 };
        kit.call(dee.caller(), list).await.map(|page| page.entries.len())
    };
    assert_eq!(reads(&kit, &team, dee.caller()).await, "PERMISSION_DENIED");
    assert_eq!(reason(listed().await), "PERMISSION_DENIED");
    let every = vec![Permission::Read, Permission::List, Permission::Share];
    let ask = CreateShare { permissions: every, ..offer(&kit, &team, &team.ann, &dee).await };
    let share = kit.call(team.ann.caller(), ask).await.unwrap().id;
    assert_eq!(reads(&kit, &team, dee.caller()).await, "PERMISSION_DENIED", "not taken yet");
    kit.call(dee.caller(), AcceptShare { share }).await.unwrap();
    assert_eq!(reads(&kit, &team, dee.caller()).await, "");
    assert_eq!(listed().await, Ok(1));
    // and gives it on
    given(&kit, &team, &dee, &team.carol).await;
    assert_eq!(reads(&kit, &team, team.carol.caller()).await, "");
    kit.call(team.ann.caller(), RevokeShare { share }).await.unwrap();
    for who in [&dee, &team.carol] {
        assert_ne!(reads(&kit, &team, who.caller()).await, "");
    }
}

#[tokio::test]
async fn new_keys_end_what_was_handed_out_programs_too() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    given(&kit, &team, &team.ann, &team.carol).await;
    let program = program_of(&kit, &team, &team.ann).await;
    assert_eq!(reads(&kit, &team, &program).await, "");
    rotate(&kit, &team.ann, &mut team.open, &[]).await.unwrap();
    assert_eq!(reads(&kit, &team, team.carol.caller()).await, "NOT_FOUND");
    assert_eq!(reads(&kit, &team, &program).await, "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_somebody_handed_out_ends_when_a_rotation_leaves_them_out() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    role(&kit, &team, &team.bob, GroupRole::Admin).await;
    given(&kit, &team, &team.bob, &team.carol).await;
    let program = program_of(&kit, &team, &team.bob).await;
    let bobs = slots_of(&team.open, &team.bob);
    // that only wraps anew: data keys stay what they were
    rewrap(&kit, &team.ann, &mut team.open, &bobs).await;
    assert_eq!(reads(&kit, &team, team.carol.caller()).await, "NOT_FOUND");
    assert_eq!(reads(&kit, &team, &program).await, "UNAUTHENTICATED");
    assert!(team.view(&kit).await.due.is_some(), "he had them");
}
