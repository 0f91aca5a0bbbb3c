//! What every answer carries, whatever it answers.

use ::http::HeaderMap;
use ocmt_testkit::{TestNode, http as plain};

const WANTED: [&str; 10] = [
    "strict-transport-security",
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "ocmt-request-id",
];

pub(crate) fn assert_secure(what: &str, headers: &HeaderMap) {
    for name in WANTED {
        assert_eq!(headers.get_all(name).iter().count(), 1, "{what}: {name} in {headers:?}");
    }
    assert!(!headers.contains_key("server"), "{what} names its software");
    assert!(!headers["content-security-policy"].to_str().unwrap().contains("unsafe"), "{what}");
}

#[tokio::test]
async fn pages_refusals_and_missing_pages_carry_the_headers_and_a_fresh_request_id() {
    let node = TestNode::start().await.unwrap();
    let target = node.target().unwrap();
    let gateway = format!("/gateway/{}", "7f1c2d3e-0000-4000-8000-000000000000");
    let mut ids = Vec::new();
    for (path, status) in
        [("/", 200), ("/nowhere", 404), ("/static/../../etc/passwd", 404), ("/auth/link/ocmt_lnk_x", 200)]
    {
        let answer = plain::get(&target, path, &[("ocmt-request-id", "mine")]).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert_secure(path, &answer.headers);
        ids.push(answer.headers["ocmt-request-id"].clone());
    }
    let answer = plain::upgrade(&target, &gateway, &[("sec-websocket-protocol", "ocmt.v1")]).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_secure("401", &answer.headers);
    ids.push(answer.headers["ocmt-request-id"].clone());
    assert!(ids.iter().all(|id| id != "mine"), "a client chose its request id");
    ids.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    ids.dedup();
    assert_eq!(ids.len(), 5, "request ids repeat");
}

#[tokio::test]
async fn grpc_answers_carry_the_headers_too() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let answer = ada.client.auth().who_am_i(ocmt_proto::v1::WhoAmIRequest {}).await.unwrap();
    assert_secure("gRPC", &answer.metadata().clone().into_headers());
    let stranger = node.local().client().await.unwrap();
    let refused = stranger.auth().who_am_i(ocmt_proto::v1::WhoAmIRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert!(refused.metadata().contains_key("ocmt-request-id"), "{:?}", refused.metadata());
}
