//! `[containers]`: the engine of this host, and what each container is held by.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    Config, ConfigError,
    check::{refuse, within},
};

/// The engine that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// A Docker engine: what isolates.
    #[default]
    Docker,
    /// The cell as a child process: isolates nothing, for `dev` and `demo` only.
    Process,
}

/// `[containers]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Containers {
    /// `docker` or `process`.
    pub runtime: RuntimeKind,
    /// The engine's socket, `unix:///var/run/docker.sock` by default.
    pub docker_host: String,
    /// The image new containers run, `sha256:…`. A name is taken only in `dev` and `demo`.
    pub image: String,
    /// The cell's binary for the `process` runtime. Empty: `ocmt-cell` beside this program.
    pub cell: PathBuf,
    /// Memory of one container in MiB, swap included, 64 to 65536.
    pub memory_mib: u32,
    /// Processes of one container, 16 to 4096.
    pub pids: u32,
    /// CPU shares of one container, 2 to 262144 (Docker's own scale: 1024 is one share).
    pub cpu_shares: u32,
    /// Volumes, one folder per tenant and user. Empty: `volumes` in the data folder.
    pub data_dir: PathBuf,
    /// Networks of containers are /29s of this range.
    pub network_range: String,
    /// What becomes of a running container that is found changed by hand: `hold` or `report`.
    pub on_drift: DriftPolicy,
    /// System calls of containers made from now on: those of Docker's `default` profile, or the fewer of `strict`.
    pub seccomp: Seccomp,
    /// The runtime of containers made from now on, by the name that Docker has for it, such as `runsc`. Empty: Docker's default one.
    pub oci_runtime: String,
    /// Size of volumes made from now on in MiB, 16 to 1048576, taken from the disk at once; it takes root and more (docs/security/containers.md). 0: without a bound.
    pub volume_mib: u32,
}

/// Which system calls a container may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Those of Docker's own profile.
    #[default]
    Default,
    /// Those of `node/deploy/seccomp`.
    Strict,
}

/// What becomes of a container that is not as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftPolicy {
    /// It is stopped, and not woken before an administrator of its tenant releases it.
    #[default]
    Hold,
    /// It is written into the audit and the log.
    Report,
}

impl Default for Containers {
    fn default() -> Self {
        Self {
            runtime: RuntimeKind::Docker,
            docker_host: String::from("unix:///var/run/docker.sock"),
            image: String::new(),
            cell: PathBuf::new(),
            memory_mib: 1536,
            pids: 256,
            cpu_shares: 512,
            data_dir: PathBuf::new(),
            network_range: String::from("10.213.0.0/16"),
            on_drift: DriftPolicy::default(),
            seccomp: Seccomp::default(),
            oci_runtime: String::new(),
            volume_mib: 0,
        }
    }
}

/// Refuses what isolates nothing, what bounds nothing, and what the chosen engine would not look at.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let it = &config.containers;
    let process = it.runtime == RuntimeKind::Process;
    if process && !config.node.mode.is_relaxed() {
        return Err(refuse(
            "containers.runtime",
            "`process` isolates nothing and is refused outside dev and demo: use `docker`",
        ));
    }
    if process && it.seccomp != Seccomp::Default {
        return Err(refuse(
            "containers.seccomp",
            "is for containers of `docker`: `process` isolates nothing",
        ));
    }
    if process && !it.oci_runtime.is_empty() {
        return Err(refuse("containers.oci_runtime", "is for containers of `docker`: `process` has none"));
    }
    if process && it.volume_mib != 0 {
        return Err(refuse(
            "containers.volume_mib",
            "is for containers of `docker`: `process` bounds nothing",
        ));
    }
    if it.volume_mib != 0 {
        within("containers.volume_mib", it.volume_mib, 16..=1 << 20)?;
    }
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if it.oci_runtime.len() > 128 || !it.oci_runtime.bytes().all(of_a_name) {
        return Err(refuse(
            "containers.oci_runtime",
            "is the name of a runtime as `docker info` lists it, and neither a path nor a command",
        ));
    }
    within("containers.memory_mib", it.memory_mib, 64..=65_536)?;
    within("containers.pids", it.pids, 16..=4096)?;
    within("containers.cpu_shares", it.cpu_shares, 2..=262_144)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn key_refused(change: impl FnOnce(&mut Containers)) -> Option<&'static str> {
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        change(&mut config.containers);
        match check(&config) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn what_holds_containers_is_for_an_engine_that_holds_them() {
        assert_eq!(key_refused(|it| it.seccomp = Seccomp::Strict), None);
        let strict = |it: &mut Containers| (it.seccomp, it.runtime) = (Seccomp::Strict, RuntimeKind::Process);
        assert_eq!(key_refused(strict), Some("containers.seccomp"));
        let sized = |it: &mut Containers| (it.volume_mib, it.runtime) = (64, RuntimeKind::Process);
        assert_eq!(key_refused(sized), Some("containers.volume_mib"));
        for (mib, fine) in [(0, true), (15, false), (16, true), (1 << 20, true), ((1 << 20) + 1, false)] {
            assert_eq!(key_refused(|it| it.volume_mib = mib).is_none(), fine, "{mib} MiB");
        }
        let runsc =
            |it: &mut Containers| (it.oci_runtime, it.runtime) = ("runsc".into(), RuntimeKind::Process);
        assert_eq!(key_refused(runsc), Some("containers.oci_runtime"));
    }

    #[test]
    fn a_runtime_is_named_and_no_program() {
        for name in ["runsc", "kata-runtime", "io.containerd.runc.v2", "crun_1"] {
            assert_eq!(key_refused(|it| it.oci_runtime = name.to_owned()), None, "{name}");
        }
        for wrong in ["/usr/bin/runsc", "runsc --debug", "ру", &"r".repeat(129)] {
            let key = key_refused(|it| it.oci_runtime = wrong.to_owned());
            assert_eq!(key, Some("containers.oci_runtime"), "{wrong}");
        }
    }
}
