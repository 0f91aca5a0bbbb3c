//! K7: tokens are taken from no URL, and stand in no log, however much of it there is.

use std::{fs, time::Duration};

use ocmt_client::container::Spec;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{TestNode, http};

#[tokio::test]
async fn k7_tokens_are_taken_from_no_url_and_stand_in_no_log() {
    let node = TestNode::start_with(|config| config.telemetry.filter = "debug".to_owned()).await.unwrap();
    let target = node.target().unwrap();
    let ada = node.person("ada").await.unwrap();
    let session = ada.token().unwrap();
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let link_token = link.rsplit('/').next().unwrap().to_owned();
    let mut vault = ada.vault("a passphrase of Ada's").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    let container = ada.client.create_container(&spec, true).await.unwrap().id;
    let names = [("KEY", "key").into()];
    vault.unlock_container(container, &names, Duration::from_secs(60), false).await.unwrap();
    let request = pb::IssueGatewayTokenRequest {
        container_id: container.to_string(),
        lifetime: None,
        idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
    };
    let gateway = ada.client.containers().issue_gateway_token(request).await.unwrap().into_inner().token;

    // by URL nobody is signed in and nothing opened
    for name in ["token", "access_token", "session", "__Host-ocmt-session"] {
        let page = http::get(&target, &format!("/?{name}={session}"), &[]).await.unwrap();
        assert!(page.status == 200 && !page.body.contains(&ada.email), "{name}: {}", page.body);
        let path = format!("/gateway/{container}?{name}={gateway}");
        let answer = http::upgrade(&target, &path, &[("sec-websocket-protocol", "ocmt.v1")]).await.unwrap();
        assert_eq!(answer.status, 401, "{name}");
    }
    // and where they belong they are good
    let cookie = format!("__Host-ocmt-session={session}");
    assert!(http::get(&target, "/", &[("cookie", &cookie)]).await.unwrap().body.contains(&ada.email));
    let offer = format!("ocmt.v1, ocmt.token.{gateway}");
    let path = format!("/gateway/{container}");
    let open = http::upgrade(&target, &path, &[("sec-websocket-protocol", &offer)]).await.unwrap();
    assert_eq!(open.status, 101, "{}", open.body);
    let page = http::get(&target, &format!("/auth/link/{link_token}"), &[]).await.unwrap();
    assert_eq!(page.status, 200);
    let renewed = pending.finish(&link, "e2e").await.unwrap().credential().unwrap().expose().to_owned();

    let (ended_well, folder) = node.stop().await.unwrap();
    assert!(ended_well);
    let log = fs::read_to_string(folder.path().join("node.log")).unwrap();
    assert!(log.len() > 2000, "there is no log to look through");
    for (what, token) in
        [("session", &session), ("gateway", &gateway), ("link", &link_token), ("renewed session", &renewed)]
    {
        assert!(!log.contains(token.as_str()), "the {what} token stands in the log");
    }
}
