//! The audit by the command line: exported, verified without a node, and every way of falsifying it found.

use std::fs;

use ocmt_client::audit::{self, Line};
use ocmt_crypto::audit::{AuditRecord, chain, genesis};
use ocmt_proto::v1 as pb;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
};
use ocmt_types::Digest32;
use serde_json::Value;

use crate::api_keys::keep;

/// Somebody whose audit has some records, and an export of it.
struct Desk {
    node: TestNode,
    ada: Person,
    state: String,
}

impl Desk {
    async fn set() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        for _ in 0..8 {
            ada.client.who_am_i().await.unwrap();
        }
        let state = keep(&node, &ada);
        let ca = node.folder().join("authority.pem");
        fs::write(ca, node.target().unwrap().ca.pem()).unwrap();
        Self { node, ada, state }
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    async fn says(&self, words: &[&str]) -> Said {
        ocmt(&[words, &["--state-dir", &self.state]].concat()).await.unwrap()
    }

    /// Where there is nothing but files: no session, and no node is asked.
    async fn verifies(&self, words: &[&str]) -> Said {
        let nowhere = self.at("nowhere");
        let place = ["--state-dir", &nowhere, "--ca", &self.at("authority.pem"), "--json"];
        ocmt(&[&["audit", "verify"][..], words, &place].concat()).await.unwrap()
    }

    async fn export(&self, name: &str) -> String {
        let file = self.at(name);
        let said = self.says(&["audit", "export", "--out", &file]).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        file
    }

    /// The export with other records.
    fn forged(&self, file: &str, forge: impl FnOnce(&mut Vec<Line>)) -> String {
        let mut lines = audit::read_export(&fs::read_to_string(file).unwrap()).unwrap().lines;
        forge(&mut lines);
        let forged = self.at("forged.jsonl");
        fs::write(&forged, audit::to_export(&lines).unwrap()).unwrap();
        forged
    }
}

fn reads(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// The record with another object, and the whole chain behind it computed again.
fn compute_anew(lines: &mut [Line], from: u64) {
    let tenant = lines[0].tenant;
    let mut hash = genesis(tenant);
    for line in lines {
        let bytes = data_encoding::BASE64.decode(line.canonical.as_bytes()).unwrap();
        let mut record = AuditRecord::from_bytes(&bytes).unwrap();
        if line.seq == from {
            record.object = "nothing/happened".to_owned();
        }
        let bytes = record.to_bytes().unwrap();
        hash = chain(&hash, line.seq, &bytes);
        *line = audit::tell(line.seq, &record, &bytes, &hash);
    }
}

#[tokio::test]
async fn an_export_is_verified_without_a_node_and_every_forgery_of_it_is_found() {
    let desk = Desk::set().await;
    // the head that is kept is past every record that is forged below
    for _ in 0..12 {
        desk.ada.client.who_am_i().await.unwrap();
    }
    let heads = desk.at("heads.jsonl");
    let kept = desk.says(&["audit", "checkpoint"]).await;
    fs::write(&heads, &kept.out).unwrap();
    let file = desk.export("audit.jsonl").await;
    let verified = reads(&desk.verifies(&[&file, "--checkpoint", &heads]).await);
    let records = verified["seq"].as_u64().unwrap();
    assert!(
        records > 10 && verified["proven"].as_u64() == Some(records),
        "the file ends with its head: {verified}"
    );

    let found = |said: Said, what: &str| {
        assert_eq!(said.code, Some(1), "{what}: {}", said.out);
        assert!(said.err.contains(what), "{what}: {}", said.err);
    };
    let edited = desk.forged(&file, |lines| lines[3].object = "nothing/happened".to_owned());
    found(desk.verifies(&[&edited]).await, "record 4 is bad");
    let edited = desk.forged(&file, |lines| lines[3].canonical = lines[4].canonical.clone());
    found(desk.verifies(&[&edited]).await, "record 4 is bad");
    let deleted = desk.forged(&file, |lines| drop(lines.remove(5)));
    found(desk.verifies(&[&deleted]).await, "record 6 is bad");
    let swapped = desk.forged(&file, |lines| lines.swap(2, 7));
    found(desk.verifies(&[&swapped]).await, "record 3 is bad");
    let doubled = desk.forged(&file, |lines| lines.insert(6, lines[5].clone()));
    found(desk.verifies(&[&doubled]).await, "record 7 is bad");
    // these are whole chains: only what was kept elsewhere shows them
    let cut = desk.forged(&file, |lines| lines.truncate(9));
    reads(&desk.verifies(&[&cut]).await);
    found(desk.verifies(&[&cut, "--checkpoint", &heads]).await, "record 10 is missing");
    let anew = desk.forged(&file, |lines| compute_anew(lines, 2));
    reads(&desk.verifies(&[&anew]).await);
    found(desk.verifies(&[&anew, "--checkpoint", &heads]).await, "record 1 or one behind it");
}

#[tokio::test]
async fn a_head_is_believed_by_the_clusters_authority_or_a_known_key_alone() {
    let desk = Desk::set().await;
    let (kept, _) = desk.ada.client.audit_checkpoint().await.unwrap();
    let heads = desk.at("heads.jsonl");
    let file = desk.export("audit.jsonl").await;
    // another cluster's node signs the same
    let other = TestNode::start().await.unwrap();
    let eve = other.person("eve").await.unwrap();
    let (foreign, _) = eve.client.audit_checkpoint().await.unwrap();
    fs::write(&heads, foreign.to_line().unwrap()).unwrap();
    let said = desk.verifies(&[&file, "--checkpoint", &heads]).await;
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("not to be believed"), "{}", said.err);
    // a bare note, by the key of the node
    fs::write(&heads, &kept.note).unwrap();
    let said = desk.verifies(&[&file, "--checkpoint", &heads]).await;
    assert_eq!(said.code, Some(1), "no certificate shows whose it is: {}", said.out);
    let chain: Vec<Vec<u8>> =
        kept.certificates.iter().map(|der| data_encoding::BASE64.decode(der.as_bytes()).unwrap()).collect();
    let node = desk.node.target().unwrap().ca.prove_node(&chain, &ocmt_types::SystemClock).unwrap();
    let key = ocmt_crypto::audit::checkpoint::NoteKey::of_node(node.id, node.key).to_text();
    let proven = reads(&desk.verifies(&[&file, "--checkpoint", &heads, "--key", &key]).await);
    assert!(proven["proven"].as_u64().is_some_and(|proven| proven > 5), "{proven}");
}

