//! What meets a rotation, what is another administrator's, and what ends with the group.

use ocmt_crypto::{
    entry::EntryName,
    grant,
    seal::{SealPublicKey, SealSecretKey},
};

use super::*;
use crate::api::{
    groups::{DeleteGroup, SetMemberRole},
    programs::{CreateProgramToken, EntryGrant, ProgramTokenIssued, ReleaseProgramToken},
    shares::{AcceptShare, CreateShare, ListShares, Permission, ShareState},
};

/// A grant of the entry `bank`, by Ann's own key.
async fn grant_to(kit: &Kit, team: &Team, to: &SealPublicKey) -> EntryGrant {
    let object = team.open.entry_id(&EntryName::new("bank").unwrap());
    let object = read(kit, &team.ann.person, team.vault(), object).await.unwrap();
    let (place, key) = (object.place(team.open.scope()), team.open.data_key(&object).unwrap());
    let signer = &team.ann.own.keyring().identity_signing;
    let sealed = grant::seal(&place, &key, to, signer, &mut rand::rng()).unwrap();
    EntryGrant { object: object.object_id, version: object.version, sealed }
}

/// A program of Ann's that reads it.
async fn program(kit: &Kit, team: &Team) -> ProgramTokenIssued {
    let program = SealSecretKey::generate(&mut rand::rng()).public();
    let ask = CreateProgramToken {
        name: "deploys".to_owned(),
        vault: team.vault(),
        program_key: program.0,
        grants: vec![grant_to(kit, team, &program).await],
        lifetime_ms: 3_600_000,
        asked_by: ocmt_types::Digest32(rand::random()),
    };
    kit.call(team.ann.caller(), ask).await.unwrap()
}

#[tokio::test]
async fn nobody_is_admitted_while_the_keys_are_replaced() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    accept(&kit, &team.carol, &team.ann, team.group, team.open.scope()).await.unwrap();
    let (_, ask) = admitting(&team.ann, &team.open, team.group, &team.carol);
    let (finish, _) = staged(&kit, &team.ann, &team.open, &[]).await.unwrap();
    assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "ROTATION_IN_PROGRESS");
    kit.call(team.ann.caller(), finish).await.unwrap();
}

#[tokio::test]
async fn words_about_another_member_group_or_vault_admit_nobody_with_their_own_slot() {
    let kit = Kit::sim().await;
    let team = Team::on(&kit).await;
    accept(&kit, &team.bob, &team.ann, team.group, team.open.scope()).await.unwrap();
    let (_, good) = admitting(&team.ann, &team.open, team.group, &team.bob);
    let slot = ocmt_crypto::slot::KeySlot::from_bytes(&good.slot).unwrap().id();
    let said = admission(&team.open, team.group, &team.bob, slot);
    let carols = admission(&team.open, team.group, &team.carol, slot);
    let elsewhere = VaultScope { vault: ocmt_store::testing::id(9), ..said.scope };
    for other in [
        Admission { member: carols.member, ..said },
        Admission { sealing: carols.sealing, ..said },
        Admission { group: ocmt_store::testing::id(9), ..said },
        Admission { scope: elsewhere, ..said },
    ] {
        let admission = other.sign(&team.ann.own.keyring().identity_signing);
        let ask = AdmitToGroupVault {
            group: team.group,
            user: team.bob.person.user,
            slot: good.slot.clone(),
            manifest: good.manifest.clone(),
            admission,
        };
        assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "INVALID_ARGUMENT", "{other:?}");
    }
    kit.call(team.ann.caller(), good).await.unwrap();
}

#[tokio::test]
async fn whoever_has_only_accepted_opens_nothing_so_the_one_who_does_stays() {
    let kit = Kit::sim().await;
    let team = Team::on(&kit).await;
    let set = SetMemberRole { group: team.group, user: team.bob.person.user, role: GroupRole::Admin };
    kit.call(team.ann.caller(), set).await.unwrap();
    accept(&kit, &team.bob, &team.ann, team.group, team.open.scope()).await.unwrap();
    assert_eq!(reason(team.remove(&kit, &team.ann).await), "LAST_KEY");
}

#[tokio::test]
async fn a_program_is_let_go_on_by_its_own_user_though_another_hands_out_too() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let (ann, bob) = (&team.ann, &team.bob);
    let set = SetMemberRole { group: team.group, user: bob.person.user, role: GroupRole::Admin };
    kit.call(ann.caller(), set).await.unwrap();
    let release = ReleaseProgramToken { token: program(&kit, &team).await.id };
    assert_eq!(kit.call(bob.caller(), release).await.unwrap_err(), ActorError::NotFound);
    kit.call(ann.caller(), release).await.unwrap();
}

#[tokio::test]
async fn what_was_handed_out_of_its_vault_ends_with_the_group() {
    let kit = Kit::sim().await;
    let mut team = Team::with_bob(&kit).await;
    team.store(&kit, "bank", b"the value").await;
    let (ann, carol) = (&team.ann, &team.carol);
    let ask = CreateShare {
        vault: team.vault(),
        taker_email: carol.person.email.clone(),
        permissions: vec![Permission::Read],
        grants: vec![grant_to(&kit, &team, &carol.own.keyring().identity_seal.public()).await],
        lifetime_ms: None,
        share: None,
        write_grants: Vec::new(),
    };
    let share = kit.call(ann.caller(), ask).await.unwrap().id;
    kit.call(carol.caller(), AcceptShare { share }).await.unwrap();
    let token = program(&kit, &team).await;
    kit.authenticate(token.secret.expose()).await.unwrap();
    kit.call(ann.caller(), DeleteGroup { group: team.group }).await.unwrap();
    let all = ListShares { limit: 100, ..ListShares::default() };
    let states: Vec<_> =
        kit.call(carol.caller(), all).await.unwrap().shares.iter().map(|one| one.state).collect();
    assert_eq!(states, [ShareState::Revoked]);
    assert!(kit.authenticate(token.secret.expose()).await.is_err(), "its token is good still");
}
