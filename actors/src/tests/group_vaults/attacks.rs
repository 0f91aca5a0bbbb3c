//! What a member, an administrator or a node's client may try, and is refused.

use ocmt_crypto::{kdf::Cost, seal::SealSecretKey, sign::SigningKey};

use super::*;
use crate::{
    api::vault::{AddKeySlot, RemoveKeySlot, ReportUnlock},
    tests::vault::passphrase,
};

#[tokio::test]
async fn a_group_has_one_vault_made_by_who_administers_it_and_opened_by_their_key_alone() {
    let kit = Kit::sim().await;
    let team = Team::on(&kit).await;
    assert_eq!(reason(found(&kit, &team.ann, team.group).await), "ALREADY_EXISTS");
    let other = kit.call(team.ann.caller(), CreateGroup { name: "other".into() }).await.unwrap().id;
    assert_eq!(found(&kit, &team.bob, other).await.err(), Some(ActorError::NotFound));
    add(&kit, &team.ann, other, &team.bob, GroupRole::Member).await;
    assert_eq!(reason(found(&kit, &team.bob, other).await), "PERMISSION_DENIED");
    let eve = kit.founder("eve@example.com").await;
    let eve = Side::of(&kit, eve).await;
    assert_eq!(found(&kit, &eve, other).await.err(), Some(ActorError::NotFound));
    // by no passphrase, and by nobody else's key
    let secret = passphrase("a passphrase of the group");
    let (_, ask) = founding(&team.ann, other, &NewSlot::Passphrase(&secret, Cost::LEAST));
    assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "INVALID_ARGUMENT");
    let bobs = NewSlot::Member(team.bob.own.keyring().identity_seal.public());
    let (_, ask) = founding(&team.ann, other, &bobs);
    assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "INVALID_ARGUMENT");
    // of another group's words
    let own = NewSlot::Member(team.ann.own.keyring().identity_seal.public());
    let (_, ask) = founding(&team.ann, team.group, &own);
    let words = ask.of_group.map(|own| Box::new(GroupsOwn { group: other, ..*own }));
    let ask = CreateVault { of_group: words, ..founding(&team.ann, other, &own).1 };
    assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "INVALID_ARGUMENT");
    found(&kit, &team.ann, other).await.expect("made as it should be");
}

#[tokio::test]
async fn nobody_accepts_for_another_for_another_vault_or_with_other_keys() {
    let kit = Kit::sim().await;
    let team = Team::on(&kit).await;
    let (group, scope) = (team.group, team.open.scope());
    let bobs = &team.bob.own.keyring().identity_signing;
    let good = acceptance(&team.bob, &team.ann, group, scope);
    let ask = |acceptance: Vec<u8>| AcceptGroupVault { group, acceptance };
    let elsewhere = VaultScope { vault: team.bob.own.scope().vault, ..scope };
    let strange = SealSecretKey::generate(&mut rand::rng()).public();
    for bad in [
        Acceptance { scope: elsewhere, ..good }.sign(bobs).unwrap(),
        Acceptance { group: ocmt_store::testing::id(77), ..good }.sign(bobs).unwrap(),
        Acceptance { sealing: strange, ..good }.sign(bobs).unwrap(),
        acceptance(&team.carol, &team.ann, group, scope)
            .sign(&team.carol.own.keyring().identity_signing)
            .unwrap(),
        b"nothing".to_vec(),
    ] {
        assert_eq!(reason(kit.call(team.bob.caller(), ask(bad)).await), "INVALID_ARGUMENT");
    }
    // who is not of the group does not learn that there is a vault
    let dee = kit.member(&team.ann.person, "dee@example.com", Role::Member).await;
    let dee = Side::of(&kit, dee).await;
    assert_eq!(accept(&kit, &dee, &team.ann, group, scope).await, Err(ActorError::NotFound));
    accept(&kit, &team.bob, &team.ann, group, scope).await.unwrap();
    accept(&kit, &team.bob, &team.ann, group, scope).await.expect("anew, as long as nobody has answered");
}

