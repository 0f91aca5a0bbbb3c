//! Ids of another tenant, on every method that takes one: the answer is the one for ids of nothing.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{auth::Purpose, container::Spec, recovery::Side, share::Permission, vault::Vault};
use ocmt_crypto::slot::SlotKind;
use ocmt_testkit::{Person, TestNode, raw};
use tonic::Code;

use crate::{
    delays,
    requests::{self, Ids},
    walk,
};

/// Everything that somebody has, by id: a vault, a container, guardians, an open ceremony.
pub(crate) async fn belongings(node: &TestNode, owner: &Person) -> Ids {
    let mut vault = owner.vault("a passphrase of the owner").await.unwrap();
    vault.put("entry", b"value").await.unwrap();
    let (guardianship, set) = guarded(node, owner, &mut vault).await;
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    let container = owner.client.create_container(&spec, true).await.unwrap();
    let schedule = owner.client.put_schedule(None, container.id, "0 3 * * *", "", true).await.unwrap();
    let me = owner.client.who_am_i().await.unwrap();
    let role = owner.client.create_role("of-the-owner", "member", &["user.list".to_owned()]).await.unwrap();
    let group = owner.client.create_group("of the owner").await.unwrap();
    vault.create_group_vault(group.id).await.unwrap();
    let resource = owner.client.create_resource(group.id, container.id).await.unwrap();
    let key = ocmt_crypto::seal::SealSecretKey::generate(&mut rand::rng()).public();
    let entries = ["entry".to_owned()];
    let program = vault.create_program_token("p", &entries, key, Duration::from_secs(600)).await.unwrap();
    let scopes = ["vault.read".to_owned()];
    let api_key = owner.client.create_api_key("k", &scopes, Duration::from_secs(600)).await.unwrap();
    let channel = ocmt_client::alert::ChannelWanted {
        kind: ocmt_proto::v1::AlertChannelKind::Email,
        name: "of the owner".to_owned(),
        target: Some(ocmt_types::Secret::new(owner.email.clone())),
        min_severity: ocmt_proto::v1::AlertSeverity::Critical,
        ..Default::default()
    };
    let channel = owner.client.put_channel(channel).await.unwrap().id.to_string();
    let (share, capability) = shared(node, owner, &vault).await;
    let (pairing, sender) = paired(owner, container.id).await;
    let conversation = vault.open_conversation(None).await.unwrap().id.to_string();
    let object = vault.keys().leaves().next().unwrap().object_id.0;
    Ids {
        tenant: me.tenant.to_string(),
        user: me.user.to_string(),
        role: role.id,
        group: group.id.to_string(),
        resource: resource.id.to_string(),
        pairing,
        sender,
        program: program.token_id.to_string(),
        api_key: api_key.key.id.to_string(),
        channel,
        share,
        capability,
        session: me.session.unwrap().id.to_string(),
        vault: vault.id().to_string(),
        object,
        conversation,
        slot: vault.slots_of(SlotKind::Passphrase)[0].to_string(),
        container: container.id.to_string(),
        schedule: schedule.id.to_string(),
        guardianship,
        set,
        ceremony: ceremony(node, owner).await,
        enrollment: owner.client.begin_totp().await.unwrap().id.to_string(),
        ..Ids::random()
    }
}

/// A guardianship and the set that was dealt.
async fn guarded(node: &TestNode, owner: &Person, vault: &mut Vault) -> (String, String) {
    delays::are_short(owner).await;
    for name in ["grace", "hedy"] {
        let guardian = node.person(name).await.unwrap();
        let hers = guardian.vault("a passphrase of a guardian").await.unwrap();
        let asked = vault.invite_guardian(&guardian.email, 1).await.unwrap();
        let came = async || guardian.client.guardianship(asked.id, Side::Guardian).await.ok();
        wait_for(Duration::from_secs(60), came).await.expect("the invitation did not come");
        hers.accept_guardianship(asked.id).await.unwrap();
    }
    let accepted = owner.client.guardianships(Some(Side::Owner)).await.unwrap();
    let set = vault.deal_shares(2, &accepted, delays::SHORT, true).await.unwrap();
    (accepted[0].id.to_string(), set.to_string())
}

