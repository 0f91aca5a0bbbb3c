//! What people of a tenant do together, and what programs do for them, through a real node.

use std::time::Duration;

use ocmt_client::{
    ClientError,
    container::Spec,
    group::MemberRole,
    pairing::{Decision, DirectPolicy},
    tenant::PolicyChange,
};
use ocmt_crypto::seal::SealSecretKey;
use ocmt_testkit::{Person, TestNode};
use ocmt_types::ContainerId;
use tonic::Code;

fn code<T>(answer: Result<T, ClientError>) -> Option<Code> {
    answer.err().and_then(|error| error.code())
}

async fn agent(owner: &Person) -> ContainerId {
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    owner.client.create_container(&spec, false).await.unwrap().id
}

#[tokio::test]
async fn a_program_reads_what_its_user_handed_to_it_until_that_is_taken_back() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault("a passphrase of Ada's").await.unwrap();
    vault.put("bot-token", b"the value").await.unwrap();
    vault.put("kept", b"another").await.unwrap();
    let key = SealSecretKey::generate(&mut rand::rng());
    let names = ["bot-token".to_owned()];
    let access =
        vault.create_program_token("adapter", &names, key.public(), Duration::from_secs(600)).await.unwrap();
    let program = node.local().client().await.unwrap().as_program(&access);
    let entry = program.read_granted(&access, &key, "bot-token").await.unwrap();
    assert_eq!(entry.value.as_slice(), b"the value");
    assert!(matches!(program.read_granted(&access, &key, "kept").await, Err(ClientError::Usage(_))));
    let other = SealSecretKey::generate(&mut rand::rng());
    let stolen = program.read_granted(&access, &other, "bot-token").await;
    assert!(
        matches!(stolen, Err(ClientError::Crypto(_))),
        "the token opens nothing without the program's key"
    );
    // it asks about senders, and is nobody otherwise
    let container = agent(&ada).await;
    let said = program.check_sender(container, "telegram", "4711", None, "Bob").await.unwrap();
    assert_eq!(said.decision, Decision::Pair);
    let waits = ada.client.list_pending_pairings().await.unwrap();
    assert!(program.approve_pairing(waits[0].id, &said.code.unwrap()).await.is_err());
    assert!(program.list_users().await.is_err());
    // taken back: the token at once, and the key with a new version
    let rekey = ada.client.revoke_program_token(access.token_id).await.unwrap().rekey;
    assert_eq!(code(program.read_granted(&access, &key, "bot-token").await), Some(Code::Unauthenticated));
    assert_eq!(rekey.len(), 1);
    vault.rekey(&rekey).await.unwrap();
    let listed = vault.list().await.unwrap();
    assert_eq!(listed.iter().find(|one| one.name == "bot-token").unwrap().version, 2);
    assert_eq!(vault.get("bot-token").await.unwrap().value.as_slice(), b"the value");
}

#[tokio::test]
async fn senders_are_let_through_by_their_code_and_by_policy() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let container = agent(&ada).await;
    let policy = ada.client.tenant().await.unwrap().policy;
    assert_eq!(policy.dm_policy, Some(DirectPolicy::Pairing));
    let said = ada.client.check_sender(container, "telegram", "4711", None, "Bob").await.unwrap();
    let pending = ada.client.list_pending_pairings().await.unwrap();
    let sender = ada.client.approve_pairing(pending[0].id, &said.code.unwrap()).await.unwrap();
    let decide = async |sender: &str, group: Option<&str>| {
        ada.client.check_sender(container, "telegram", sender, group, "").await.unwrap().decision
    };
    assert_eq!(decide("4711", None).await, Decision::Allow);
    assert_eq!(decide("4711", Some("family")).await, Decision::Allow);
    assert_eq!(decide("other", Some("family")).await, Decision::Drop);
    let closed = PolicyChange { dm_policy: Some(DirectPolicy::Allowlist), ..PolicyChange::default() };
    ada.client.change_policy(&closed).await.unwrap();
    assert_eq!(decide("other", None).await, Decision::Drop);
    ada.client.revoke_paired_sender(sender.id).await.unwrap();
    assert_eq!(decide("4711", None).await, Decision::Drop);
}

#[tokio::test]
async fn roles_and_groups_are_made_listed_and_ended() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let role = ada.client.create_role("desk", "admin", &["user.list".to_owned()]).await.unwrap();
    assert_eq!((role.base.as_str(), role.built_in), ("admin", false));
    assert_eq!(ada.client.list_roles().await.unwrap().len(), 5);
    ada.client.delete_role("desk").await.unwrap();
    let me = ada.client.who_am_i().await.unwrap().user;
    for name in ["b c", "a"] {
        ada.client.create_group(name).await.unwrap();
    }
    let groups = ada.client.list_groups().await.unwrap();
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a", "b c"]);
    let (group, members) = ada.client.group(groups[0].id).await.unwrap();
    assert_eq!((group.members, members[0].role), (1, MemberRole::Admin));
    let last = ada.client.set_member_role(group.id, me, MemberRole::Member).await;
    assert_eq!(code(last), Some(Code::FailedPrecondition));
    let container = agent(&ada).await;
    let resource = ada.client.create_resource(group.id, container).await.unwrap();
    assert_eq!(ada.client.list_resources(group.id).await.unwrap().len(), 1);
    ada.client.delete_resource(resource.id).await.unwrap();
    ada.client.delete_group(group.id).await.unwrap();
    assert_eq!(code(ada.client.group(group.id).await), Some(Code::NotFound));
}
