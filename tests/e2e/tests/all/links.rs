//! Sign-in links: wrong, used, replaced, expired, of another device.

use std::time::Duration;

use ocmt::config::HumanDuration;
use ocmt_client::{ClientError, auth::Purpose};
use ocmt_proto::v1 as pb;
use ocmt_testkit::TestNode;
use sha2::{Digest as _, Sha256};
use tonic::Code;

fn refused(outcome: Result<ocmt_client::Client, ClientError>) -> (Code, String) {
    match outcome {
        Err(ClientError::Refused(status)) => (status.code(), status.message().to_owned()),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the link was taken"),
    }
}

/// The token with another secret of the same form.
fn other_secret(link: &str) -> String {
    let (head, tail) = link.split_at(link.len() - 20);
    let swapped: String = tail.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    format!("{head}{swapped}")
}

#[tokio::test]
async fn wrong_used_and_foreign_links_are_refused_with_one_answer() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let wrong = refused(pending.finish(&other_secret(&link), "e2e").await);
    let garbage = refused(pending.finish("ocmt_lnk_x", "e2e").await);
    let other_device = node
        .local()
        .client()
        .await
        .unwrap()
        .request_link("stranger@e2e.example", None, Purpose::SignIn)
        .await
        .unwrap();
    let foreign = refused(other_device.finish(&link, "e2e").await);
    pending.finish(&link, "e2e").await.expect("the right device was refused after the wrong one");
    let used = refused(pending.finish(&link, "e2e").await);
    println!("wrong: {wrong:?}\ngarbage: {garbage:?}\nother device: {foreign:?}\nused: {used:?}");
    for answer in [&wrong, &foreign, &used] {
        assert_eq!(answer.0, Code::Unauthenticated);
        assert_eq!(answer.1, wrong.1, "the answers tell links apart");
    }
    assert!(matches!(garbage.0, Code::Unauthenticated | Code::InvalidArgument));
}

#[tokio::test]
async fn a_newer_link_ends_the_older_one_of_its_device_and_no_other() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    // a stranger's wish for a link must not burn the one that its owner waits for, nor the other way round
    let (elsewhere, elsewhere_link) = node.request_link(&ada.email).await.unwrap();
    let client = node.local().client().await.unwrap();
    let binding = [9; 32];
    let mut links = Vec::new();
    for _ in 0..2 {
        let request = pb::RequestMagicLinkRequest {
            email: ada.email.clone(),
            tenant_id: String::new(),
            purpose: pb::MagicLinkPurpose::SignIn.into(),
            binding_hash: Sha256::digest(binding).to_vec().into(),
            idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
        };
        client.auth().request_magic_link(request).await.unwrap();
        links.push(node.link(&ada.email, "sign-in link").await.unwrap());
    }
    let exchange = async |link: &str| {
        let request = pb::ExchangeMagicLinkRequest {
            token: link.rsplit('/').next().unwrap().to_owned(),
            binding_secret: binding.to_vec().into(),
            client_name: String::new(),
            idempotency_key: rand::random::<[u8; 16]>().to_vec().into(),
        };
        client.auth().exchange_magic_link(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(exchange(&links[0]).await, Err(Code::Unauthenticated));
    assert_eq!(exchange(&links[1]).await, Ok(()));
    elsewhere.finish(&elsewhere_link, "e2e").await.unwrap();
}

#[tokio::test]
async fn an_expired_link_is_refused() {
    let node = TestNode::start().await.unwrap();
    // signed up with a link that lasts
    let ada = node.person("ada").await.unwrap();
    let (_, folder) = node.stop().await.unwrap();
    let short = TestNode::start_again(folder, |config| config.sessions.link = HumanDuration::seconds(1));
    let node = short.await.unwrap();
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let clock = ocmt_types::SystemClock;
    let expired = ocmt_types::Deadline::after(&clock, Duration::from_millis(1200));
    ocmt::local::wait_for(Duration::from_secs(5), async || expired.has_passed(&clock).then_some(()))
        .await
        .unwrap();
    let answer = refused(pending.finish(&link, "e2e").await);
    println!("expired: {answer:?}");
    assert_eq!(answer.0, Code::Unauthenticated);
}

#[tokio::test]
async fn looking_at_a_link_does_not_use_it_up() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let path = link.split_once("/auth").map(|(_, rest)| format!("/auth{rest}")).unwrap();
    for _ in 0..2 {
        let page = ocmt_testkit::http::get(&node.target().unwrap(), &path, &[]).await.unwrap();
        assert_eq!(page.status, 200);
    }
    pending.finish(&link, "e2e").await.expect("a mail scanner would have burnt the link");
}