/// An offer that waits for somebody of the owner's tenant, and a request of theirs that waits for the owner.
async fn shared(node: &TestNode, owner: &Person, vault: &Vault) -> (String, String) {
    let friend = node.member(owner, "friend", "observer").await.unwrap();
    friend.vault("a passphrase of a friend").await.unwrap();
    let (tenant, keys) =
        (owner.client.identity().unwrap().tenant, owner.client.keys_of(&friend.email).await.unwrap());
    owner.device.compared_person(tenant, &friend.email, &keys).unwrap();
    let entry = ["entry".to_owned()];
    let (read, list) = ([Permission::Read], [Permission::List]);
    let seen = vault.give(&friend.email, &entry, &list, None).await.unwrap();
    friend.client.accept_share(seen.id).await.unwrap();
    let object = seen.entries[0].object;
    let asked = friend
        .client
        .request_capability(vault.id(), object, &read, Duration::from_secs(600), "why")
        .await
        .unwrap();
    let offered = vault.give(&friend.email, &entry, &read, None).await.unwrap();
    (offered.id.to_string(), asked.id.to_string())
}

/// A sender who waits, and one who is let through.
async fn paired(owner: &Person, container: ocmt_types::ContainerId) -> (String, String) {
    let mut codes = Vec::new();
    for sender in ["waits", "paired"] {
        let said = owner.client.check_sender(container, "telegram", sender, None, "").await.unwrap();
        codes.extend(said.code);
    }
    let pending = owner.client.list_pending_pairings().await.unwrap();
    let of = |sender: &str| pending.iter().find(|pairing| pairing.sender == sender).unwrap().id;
    let sender = owner.client.approve_pairing(of("paired"), &codes[1]).await.unwrap();
    (of("waits").to_string(), sender.id.to_string())
}

/// A ceremony that is open.
async fn ceremony(node: &TestNode, owner: &Person) -> [u8; 32] {
    let client = node.local().client().await.unwrap();
    let pending = client.request_link(&owner.email, None, Purpose::Recovery).await.unwrap();
    let link = node.link(&owner.email, "recovery link").await.unwrap();
    let session = pending.finish(&link, "e2e").await.unwrap();
    session.open_ceremony(None, &owner.device).await.unwrap().0.id().0
}

#[tokio::test]
async fn a_foreign_tenants_ids_are_answered_like_ids_of_nothing_on_every_method() {
    let node = TestNode::start().await.unwrap();
    let channel = node.target().unwrap().connect().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let theirs = belongings(&node, &ada).await;
    // Eve has a vault and a container herself, so that nothing fails for want of one
    let eve = node.person("eve").await.unwrap();
    eve.vault("a passphrase of Eve's").await.unwrap();
    let token = eve.token().unwrap();
    let nothing = Ids::random();
    let (mut table, mut wrong) = (Vec::new(), Vec::new());
    for (foreign, random) in requests::all(&theirs).into_iter().zip(requests::all(&nothing)) {
        if foreign.names.is_empty() {
            continue;
        }
        let seen = raw::call(&channel, &foreign.path, Some(&token), foreign.bytes).await.unwrap();
        let unseen = raw::call(&channel, &random.path, Some(&token), random.bytes).await.unwrap();
        let same = seen == unseen;
        table.push(format!(
            "{:<52} {:<22} {:<20} {}",
            foreign.path,
            foreign.names,
            format!("{:?}", seen.code),
            if same { "same" } else { "DIFFERS" }
        ));
        // an empty list shows nothing either
        let shows = seen.code == Code::Ok && !seen.body.is_empty();
        let known = matches!(seen.code, Code::Ok | Code::NotFound | Code::InvalidArgument);
        if !same || shows || !known {
            wrong.push(format!("{}: foreign {seen:?}, random {unseen:?}", foreign.path));
        }
    }
    println!("{}", table.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    walk::is_told("another tenant's ids", table.len());
    println!("{}", walk::routes::by_a_stranger(&node, &theirs, &token).await);
    // and nothing of Ada's was touched
    let container = ada.client.container(theirs.container.parse().unwrap()).await.unwrap();
    assert_eq!(container.state, ocmt_client::container::State::Running);
    ada.client.who_am_i().await.expect("her session was ended by a stranger");
}
