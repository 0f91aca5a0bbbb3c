//! Holds a `docker inspect` answer against the profile.
//!
//! It looks at the answer alone, not at what we asked for: whoever made or changed the container is found
//! out. The security audit uses it on running containers, the tests on fresh ones.

use std::path::PathBuf;

use bollard::models::{ContainerConfig, ContainerInspectResponse, HostConfig, RestartPolicyNameEnum};

use super::{
    confinement::{self, Confinement, Filter, Seccomp},
    network::Subnet,
    profile::{CORE, Drift, LOG, NOFILE, SECURITY_OPT, TMPFS, USER, proxy_environment},
};
use crate::{Egress, Labels, Limits, MAX_SEALED_VOLUME, SEALED_DIR, WORKDIR, volume};

/// What a node's configuration allows, beside what the profile fixes.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The canonical folder of all volumes.
    pub data_dir: PathBuf,
    /// The most a container may use.
    pub ceiling: Limits,
    /// The most it may reach.
    pub egress: Egress,
    /// What holds it beside the profile.
    pub confinement: Confinement,
}

/// Environment an image may bring; a secret would come under another name.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TERM"];

/// Each thing that is not as the profile has it; none when all is well.
pub fn check(inspect: &ContainerInspectResponse, bounds: &Bounds) -> Vec<Drift> {
    let (host, config) =
        (inspect.host_config.clone().unwrap_or_default(), inspect.config.clone().unwrap_or_default());
    let mut report = Report(Vec::new());
    privileges(&mut report, &host, &config);
    confined(&mut report, &host, &bounds.confinement);
    resources(&mut report, &host, &bounds.ceiling);
    namespaces(&mut report, &host);
    configuration(&mut report, &config, &proxy_of(inspect, bounds));
    identity(&mut report, inspect, &host, &config, bounds);
    report.0
}

struct Report(Vec<Drift>);

impl Report {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "literals and made-up texts alike, without a & at each of forty calls"
    )]
    fn want(&mut self, item: &'static str, expected: impl ToString, found: impl ToString) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.0.push(Drift { item, expected, found });
        }
    }

    fn none<T: std::fmt::Debug>(&mut self, item: &'static str, found: Option<&[T]>) {
        if let Some(found) = found.filter(|found| !found.is_empty()) {
            self.0.push(Drift { item, expected: "none".to_owned(), found: format!("{found:?}") });
        }
    }

    fn at_most(&mut self, item: &'static str, most: i64, found: Option<i64>) {
        if !found.is_some_and(|found| (1..=most).contains(&found)) {
            self.0.push(Drift { item, expected: format!("1 to {most}"), found: format!("{found:?}") });
        }
    }

    fn one_of(&mut self, item: &'static str, allowed: &[&str], found: Option<&str>) {
        let found = found.unwrap_or_default();
        if !allowed.contains(&found) {
            self.0.push(Drift { item, expected: format!("one of {allowed:?}"), found: found.to_owned() });
        }
    }
}

fn privileges(report: &mut Report, host: &HostConfig, config: &ContainerConfig) {
    report.want("User", USER, config.user.as_deref().unwrap_or_default());
    report.want("CapDrop", "ALL", host.cap_drop.as_deref().unwrap_or_default().join(" "));
    report.none("CapAdd", host.cap_add.as_deref());
    report.none("GroupAdd", host.group_add.as_deref());
    report.want("Privileged", false, host.privileged.unwrap_or(false));
    report.want("ReadonlyRootfs", true, host.readonly_rootfs.unwrap_or(false));
    let masks = |paths: &Option<Vec<String>>, path: &str| paths.iter().flatten().any(|masked| masked == path);
    report.want("MaskedPaths /proc/kcore", true, masks(&host.masked_paths, "/proc/kcore"));
    report.want("ReadonlyPaths /proc/sys", true, masks(&host.readonly_paths, "/proc/sys"));
    let tmpfs = host.tmpfs.clone().unwrap_or_default();
    report.want("Tmpfs", TMPFS.len() + usize::from(is_sealed(host)), tmpfs.len());
    if let Some(options) = tmpfs.get(WORKDIR) {
        let size = options.split(',').find_map(|option| option.strip_prefix("size=")?.parse().ok());
        report.at_most("Tmpfs", MAX_SEALED_VOLUME, size);
        for needed in ["nosuid", "nodev"] {
            if !options.split(',').any(|option| option == needed) {
                report.want("Tmpfs", format!("{WORKDIR}: {needed}"), options);
            }
        }
    }
    for (path, size) in TMPFS {
        let options: Vec<&str> =
            tmpfs.get(path).map(|options| options.split(',').collect()).unwrap_or_default();
        for needed in ["noexec", "nosuid", "nodev", &format!("size={size}")] {
            if !options.contains(&needed) {
                report.want("Tmpfs", format!("{path}: {needed}"), options.join(","));
            }
        }
    }
}

