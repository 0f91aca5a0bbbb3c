//! The end of a tenant, as its owner and as an operator ask for it.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{TestNode, command, raw};
use tonic::Code;

use crate::{
    operators_see::{as_operator, operated},
    requests::key,
};

#[tokio::test]
async fn an_owner_types_the_name_keeps_the_tenant_and_deletes_it_after_all() {
    let node = TestNode::start_with(|config| {
        config.tenants.deletion_delay = ocmt::config::HumanDuration(Duration::from_secs(10));
    })
    .await
    .unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.person("bob").await.unwrap();
    let name = ada.client.tenant().await.unwrap().name;
    let refused = ada.client.delete_tenant("something else").await.unwrap_err();
    assert_eq!(refused.reason().as_deref(), Some("INVALID_ARGUMENT"), "{refused}");
    assert!(ada.client.delete_tenant(&name).await.unwrap().is_some());
    assert!(ada.client.tenant().await.unwrap().deletes_at.is_some());
    assert_eq!(ada.client.keep_tenant().await.unwrap().deletes_at, None);
    ada.client.delete_tenant(&name).await.unwrap();
    let over = async || ada.client.who_am_i().await.is_err().then_some(());
    wait_for(Duration::from_secs(60), over).await.expect("it goes on");
    // the next look at what was waited for is ten seconds later
    let refused = async || match ada.client.who_am_i().await {
        Err(error) if error.reason().as_deref() == Some("UNAUTHENTICATED") => Some(()),
        _ => None,
    };
    wait_for(Duration::from_secs(60), refused).await.expect("its session is still known");
    bob.client.who_am_i().await.expect("the other tenant is as it was");
}

/// The session's tenant as its people see it.
async fn seen(node: &TestNode, token: &str) -> pb::Tenant {
    let channel = node.target().unwrap().connect().await.unwrap();
    let path = "/ocmt.v1.TenantService/GetTenant";
    let answer = raw::call(&channel, path, Some(token), Vec::new()).await.unwrap();
    let answer: pb::GetTenantResponse = prost::Message::decode(answer.body).unwrap();
    answer.tenant.unwrap()
}

#[tokio::test]
async fn an_operator_confirms_it_for_that_tenant_and_once() {
    let (node, ada, hers, endpoint) = operated().await;
    let bob = node.person("bob").await.unwrap();
    let other = bob.client.tenant().await.unwrap();
    // the node has another port than when she signed in
    let token = ada.token().unwrap();
    let name = seen(&node, &token).await.name;
    let folder = node.folder().join("operator").to_string_lossy().into_owned();
    let run = async |command: &[&str]| {
        command::ocmt(&[command, &["--operator", &folder, "--endpoint", &endpoint]].concat()).await.unwrap()
    };
    // without a confirmation, and with one that is for another tenant
    let channel = as_operator(node.folder(), &endpoint).await;
    let mut acts = pb::operator_service_client::OperatorServiceClient::new(channel.clone());
    let begin = pb::BeginDestructiveActRequest {
        act: pb::DestructiveAct::DeleteTenant.into(),
        object_id: other.id.to_string(),
        idempotency_key: key(),
    };
    let begun = acts.begin_destructive_act(begin).await.unwrap().into_inner();
    assert!(begun.summary.contains(&other.name) && begun.summary.contains("1 users"), "{}", begun.summary);
    let confirm = pb::ConfirmDestructiveActRequest {
        act_id: begun.act_id,
        confirm_phrase: begun.confirm_phrase,
        idempotency_key: key(),
    };
    let of_other = acts.confirm_destructive_act(confirm).await.unwrap().into_inner().confirmation_token;
    for confirmation_token in [String::new(), of_other] {
        let request = pb::DeleteTenantRequest {
            tenant_id: hers.tenant.clone(),
            confirm_name: name.clone(),
            confirmation_token,
            idempotency_key: key(),
        };
        let bytes = prost::Message::encode_to_vec(&request);
        let answer = raw::call(&channel, "/ocmt.v1.TenantService/DeleteTenant", None, bytes).await.unwrap();
        assert_eq!(
            (answer.code, answer.reason.as_str()),
            (Code::FailedPrecondition, "NOT_CONFIRMED"),
            "{answer:?}"
        );
    }
    assert_eq!(seen(&node, &token).await.deletes_at, None);
    let wrong = run(&["tenant", "destroy", &hers.tenant, "something else", "--yes"]).await;
    assert!(wrong.code != Some(0) && wrong.err.contains("name"), "{}", wrong.err);
    let done = run(&["tenant", "destroy", &hers.tenant, &name, "--yes"]).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let shown = run(&["tenant", "show", &hers.tenant]).await;
    assert!(shown.out.contains("deleting"), "{}", shown.out);
    assert!(seen(&node, &token).await.deletes_at.is_some(), "it is served until then");
    assert_eq!(run(&["tenant", "resume", &hers.tenant]).await.code, Some(0));
    assert_eq!(seen(&node, &token).await.deletes_at, None);
}
