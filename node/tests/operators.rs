//! A cluster as its operator sets it up: init, invite, join, and who may do what. A node in this process, the
//! command line beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
};

use ocmt::{
    config::{Config, Mode, RuntimeKind},
    local::Mailbox,
    pki::{Authority, OperatorFiles, Pki, PkiError, ServerNames, pem_of},
    server::Node,
};
use ocmt_crypto::join::JoinToken;
use ocmt_proto::v1::{
    self as pb, cluster_service_client::ClusterServiceClient, operator_service_client::OperatorServiceClient,
};
use ocmt_types::{Clock as _, Digest32, IdGen, RandomIds, SystemClock};
use tokio::{io::AsyncWriteExt as _, process::Command};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// Refused by the node; cannot be reached.
const REFUSED: Option<i32> = Some(3);
const UNREACHABLE: Option<i32> = Some(4);

struct Cluster {
    node: Node,
    folder: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, operator) = (folder.path().join("data"), folder.path().join("operator"));
        let args = ["cluster", "init", "--data-dir", text(&data), "--operator-out", text(&operator)];
        done(&ocmt(&args, None).await);
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        config.node.data_dir = data;
        for listener in
            [&mut config.listen.client, &mut config.listen.operators, &mut config.listen.telemetry]
        {
            listener.set_port(0);
        }
        config.mail.spool = folder.path().join("mail");
        std::fs::create_dir(&config.mail.spool).unwrap();
        config.containers.runtime = RuntimeKind::Process;
        // no container is started here, so any program will do
        config.containers.cell = "/bin/true".into();
        Self { node: Box::pin(Node::start(&config)).await.unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn endpoint(&self) -> &str {
        self.node.endpoints().operators.as_deref().unwrap()
    }

    /// `ocmt cluster …` as the operator with these files.
    async fn as_operator(&self, operator: &str, command: &[&str]) -> Output {
        let folder = self.path(operator);
        let whole =
            [&["cluster"], command, &["--operator", text(&folder), "--endpoint", self.endpoint(), "--json"]];
        ocmt(&whole.concat(), None).await
    }

    async fn invitation(&self) -> String {
        let made = done(&self.as_operator("operator", &["invite", "--lifetime", "10min"]).await);
        made["token"].as_str().unwrap().to_owned()
    }

    async fn join(&self, folder: &str, token: &str) -> Output {
        let folder = self.path(folder);
        ocmt(&["cluster", "join", "--data-dir", text(&folder), "--token-file", "-", "--json"], Some(token))
            .await
    }

    /// A connection that lasts, as this operator.
    async fn channel(&self, operator: &str) -> Channel {
        let files = OperatorFiles::load(&self.path(operator)).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.ca))
            .identity(Identity::from_pem(&files.certificate, files.key.as_bytes()));
        let endpoint = Endpoint::from_shared(self.endpoint().to_owned()).unwrap().tls_config(tls).unwrap();
        endpoint.connect().await.unwrap()
    }
}

