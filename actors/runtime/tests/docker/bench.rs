//! The container section of the CIS Docker Benchmark (v1.6, section 5), rule by rule, on a running container.
//!
//! Each rule looks at what Docker says of the container, as `docker-bench-security` does, and not at what we asked for.
//! `docs/security/containers.md` has the same list in words: a rule without a line there is red too.

use bollard::models::{ContainerConfig, ContainerInspectResponse, HostConfig, NetworkInspect};

use crate::{
    conformance::{on, secret},
    docker,
    profile::client,
};

/// What a rule looks at.
struct Seen {
    inspect: ContainerInspectResponse,
    host: HostConfig,
    config: ContainerConfig,
    network: NetworkInspect,
    processes: String,
    /// What the kernel has.
    apparmor: bool,
    selinux: bool,
    swarm: bool,
}

type Rule = (&'static str, fn(&Seen) -> bool);

/// Host folders that no container may see.
const SENSITIVE: [&str; 9] = ["/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/var/run"];

fn mode(mode: Option<&String>) -> &str {
    mode.map_or("", String::as_str)
}

fn no_ports(it: &Seen) -> bool {
    let bound = it.host.port_bindings.as_ref().is_none_or(std::collections::HashMap::is_empty);
    bound && it.host.publish_all_ports != Some(true)
}

fn options(it: &Seen) -> String {
    it.host.security_opt.clone().unwrap_or_default().join(" ")
}

/// Of one rule there is no line: 5.27 wants a health check by Docker, which would be a process in the container that the
/// cell has no use for; its readiness is its own answer.
const RULES: [Rule; 31] = [
    ("5.1", |it| !it.swarm),
    ("5.2", |it| {
        !it.apparmor
            || it.inspect.app_armor_profile.as_deref().is_some_and(|name| !["", "unconfined"].contains(&name))
    }),
    ("5.3", |it| !it.selinux || !options(it).contains("label=disable")),
    ("5.4", |it| {
        it.host.cap_add.as_ref().is_none_or(Vec::is_empty)
            && it.host.cap_drop.as_deref() == Some(&["ALL".to_owned()])
    }),
    ("5.5", |it| it.host.privileged == Some(false)),
    ("5.6", |it| {
        it.inspect
            .mounts
            .iter()
            .flatten()
            .all(|mount| !SENSITIVE.contains(&mount.source.as_deref().unwrap_or("/")))
    }),
    ("5.7", |it| !it.processes.contains("sshd")),
    ("5.8", no_ports),
    ("5.9", |it| no_ports(it) && it.config.exposed_ports.as_ref().is_none_or(Vec::is_empty)),
    ("5.10", |it| mode(it.host.network_mode.as_ref()) != "host"),
    ("5.11", |it| it.host.memory.is_some_and(|bytes| bytes > 0) && it.host.memory_swap == it.host.memory),
    ("5.12", |it| it.host.cpu_shares.is_some_and(|shares| shares > 0 && shares != 1024)),
    ("5.13", |it| it.host.readonly_rootfs == Some(true)),
    ("5.14", no_ports),
    ("5.15", |it| {
        it.host.restart_policy.as_ref().and_then(|it| it.name).is_some_and(|name| name.to_string() == "no")
    }),
    ("5.16", |it| mode(it.host.pid_mode.as_ref()) != "host"),
    ("5.17", |it| mode(it.host.ipc_mode.as_ref()) == "private"),
    ("5.18", |it| it.host.devices.as_ref().is_none_or(Vec::is_empty)),
    ("5.19", |it| it.host.ulimits.iter().flatten().any(|limit| limit.name.as_deref() == Some("nofile"))),
    ("5.20", |it| {
        it.inspect.mounts.iter().flatten().all(|mount| {
            mount.typ.as_deref() != Some("bind") || mount.propagation.as_deref() == Some("rprivate")
        })
    }),
    ("5.21", |it| mode(it.host.uts_mode.as_ref()) != "host"),
    ("5.22", |it| !options(it).contains("seccomp=unconfined") && !options(it).contains("seccomp:unconfined")),
    // nothing is ever run in a container but by its own cell
    ("5.23", |it| it.inspect.exec_ids.as_ref().is_none_or(Vec::is_empty)),
    ("5.24", |it| it.inspect.exec_ids.as_ref().is_none_or(Vec::is_empty)),
    ("5.25", |it| mode(it.host.cgroup_parent.as_ref()).is_empty()),
    ("5.26", |it| options(it).contains("no-new-privileges")),
    ("5.28", |it| it.config.image.as_deref().is_some_and(|image| image.starts_with("sha256:"))),
    ("5.29", |it| it.host.pids_limit.is_some_and(|most| (1..=4096).contains(&most))),
    ("5.30", |it| it.network.name.as_deref() != Some("bridge") && it.network.internal == Some(true)),
    ("5.31", |it| mode(it.host.userns_mode.as_ref()) != "host"),
    ("5.32", |it| {
        it.inspect
            .mounts
            .iter()
            .flatten()
            .all(|mount| !mount.source.as_deref().unwrap_or("").contains("docker.sock"))
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_meets_each_rule_of_the_benchmark() {
    on(docker().await.bench, async |bench| {
        let (container, _) = bench.started(&bench.spec(), &secret(1)).await;
        let (docker, name) = (client(), container.to_string());
        let inspect = docker.inspect_container(&name, None).await.unwrap();
        let info = docker.info().await.unwrap();
        let options = info.security_options.unwrap_or_default().join(" ");
        let top = docker.top_processes(&name, None::<bollard::query_parameters::TopOptions>).await.unwrap();
        let swarm = info
            .swarm
            .and_then(|swarm| swarm.local_node_state)
            .is_some_and(|state| state.to_string() == "active");
        let seen = Seen {
            host: inspect.host_config.clone().unwrap(),
            config: inspect.config.clone().unwrap(),
            network: docker.inspect_network(&name, None).await.unwrap(),
            processes: format!("{:?}", top.processes),
            apparmor: options.contains("apparmor"),
            selinux: options.contains("selinux"),
            swarm,
            inspect,
        };
        let missed: Vec<&str> =
            RULES.iter().filter(|(_, holds)| !holds(&seen)).map(|(rule, _)| *rule).collect();
        assert_eq!(missed, Vec::<&str>::new());
        // a container as Docker makes it by default misses what it should: the rules look
        let bare = Seen { host: HostConfig::default(), config: ContainerConfig::default(), ..seen };
        let missed: Vec<&str> =
            RULES.iter().filter(|(_, holds)| !holds(&bare)).map(|(rule, _)| *rule).collect();
        for rule in ["5.4", "5.5", "5.11", "5.12", "5.13", "5.15", "5.17", "5.19", "5.26", "5.28", "5.29"] {
            assert!(missed.contains(&rule), "{rule} is met by nothing: {missed:?}");
        }
    })
    .await;
}

#[test]
fn the_documents_have_a_line_for_each_rule() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security/containers.md");
    let text = std::fs::read_to_string(page).unwrap();
    let listed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| 5.")).collect();
    assert_eq!(listed.len(), 32, "the section has 32 rules");
    for (rule, _) in RULES {
        assert!(text.contains(&format!("| {rule} |")), "{rule} is not in docs/security/containers.md");
    }
}
