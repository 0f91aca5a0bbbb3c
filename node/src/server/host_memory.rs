//! How much memory this node offers to the cluster for containers.

use std::time::Duration;

use ocmt_runtime::docker::Engine;

use crate::config::{Config, HostMemory, RuntimeKind};

/// How long a start waits for the engine to say what its machine has.
const ANSWER: Duration = Duration::from_secs(3);
/// The least that is kept for the node, the engine and the system, in MiB.
const LEAST_RESERVE: u64 = 1024;
/// What is kept of a large machine: one part in so many.
const RESERVE_PART: u64 = 8;

/// MiB that containers may reserve here; 0 if this node hosts none.
pub(super) async fn offered(config: &Config) -> u32 {
    match config.cluster.memory_mib {
        HostMemory::Mib(mib) => mib,
        HostMemory::Auto => of_machine(config).await.map_or(0, less_reserve),
    }
}

/// Bytes of the machine that the containers are on; none if there can be none.
async fn of_machine(config: &Config) -> Option<u64> {
    match config.containers.runtime {
        RuntimeKind::Process => total(&std::fs::read_to_string("/proc/meminfo").ok()?),
        RuntimeKind::Docker if config.containers.image.is_empty() => {
            tracing::info!("no `containers.image`: this node hosts no containers");
            None
        }
        RuntimeKind::Docker => {
            let engine = Engine::at(&config.containers.docker_host).ok()?;
            match tokio::time::timeout(ANSWER, engine.info()).await {
                Ok(Ok(info)) => info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(
                        "the engine does not say how much memory there is: this node takes no new containers \
                         until it is started again, or `cluster.memory_mib` is set"
                    );
                    None
                }
            }
        }
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// In MiB, what is left of that many bytes.
fn less_reserve(bytes: u64) -> u32 {
    let all = bytes >> 20;
    let reserve = LEAST_RESERVE.max(all / RESERVE_PART);
    u32::try_from(all.saturating_sub(reserve)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_kept_and_one_gibibyte_at_the_least() {
        let left = [512, 1024, 4096, 8192, 65_536].map(|mib| less_reserve(mib << 20));
        assert_eq!(left, [0, 0, 3072, 7168, 57_344]);
    }

    #[test]
    fn the_total_is_read_as_the_kernel_writes_it() {
        assert_eq!(total("MemTotal:       16316420 kB\nMemFree:  100 kB\n"), Some(16_316_420 * 1024));
        assert_eq!(total("MemFree: 100 kB\n"), None);
    }

    #[tokio::test]
    async fn a_number_in_the_configuration_holds_and_without_an_engine_nothing_is_offered() {
        let mut config = Config::default();
        config.cluster.memory_mib = HostMemory::Mib(77);
        assert_eq!(offered(&config).await, 77);
        config.cluster.memory_mib = HostMemory::Auto;
        config.containers.docker_host = "unix:///nonexistent/docker.sock".to_owned();
        assert_eq!(offered(&config).await, 0, "no image");
        config.containers.image = "sha256:0".to_owned();
        assert_eq!(offered(&config).await, 0, "no engine");
        config.containers.runtime = RuntimeKind::Process;
        assert!(offered(&config).await > 0, "the machine that runs this test has more than 1 GiB");
    }
}
