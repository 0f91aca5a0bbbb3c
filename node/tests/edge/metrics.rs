//! What the telemetry listener tells, and what dashboards and alerts ask of it.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use http::Request;
use ocmt::meters::CONTENT_TYPE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    browser::{EMAIL, ann},
    kit::{Edge, PATIENCE},
};

/// What only a node among others has.
const OF_A_CLUSTER: [&str; 1] = ["ocmt_lease_margin_seconds"];

async fn metrics(edge: &Edge) -> String {
    let address = edge.node.endpoints().telemetry.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let ask = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains(CONTENT_TYPE), "{text}");
    text
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring")
}

/// The value of the one sample that begins so.
fn told(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn requests_are_counted_by_method_and_code_and_nobody_is_named() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let me = ann.who_am_i().await.unwrap();
    edge.ask(Request::get("/made-up-by-a-caller"), "").await;
    let counted = [
        "ocmt_requests_total{method=\"AuthService/WhoAmI\",from=\"client\",code=\"OK\"}",
        "ocmt_requests_total{method=\"other\",from=\"client\",code=\"4xx\"}",
        "ocmt_request_duration_seconds_count{method=\"AuthService/WhoAmI\",from=\"client\"}",
        "ocmt_actor_handling_seconds_count{method=\"AuthService/WhoAmI\"}",
        "ocmt_actor_waiting_seconds_count",
        "ocmt_tenant_activations_total",
        "ocmt_limit_decisions_total{limit=\"read\",decision=\"admitted\"}",
    ];
    // a request is counted when its answer has gone, which its caller may know before
    let all = async || {
        let text = metrics(&edge).await;
        let all = counted.iter().all(|series| told(&text, series).is_some_and(|value| value >= 1.0));
        (all && told(&text, "ocmt_actor_mailbox_depth") == Some(0.0)).then_some(text)
    };
    let Some(text) = ocmt::local::wait_for(PATIENCE, all).await else {
        panic!("not all is counted:\n{}", metrics(&edge).await)
    };
    assert_eq!(told(&text, "ocmt_tenants_awake"), Some(1.0));
    for word in [EMAIL, "made-up", &me.tenant.to_string(), &me.user.to_string(), "127.0.0.1"] {
        let samples = text.split_once("\r\n\r\n").unwrap().1;
        assert!(!samples.contains(word), "{word} is told");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn dashboards_and_alerts_ask_for_what_there_is() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await.who_am_i().await.unwrap();
    let text = metrics(&edge).await;
    let mut known: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    known.extend(OF_A_CLUSTER.map(str::to_owned));
    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "alerts.test.yml", "dashboard.json"] {
        let content = std::fs::read_to_string(folder().join(file)).unwrap();
        let words = content.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        asked.extend(words.filter(|word| word.starts_with("ocmt_")).map(bare));
    }
    assert!(asked.len() > 10, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "nobody tells {unknown:?}");
    edge.node.stop().await;
}

/// Without what a sample's name has beside its metric's.
fn bare(name: &str) -> String {
    let bare = ["_bucket", "_count", "_sum", "_total"].iter().find_map(|end| name.strip_suffix(end));
    bare.unwrap_or(name).to_owned()
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_when_they_should() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let told = Command::new("promtool").args(arguments).current_dir(folder()).output();
        let told = told.expect("promtool: run tests/scripts/install.sh test");
        let words =
            format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(told.status.success(), "promtool {arguments:?}: {words}");
    }
}
