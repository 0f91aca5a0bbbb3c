//! Which engine a developer's machine has.

use ocmt_runtime::docker::Engine;

use crate::config::{Config, RuntimeKind};

/// The engine that `DOCKER_HOST` names, as Docker's own client goes by it. Empty is none.
pub fn from_environment() -> Option<String> {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty())
}

/// Docker if its socket answers (`DOCKER_HOST` counts), else `process`.
pub async fn pick(config: &mut Config) -> RuntimeKind {
    if let Some(host) = from_environment().filter(|host| host.starts_with("unix://")) {
        config.containers.docker_host = host;
    }
    let answers = match Engine::at(&config.containers.docker_host) {
        Ok(engine) => engine.info().await.is_ok(),
        Err(_) => false,
    };
    if answers { RuntimeKind::Docker } else { RuntimeKind::Process }
}
