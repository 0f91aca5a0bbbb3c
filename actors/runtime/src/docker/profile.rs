//! The hardened profile: what Docker is asked for, and nothing else ever.
//!
//! [`super::drift::check`] reads the same constants back out of `docker inspect`.

use std::{collections::HashMap, net::IpAddr, path::PathBuf};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig,
    HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::{confinement::Confinement, network::Subnet};
use crate::{
    CELL_PORT, ContainerSpec, Egress, Labels, SEALED_DIR, WORKDIR, egress::EGRESS_PORT, volume::CONTAINER_UID,
};

/// User and group of all processes in a container.
pub(super) const USER: &str = "1000:1000";
/// No setuid program gains anything.
pub(super) const SECURITY_OPT: &str = "no-new-privileges";
/// The writable folders of a read-only root; their sizes count as the container's memory.
pub(super) const TMPFS: [(&str, &str); 2] = [("/tmp", "64m"), ("/run", "16m")];
/// Open files, soft and hard.
pub(super) const NOFILE: i64 = 8192;
/// A core file would hold what the cell holds.
pub(super) const CORE: i64 = 0;
/// Docker's driver, size and count of rotated log files.
pub(super) const LOG: (&str, &str, &str) = ("json-file", "10m", "3");

/// One thing that is not as the profile has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What, by the name Docker has for it.
    pub item: &'static str,
    /// As it should be.
    pub expected: String,
    /// As it is.
    pub found: String,
}

/// All that a container's configuration is made of.
pub(super) struct Profile<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) labels: Labels,
    pub(super) volume: PathBuf,
    pub(super) subnet: Subnet,
    pub(super) resolvers: &'a [IpAddr],
    pub(super) confinement: &'a Confinement,
}

/// What tells a workload of its proxy, in both spellings: programs differ in which they read.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
/// What of the container itself does not go through it.
const NO_PROXY: [&str; 2] = ["NO_PROXY=localhost,127.0.0.1,::1", "no_proxy=localhost,127.0.0.1,::1"];

/// The environment of a container with a proxy.
pub(super) fn proxy_environment(subnet: Subnet) -> Vec<String> {
    let proxy = format!("http://{}:{EGRESS_PORT}", subnet.gateway());
    let named = PROXY_VARIABLES.iter().map(|name| format!("{name}={proxy}"));
    named.chain(NO_PROXY.map(str::to_owned)).collect()
}

/// The options of the tmpfs of this size.
pub(super) fn tmpfs_options(size: &str) -> String {
    format!("rw,noexec,nosuid,nodev,size={size},mode=0700,uid={CONTAINER_UID},gid={CONTAINER_UID}")
}

/// The options of the volume of this many bytes in memory. As in any volume, programs may be run from it; the count of files is bounded, since an
/// empty one takes no room in it and much when it is sealed.
fn sealed_options(bytes: i64) -> String {
    let files = bytes / 2048;
    format!(
        "rw,exec,nosuid,nodev,size={bytes},nr_inodes={files},mode=0700,uid={CONTAINER_UID},gid={CONTAINER_UID}"
    )
}

impl Profile<'_> {
    /// What to create.
    pub(super) fn body(&self) -> ContainerCreateBody {
        let name = self.labels.container_ref().to_string();
        let address = EndpointIpamConfig {
            ipv4_address: Some(self.subnet.cell().to_string()),
            ..EndpointIpamConfig::default()
        };
        let endpoint = EndpointSettings { ipam_config: Some(address), ..EndpointSettings::default() };
        ContainerCreateBody {
            hostname: Some("cell".to_owned()),
            user: Some(USER.to_owned()),
            attach_stdin: Some(true),
            attach_stdout: Some(false),
            attach_stderr: Some(false),
            tty: Some(false),
            // the start secret comes this way, and standard input ends with it
            open_stdin: Some(true),
            stdin_once: Some(true),
            cmd: Some(self.spec.cell_args(&format!("0.0.0.0:{CELL_PORT}"))),
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            }),
            env: (self.spec.egress == Egress::Proxied).then(|| proxy_environment(self.subnet)),
            image: Some(self.spec.image.to_string()),
            working_dir: Some(WORKDIR.to_owned()),
            labels: Some(self.labels.to_map()),
            stop_signal: Some("SIGTERM".to_owned()),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(name.clone(), endpoint)])),
            }),
            host_config: Some(self.host(name)),
            ..ContainerCreateBody::default()
        }
    }

    fn host(&self, network: String) -> HostConfig {
        let limits = &self.spec.limits;
        let (driver, size, files) = LOG;
        let log = HashMap::from(
            [("max-size", size), ("max-file", files)].map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        HostConfig {
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(self.confinement.security_opt()),
            runtime: self.confinement.oci_runtime.clone(),
            privileged: Some(false),
            readonly_rootfs: Some(true),
            tmpfs: Some(self.tmpfs()),
            memory: Some(limits.memory_bytes),
            memory_swap: Some(limits.memory_bytes),
            oom_kill_disable: Some(false),
            pids_limit: Some(limits.pids),
            cpu_shares: Some(limits.cpu_shares),
            ulimits: Some(vec![ulimit("nofile", NOFILE), ulimit("core", CORE)]),
            log_config: Some(HostConfigLogConfig { typ: Some(driver.to_owned()), config: Some(log) }),
            // each a namespace of its own; pid and uts are private when nothing is named
            ipc_mode: Some("private".to_owned()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            network_mode: Some(network),
            dns: Some(self.resolvers()),
            dns_options: Some(vec!["timeout:1".to_owned(), "attempts:1".to_owned()]),
            dns_search: Some(vec![".".to_owned()]),
            mounts: Some(vec![self.mount()]),
            publish_all_ports: Some(false),
            auto_remove: Some(false),
            init: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        }
    }

    /// Without direct egress lookups go to the host's end of the bridge, where the host guard refuses them at
    /// once: never to a loopback address, which Docker would ask from the *host's* network (CVE-2024-29018).
    fn resolvers(&self) -> Vec<String> {
        match self.spec.egress {
            Egress::Off | Egress::Proxied => vec![self.subnet.gateway().to_string()],
            Egress::Direct => self.resolvers.iter().map(ToString::to_string).collect(),
        }
    }

    fn tmpfs(&self) -> HashMap<String, String> {
        let usual = TMPFS.iter().map(|(path, size)| ((*path).to_owned(), tmpfs_options(size)));
        let sealed = self.spec.sealed_volume_bytes.map(|bytes| (WORKDIR.to_owned(), sealed_options(bytes)));
        usual.chain(sealed).collect()
    }

    fn mount(&self) -> Mount {
        let target = if self.spec.sealed_volume_bytes.is_some() { SEALED_DIR } else { WORKDIR };
        let options = MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        };
        Mount {
            target: Some(target.to_owned()),
            source: Some(self.volume.display().to_string()),
            typ: Some(MountType::BIND),
            read_only: Some(false),
            bind_options: Some(options),
            ..Mount::default()
        }
    }
}

fn ulimit(name: &str, bound: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(bound), hard: Some(bound) }
}
