//! What keeps an operator from doing harm by accident, others from acting as one, and what operators see.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod staff;

use ocmt::{
    local::Mailbox,
    pki::{Authority, OperatorFiles, pem_of},
};
use ocmt_crypto::join::JoinToken;
use ocmt_proto::v1::{
    self as pb, cluster_service_client::ClusterServiceClient, operator_service_client::OperatorServiceClient,
};
use ocmt_types::{Clock as _, Digest32, IdGen, RandomIds, SystemClock};
use staff::{Cluster, done, text};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// The stable reason of a refusal.
fn reason(refused: &tonic::Status) -> String {
    use tonic_types::StatusExt as _;
    refused.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn key() -> bytes::Bytes {
    rand::random::<[u8; 16]>().to_vec().into()
}

/// The first step of an act, and the second with what it asked for.
async fn confirmed(
    operators: &mut OperatorServiceClient<Channel>,
    act: pb::DestructiveAct,
    object: &str,
) -> String {
    let begin = pb::BeginDestructiveActRequest {
        act: act.into(),
        object_id: object.to_owned(),
        idempotency_key: key(),
    };
    let begun = operators.begin_destructive_act(begin).await.unwrap().into_inner();
    let confirm = |confirm_phrase: String| pb::ConfirmDestructiveActRequest {
        act_id: begun.act_id.clone(),
        confirm_phrase,
        idempotency_key: key(),
    };
    let refused = operators.confirm_destructive_act(confirm("yes".to_owned())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "something else was typed");
    let done = operators.confirm_destructive_act(confirm(begun.confirm_phrase.clone())).await.unwrap();
    done.into_inner().confirmation_token
}

#[tokio::test]
async fn a_destructive_act_takes_two_steps_for_itself_on_its_object_by_who_asked() {
    let cluster = Cluster::start().await;
    let mut ids = Vec::new();
    for name in ["second", "third"] {
        let out = cluster.path(name);
        let args = ["operators", "add", name, "--out", text(&out)];
        let made = done(&cluster.as_operator("operator", &args).await);
        ids.push(made["operator"].as_str().unwrap().to_owned());
    }
    let mut first = OperatorServiceClient::new(cluster.channel("operator").await);
    let mut second = OperatorServiceClient::new(cluster.channel("second").await);
    let revoke = |operator: &str, token: &str| pb::RevokeOperatorRequest {
        operator_id: operator.to_owned(),
        confirmation_token: token.to_owned(),
        idempotency_key: key(),
    };
    let act = pb::DestructiveAct::RevokeOperator;
    let of_second = confirmed(&mut first, act, &ids[0]).await;
    let last = if of_second.ends_with('A') { 'B' } else { 'A' };
    let made_up = format!("{}{last}", &of_second[..of_second.len() - 1]);
    let by_another = second.revoke_operator(revoke(&ids[0], &of_second)).await.unwrap_err();
    assert_eq!(reason(&by_another), "NOT_CONFIRMED", "another operator took it");
    for (object, token) in [(&ids[1], &of_second), (&ids[0], &made_up)] {
        let refused = first.revoke_operator(revoke(object, token)).await.unwrap_err();
        assert_eq!(reason(&refused), "NOT_CONFIRMED");
    }
    first.revoke_operator(revoke(&ids[0], &of_second)).await.unwrap();
    // it is used up, also for what it was for
    let of_third = first.revoke_operator(revoke(&ids[1], &of_second)).await.unwrap_err();
    assert_eq!(reason(&of_third), "NOT_CONFIRMED");
    cluster.node.stop().await;
}

#[tokio::test]
async fn an_operator_that_is_not_listed_is_refused_whatever_its_certificate_says() {
    let cluster = Cluster::start().await;
    // of the cluster's own authority, and of nobody in the list
    let authority = Authority::load(&cluster.path("data/pki")).unwrap().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ids: &dyn IdGen = &RandomIds;
    let leaf = authority.issue_operator(ids.id(), &key, SystemClock.now()).unwrap();
    let files = OperatorFiles::load(&cluster.path("operator")).unwrap();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&files.ca))
        .identity(Identity::from_pem(pem_of(&leaf), key.serialize_pem()));
    let endpoint = Endpoint::from_shared(cluster.endpoint().to_owned()).unwrap().tls_config(tls).unwrap();
    let mut unlisted = ClusterServiceClient::new(endpoint.connect().await.unwrap());
    let refused = unlisted.list_nodes(pb::ListNodesRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    cluster.node.stop().await;
}

