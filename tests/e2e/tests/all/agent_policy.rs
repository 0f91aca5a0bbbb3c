//! What agents may do: what an owner types, and what a workload in a real container reads of it.

use std::time::Duration;

use ocmt::config::Seccomp;
use ocmt_client::{
    agent_policy::{AgentPolicy, SandboxMode},
    cell::UnlockedCell,
    container::Spec,
};
use ocmt_crypto::channel::StreamKind;
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
    docker,
};
use serde_json::{Value, json};

use crate::{
    api_keys::keep,
    starved::{exec, stream},
};

const NETWORKS: &str = "10.235.0.0/16";
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the cell is in an image.
const CELL: &str = "/ocmt-cell";

fn said(answer: &Said) -> Value {
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    serde_json::from_str(&answer.out).unwrap()
}

#[tokio::test]
async fn a_policy_is_set_piece_by_piece_and_shown_as_it_holds() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (state, user) = (keep(&node, &ada), ada.client.identity().unwrap().user.to_string());
    let says = async |words: &[&str]| {
        ocmt(&[&["tenant", "agent-policy"], words, &["--state-dir", &state]].concat()).await.unwrap()
    };
    let fresh = says(&["show"]).await;
    assert_eq!(fresh.code, Some(0), "{}", fresh.err);
    for line in ["nothing was set here", "sandbox: all", "plugins: none", "direct messages: pairing"] {
        assert!(fresh.out.contains(line), "{}", fresh.out);
    }
    let sum = "ab".repeat(32);
    let set = [
        "set",
        "--deny-tool",
        "exec",
        "--allow-model",
        "m/1",
        "--allow-model",
        "m/2",
        "--allow-plugin",
        &sum,
    ];
    let first = said(&says(&[&set[..], &["--json"]].concat()).await);
    assert_eq!((&first["version"], &first["policy"]["allowed_plugins"]), (&json!(1), &json!([sum])));
    assert_eq!(first["effective"]["models"]["allow"], json!(["m/1", "m/2"]));
    let own = ["set", "--user", &user, "--allow-model", "m/2", "--allow-channel", "signal", "--json"];
    let own = said(&says(&own).await);
    assert_eq!(own["effective"]["models"]["allow"], json!(["m/2"]));
    assert_eq!(own["effective"]["tools"]["deny"], json!(["exec"]), "the tenant's holds too");
    assert_eq!(
        own["effective"]["plugins"]["allow_sha256"],
        json!([]),
        "a user's allows no more than it names"
    );
    let cleared = said(&says(&["set", "--clear", "deny-tools", "--json"]).await);
    assert_eq!((&cleared["version"], &cleared["policy"]["denied_tools"]), (&json!(2), &json!([])));
    assert_eq!(cleared["policy"]["allowed_models"], json!(["m/1", "m/2"]), "what is not named stays");
    for wrong in
        [vec!["--allow-plugin", "abc"], vec!["--allow-channel", "Signal"], vec!["--deny-tool", "a b"]]
    {
        let refused = says(&[vec!["set"], wrong.clone()].concat()).await;
        assert!(matches!(refused.code, Some(1 | 3)), "{wrong:?}: {:?} {}", refused.code, refused.err);
    }
    // the engine of development isolates nothing: who wants a sandbox gets no container there
    said(&says(&["set", "--sandbox", "all", "--json"]).await);
    let refused = ada.client.create_container(&Spec::default(), false).await.unwrap_err();
    assert!(refused.to_string().contains("isolates nothing"), "{refused}");
}

/// What runs in the container reads the policy from its file, and from the cell.
async fn reads(ada: &Person, cell: &UnlockedCell) -> (Value, Value) {
    let asks = async |argv: &[&str]| {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let (text, code) = exec(ada, cell, argv).await;
        assert_eq!(code, 0, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    (asks(&[docker::WORKLOAD, "policy"]).await, asks(&[CELL, "policy"]).await)
}

#[tokio::test]
async fn a_workload_in_a_real_container_reads_its_policy_and_sees_a_change() {
    let image = docker::image("ocmt-e2e-policy:latest").await.unwrap();
    let node = TestNode::start_with(|config| {
        docker::configure(config, &image, NETWORKS).unwrap();
        // unlock, exec and a terminal do under it what they do under Docker's own
        config.containers.seccomp = Seccomp::Strict;
    });
    let node = node.await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let tool = |name: &str| AgentPolicy {
        sandbox_mode: Some(SandboxMode::All),
        denied_tools: vec![name.to_owned()],
        ..AgentPolicy::default()
    };
    ada.client.set_agent_policy(None, &tool("exec"), 0).await.unwrap();
    let mut vault = ada.vault("violin ledger umbrella quartz").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let spec = Spec { argv: vec![docker::WORKLOAD.to_owned()], workload_port: Some(8080), ..Spec::default() };
    let made = ada.client.create_container(&spec, true).await.unwrap();
    let maps = [("DEMO_SECRET", "key").into()];
    let cell = vault.unlock_container(made.id, &maps, Duration::from_secs(900), false).await.unwrap();
    let (file, held) = reads(&ada, &cell).await;
    assert_eq!(file, held);
    assert_eq!((&file["tools"]["deny"], &file["sandbox"]["mode"]), (&json!(["exec"]), &json!("all")));

    ada.client.set_agent_policy(None, &tool("browse"), 1).await.unwrap();
    let told = ocmt::local::wait_for(PATIENCE, async || {
        let (file, held) = reads(&ada, &cell).await;
        (file["tools"]["deny"] == json!(["browse"]) && file == held).then_some(file)
    });
    let changed = told.await.expect("the workload never saw the change");
    assert!(changed["version"].as_u64() > file["version"].as_u64());
    let kind = StreamKind::Exec { argv: vec![CELL.to_owned(), "policy".to_owned()], tty: true };
    let (text, code) = stream(&ada, &cell, kind).await;
    assert_eq!(code, 0, "in a terminal: {text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["tools"]["deny"], json!(["browse"]));
    let engine = docker::of_node(node.folder(), NETWORKS).await.unwrap();
    docker::clear(&engine).await.unwrap();
}
