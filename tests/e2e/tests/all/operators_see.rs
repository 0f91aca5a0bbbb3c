//! What an operator's certificate opens, and that no tenant's secret is behind it.

use std::path::Path;

use ocmt::pki::OperatorFiles;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode, command, ports, raw};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::requests::{self, Ids, Made};

const PASSPHRASE: &str = "canary passphrase of Ada's";
const SECRET: &str = "canary-value-7f3a91";
const NAME: &str = "canary-entry-5512";

/// What of users' services is an operator's.
const ADMINISTRATION: [&str; 7] =
    ["GetTenant", "ListTenants", "GetQuota", "UpdateQuota", "SuspendTenant", "ResumeTenant", "DeleteTenant"];

fn is_for_operators(made: &Made) -> bool {
    let operators = ["/ocmt.v1.ClusterService/", "/ocmt.v1.OperatorService/"];
    let tenant = made.path.strip_prefix("/ocmt.v1.TenantService/");
    operators.iter().any(|service| made.path.starts_with(service))
        || tenant.is_some_and(|method| ADMINISTRATION.contains(&method))
}

/// A node with somebody on it, started again with an operator listener and its first operator.
pub(crate) async fn operated() -> (TestNode, Person, Ids, String) {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    vault.put(NAME, SECRET.as_bytes()).await.unwrap();
    let me = ada.client.who_am_i().await.unwrap();
    let ids = Ids {
        tenant: me.tenant.to_string(),
        user: me.user.to_string(),
        session: me.session.unwrap().id.to_string(),
        vault: vault.id().to_string(),
        object: vault.keys().leaves().next().unwrap().object_id.0,
        ..Ids::random()
    };
    let (_, folder) = node.stop().await.unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let first = ["cluster", "operators", "first", "--data-dir", &at("data"), "--out", &at("operator")];
    let said = command::ocmt(&first).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let port = ports::unused().unwrap();
    let node = TestNode::start_again(folder, |config| config.listen.operators.set_port(port)).await.unwrap();
    (node, ada, ids, format!("https://127.0.0.1:{port}"))
}

pub(crate) async fn as_operator(folder: &Path, endpoint: &str) -> Channel {
    let files = OperatorFiles::load(&folder.join("operator")).unwrap();
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&files.ca))
        .identity(Identity::from_pem(&files.certificate, files.key.as_bytes()));
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).unwrap().tls_config(tls).unwrap();
    endpoint.connect().await.unwrap()
}

/// The marks that an operator must never have, each in the forms in which it could leak.
fn canaries(token: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for mark in [PASSPHRASE, SECRET, NAME, token] {
        all.push(mark.as_bytes().to_vec());
        all.push(mark.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
        all.push(mark.encode_utf16().flat_map(u16::to_le_bytes).collect());
    }
    all
}

fn holds(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn d2_an_operator_reaches_operators_methods_alone_and_finds_no_secret_in_what_they_say() {
    let (node, ada, hers, endpoint) = operated().await;
    let token = ada.token().unwrap();
    let (mut said, mut opened, mut shut, mut wrong) = (Vec::new(), 0, 0, Vec::new());
    for made in requests::all(&hers) {
        let channel = as_operator(node.folder(), &endpoint).await;
        for bearer in [None, Some(token.as_str())] {
            let answer = raw::call(&channel, &made.path, bearer, made.bytes.clone()).await.unwrap();
            said.extend_from_slice(&answer.body);
            said.extend_from_slice(answer.message.as_bytes());
            let right = if is_for_operators(&made) {
                opened += 1;
                !matches!(answer.code, Code::Unimplemented | Code::Unauthenticated | Code::Internal)
                    || made.path.ends_with("/JoinCluster")
            } else {
                shut += 1;
                answer.code == Code::Unimplemented && answer.body.is_empty()
            };
            if !right {
                wrong.push(format!("{}: {answer:?}", made.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let folder = node.folder().join("operator").to_string_lossy().into_owned();
    for command in [
        vec!["tenant", "ls"],
        vec!["tenant", "show", &hers.tenant],
        vec!["tenant", "limits", &hers.tenant, "--users", "7"],
        vec!["tenant", "suspend", &hers.tenant, "--reason", "a test"],
        vec!["tenant", "resume", &hers.tenant],
        vec!["cluster", "placement"],
        vec!["cluster", "nodes"],
    ] {
        let whole = [&command[..], &["--operator", &folder, "--endpoint", &endpoint, "--json"]].concat();
        let run = command::ocmt(&whole).await.unwrap();
        assert_eq!(run.code, Some(0), "{command:?}: {}", run.err);
        said.extend_from_slice(run.out.as_bytes());
        said.extend_from_slice(run.err.as_bytes());
    }
    println!("{opened} calls of operators' methods, {shut} of all others, {} bytes said", said.len());
    assert!(holds(&said, b"ada's tenant"), "then the search finds nothing that is there either");
    for canary in canaries(&token) {
        assert!(!holds(&said, &canary), "{} was told", String::from_utf8_lossy(&canary));
    }
    // and the tenant works as before, with its new limit
    let channel = node.target().unwrap().connect().await.unwrap();
    let path = "/ocmt.v1.TenantService/GetQuota";
    let answer = raw::call(&channel, path, Some(&token), Vec::new()).await.unwrap();
    let quota: pb::GetQuotaResponse = prost::Message::decode(answer.body).unwrap();
    assert_eq!(quota.limit.unwrap().users, 7);
}

#[tokio::test]
async fn d2_without_an_operators_certificate_there_is_no_operator_listener() {
    let (node, _, hers, endpoint) = operated().await;
    let files = OperatorFiles::load(&node.folder().join("operator")).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.ca));
    let bare = Endpoint::from_shared(endpoint.clone()).unwrap().tls_config(tls).unwrap();
    // with TLS 1.3 the client learns of the refusal when it first reads
    if let Ok(channel) = bare.connect().await {
        for made in requests::all(&hers).iter().filter(|made| is_for_operators(made)).take(3) {
            let answer = raw::call(&channel, &made.path, None, made.bytes.clone()).await;
            // whatever the transport calls it, nobody of ours has answered
            let told = answer.map(|answer| (answer.code, answer.reason, answer.body.len()));
            assert!(
                told.as_ref().map_or(true, |(code, reason, body)| {
                    *code != Code::Ok && reason.is_empty() && *body == 0
                }),
                "{}: {told:?}",
                made.path
            );
        }
    }
}