#[tokio::test]
async fn strangers_that_try_to_join_are_bounded_in_number() {
    let cluster = Cluster::start().await;
    let files = OperatorFiles::load(&cluster.path("operator")).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.ca));
    let endpoint = Endpoint::from_shared(cluster.node.endpoints().client.clone()).unwrap();
    let mut stranger = ClusterServiceClient::new(endpoint.tls_config(tls).unwrap().connect().await.unwrap());
    let mut codes = Vec::new();
    for _ in 0..40 {
        let forged = JoinToken::issue(Digest32([1; 32]), "https://a:1", &mut rand::rng()).unwrap();
        let request = pb::JoinClusterRequest {
            token: forged.expose().to_owned(),
            certificate_request_der: vec![1].into(),
            listener_request_der: vec![1].into(),
            sealing_recipient_key: vec![1; 32].into(),
            idempotency_key: key(),
            ..pb::JoinClusterRequest::default()
        };
        codes.push(stranger.join_cluster(request).await.unwrap_err().code());
    }
    assert!(codes[..30].iter().all(|code| *code == Code::Unauthenticated), "{codes:?}");
    assert!(codes[30..].iter().all(|code| *code == Code::ResourceExhausted), "{codes:?}");
    cluster.node.stop().await;
}

#[tokio::test]
async fn a_restore_is_not_accepted_through_a_node_that_runs() {
    let cluster = Cluster::start().await;
    let mut live = ClusterServiceClient::new(cluster.channel("operator").await);
    let request =
        pb::AcceptRestoreRequest { confirmation_token: "ocmt_act_x".to_owned(), idempotency_key: key() };
    let refused = live.accept_restore(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "NOT_RESTORED"));
    assert!(refused.message().contains("ocmt cluster accept-restore"), "{refused}");
    cluster.node.stop().await;
}

#[tokio::test]
async fn the_cluster_is_watched_with_its_tenants_and_shows_its_sealing_key() {
    let cluster = Cluster::start().await;
    let seen = done(&cluster.as_operator("operator", &["status"]).await);
    assert_eq!((&seen["nodes"], &seen["sealing"]["generation"]), (&1.into(), &1.into()));
    let mut live = ClusterServiceClient::new(cluster.channel("operator").await);
    let watched = live.watch_cluster(pb::WatchClusterRequest::default()).await.unwrap();
    let mut events = watched.into_inner();
    let next = async |events: &mut tonic::Streaming<pb::WatchClusterResponse>| {
        let event = tokio::time::timeout(std::time::Duration::from_secs(60), events.message()).await;
        event.expect("nothing is told").unwrap().unwrap().change.unwrap()
    };
    assert!(matches!(next(&mut events).await, pb::watch_cluster_response::Change::Node(_)));
    let url = &cluster.node.endpoints().client;
    let ca = std::fs::read_to_string(cluster.node.ca_file()).unwrap();
    let target = ocmt_client::connect::Target {
        endpoint: url.clone(),
        ca: ocmt_client::ca::ClusterCa::from_pem(&ca).unwrap(),
    };
    let client = ocmt_client::Client::connect(target).await.unwrap();
    let pending = client.sign_up("ada@example.org", "Ada").await.unwrap();
    let mailbox = Mailbox::new(cluster.path("mail"));
    let letter = mailbox.take("ada@example.org", "Finish your sign-up").await.expect("no mail");
    let ada = pending.finish(letter.link().unwrap(), "laptop").await.unwrap();
    let tenant = ada.identity().unwrap().tenant.to_string();
    loop {
        if let pb::watch_cluster_response::Change::Placement(placement) = next(&mut events).await {
            assert_eq!(placement.tenant_id, tenant);
            assert!(!placement.owner_node_id.is_empty());
            break;
        }
    }
    cluster.node.stop().await;
}
