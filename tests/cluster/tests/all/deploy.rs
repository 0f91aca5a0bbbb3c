//! What lies in `node/deploy`: the configurations are taken, the unit and the scripts are what their tools accept,
//! and the Compose file keeps what its comments promise.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ocmt_testkit::programs;
use serde_yaml_ng::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("node/deploy")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A tool that `tests/scripts/install.sh test` brings.
fn tool(name: &str) -> Command {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(name).is_file());
    assert!(found, "there is no {name} here: run tests/scripts/install.sh test");
    Command::new(name)
}

#[test]
fn every_configuration_passes_the_check_of_the_node() {
    for file in ["compose/node-1.toml", "compose/node-2.toml", "compose/node-3.toml", "systemd/ocmt.toml"] {
        let mut check = Command::new(programs::ocmt().unwrap());
        let output = check.args(["config", "check", "--config"]).arg(deploy().join(file)).output().unwrap();
        assert!(output.status.success(), "{file}: {}", said(&output));
    }
}

#[test]
fn systemd_accepts_the_unit_with_and_without_containers() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(deploy().join("systemd/ocmt.service")).unwrap();
    // the program is not installed on this machine
    let text = text.replace("/usr/local/bin/ocmt", programs::ocmt().unwrap().to_str().unwrap());
    let unit = folder.path().join("ocmt.service");
    fs::write(&unit, text).unwrap();
    let verify = || {
        let output = tool("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    };
    verify();
    let more = folder.path().join("ocmt.service.d");
    fs::create_dir(&more).unwrap();
    for part in ["containers.conf", "volumes.conf"] {
        fs::copy(deploy().join("systemd").join(part), more.join(part)).unwrap();
        verify();
    }
}

#[test]
fn the_scripts_are_without_findings() {
    let scripts = ["compose/secrets.sh", "compose/database/20-login.sh", "images/openclaw/build.sh"];
    let scripts = scripts.map(|name| deploy().join(name));
    let output = tool("shellcheck").args(scripts).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

fn compose() -> Value {
    let text = fs::read_to_string(deploy().join("compose/compose.yaml")).unwrap();
    let mut file: Value = serde_yaml_ng::from_str(&text).unwrap();
    file.apply_merge().unwrap();
    file
}

fn services(file: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let services = file["services"].as_mapping().unwrap();
    services.iter().map(|(name, service)| (name.as_str().unwrap(), service))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_sequence().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn compose_publishes_clients_on_loopback_and_nothing_of_the_database() {
    let file = compose();
    for (name, service) in services(&file) {
        let ports = texts(&service["ports"]);
        assert_eq!(ports.len(), usize::from(name.starts_with("node-")), "{name} publishes {ports:?}");
        assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name} publishes {ports:?}");
        assert!(service["network_mode"].is_null() && service["privileged"].is_null(), "{name}");
        let volumes = texts(&service["volumes"]);
        assert!(!volumes.iter().any(|volume| volume.contains("docker.sock")), "{name}: {volumes:?}");
    }
    assert_eq!(file["networks"]["database"]["internal"], Value::Bool(true));
    assert_eq!(texts(&file["services"]["postgres"]["networks"]), ["database"]);
}

#[test]
fn compose_names_images_by_digest_secrets_as_files_and_a_check_of_health() {
    let file = compose();
    for (name, service) in services(&file) {
        assert!(service["healthcheck"]["test"].is_sequence(), "{name} has no health check");
        // with a profile it is not started unless somebody asks for it
        let image = service["image"].as_str().unwrap();
        let digest =
            image.contains(":?") || service["build"]["args"]["BASE"].as_str().unwrap_or("").contains(":?");
        assert!(
            digest || !service["profiles"].is_null(),
            "{name}: nobody is asked for the digest of {image}"
        );
        let environment = serde_yaml_ng::to_string(&service["environment"]).unwrap();
        for line in environment.lines().filter(|line| line.to_lowercase().contains("password")) {
            assert!(line.contains("_FILE: /run/secrets/"), "{name}: {line}");
        }
    }
    for secret in ["database_password", "postgres_password"] {
        assert_eq!(file["secrets"][secret]["file"].as_str().unwrap(), format!("./secrets/{secret}"));
    }
}

#[test]
fn compose_mounts_only_what_is_there_and_gives_a_drain_its_time() {
    let file = compose();
    let folder = deploy().join("compose");
    for (name, service) in services(&file) {
        for volume in texts(&service["volumes"]).into_iter().filter(|volume| volume.starts_with('.')) {
            let path = folder.join(volume.split(':').next().unwrap());
            assert!(path.is_file(), "{name} mounts {volume}, which is not there");
        }
    }
    let drain = ocmt::config::Cluster::default().drain.0.as_secs();
    for (name, service) in services(&file).filter(|(name, _)| name.starts_with("node-")) {
        let grace =
            service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
        assert!(grace > drain, "{name} is killed after {grace} s, and its drain may take {drain} s");
    }
    let unit = fs::read_to_string(deploy().join("systemd/ocmt.service")).unwrap();
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(stop.parse::<u64>().unwrap() > drain);
}
