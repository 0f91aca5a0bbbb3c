//! Who gets through the gateway, and who does not.

use ::http::StatusCode;
use ocmt_client::container::Spec;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode, http};
use ocmt_types::ContainerId;

async fn container(person: &Person) -> ContainerId {
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    person.client.create_container(&spec, true).await.unwrap().id
}

async fn token(person: &Person, container: ContainerId) -> String {
    let request = pb::IssueGatewayTokenRequest {
        container_id: container.to_string(),
        lifetime: None,
        idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
    };
    person.client.containers().issue_gateway_token(request).await.unwrap().into_inner().token
}

/// A try to get through that must fail.
struct Attempt<'a> {
    what: &'static str,
    path: String,
    offer: Option<&'a str>,
    more: Option<(&'a str, &'a str)>,
    expected: StatusCode,
}

#[tokio::test]
async fn only_the_containers_own_token_in_a_subprotocol_and_no_page_gets_through() {
    use StatusCode as S;
    let node = TestNode::start().await.unwrap();
    let target = node.target().unwrap();
    let (ada, eve) = (node.person("ada").await.unwrap(), node.person("eve").await.unwrap());
    let (hers, other) = (container(&ada).await, container(&eve).await);
    let (good, foreign) = (token(&ada, hers).await, token(&eve, other).await);
    let path = format!("/gateway/{hers}");
    let (good_offer, foreign_offer, session_offer) =
        (offer(&good), offer(&foreign), offer(&ada.token().unwrap()));
    let (plain, evil) = (Some("ocmt.v1"), Some(("origin", "https://evil.example")));
    let attempt = |what, path: &str, offer, more, expected| Attempt {
        what,
        path: path.to_owned(),
        offer,
        more,
        expected,
    };
    let in_query = format!("{path}?token={good}");
    let elsewhere = format!("/gateway/{other}");
    let attempts = [
        attempt("no token", &path, plain, None, S::UNAUTHORIZED),
        attempt("no subprotocol", &path, None, None, S::UNAUTHORIZED),
        attempt("token in the query", &in_query, plain, None, S::UNAUTHORIZED),
        attempt("a bearer", &path, plain, Some(("authorization", "Bearer x")), S::UNAUTHORIZED),
        attempt("another container's token", &path, Some(&foreign_offer), None, S::UNAUTHORIZED),
        attempt("a session token", &path, Some(&session_offer), None, S::UNAUTHORIZED),
        attempt("a page's origin", &path, Some(&good_offer), evil, S::FORBIDDEN),
        attempt("its own token elsewhere", &elsewhere, Some(&good_offer), None, S::UNAUTHORIZED),
    ];
    for attempt in attempts {
        let offered = attempt.offer.map(|offer| ("sec-websocket-protocol", offer));
        let headers: Vec<_> = offered.into_iter().chain(attempt.more).collect();
        let answer = http::upgrade(&target, &attempt.path, &headers).await.unwrap();
        println!("{}: {} {}", attempt.what, answer.status, answer.body);
        assert_eq!(answer.status, attempt.expected, "{}", attempt.what);
        for token in [&good, &foreign] {
            assert!(!echoes(&answer, token), "{}: the token came back", attempt.what);
        }
    }
    // the last gate: the right token meets a locked cell, and nothing else stood in its way
    let answer = http::upgrade(&target, &path, &[("sec-websocket-protocol", &good_offer)]).await.unwrap();
    assert_eq!(answer.status, S::CONFLICT, "{}", answer.body);
    assert!(answer.body.contains("VAULT_LOCKED") && !echoes(&answer, &good), "{}", answer.body);
}

fn offer(token: &str) -> String {
    format!("ocmt.v1, ocmt.token.{token}")
}

fn echoes(answer: &http::Answer, token: &str) -> bool {
    let in_header =
        answer.headers.values().any(|value| value.to_str().is_ok_and(|text| text.contains(token)));
    in_header || answer.body.contains(token)
}

#[tokio::test]
async fn an_open_gateway_answers_with_the_protocol_alone_and_how_it_woke() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault("a passphrase of Ada's").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let container = container(&ada).await;
    vault
        .unlock_container(container, &[("KEY", "key").into()], std::time::Duration::from_secs(60), false)
        .await
        .unwrap();
    let token = token(&ada, container).await;
    let offer = offer(&token);
    let answer = http::upgrade(
        &node.target().unwrap(),
        &format!("/gateway/{container}"),
        &[("sec-websocket-protocol", &offer)],
    )
    .await
    .unwrap();
    assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS, "{}", answer.body);
    assert_eq!(answer.headers["sec-websocket-protocol"], "ocmt.v1");
    assert_eq!(answer.headers["ocmt-wake-kind"], "none");
    assert!(answer.headers.contains_key("ocmt-wake-ms"));
    super::headers::assert_secure("101", &answer.headers);
}
