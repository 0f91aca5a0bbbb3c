//! API keys by the command line: made by a person, used by a program with nothing but the key, and ended.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ocmt_client::state::StoredSession;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt, ocmt_in},
};
use serde_json::Value;

/// The person's session, where the command line keeps it.
pub(crate) fn keep(node: &TestNode, person: &Person) -> String {
    keep_in(node, person, person.email.split('@').next().unwrap())
}

/// The same in a folder of this name: one person may have two sessions.
pub(crate) fn keep_in(node: &TestNode, person: &Person, name: &str) -> String {
    keep_at(node, person, name, node.target().unwrap().endpoint)
}

/// The same, of a node that is reached at `endpoint`.
pub(crate) fn keep_at(node: &TestNode, person: &Person, name: &str, endpoint: String) -> String {
    let target = node.target().unwrap();
    let identity = person.client.identity().unwrap();
    let session = StoredSession {
        endpoint,
        ca_pem: target.ca.pem().to_owned(),
        tenant: identity.tenant,
        user: identity.user,
        email: person.email.clone(),
        token: person.token().unwrap(),
    };
    let folder = node.folder().join("typed").join(name);
    ocmt_client::state::LocalState::open(&folder).unwrap().put_session(session).unwrap();
    folder.to_str().unwrap().to_owned()
}

pub(crate) fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// What was done by the key is told as the key's, with its user beside it.
async fn names_the_key(ada: &Person, id: &str) {
    let query = pb::QueryAuditRequest { ascending: true, page_size: 100, ..Default::default() };
    let records = ada.client.audit().query_audit(query).await.unwrap().into_inner().records;
    let by_key: Vec<_> =
        records.iter().filter(|it| it.principal_kind() == pb::PrincipalKind::ApiKey).collect();
    assert!(by_key.iter().any(|it| it.action == "UserService/ListUsers"), "{by_key:?}");
    assert!(by_key.iter().all(|it| it.principal_id == id && it.details.contains_key("user")), "{by_key:?}");
    let made = records.iter().find(|it| it.action == "AuthService/CreateApiKey").unwrap();
    assert_eq!(made.principal_kind(), pb::PrincipalKind::User);
}

#[tokio::test]
async fn a_program_works_with_a_key_from_a_file_or_its_environment_until_it_is_revoked() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let hers = keep(&node, &ada);
    let at = |name: &str| node.folder().join(name).to_str().unwrap().to_owned();
    let (file, ca, nowhere) = (at("deploys.key"), at("ca-of-the-program.pem"), at("state-of-the-program"));
    let target = node.target().unwrap();
    fs::write(&ca, target.ca.pem()).unwrap();
    let create = [
        "api-key",
        "create",
        "deploys",
        "--scope",
        "tenant.read",
        "--scope",
        "user.list",
        "--lifetime",
        "1h",
    ];
    let create = [&create[..], &["--out", &file, "--state-dir", &hers, "--json"]].concat();
    let made = json(&ocmt(&create).await.unwrap());
    let id = made["api_key"]["id"].as_str().unwrap().to_owned();
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("ocmt_key_") && !made.to_string().contains(&secret));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // a file that is there is left as it is, and no key without its secret goes on
    let again = ocmt(&create).await.unwrap();
    assert_eq!(again.code, Some(1), "{}", again.out);
    assert_eq!(ada.client.list_api_keys().await.unwrap().len(), 1);

    let place = ["--endpoint", &target.endpoint, "--ca", &ca, "--state-dir", &nowhere, "--json"];
    let by_file = ["--api-key-file", &file];
    let me = json(&ocmt(&[&["whoami"][..], &place, &by_file].concat()).await.unwrap());
    assert_eq!((me["email"].as_str(), &me["session"]), (Some(ada.email.as_str()), &Value::Null));
    assert_eq!(me["api_key"]["scopes"], serde_json::json!(["tenant.read", "user.list"]));
    let users = [&["user", "ls"][..], &place].concat();
    let by_environment = [("OCMT_API_KEY", secret.as_str())];
    assert_eq!(json(&ocmt_in(&by_environment, &users).await.unwrap()).as_array().unwrap().len(), 1);
    let refused = ocmt(&[&["audit", "query"][..], &place, &by_file].concat()).await.unwrap();
    assert_eq!(refused.code, Some(3), "{}{}", refused.out, refused.err);
    assert!(!refused.err.contains(&secret));
    let wrong = ocmt_in(&[("OCMT_API_KEY", &ada.token().unwrap())], &users).await.unwrap();
    assert_eq!(wrong.code, Some(2), "a session is no API key: {}", wrong.err);
    assert!(!wrong.err.contains(&ada.token().unwrap()));

    let listed = json(&ocmt(&["api-key", "ls", "--state-dir", &hers, "--json"]).await.unwrap());
    assert_eq!((listed[0]["id"].as_str(), listed[0]["name"].as_str()), (Some(id.as_str()), Some("deploys")));
    assert!(listed[0]["last_used_at"].is_i64() && !listed.to_string().contains(&secret));
    let audit = json(&ocmt(&["audit", "query", "--state-dir", &hers, "--json"]).await.unwrap()).to_string();
    assert!(audit.contains(&id) && !audit.contains(&secret));
    names_the_key(&ada, &id).await;

    let revoked = ocmt(&["api-key", "revoke", &id, "--state-dir", &hers]).await.unwrap();
    assert_eq!(revoked.code, Some(0), "{}", revoked.err);
    let over = ocmt(&[&["whoami"][..], &place, &by_file].concat()).await.unwrap();
    assert_eq!(over.code, Some(3), "{}", over.out);
    assert!(over.err.contains("unknown or has ended"), "{}", over.err);
    // and the log of the node has seen none of it
    let log = fs::read_to_string(node.folder().join("node.log")).unwrap();
    assert!(!log.contains(&secret));
}

#[tokio::test]
async fn a_key_without_a_file_is_printed_once_and_alone() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let hers = keep(&node, &ada);
    let create = ["api-key", "create", "pipes", "--scope", "vault.read", "--state-dir", &hers];
    let said = ocmt(&create).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let secret = said.out.trim();
    assert!(secret.starts_with("ocmt_key_") && !secret.contains(char::is_whitespace), "{}", said.out);
    assert!(!said.err.contains(secret));
    let me = ada.client.with_api_key(secret).await.unwrap().who_am_i().await.unwrap();
    assert_eq!(me.api_key.unwrap().name, "pipes");
}