async fn ocmt(args: &[&str], input: Option<&str>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ocmt"))
        .args(args)
        .env_remove("OCMT_JOIN_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command that must succeed printed.
fn done(output: &Output) -> serde_json::Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn opened(folder: &Path) -> Result<Pki, PkiError> {
    let names = ServerNames::of(&[], []);
    Pki::open(&folder.join("pki"), false, names, Arc::new(SystemClock), &RandomIds)
}

#[tokio::test]
async fn of_two_nodes_with_one_invitation_one_joins_and_without_the_authoritys_key() {
    let cluster = Cluster::start().await;
    let token = cluster.invitation().await;
    let (a, b) = tokio::join!(cluster.join("a", &token), cluster.join("b", &token));
    let (winner, loser) = if a.status.success() { ("a", &b) } else { ("b", &a) };
    done(if winner == "a" { &a } else { &b });
    assert_eq!(loser.status.code(), REFUSED, "{}", String::from_utf8_lossy(&loser.stderr));
    assert_eq!(cluster.join("c", &token).await.status.code(), REFUSED, "the invitation was good twice");

    let joined = opened(&cluster.path(winner)).unwrap();
    assert!(matches!(joined.authority(), Err(PkiError::NoAuthority)));
    let first = Pki::open(
        &cluster.path("data/pki"),
        false,
        ServerNames::of(&[], []),
        Arc::new(SystemClock),
        &RandomIds,
    )
    .unwrap();
    let keys = |pki: &Pki| {
        pki.sealing().now().generations().map(|key| (key.generation(), *key.expose())).collect::<Vec<_>>()
    };
    assert_eq!(keys(&joined), keys(&first));
    assert_eq!(joined.ca().fingerprint(), first.ca().fingerprint());
    assert_ne!(joined.identity().id(), first.identity().id());
    assert!(opened(&cluster.path("c")).is_err(), "a node that was not let in has nothing to start with");
    cluster.node.stop().await;
}

#[tokio::test]
async fn an_invitation_is_not_said_to_another_authority_and_not_taken_when_changed() {
    let cluster = Cluster::start().await;
    let token = cluster.invitation().await;
    let good = JoinToken::parse(&token).unwrap();
    let elsewhere = JoinToken::issue(Digest32([1; 32]), good.endpoint(), &mut rand::rng()).unwrap();
    let refused = cluster.join("a", elsewhere.expose()).await;
    assert_eq!(refused.status.code(), UNREACHABLE, "{}", String::from_utf8_lossy(&refused.stderr));
    // right authority, another secret
    let forged = JoinToken::issue(good.ca(), good.endpoint(), &mut rand::rng()).unwrap();
    assert_eq!(cluster.join("a", forged.expose()).await.status.code(), REFUSED);
    let changed = format!("{}A", &token[..token.len() - 1]);
    assert!(changed == token || cluster.join("a", &changed).await.status.code() == Some(2));
    // none of that has used it up
    done(&cluster.join("a", &token).await);
    cluster.node.stop().await;
}

#[tokio::test]
async fn a_revoked_operator_is_refused_at_once_on_a_live_connection_and_the_last_one_stays() {
    let cluster = Cluster::start().await;
    let nodes = done(&cluster.as_operator("operator", &["nodes"]).await);
    assert_eq!(nodes.as_array().unwrap().len(), 1);
    let out = cluster.path("second");
    let second =
        done(&cluster.as_operator("operator", &["operators", "add", "Ada", "--out", text(&out)]).await);
    let second = second["operator"].as_str().unwrap().to_owned();

    let mut live = ClusterServiceClient::new(cluster.channel("second").await);
    live.list_nodes(pb::ListNodesRequest::default()).await.unwrap();
    done(&cluster.as_operator("operator", &["operators", "revoke", &second, "--yes"]).await);
    let refused = live.list_nodes(pb::ListNodesRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");

    let all = done(&cluster.as_operator("operator", &["operators", "ls"]).await);
    let first = all.as_array().unwrap().iter().find(|operator| operator["revoked"] == false).unwrap();
    let first = first["operator"].as_str().unwrap();
    let last = cluster.as_operator("operator", &["operators", "revoke", first, "--yes"]).await;
    assert_eq!(last.status.code(), REFUSED);
    assert!(String::from_utf8_lossy(&last.stderr).contains("the last operator stays"));
    cluster.node.stop().await;
}

#[tokio::test]
async fn the_operator_listener_takes_nobody_but_operators_of_this_cluster() {
    let (cluster, other) = (Cluster::start().await, Cluster::start().await);
    let theirs = other.path("operator");
    let args = ["cluster", "nodes", "--operator", text(&theirs), "--endpoint", cluster.endpoint()];
    assert_eq!(ocmt(&args, None).await.status.code(), UNREACHABLE, "another authority's operator got in");
    // their certificate and key, but believing this cluster: the server refuses, not the client
    std::fs::copy(cluster.path("operator/ca.pem"), theirs.join("ca.pem")).unwrap();
    let refused = ocmt(&args, None).await;
    assert!(!refused.status.success(), "another authority's operator got in");
    let files = OperatorFiles::load(&cluster.path("operator")).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.ca));
    let endpoint = Endpoint::from_shared(cluster.endpoint().to_owned()).unwrap().tls_config(tls).unwrap();
    let nobody = match endpoint.connect().await {
        Ok(channel) => {
            ClusterServiceClient::new(channel).list_nodes(pb::ListNodesRequest::default()).await.is_err()
        }
        Err(_) => true,
    };
    assert!(nobody, "somebody without a certificate got in");
    cluster.node.stop().await;
    other.node.stop().await;
}

#[tokio::test]
async fn a_node_that_joined_and_never_started_is_seen_and_revoked() {
    let cluster = Cluster::start().await;
    let token = cluster.invitation().await;
    let joined = done(&cluster.join("a", &token).await)["node"].as_str().unwrap().to_owned();
    let nodes = done(&cluster.as_operator("operator", &["nodes"]).await);
    let seen = nodes.as_array().unwrap().iter().find(|node| node["node"] == joined.as_str());
    assert_eq!(seen.unwrap()["state"], "joining", "{nodes}");
    let revoke = ["revoke", joined.as_str(), "--yes"];
    done(&cluster.as_operator("operator", &revoke).await);
    let left = done(&cluster.as_operator("operator", &["nodes"]).await);
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    assert_eq!(cluster.as_operator("operator", &revoke).await.status.code(), REFUSED, "twice");
    // what it holds of sealing keys is not the latest any more
    let keys = std::fs::read_to_string(cluster.path("data/pki/sealing.keys")).unwrap();
    let old = std::fs::read_to_string(cluster.path("a/pki/sealing.keys")).unwrap();
    assert_eq!((keys.lines().count(), old.lines().count()), (2, 1));
    cluster.node.stop().await;
}

#[tokio::test]
async fn an_invitation_that_gives_names_lets_nobody_in_under_others() {
    let cluster = Cluster::start().await;
    let invite = ["invite", "--lifetime", "10min", "--name", "node2.example"];
    let made = done(&cluster.as_operator("operator", &invite).await);
    let token = made["token"].as_str().unwrap();
    let folder = cluster.path("a");
    let join = async |name: &str| {
        let args =
            ["cluster", "join", "--data-dir", text(&folder), "--token-file", "-", "--json", "--name", name];
        ocmt(&args, Some(token)).await
    };
    assert_eq!(join("node1.example").await.status.code(), REFUSED, "another's name");
    // which has not used it up
    done(&join("node2.example").await);
    cluster.node.stop().await;
}

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
        let event = tokio::time::timeout(std::time::Duration::from_secs(20), events.message()).await;
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