/// Whether its volume lies in memory, and its host's folder elsewhere.
fn is_sealed(host: &HostConfig) -> bool {
    host.tmpfs.as_ref().is_some_and(|tmpfs| tmpfs.contains_key(WORKDIR))
}

/// Of options, exactly ours: apparmor=…, label=… or systempaths=… would each take something away. A filter that is not
/// ours is one of them; ours, but another than the node's today, has a name of its own, for nobody need have changed it.
fn confined(report: &mut Report, host: &HostConfig, wanted: &Confinement) {
    let (filter, mut options) = confinement::options(host);
    if filter == Filter::Foreign {
        options.push_str(" and a seccomp profile that is ");
        options.push_str(filter.as_str());
    } else if !filter.holds(wanted.seccomp) {
        let expected = if wanted.seccomp == Seccomp::Strict { Filter::Strict } else { Filter::Default };
        report.want("Seccomp", expected.as_str(), filter.as_str());
    }
    report.one_of(
        "SecurityOpt",
        &[SECURITY_OPT, "no-new-privileges:true", "no-new-privileges=true"],
        Some(&options),
    );
    match &wanted.oci_runtime {
        None => report.one_of("Runtime", &["", "runc"], host.runtime.as_deref()),
        Some(name) => report.one_of("Runtime", &[name], host.runtime.as_deref()),
    }
}

fn resources(report: &mut Report, host: &HostConfig, ceiling: &Limits) {
    report.at_most("Memory", ceiling.memory_bytes, host.memory);
    report.want("MemorySwap", host.memory.unwrap_or_default(), host.memory_swap.unwrap_or_default());
    report.want("OomKillDisable", false, host.oom_kill_disable.unwrap_or(false));
    report.at_most("PidsLimit", ceiling.pids, host.pids_limit);
    report.at_most("CpuShares", ceiling.cpu_shares, host.cpu_shares);
    for (name, most) in [("nofile", NOFILE), ("core", CORE)] {
        let hard = host
            .ulimits
            .iter()
            .flatten()
            .find(|limit| limit.name.as_deref() == Some(name))
            .and_then(|limit| limit.hard);
        report.want("Ulimits", format!("{name} {most}"), format!("{name} {}", hard.unwrap_or(-1)));
    }
    let log = host.log_config.clone().unwrap_or_default();
    report.one_of("LogConfig", &[LOG.0, "local"], log.typ.as_deref());
    for key in ["max-size", "max-file"] {
        let rotated = log.config.as_ref().is_some_and(|config| config.contains_key(key))
            || log.typ.as_deref() == Some("local");
        report.want(
            "LogConfig",
            format!("{key} set"),
            if rotated { format!("{key} set") } else { format!("no {key}") },
        );
    }
}

