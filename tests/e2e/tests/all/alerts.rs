//! Alerts as a tenant has them: named by the command line, tried, told at channels of each kind, and to nobody inside.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ocmt_client::alert::ChannelWanted;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
    receiver::Receiver,
};
use ocmt_types::Secret;
use serde_json::Value;

use crate::api_keys::{json, keep};

pub(crate) const KEY: &str = "a-key-of-thirty-two-bytes-or-more";

/// Ada, who owns a tenant, and a receiver outside that the node trusts.
pub(crate) struct Desk {
    pub(crate) node: TestNode,
    pub(crate) ada: Person,
    pub(crate) state: String,
    pub(crate) receiver: Receiver,
}

impl Desk {
    pub(crate) async fn set() -> Self {
        let receiver = Receiver::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.keep().join("receiver.pem");
        fs::write(&ca, &receiver.ca_pem).unwrap();
        let node = TestNode::start_with(|config| config.alerts.ca_file = ca).await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let state = keep(&node, &ada);
        Self { node, ada, state, receiver }
    }

    pub(crate) async fn says(&self, words: &[&str]) -> Said {
        ocmt(&[words, &["--state-dir", &self.state, "--json"]].concat()).await.unwrap()
    }

    /// A file that nobody else may read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        let file = self.node.folder().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    async fn put(&self, kind: &str, more: &[&str]) -> Value {
        let url = self.secret(&format!("{kind}.url"), &format!("{}/{kind}/xyzzy", self.receiver.url));
        let words = ["alert", "put", kind, "--kind", kind, "--target-file", &url];
        json(&self.says(&[&words[..], more].concat()).await)
    }
}

#[tokio::test]
async fn what_happens_is_told_at_each_kind_of_channel_and_no_secret_is_shown() {
    let desk = Desk::set().await;
    let key = desk.secret("signing.key", KEY);
    let mut ids = Vec::new();
    for (kind, more) in [
        ("slack", &[][..]),
        ("discord", &[][..]),
        ("pagerduty", &["--secret-file", &key][..]),
        ("webhook", &["--secret-file", &key][..]),
    ] {
        let made = desk.put(kind, more).await;
        assert_eq!(made["target"], "https://localhost", "{made}");
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        let said = desk.says(&["alert", "test", id]).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    // an invitation, and a role that is set
    let bob = desk.node.member(&desk.ada, "bob", "member").await.unwrap();
    let bob = bob.client.who_am_i().await.unwrap().user;
    desk.ada.client.set_role(bob, "admin").await.unwrap();
    let slack = desk
        .receiver
        .post(|post| post.path == "/slack/xyzzy" && post.text.contains("SetRole"))
        .await
        .unwrap();
    assert!(slack.body["text"].as_str().unwrap().contains(&bob.to_string()), "{slack:?}");
    let discord =
        desk.receiver.post(|post| post.path.starts_with("/discord") && post.text.contains("SetRole"));
    assert_eq!(discord.await.unwrap().body["allowed_mentions"]["parse"], serde_json::json!([]));
    let pager =
        desk.receiver.post(|post| post.path.starts_with("/pagerduty") && post.text.contains("SetRole"));
    let pager = pager.await.unwrap();
    assert_eq!(
        (pager.body["event_action"].as_str(), pager.body["routing_key"].as_str()),
        (Some("trigger"), Some(KEY))
    );
    let hook = desk.receiver.post(|post| post.path.starts_with("/webhook") && post.text.contains("SetRole"));
    let hook = hook.await.unwrap();
    assert!(
        hook.signature.as_ref().is_some_and(|it| it.starts_with("t=") && it.contains(",v1=")),
        "{hook:?}"
    );
    assert_eq!(hook.body["severity"], "warning");
    let token = desk.ada.token().unwrap();
    let told: String = desk.receiver.posts().into_iter().map(|post| post.text).collect();
    assert!(!told.contains(&token) && !told.contains("xyzzy"));

    let listed = desk.says(&["alert", "ls"]).await;
    assert!(!listed.out.contains("xyzzy") && !listed.out.contains(KEY), "{}", listed.out);
    assert!(json(&listed).as_array().unwrap().iter().all(|channel| channel["verified_at"].is_i64()));
    let audit = desk.says(&["audit", "query", "--action", "AlertService"]).await;
    assert!(audit.out.contains("PutChannel") && !audit.out.contains("xyzzy") && !audit.out.contains(KEY));
    let log = fs::read_to_string(desk.node.folder().join("node.log")).unwrap();
    assert!(!log.contains("xyzzy") && !log.contains(KEY));
    for id in &ids {
        assert_eq!(desk.says(&["alert", "rm", id]).await.code, Some(0));
    }
    assert_eq!(json(&desk.says(&["alert", "ls"]).await), Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_channel_that_does_not_take_a_trial_says_so() {
    let desk = Desk::set().await;
    let made = desk.put("slack", &[]).await;
    desk.receiver.answers(404);
    let said = desk.says(&["alert", "test", made["id"].as_str().unwrap()]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("answers 404") && !said.err.contains("xyzzy"), "{}", said.err);
    assert!(json(&desk.says(&["alert", "ls"]).await)[0]["verified_at"].is_null());
}

#[tokio::test]
async fn letters_go_to_people_of_the_tenant_alone() {
    let desk = Desk::set().await;
    let channel = |target: &str| ChannelWanted {
        kind: pb::AlertChannelKind::Email,
        name: "mail".to_owned(),
        target: Some(Secret::new(target.to_owned())),
        min_severity: pb::AlertSeverity::Warning,
        ..ChannelWanted::default()
    };
    assert!(desk.ada.client.put_channel(channel("eve@elsewhere.example")).await.is_err());
    let made = desk.ada.client.put_channel(channel(&desk.ada.email)).await.unwrap();
    assert_eq!(made.target, desk.ada.email);
    assert_eq!(desk.ada.client.test_channel(made.id).await.unwrap(), None);
}
