//! The configuration of a node of a test's own.

use std::path::Path;

use ocmt::config::{Config, HumanDuration, Mode, RuntimeKind};

/// One that keeps everything in `folder`, listens on ports that are free, and starts no container.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.node.mode = Mode::Demo;
    config.node.data_dir = folder.join("data");
    config.listen.client.set_port(0);
    config.listen.telemetry.set_port(0);
    config.sessions.link_spread = HumanDuration::seconds(0);
    config.containers.runtime = RuntimeKind::Process;
    // no container is started here, so any program will do
    config.containers.cell = "/bin/true".into();
    config
}
