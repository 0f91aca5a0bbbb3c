//! Limits as callers meet them.

use http::Request;
use ocmt_proto::v1::{
    GetKeySlotsRequest, OpenCeremonyRequest, RequestMagicLinkRequest, StepUpRequest, VetoCeremonyRequest,
    WhoAmIRequest, step_up_request,
};
use prost::Message as _;

use crate::{
    browser::{ann, ann_again, signed_in},
    kit::{Answer, Edge, framed},
};

/// A wish for a link of this address, as a client that says it is somebody else each time.
async fn wish(edge: &Edge, email: &str, n: u8) -> Answer {
    let wish = RequestMagicLinkRequest {
        email: email.to_owned(),
        purpose: 1,
        binding_hash: vec![1; 32].into(),
        idempotency_key: vec![n; 16].into(),
        ..Default::default()
    };
    let request = Request::post("/ocmt.v1.AuthService/RequestMagicLink")
        .header("content-type", "application/grpc")
        .header("x-forwarded-for", format!("198.51.100.{n}"))
        .header("ocmt-client-addr", format!("198.51.100.{n}:1"))
        .header("forwarded", format!("for=198.51.100.{n}"));
    edge.ask(request, framed(&wish.encode_to_vec())).await
}

fn status(answer: &Answer) -> &str {
    let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
    status.unwrap().to_str().unwrap()
}

#[tokio::test]
async fn an_address_signs_in_so_often_whoever_it_says_it_is() {
    let edge = Edge::start(|config| config.rates.sign_in = "3/1h".parse().unwrap()).await;
    for n in 0..3 {
        let answer = wish(&edge, &format!("nobody{n}@example.org"), n).await;
        assert_eq!(status(&answer), "0");
        assert_eq!(answer.headers["ratelimit-policy"], "\"sign_in\";q=3;w=3600");
        let said = answer.headers["ratelimit"].to_str().unwrap();
        assert!(said.starts_with(&format!("\"sign_in\";r={};t=", 2 - n)), "{said}");
    }
    let refused = wish(&edge, "nobody4@example.org", 4).await;
    assert_eq!(status(&refused), "8");
    let seconds: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&seconds), "{seconds}");
    assert!(refused.headers.contains_key("grpc-status-details-bin"), "RetryInfo");
    // the page is the same door
    let form = Request::post("/auth/link")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", edge.origin())
        .header("sec-fetch-site", "same-origin");
    let page = edge.ask(form, "email=nobody@example.org&csrf=x").await;
    assert_eq!(page.status, 429, "{}", page.body);
    assert!(page.headers.contains_key("retry-after") && page.body.contains("RATE_LIMITED"), "{}", page.body);
    edge.node.stop().await;
}

#[tokio::test]
async fn letters_to_one_address_are_counted_however_it_is_written() {
    let edge = Edge::start(|config| config.rates.account = "2/1h".parse().unwrap()).await;
    for _ in 0..2 {
        // a repeat under its key is no second letter
        assert_eq!(status(&wish(&edge, "mara@example.org", 1).await), "0");
    }
    assert_eq!(status(&wish(&edge, "Mara@Example.org", 2).await), "0");
    assert_eq!(status(&wish(&edge, "MARA@example.org", 3).await), "8");
    assert_eq!(status(&wish(&edge, "somebody.else@example.org", 3).await), "0");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_session_reads_so_often_and_each_call_is_counted_once() {
    let edge = Edge::start(|config| config.rates.read = "4/1h".parse().unwrap()).await;
    let ann = ann(&edge).await;
    let mut left = Vec::new();
    let refused = loop {
        match ann.auth().who_am_i(WhoAmIRequest {}).await {
            Ok(answer) => {
                let said = answer.metadata().get("ratelimit").unwrap().to_str().unwrap().to_owned();
                left.push(said.split(';').nth(1).unwrap().to_owned());
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(left, ["r=3", "r=2", "r=1", "r=0"]);
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    let details = tonic_types::StatusExt::get_error_details(&refused);
    let wait = details.retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!((800..=900).contains(&wait.as_secs()), "{wait:?}");
    // whoever has stolen one session shuts the user's others out of nothing
    let again = ann_again(&edge).await;
    assert!(again.auth().who_am_i(WhoAmIRequest {}).await.is_ok());
    // a change is another limit
    assert!(ann.sign_out().await.is_ok());
    edge.node.stop().await;
}

#[tokio::test]
async fn pages_count_as_reads_of_the_session_that_looks() {
    let edge = Edge::start(|config| config.rates.read = "4/1h".parse().unwrap()).await;
    ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(browser.get(&edge, "/app/sessions").await.status.as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 200, 429, 429]);
    // another session of hers has its own
    let mut other = signed_in(&edge).await;
    assert_eq!(other.get(&edge, "/app/sessions").await.status, 200);
    edge.node.stop().await;
}

#[tokio::test]
async fn an_address_floods_no_node() {
    let edge = Edge::start(|config| config.rates.requests = "5/1h".parse().unwrap()).await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(edge.ask(Request::get("/no/such/page"), "").await.status.as_u16());
    }
    assert_eq!(answers, [404, 404, 404, 404, 404, 429, 429]);
    edge.node.stop().await;
}

#[tokio::test]
async fn where_nobody_counts_the_way_to_a_veto_is_open_and_that_to_a_recovery_is_not() {
    let edge = Edge::start(|config| config.redis.url = "redis://127.0.0.1:1".to_owned()).await;
    // signing in, the second factor, what opens a vault, the brake itself: each is answered by what it is about
    assert_eq!(status(&wish(&edge, "mara@example.org", 1).await), "0");
    let ann = ann(&edge).await;
    let answered = |refused: tonic::Status| {
        assert_ne!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    };
    let proof = Some(step_up_request::Proof::TotpCode("000000".to_owned()));
    let step_up = StepUpRequest { proof, idempotency_key: vec![1; 16].into() };
    answered(ann.auth().step_up(step_up).await.unwrap_err());
    answered(ann.vaults().get_key_slots(GetKeySlotsRequest::default()).await.unwrap_err());
    let veto = VetoCeremonyRequest {
        ceremony_id: vec![7; 32].into(),
        idempotency_key: vec![2; 16].into(),
        ..Default::default()
    };
    answered(ann.recovery().veto_ceremony(veto).await.unwrap_err());
    let key = vec![3; 16].into();
    let open = OpenCeremonyRequest { params: vec![1].into(), overrides: Vec::new(), idempotency_key: key };
    let refused = ann.recovery().open_ceremony(open).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("cannot be counted"), "{refused:?}");
    assert_eq!(edge.ask(Request::get("/"), "").await.status, 200);
    edge.node.stop().await;
}
