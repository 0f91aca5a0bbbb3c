//! `ocmt tenant egress`: what an owner types, on a node that lets nobody out.

use ocmt_testkit::{
    TestNode,
    command::{Said, ocmt},
};
use serde_json::Value;

use crate::api_keys::keep;

fn json(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test]
async fn a_policy_is_shown_and_set_whole_and_a_node_without_a_way_out_says_so() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let state = keep(&node, &ada);
    let says = async |words: &[&str]| {
        ocmt(&[&["tenant", "egress"], words, &["--state-dir", &state]].concat()).await.unwrap()
    };
    let shown = says(&["show"]).await;
    assert_eq!((shown.code, shown.out.trim()), (Some(0), "nowhere"));
    let set = json(&says(&["set", "--none", "--max-mib-per-day", "5", "--json"]).await);
    assert_eq!((set["version"].as_u64(), set["max_bytes_per_day"].as_u64()), (Some(1), Some(5 << 20)));
    assert_eq!(json(&says(&["show", "--json"]).await), set);
    let off = says(&["set", "api.example.com:443"]).await;
    assert!(off.code == Some(3) && off.err.contains("egress.open"), "{}", off.err);
    let wrong = says(&["set", "127.0.0.1:443"]).await;
    assert!(wrong.code == Some(3) && wrong.err.contains("host name"), "{}", wrong.err);
    assert_eq!(says(&["set"]).await.code, Some(2));
    assert_eq!(json(&says(&["show", "--json"]).await), set, "a refusal changed it");
}
