//! An API key is a bearer token of a program, and nothing in a browser.

use std::time::Duration;

use http::Request;
use ocmt::edge::csrf;

use crate::{
    browser::{EMAIL, ann, signed_in},
    kit::{Edge, framed},
};

#[tokio::test]
async fn an_api_key_is_taken_as_a_bearer_token_and_never_from_a_cookie() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let scopes = ["tenant.read".to_owned()];
    let key = ann.create_api_key("browses", &scopes, Duration::from_secs(600)).await.unwrap().secret;
    let who_am_i = || {
        Request::post("/ocmt.v1.AuthService/WhoAmI")
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
    };
    let bearer = who_am_i().header("authorization", format!("Bearer {}", *key));
    assert!(edge.ask(bearer, framed(&[])).await.body.contains(EMAIL));
    // with everything that a session would need beside it
    let csrf = csrf::issue(key.as_bytes(), &mut rand::rng());
    let cookie = |request: http::request::Builder| {
        request
            .header("cookie", format!("__Host-ocmt-session={}", *key))
            .header("cookie", format!("__Host-ocmt-csrf={csrf}"))
            .header("origin", edge.origin())
            .header("sec-fetch-site", "same-origin")
    };
    let call = cookie(who_am_i()).header("x-csrf-token", &csrf);
    let refused = edge.ask(call, framed(&[])).await;
    assert_eq!(refused.headers["grpc-status"], "16", "{}", refused.body);
    assert!(!refused.body.contains(EMAIL));
    // the page is the one for strangers, and takes the cookie away
    let page = edge.ask(cookie(Request::get("/")), "").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Sign in") && !page.body.contains(EMAIL), "{}", page.body);
    let sets = page.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let sets: Vec<_> = sets.filter(|set| set.starts_with("__Host-ocmt-session=")).collect();
    assert!(matches!(sets[..], [set] if set.contains("Max-Age=0")), "{sets:?}");
    // nor do our forms: nobody is signed out by them
    let form =
        cookie(Request::post("/auth/sign-out")).header("content-type", "application/x-www-form-urlencoded");
    let out = edge.ask(form, format!("csrf={csrf}")).await;
    assert_ne!(out.status, 500, "{}", out.body);
    ann.who_am_i().await.expect("the session of who made the key goes on");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_key_goes_on_where_the_other_sessions_are_ended_by_a_page() {
    let edge = Edge::start(|_| {}).await;
    let device = ann(&edge).await;
    let scopes = ["tenant.read".to_owned()];
    let key = device.create_api_key("stands alone", &scopes, Duration::from_secs(600)).await.unwrap().secret;
    let mut browser = signed_in(&edge).await;
    browser.get(&edge, "/app/sessions").await;
    let form = format!("csrf={}", browser.csrf());
    browser.post(&edge, "/app/sessions/end-others", &form).await;
    assert!(device.who_am_i().await.is_err(), "the session lives on");
    let bearer = Request::post("/ocmt.v1.AuthService/WhoAmI")
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .header("authorization", format!("Bearer {}", *key));
    assert!(edge.ask(bearer, framed(&[])).await.body.contains(EMAIL), "a machine stands still");
    edge.node.stop().await;
}