#[tokio::test]
async fn nobody_is_admitted_with_anything_but_their_own_slot_and_words_of_today() {
    let kit = Kit::sim().await;
    let mut team = Team::on(&kit).await;
    let (group, scope) = (team.group, team.open.scope());
    let (_, early) = admitting(&team.ann, &team.open, group, &team.bob);
    assert_eq!(reason(kit.call(team.ann.caller(), early).await), "NOT_ACCEPTED");
    // Bob accepts; Carol believes Bob, not Ann
    accept(&kit, &team.bob, &team.ann, group, scope).await.unwrap();
    accept(&kit, &team.carol, &team.bob, group, scope).await.unwrap();
    let (_, other) = admitting(&team.ann, &team.open, group, &team.carol);
    assert_eq!(reason(kit.call(team.ann.caller(), other).await), "BELIEVES_ANOTHER");
    let signer = &team.ann.own.keyring().identity_signing;
    // a slot of another under Bob's name, with words that fit it or not
    let (_, carols) = admitting(&team.ann, &team.open, group, &team.carol);
    let (_, bobs) = admitting(&team.ann, &team.open, group, &team.bob);
    let slot = ocmt_crypto::slot::KeySlot::from_bytes(&carols.slot).unwrap().id();
    let fitting = admission(&team.open, group, &team.bob, slot).sign(signer);
    let ask = |slot: &[u8], manifest: &[u8], admission: Vec<u8>| AdmitToGroupVault {
        group,
        user: team.bob.person.user,
        slot: slot.to_vec(),
        manifest: manifest.to_vec(),
        admission,
    };
    let today = admission(
        &team.open,
        group,
        &team.bob,
        ocmt_crypto::slot::KeySlot::from_bytes(&bobs.slot).unwrap().id(),
    );
    let forged = SigningKey::generate(&mut rand::rng());
    for (what, bad) in [
        ("another's slot", ask(&carols.slot, &carols.manifest, fitting)),
        ("words of another slot", ask(&carols.slot, &carols.manifest, bobs.admission.clone())),
        ("words to another", ask(&bobs.slot, &bobs.manifest, carols.admission.clone())),
        ("words of nobody", ask(&bobs.slot, &bobs.manifest, today.sign(&forged))),
        (
            "words of an earlier epoch",
            ask(&bobs.slot, &bobs.manifest, Admission { epoch: 7, ..today }.sign(signer)),
        ),
        (
            "another verify key",
            ask(
                &bobs.slot,
                &bobs.manifest,
                Admission { verify_key: forged.verify_key(), ..today }.sign(signer),
            ),
        ),
        ("no slot", ask(&bobs.slot, &bobs.manifest, Admission { slot: None, ..today }.sign(signer))),
        ("another's manifest", ask(&bobs.slot, &carols.manifest, bobs.admission.clone())),
    ] {
        assert_eq!(reason(kit.call(team.ann.caller(), bad).await), "INVALID_ARGUMENT", "{what}");
    }
    admit(&kit, &team.ann, &mut team.open, group, &team.bob).await.unwrap();
    let (_, twice) = admitting(&team.ann, &team.open, group, &team.bob);
    assert_eq!(reason(kit.call(team.ann.caller(), twice).await), "ALREADY_EXISTS");
    let again = accept(&kit, &team.bob, &team.ann, group, scope).await;
    assert_eq!(reason(again), "ADMITTED_ALREADY");
}

#[tokio::test]
async fn slots_come_by_admission_and_go_by_rotation_alone() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    let vault = team.vault();
    let secret = passphrase("a back door of the group");
    for new in [
        NewSlot::Passphrase(&secret, Cost::LEAST),
        NewSlot::Member(team.carol.own.keyring().identity_seal.public()),
    ] {
        let mut edit = team.open.edit();
        edit.add_slot(&new, &mut rand::rng()).unwrap();
        let change = edit.finish().unwrap();
        let ask = AddKeySlot { vault, slot: change.added_slots[0].clone(), manifest: change.manifest };
        assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "GROUP_VAULT");
    }
    let mut edit = team.open.edit();
    let slot = slots_of(&team.open, &team.bob)[0];
    edit.remove_slot(slot).unwrap();
    let ask = RemoveKeySlot { vault, slot, manifest: edit.finish().unwrap().manifest };
    assert_eq!(reason(kit.call(team.ann.caller(), ask).await), "GROUP_VAULT");
    // nor by a rotation that brings others along
    for new in [
        NewSlot::Passphrase(&secret, Cost::LEAST),
        NewSlot::Member(team.carol.own.keyring().identity_seal.public()),
    ] {
        let rotation = team.open.begin_rotation(RotationMode::Rekey, &[], &[new], &mut rand::rng()).unwrap();
        let start = rotation.start();
        let begin = crate::tests::vault::begin(vault, start, RotationMode::Rekey);
        assert_eq!(reason(kit.call(team.ann.caller(), begin).await), "NOT_ADMITTED");
    }
}

#[tokio::test]
async fn a_member_puts_no_other_sealed_part_into_anybodys_slot() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    let his = unlock(&kit, &team.bob, &team.ann, team.vault()).await.unwrap();
    for of in [&team.ann, &team.bob] {
        let handout = kit
            .call(team.bob.caller(), GetKeySlots { vault: Some(team.vault()), kind: None, claim: None })
            .await
            .unwrap();
        let slot = slots_of(&his, of)[0];
        // of the same id, kind and public key, signed by the key that everybody has who takes part
        let renewed = handout.slots.iter().find(|one| one.id == slot).unwrap().slot.clone();
        let report = ReportUnlock { slot, ..proved(&his, &handout, Some(renewed)) };
        assert_eq!(reason(kit.call(team.bob.caller(), report).await), "GROUP_VAULT");
    }
    unlock(&kit, &team.ann, &team.ann, team.vault()).await.expect("her slot is what it was");
}