#[tokio::test]
async fn a_node_proves_its_records_and_that_its_log_only_grew() {
    let desk = Desk::set().await;
    let client = &desk.ada.client;
    let (_, old) = client.audit_checkpoint().await.unwrap();
    let file = desk.export("audit.jsonl").await;
    let lines = audit::read_export(&fs::read_to_string(&file).unwrap()).unwrap().lines;
    let (_, new) = client.audit_checkpoint().await.unwrap();
    client.audit_extends(&old, &new).await.unwrap();
    for line in &lines {
        let canonical = data_encoding::BASE64.decode(line.canonical.as_bytes()).unwrap();
        client.audit_includes(&new, line.seq, &canonical).await.unwrap();
    }
    assert!(client.audit_includes(&new, 1, b"another").await.is_err());
    let mut other = old;
    other.tree.root = Digest32([7; 32]);
    assert!(client.audit_extends(&other, &new).await.is_err());
}

#[tokio::test]
async fn an_export_is_one_record_a_line_in_each_form() {
    let desk = Desk::set().await;
    let (csv, syslog) = (desk.at("audit.csv"), desk.at("audit.log"));
    for (format, file) in [("csv", &csv), ("syslog", &syslog)] {
        let said = desk
            .says(&["audit", "export", "--format", format, "--from", "3", "--to", "9", "--out", file])
            .await;
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    let text = fs::read_to_string(&csv).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 8, "a head and seven records: {text}");
    assert!(lines[0].starts_with("sequence,at,") && lines[1].starts_with("\"3\",\"20"), "{text}");
    let text = fs::read_to_string(&syslog).unwrap();
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.lines().all(|line| line.starts_with("<110>1 20") && line.ends_with(']')), "{text}");
}

#[tokio::test]
async fn a_query_is_by_action_outcome_person_and_time() {
    let desk = Desk::set().await;
    let user = desk.ada.client.identity().unwrap().user.to_string();
    let nobody = <ocmt_types::UserId as ocmt_types::Id>::from_bytes([9; 16]);
    let _ = desk.ada.client.remove_user(nobody).await.unwrap_err();
    let query = |words: &'static [&'static str]| {
        let desk = &desk;
        async move { reads(&desk.says(&[&["audit", "query", "--json"], words].concat()).await) }
    };
    let refused = query(&["--outcome", "refused"]).await;
    assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
    assert_eq!(refused[0]["action"], "UserService/RemoveUser");
    let five = query(&["--action", "WhoAmI", "--limit", "5"]).await;
    let seqs: Vec<_> = five.as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(seqs.len() == 5 && seqs.is_sorted(), "newest last: {five}");
    assert_eq!(query(&["--until", "2020-01-01"]).await, Value::Array(Vec::new()));
    assert_eq!(query(&["--since", "2100-01-01T00:00Z"]).await, Value::Array(Vec::new()));
    let by_her = reads(&desk.says(&["audit", "query", "--json", "--who", &user, "--limit", "3"]).await);
    assert_eq!(by_her.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn records_are_told_to_who_watches() {
    let desk = Desk::set().await;
    let filter = pb::AuditFilter { actions: vec!["AuthService/WhoAmI".to_owned()], ..Default::default() };
    let mut watch = desk.ada.client.watch_audit(filter.clone(), "").await.unwrap();
    desk.ada.client.who_am_i().await.unwrap();
    let (line, token) = watch.next().await.unwrap();
    assert_eq!(line.action, "AuthService/WhoAmI");
    desk.ada.client.who_am_i().await.unwrap();
    let mut again = desk.ada.client.watch_audit(filter, &token).await.unwrap();
    assert_eq!(again.next().await.unwrap().0.seq, watch.next().await.unwrap().0.seq);
}
