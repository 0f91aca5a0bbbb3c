//! Which engine a developer's machine has: Docker where it answers, else child processes.

use ocmt_runtime::docker::Engine;

use crate::config::{Config, RuntimeKind};

/// Docker if its socket answers (`DOCKER_HOST` counts), else `process`.
pub async fn pick(config: &mut Config) -> RuntimeKind {
    if let Ok(host) = std::env::var("DOCKER_HOST")
        && host.starts_with("unix://")
    {
        config.containers.docker_host = host;
    }
    let answers = match Engine::at(&config.containers.docker_host) {
        Ok(engine) => engine.info().await.is_ok(),
        Err(_) => false,
    };
    if answers { RuntimeKind::Docker } else { RuntimeKind::Process }
}
