//! A cluster as its operator sets it up: init, invite, join, and who may do what. A node in this process, the
//! command line beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod console;
mod staff;

use std::{path::Path, sync::Arc};

use ocmt::pki::{OperatorFiles, Pki, PkiError, ServerNames};
use ocmt_crypto::join::JoinToken;
use ocmt_proto::v1::{self as pb, cluster_service_client::ClusterServiceClient};
use ocmt_types::{Digest32, RandomIds, SystemClock};
use staff::{Cluster, done, ocmt, text};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

/// Refused by the node; cannot be reached.
const REFUSED: Option<i32> = Some(3);
const UNREACHABLE: Option<i32> = Some(4);

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
    let used = cluster.join("c", &token).await;
    assert_eq!(used.status.code(), REFUSED, "the invitation was good twice");
    assert!(!String::from_utf8_lossy(&used.stderr).contains("sign in"), "nobody signs in here");

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
    let drained = cluster.as_operator("operator", &["drain", &joined]).await;
    assert!(String::from_utf8_lossy(&drained.stderr).contains("never started"));
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
    let refused = join("node1.example").await;
    assert_eq!(refused.status.code(), REFUSED, "another's name");
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("is for node2.example, not for node1.example"), "{errors}");
    // which has not used it up
    done(&join("node2.example").await);
    cluster.node.stop().await;
}

#[tokio::test]
async fn a_set_up_that_cannot_be_whole_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("operator"));
    let args = ["cluster", "init", "--data-dir", text(&data), "--operator-out", text(&out)];
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("operator.key"), "somebody else's").unwrap();
    assert_eq!(ocmt(&args, None).await.status.code(), Some(1));
    assert!(!data.exists(), "half a node was made");
    std::fs::remove_file(out.join("operator.key")).unwrap();
    done(&ocmt(&args, None).await);
    let wrong = ["cluster", "init", "--data-dir", text(&data), "--name", "https://node-1.example"];
    assert_eq!(ocmt(&wrong, None).await.status.code(), Some(2), "a URL was taken for a name");
}

#[tokio::test]
async fn a_node_that_no_operator_was_made_with_gets_one_and_a_second_is_made_by_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("operator"));
    let first = ["cluster", "operators", "first", "--data-dir", text(&data), "--out", text(&out), "--json"];
    assert_eq!(ocmt(&first, None).await.status.code(), Some(1), "there is no authority here");
    let names = ServerNames::of(&[], []);
    // as `ocmt dev` makes it
    Pki::open(&data.join("pki"), true, names, Arc::new(SystemClock), &RandomIds).unwrap();
    let made = done(&ocmt(&first, None).await)["operator"].as_str().unwrap().to_owned();
    let cluster = Cluster::start_on(folder).await;
    let listed = done(&cluster.as_operator("operator", &["operators", "ls"]).await);
    assert_eq!(listed[0]["operator"], made.as_str(), "{listed}");
    let again = cluster.path("again");
    let again = ["cluster", "operators", "first", "--data-dir", text(&data), "--out", text(&again)];
    assert_eq!(ocmt(&again, None).await.status.code(), Some(1), "one was made here before");
    cluster.node.stop().await;
}

#[tokio::test]
async fn a_node_makes_the_folder_for_its_letters() {
    let cluster = Cluster::start().await;
    assert!(cluster.path("mail").is_dir());
    cluster.node.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let cluster = Cluster::start().await;
    let nobody = "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11";
    for (command, thing) in [(["drain", nobody], "node"), (["placement", "--of"], "tenant")] {
        let command = if thing == "node" { command.to_vec() } else { [&command[..], &[nobody]].concat() };
        let refused = cluster.as_operator("operator", &command).await;
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(errors.contains(&format!("there is no {thing} {nobody}")), "{errors}");
    }
    cluster.node.stop().await;
}

#[tokio::test]
async fn a_watch_whose_node_stops_says_how_to_go_on() {
    let cluster = Cluster::start().await;
    let (operator, endpoint) = (cluster.path("operator"), cluster.endpoint().to_owned());
    let args = ["cluster", "watch", "--operator", text(&operator), "--endpoint", &endpoint];
    let watch = tokio::process::Command::new(env!("CARGO_BIN_EXE_ocmt"))
        .args(args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut watch = watch.unwrap();
    let mut lines = tokio::io::BufReader::new(watch.stdout.as_mut().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line).await.unwrap();
    assert!(line.contains("is live"), "{line}");
    cluster.node.stop().await;
    let ended = watch.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), UNREACHABLE, "{errors}");
    assert!(errors.contains("ocmt cluster watch --resume "), "{errors}");
}
