//! The audit as a stream, by the command line: what a receiver gets is signed and verifies like an export, and one that fails
//! is named and loses nothing.

use std::{fs, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use ocmt::local::wait_for;
use ocmt_client::audit;
use ocmt_testkit::receiver::Posted;
use serde_json::Value;
use sha2::Sha256;

use crate::{
    alerts::{Desk, KEY},
    api_keys::json,
};

impl Desk {
    async fn stream(&self, more: &[&str]) -> Value {
        let url = self.secret("siem.url", &format!("{}/siem/xyzzy", self.receiver.url));
        let key = self.secret("siem.key", KEY);
        let words = ["set", "--target-file", &url, "--secret-file", &key];
        json(&self.says(&[&["audit", "stream"][..], &words, more].concat()).await)
    }

    /// How the stream is, once it is so.
    async fn becomes(&self, is: impl Fn(&audit::AuditStream) -> bool) -> audit::AuditStream {
        let look = async || self.ada.client.audit_stream().await.ok().filter(|stream| is(stream));
        wait_for(Duration::from_secs(120), look).await.expect("the stream is never so")
    }
}

/// As whoever gets a post checks it: the time and the body under the key.
fn is_signed(post: &Posted, key: &str) -> bool {
    let Some(signature) = &post.signature else { return false };
    let Some((t, v1)) = signature.strip_prefix("t=").and_then(|it| it.split_once(",v1=")) else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{t}.")).chain_update(&post.text);
    let v1 = data_encoding::HEXLOWER.decode(v1.as_bytes()).unwrap();
    mac.verify_slice(&v1).is_ok()
}

#[tokio::test]
async fn a_receiver_gets_every_record_signed_and_what_it_has_verifies_like_an_export() {
    let desk = Desk::set().await;
    let made = desk.stream(&["--from", "1"]).await;
    assert_eq!(made["target"], "https://localhost", "{made}");
    for _ in 0..20 {
        desk.ada.client.who_am_i().await.unwrap();
    }
    let last = desk.becomes(|stream| stream.taken_at.is_some()).await.last;
    let stream = desk.becomes(|stream| stream.sent >= last).await;
    assert_eq!(stream.failing_since, None);
    let posts = desk.receiver.posts();
    for post in &posts {
        assert!(is_signed(post, KEY) && !is_signed(post, "another-key-of-thirty-two-bytes"), "{post:?}");
    }
    let whole: String = posts.iter().map(|post| post.text.as_str()).collect();
    let export = audit::read_export(&whole).unwrap();
    let tenant = desk.ada.client.who_am_i().await.unwrap().tenant;
    let head = audit::verify(tenant, &export.lines).unwrap();
    assert!(head.seq >= last, "from the first to the last, in order, each once");
    // no secret of anybody: not the token, not where it goes, not the key
    let token = desk.ada.token().unwrap();
    let log = fs::read_to_string(desk.node.folder().join("node.log")).unwrap();
    for text in [&whole, &log, &desk.says(&["audit", "stream", "show"]).await.out] {
        assert!(!text.contains(&token) && !text.contains("xyzzy") && !text.contains(KEY));
    }
    assert_eq!(desk.says(&["audit", "stream", "rm"]).await.code, Some(0));
    assert_eq!(desk.says(&["audit", "stream", "show"]).await.code, Some(3), "there is none");
}

#[tokio::test]
async fn a_receiver_that_fails_sends_elsewhere_or_hangs_is_named_and_gets_all_when_it_is_back() {
    let desk = Desk::set().await;
    desk.receiver.answers(500);
    let first = desk.stream(&[]).await["sent"].as_u64().unwrap() + 1;
    let stream = desk.becomes(|stream| stream.failing_since.is_some()).await;
    assert!(stream.detail.contains("answers 500") && stream.sent == first - 1, "{stream:?}");
    for (status, said) in [(302, "sends elsewhere"), (404, "answers 404")] {
        desk.receiver.answers(status);
        desk.stream(&[]).await;
        desk.becomes(|stream| stream.detail.contains(said)).await;
    }
    desk.receiver.hangs(true);
    desk.stream(&[]).await;
    // what it holds up is itself: calls are answered meanwhile
    let stream = desk.becomes(|stream| stream.detail.contains("does not answer in time")).await;
    assert_eq!(stream.sent, first - 1);
    // of those that come from here on the first begins where it had come, whether it is answered or hangs
    let before = desk.receiver.posts().len();
    desk.receiver.hangs(false);
    desk.receiver.answers(200);
    desk.stream(&[]).await;
    let stream = desk.becomes(|stream| stream.failing_since.is_none()).await;
    assert!(stream.detail.is_empty() && stream.sent >= first, "{stream:?}");
    let posts = desk.receiver.posts();
    let lines = audit::read_export(&posts[before].text).unwrap().lines;
    assert_eq!(lines[0].seq, first, "from where it had come, and nothing is left out");
}
