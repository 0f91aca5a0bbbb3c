//! Configurations that a node refuses, in words that help.

use std::{fs, process::Stdio};

use ocmt_testkit::programs;
use tokio::process::Command;

/// Standard error of `ocmt config check`, if it refuses the text.
async fn refusal(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ocmt.toml");
    fs::write(&file, text).unwrap();
    let check = |command: &'static [&'static str]| {
        let mut ocmt = Command::new(programs::ocmt().unwrap());
        ocmt.args(command).arg("--config").arg(&file).stdin(Stdio::null()).env_clear();
        ocmt
    };
    let output = check(&["config", "check"]).output().await.unwrap();
    if output.status.success() {
        return None;
    }
    assert_eq!(output.status.code(), Some(1));
    // a node refuses what the check refuses, and says the same
    let node = check(&["node"]).output().await.unwrap();
    assert_eq!((node.status.code(), &node.stderr), (Some(1), &output.stderr));
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_a_suggestion() {
    let said = refusal("[node]\nmode = \"dev\"\n[containers]\nmemory_mb = 100\n").await.unwrap();
    assert!(said.contains("memory_mb") && said.contains("memory_mib"), "{said}");
}

#[tokio::test]
async fn the_process_runtime_is_refused_in_production() {
    let said =
        refusal("[containers]\nruntime = \"process\"\n[mail]\nspool = \"/tmp/spool\"\n").await.unwrap();
    assert!(said.contains("isolates nothing"), "{said}");
}

#[tokio::test]
async fn telemetry_beyond_loopback_is_refused() {
    let said = refusal("[node]\nmode = \"dev\"\n[listen]\ntelemetry = \"0.0.0.0:7445\"\n").await.unwrap();
    assert!(said.contains("listen.telemetry"), "{said}");
}

#[tokio::test]
async fn a_good_configuration_passes_the_check() {
    assert_eq!(refusal("[mail]\nspool = \"/tmp/spool\"\n").await, None);
}
