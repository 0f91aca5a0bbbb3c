//! `ocmt security audit` on a real node.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use ocmt_testkit::{TestNode, command};
use serde_json::Value;

async fn audit(config: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let said = command::ocmt_with(&[&["security", "audit", "--json"], more].concat(), config).await.unwrap();
    let report = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.err));
    (said.code, report)
}

fn rules(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn a_running_node_is_asked_and_what_is_found_is_mended_and_put_back() {
    let node = TestNode::start().await.unwrap();
    let (config, data) = (node.folder().join("ocmt.toml"), node.folder().join("data"));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    // a node for development without isolation is what it is
    let expected = ["settings.mode", "settings.runtime"];
    let known = |rule: &String| expected.contains(&rule.as_str()) || rule.starts_with("settings.");
    let (code, report) = audit(&config, &["--deep"]).await;
    assert_eq!(code, Some(1), "{report}");
    let found = rules(&report);
    assert!(
        found.iter().all(known) && expected.iter().all(|rule| found.contains(&(*rule).to_owned())),
        "{report}"
    );
    let passed = report["passed"].to_string();
    for rule in [
        "files",
        "certificates",
        "database",
        "tenants",
        "live.headers",
        "live.limits",
        "live.tls",
        "live.clear",
        "live.telemetry",
    ] {
        assert!(passed.contains(&format!("\"{rule}\"")), "{rule} was not looked at: {report}");
    }
    let unchecked = report["unchecked"].as_array().unwrap();
    assert!(unchecked.iter().all(|it| it["check"] == "containers"), "{report}");
    // a key that others may read
    let key = data.join("pki/ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let (_, report) = audit(&config, &[]).await;
    assert_eq!(
        rules(&report).iter().filter(|rule| *rule == "files.mode").count(),
        3,
        "with what the folder alone had guarded: {report}"
    );
    let sarif = node.folder().join("findings.sarif");
    let (_, report) = audit(&config, &["--fix", "--yes", "--sarif", sarif.to_str().unwrap()]).await;
    assert!(rules(&report).iter().all(known), "{report}");
    assert_eq!((mode(&key), mode(&data)), (0o600, 0o700));
    let sarif: Value = serde_json::from_slice(&fs::read(&sarif).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let undo = data.join("security-undo.json");
    let said =
        command::ocmt_with(&["security", "audit", "--undo", undo.to_str().unwrap()], &config).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!((mode(&key), mode(&data)), (0o644, 0o755));
}

#[tokio::test]
async fn without_yes_nothing_is_changed_and_a_node_that_never_ran_is_not_called_clean() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("ocmt.toml"), folder.path().join("data"));
    fs::create_dir(&data).unwrap();
    let text = format!("[node]\ndata_dir = {:?}\n[mail]\nspool = {:?}\n", data, folder.path().join("mail"));
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    let said = command::ocmt_with(&["security", "audit", "--fix"], &config).await.unwrap();
    assert_ne!(said.code, Some(0));
    assert_eq!(mode(&data), 0o750);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let (code, report) = audit(&config, &[]).await;
    assert_eq!((code, rules(&report)), (Some(2), Vec::new()), "{report}");
}