fn namespaces(report: &mut Report, host: &HostConfig) {
    report.one_of("PidMode", &[""], host.pid_mode.as_deref());
    report.one_of("IpcMode", &["private", "none"], host.ipc_mode.as_deref());
    report.one_of("UTSMode", &[""], host.uts_mode.as_deref());
    report.one_of("UsernsMode", &[""], host.userns_mode.as_deref());
    report.want(
        "CgroupnsMode",
        "private",
        host.cgroupns_mode.map(|mode| mode.to_string()).unwrap_or_default(),
    );
    report.one_of("CgroupParent", &[""], host.cgroup_parent.as_deref());
    report.none("Devices", host.devices.as_deref());
    report.none("DeviceRequests", host.device_requests.as_deref());
    report.none("DeviceCgroupRules", host.device_cgroup_rules.as_deref());
    report.none("Sysctls", Some(&host.sysctls.iter().flatten().collect::<Vec<_>>()));
    report.none("PortBindings", Some(&host.port_bindings.iter().flatten().collect::<Vec<_>>()));
    report.want("PublishAllPorts", false, host.publish_all_ports.unwrap_or(false));
    report.none("ExtraHosts", host.extra_hosts.as_deref());
    report.none("Links", host.links.as_deref());
    report.none("VolumesFrom", host.volumes_from.as_deref());
    report.none("Binds", host.binds.as_deref());
    let loopback =
        |server: &&String| server.parse::<std::net::IpAddr>().map_or(true, |address| address.is_loopback());
    let servers = host.dns.as_deref().unwrap_or_default();
    report.want(
        "Dns",
        "set, none loopback",
        if servers.is_empty() || servers.iter().any(|s| loopback(&s)) {
            format!("{servers:?}")
        } else {
            "set, none loopback".to_owned()
        },
    );
    let policy = host.restart_policy.clone().and_then(|policy| policy.name);
    let restarts =
        policy.is_some_and(|name| !matches!(name, RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY));
    report.want("RestartPolicy", false, restarts);
}

/// What the container may be told of its proxy: exactly that, and only where the node has one.
fn proxy_of(inspect: &ContainerInspectResponse, bounds: &Bounds) -> Vec<String> {
    let networks = inspect.network_settings.iter().flat_map(|it| it.networks.iter().flatten());
    let address =
        networks.filter_map(|(_, it)| it.ipam_config.as_ref()?.ipv4_address.as_deref()?.parse().ok());
    match (bounds.egress, address.into_iter().next()) {
        (Egress::Proxied, Some(cell)) => proxy_environment(Subnet::of_cell(cell)),
        _ => Vec::new(),
    }
}

fn configuration(report: &mut Report, config: &ContainerConfig, proxy: &[String]) {
    let named = |entry: &&String| {
        !ENVIRONMENT.contains(&entry.split('=').next().unwrap_or_default()) && !proxy.contains(entry)
    };
    // names only: what is in a leaked variable is not for a report
    let foreign: Vec<&str> = config
        .env
        .iter()
        .flatten()
        .filter(named)
        .map(|entry| entry.split('=').next().unwrap_or_default())
        .collect();
    report.none("Env", Some(&foreign));
    report.want("OpenStdin", true, config.open_stdin.unwrap_or(false));
    report.want("StdinOnce", true, config.stdin_once.unwrap_or(false));
    report.want("Tty", false, config.tty.unwrap_or(false));
    let tests =
        config.healthcheck.as_ref().and_then(|check| check.test.as_deref()).unwrap_or_default().join(" ");
    report.one_of("Healthcheck", &["", "NONE"], Some(&tests));
}

fn identity(
    report: &mut Report,
    inspect: &ContainerInspectResponse,
    host: &HostConfig,
    config: &ContainerConfig,
    bounds: &Bounds,
) {
    let labels = match Labels::from_map(config.labels.as_ref().unwrap_or(&Default::default())) {
        Ok(labels) => labels,
        Err(error) => return report.want("Labels", "all of ours", error),
    };
    let name = labels.container_ref().to_string();
    report.want("Name", format!("/{name}"), inspect.name.as_deref().unwrap_or_default());
    report.want("NetworkMode", &name, host.network_mode.as_deref().unwrap_or_default());
    let mut networks: Vec<&str> = inspect
        .network_settings
        .iter()
        .flat_map(|it| it.networks.iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    networks.sort_unstable();
    report.want("Networks", &name, networks.join(" "));
    let volume = volume::path(&bounds.data_dir, labels.tenant, labels.user).display().to_string();
    let mounts: Vec<String> = inspect
        .mounts
        .iter()
        .flatten()
        .map(|mount| {
            let kind = mount.typ.as_deref().unwrap_or_default();
            format!(
                "{kind} {} on {}",
                mount.source.as_deref().unwrap_or_default(),
                mount.destination.as_deref().unwrap_or_default()
            )
        })
        .collect();
    let place = if is_sealed(host) { SEALED_DIR } else { WORKDIR };
    report.want("Mounts", format!("bind {volume} on {place}"), mounts.join(", "));
}
