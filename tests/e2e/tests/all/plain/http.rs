//! Requests.

use std::time::Duration;

use ::http::{Method, StatusCode};
use bytes::Bytes;
use ocmt_testkit::{
    TestNode,
    command::ocmt,
    http, pace,
    plain::{Visitor, is_problem},
};

use super::{Stage, now, unlocked, workload};

#[tokio::test]
async fn a_request_reaches_the_workload_as_it_was_meant_and_says_nothing_of_who_asks() {
    let stage = Stage::open().await;
    let sent = [
        ("authorization", "Bearer ocmt_ses_x"),
        ("cookie", "__Host-ocmt-session=x"),
        ("x-forwarded-for", "192.0.2.9"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-end", "2"),
        ("ocmt-workload-authorization", "Bearer its-own"),
    ];
    let asked = stage.visitor.ask(Method::PATCH, "/echo/a%2Fb/../c?d=e&f", &sent, "a body").await.unwrap();
    let answer = asked.whole().await.unwrap();
    println!("{}", answer.body);
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.starts_with("PATCH /echo/a%2Fb/../c?d=e&f\n"), "{}", answer.body);
    assert!(answer.body.ends_with("\n\na body"), "{}", answer.body);
    let (head, _) = answer.body.split_once("\n\n").unwrap();
    let mut names: Vec<_> = head.lines().skip(1).filter_map(|line| line.split_once(':')).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            ("authorization", " Bearer its-own"),
            ("content-length", " 6"),
            ("host", " localhost"),
            ("x-end", " 2")
        ]
    );
    for token in [&stage.visitor.token, &stage.ada.token().unwrap()] {
        assert!(!answer.body.contains(token.as_str()), "a token reached the workload");
    }
    assert_eq!(answer.headers["x-of-the-workload"], "1");
    assert_eq!(answer.headers["ocmt-wake-kind"], "none");
    for gone in ["set-cookie", "access-control-allow-origin", "clear-site-data", "ocmt-not-owner"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
    crate::headers::assert_secure("a workload's answer", &answer.headers);
}

#[tokio::test]
async fn statuses_bodies_and_redirects_are_the_workloads_own() {
    let stage = Stage::open().await;
    let visitor = &stage.visitor;
    let missing = visitor.get("/nothing").await.unwrap();
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.body.starts_with("GET /healthz"), "its words were replaced: {}", missing.body);
    assert_eq!(visitor.get("").await.unwrap().status, StatusCode::NOT_FOUND);
    let head = visitor.ask(Method::HEAD, "/echo", &[], "").await.unwrap().whole().await.unwrap();
    assert!(
        head.status == StatusCode::OK && head.body.is_empty() && head.headers.contains_key("content-length")
    );
    let moved = visitor.get("/to//elsewhere?a").await.unwrap();
    assert_eq!(moved.status, StatusCode::FOUND);
    assert_eq!(moved.headers["location"], format!("/gateway/{}/elsewhere", stage.container));
    let away = visitor.get("/to/https://evil.example/").await.unwrap();
    assert!(!away.headers.contains_key("location"), "{:?}", away.headers);
    let long = vec![7; 5 << 20];
    let asked = visitor.ask(Method::POST, "/swallow", &[], long).await.unwrap();
    assert_eq!(asked.whole().await.unwrap().body, format!("{}\n", 5 << 20));
    let zeros = visitor.get("/zeros/8388608").await.unwrap();
    assert_eq!(zeros.body.len(), 8 << 20);
    // so far apart that a reader who has to wait for a turn of the processor still sees each by itself
    let mut drops = visitor.ask(Method::GET, "/drip/3/1500", &[], "").await.unwrap();
    for _ in 0..3 {
        assert_eq!(drops.next().await.unwrap(), Some(Bytes::from_static(b"drop\n")), "they were gathered");
    }
    assert_eq!(drops.next().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_carried_is_refused_and_what_is_too_long_cut_off() {
    let stage = Stage::open().await;
    let visitor = &stage.visitor;
    let ask = async |method: Method, path: &str, body: Bytes| {
        visitor.ask(method, path, &[], body).await.unwrap().whole().await.unwrap()
    };
    let traced = ask(Method::TRACE, "/echo", Bytes::new()).await;
    assert!(is_problem(&traced, StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"), "{}", traced.body);
    let unknown = ask(Method::from_bytes(b"PROPFIND").unwrap(), "/echo", Bytes::new()).await;
    assert_eq!(unknown.status, StatusCode::METHOD_NOT_ALLOWED);
    // what says beforehand that it is too long is not waited for
    let (path, host) = (format!("/gateway/{}/swallow", stage.container), visitor.target.authority().unwrap());
    let said = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nocmt-gateway-token: {}\r\nContent-Length: {}\r\n\r\n",
        visitor.token,
        (32 << 20) + 1
    );
    let long = http::exchange(&visitor.target, said.as_bytes()).await.unwrap();
    assert!(long.starts_with("HTTP/1.1 413 ") && long.contains("BODY_TOO_LARGE"), "{long}");
    // what does not say it is cut off on its way
    let head = said.replace(&format!("Content-Length: {}", (32 << 20) + 1), "Transfer-Encoding: chunked");
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let cut =
        http::exchange(&visitor.target, format!("{head}{}", chunk.repeat(33)).as_bytes()).await.unwrap();
    assert!(!cut.starts_with("HTTP/1.1 200"), "{cut}");
}

#[tokio::test]
async fn two_lengths_and_odd_lines_carry_nothing_past_the_node() {
    let stage = Stage::open().await;
    let (path, token) = (format!("/gateway/{}", stage.container), &stage.visitor.token);
    let host = stage.visitor.target.authority().unwrap();
    let send = async |text: String| http::exchange(&stage.visitor.target, text.as_bytes()).await.unwrap();
    // what the second length hides would be a request of its own, if the workload heard it
    let two = format!(
        "POST {path}/echo HTTP/1.1\r\nHost: {host}\r\nocmt-gateway-token: {token}\r\nContent-Length: 6\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET {path}/echo/smuggled HTTP/1.1\r\nHost: {host}\r\n\
         Connection: close\r\n\r\n"
    );
    let said = send(two).await;
    println!("{said}");
    assert!(!said.contains("GET /echo/smuggled"), "the workload heard a second request");
    for (what, odd) in [
        ("a bare line feed", "X-A: b\nocmt-x: c\r\n"),
        ("a folded line", "X-A: b\r\n c\r\n"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n"),
        ("a length with a sign", "Content-Length: +1\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n"),
        ("no byte of a name", "X\0A: b\r\n"),
    ] {
        let said = send(format!(
            "POST {path}/echo HTTP/1.1\r\nHost: {host}\r\nocmt-gateway-token: {token}\r\n{odd}Connection: close\r\n\r\n"
        ))
        .await;
        let first = said.lines().next().unwrap_or_default();
        println!("{what}: {first}");
        // a bare line feed ends a line for the node, which writes the head anew
        let lawful =
            first.contains(" 200 ") && !said.contains("ocmt-x") && !said.contains("transfer-encoding: x");
        assert!(first.contains(" 400 ") || lawful, "{what}: {said}");
    }
}

#[tokio::test]
async fn a_token_is_good_again_for_its_container_alone_and_pages_of_others_have_no_use_of_it() {
    let stage = Stage::open().await;
    let eve = stage.node.person("eve").await.unwrap();
    let (other, _vault) = unlocked(&eve, |_| {}).await;
    let visitor = &stage.visitor;
    for _ in 0..2 {
        assert_eq!(visitor.get("/healthz").await.unwrap().body, "ok\n");
    }
    let state = crate::api_keys::keep(&stage.node, &stage.ada);
    let said = ocmt(&["container", "token", "--lifetime", "1m", "--state-dir", &state]).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let typed = Visitor { token: said.out.trim().to_owned(), ..visitor.clone() };
    assert_eq!(typed.get("/healthz").await.unwrap().body, "ok\n");
    let elsewhere = Visitor { container: other, ..visitor.clone() };
    assert_eq!(elsewhere.get("/healthz").await.unwrap().status, StatusCode::UNAUTHORIZED);
    let session = Visitor { token: stage.ada.token().unwrap(), ..visitor.clone() };
    assert_eq!(session.get("/healthz").await.unwrap().status, StatusCode::UNAUTHORIZED);
    let path = format!("/gateway/{}/healthz", stage.container);
    let token = visitor.token.as_str();
    for (what, path, headers, expected) in [
        ("none", path.clone(), vec![], StatusCode::UNAUTHORIZED),
        ("in the query", format!("{path}?token={token}"), vec![], StatusCode::UNAUTHORIZED),
        (
            "as a cookie",
            path.clone(),
            vec![("cookie", format!("ocmt-gateway-token={token}"))],
            StatusCode::UNAUTHORIZED,
        ),
        (
            "as a bearer",
            path.clone(),
            vec![("authorization", format!("Bearer {token}"))],
            StatusCode::UNAUTHORIZED,
        ),
        ("twice", path.clone(), vec![("ocmt-gateway-token", token.to_owned()); 2], StatusCode::UNAUTHORIZED),
        (
            "a foreign page",
            path.clone(),
            vec![("ocmt-gateway-token", token.to_owned()), ("origin", "https://evil.example".to_owned())],
            StatusCode::FORBIDDEN,
        ),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::get(&visitor.target, &path, &headers).await.unwrap();
        assert_eq!(answer.status, expected, "{what}: {}", answer.body);
        assert!(!answer.body.contains(token), "{what}: the token came back");
    }
}

#[tokio::test]
async fn who_did_not_opt_in_is_not_reached_and_a_locked_or_dead_workload_says_so() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (sealed, _vault) = unlocked(&ada, |spec| spec.gateway_plain = false).await;
    let visitor = Visitor::of(&ada.client, node.target().unwrap(), sealed).await.unwrap();
    let refused = visitor.get("/healthz").await.unwrap();
    assert!(is_problem(&refused, StatusCode::CONFLICT, "PLAIN_NOT_CHOSEN"), "{}", refused.body);
    let refused = visitor.try_socket("/ws", &[]).await.unwrap().err().unwrap();
    assert!(is_problem(&refused, StatusCode::CONFLICT, "PLAIN_NOT_CHOSEN"), "{}", refused.body);

    let bob = node.person("bob").await.unwrap();
    let locked = bob.client.create_container(&workload(), true).await.unwrap().id;
    let visitor = Visitor::of(&bob.client, node.target().unwrap(), locked).await.unwrap();
    let refused = visitor.get("/healthz").await.unwrap();
    assert!(is_problem(&refused, StatusCode::CONFLICT, "VAULT_LOCKED"), "{}", refused.body);

    let cat = node.person("cat").await.unwrap();
    let (ended, _vault) = unlocked(&cat, |spec| spec.argv = vec!["/bin/false".to_owned()]).await;
    let visitor = Visitor::of(&cat.client, node.target().unwrap(), ended).await.unwrap();
    let refused = visitor.get("/healthz").await.unwrap();
    assert!(is_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, "WORKLOAD_AWAY"), "{}", refused.body);
}

#[tokio::test]
async fn an_answer_ends_with_the_session_and_is_not_taken_for_whole() {
    let stage = Stage::open().await;
    let mut drops = stage.visitor.ask(Method::GET, "/drip/10000/50", &[], "").await.unwrap();
    drops.next().await.unwrap().unwrap();
    let began = now();
    let over = async { stage.ada.client.sign_out().await.unwrap() };
    let ended = async {
        loop {
            match drops.next().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended);
    let (((), last), machine) = pace::beside(async { tokio::join!(over, ended) }).await.unwrap();
    // before anything is printed: the error finds out its stack then, which takes a second
    let took = now() - began;
    let last = last.expect("it goes on");
    assert!(last.is_err(), "it looks like all of it");
    assert!(took < Duration::from_secs(1) + machine, "{took:?}, {machine:?} of it the machine's");
    assert_eq!(stage.visitor.get("/healthz").await.unwrap().status, StatusCode::UNAUTHORIZED);
}
