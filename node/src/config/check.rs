//! The bounds of each setting, and the combinations that are refused.

use std::{ops::RangeInclusive, time::Duration};

use super::{Config, ConfigError, HumanDuration, RuntimeKind, StorePlace};

/// Refuses what a node must not start with.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    listeners(config)?;
    store(config)?;
    containers(config)?;
    hibernation(config)?;
    sessions(config)?;
    recovery(config)?;
    limits(config)?;
    mail(config)
}

fn refuse(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { key, problem: problem.into() }
}

fn within(key: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), ConfigError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(refuse(key, format!("{value} is not between {} and {}", bounds.start(), bounds.end())))
}

fn at_least(key: &'static str, value: HumanDuration, least: Duration) -> Result<(), ConfigError> {
    if value.0 >= least {
        return Ok(());
    }
    Err(refuse(key, format!("{value} is shorter than {}", HumanDuration(least))))
}

fn between(
    key: &'static str,
    value: HumanDuration,
    bounds: RangeInclusive<Duration>,
) -> Result<(), ConfigError> {
    if bounds.contains(&value.0) {
        return Ok(());
    }
    let (least, most) = (HumanDuration(*bounds.start()), HumanDuration(*bounds.end()));
    Err(refuse(key, format!("{value} is not between {least} and {most}")))
}

fn listeners(config: &Config) -> Result<(), ConfigError> {
    if !config.listen.telemetry.ip().is_loopback() {
        return Err(refuse(
            "listen.telemetry",
            "is in clear: use a loopback address and a proxy of your own",
        ));
    }
    let tls = &config.tls;
    if tls.certificate.as_os_str().is_empty() != tls.key.as_os_str().is_empty() {
        return Err(refuse("tls.certificate", "and tls.key go together: set both or neither"));
    }
    let url = &config.listen.public_url;
    if !url.is_empty() && !url.starts_with("https://") {
        return Err(refuse("listen.public_url", "must start with https://"));
    }
    Ok(())
}

fn store(config: &Config) -> Result<(), ConfigError> {
    match config.store.place() {
        None if config.store.url.is_empty() => Ok(()),
        None => Err(refuse("store.url", "must be `sqlite:FOLDER` or `postgres://USER@HOST:PORT/DATABASE`")),
        Some(StorePlace::Sqlite(_)) => Ok(()),
        Some(StorePlace::Postgres(_)) => cluster(config),
    }
}

fn cluster(config: &Config) -> Result<(), ConfigError> {
    let it = &config.cluster;
    let port = it.advertise.rsplit_once(':').and_then(|(host, port)| {
        (!host.is_empty() && !host.contains('/')).then(|| port.parse::<u16>().ok()).flatten()
    });
    if port.is_none() || it.advertise.len() > 256 {
        return Err(refuse(
            "cluster.advertise",
            "must be the `HOST:PORT` under which other nodes reach listen.peers",
        ));
    }
    within("cluster.capacity", it.capacity, 1..=1000)?;
    within("cluster.memory_mib", it.memory_mib, 0..=1 << 24)?;
    between("cluster.drain", it.drain, Duration::from_secs(1)..=Duration::from_secs(600))
}

fn containers(config: &Config) -> Result<(), ConfigError> {
    let it = &config.containers;
    if it.runtime == RuntimeKind::Process && !config.node.mode.is_relaxed() {
        return Err(refuse(
            "containers.runtime",
            "`process` isolates nothing and is refused outside dev and demo: use `docker`",
        ));
    }
    within("containers.memory_mib", it.memory_mib, 64..=65_536)?;
    within("containers.pids", it.pids, 16..=4096)?;
    within("containers.cpu_shares", it.cpu_shares, 2..=262_144)
}

fn hibernation(config: &Config) -> Result<(), ConfigError> {
    let least = if config.node.mode.is_relaxed() { Duration::from_secs(1) } else { Duration::from_secs(60) };
    at_least("hibernation.pause_after", config.hibernation.pause_after, least)?;
    if config.hibernation.stop_after <= config.hibernation.pause_after {
        return Err(refuse("hibernation.stop_after", "must be longer than hibernation.pause_after"));
    }
    Ok(())
}

fn sessions(config: &Config) -> Result<(), ConfigError> {
    let it = &config.sessions;
    within("sessions.per_user", it.per_user, 1..=1000)?;
    at_least("sessions.idle", it.idle, Duration::from_secs(60))?;
    at_least("sessions.absolute", it.absolute, it.idle.0)?;
    let least = if config.node.mode.is_relaxed() { Duration::from_secs(1) } else { Duration::from_secs(60) };
    at_least("sessions.link", it.link, least)?;
    if it.link.0 > Duration::from_secs(3600) {
        return Err(refuse("sessions.link", "is longer than 1 h"));
    }
    Ok(())
}

fn recovery(config: &Config) -> Result<(), ConfigError> {
    let it = &config.recovery;
    let least = if config.node.mode.is_relaxed() { Duration::ZERO } else { Duration::from_secs(3600) };
    at_least("recovery.lock", it.lock, least)?;
    at_least("recovery.delay", it.delay, least)?;
    at_least("recovery.change_delay", it.change_delay, least)?;
    if it.lock < it.delay || it.delay.0 < it.change_delay.0 + it.change_window.0 {
        return Err(refuse("recovery.delay", "must keep lock ≥ delay ≥ change_delay + change_window"));
    }
    Ok(())
}

fn limits(config: &Config) -> Result<(), ConfigError> {
    let it = &config.limits;
    within("limits.tenant_requests", it.tenant_requests, 1..=100_000)?;
    within("limits.tenant_bytes", it.tenant_bytes, 1 << 20..=1 << 30)?;
    within("limits.connections", it.connections, 1..=1_000_000)?;
    within("limits.connections_per_address", it.connections_per_address, 1..=100_000)?;
    within("limits.streams_per_connection", it.streams_per_connection, 1..=10_000)?;
    within("limits.message_bytes", it.message_bytes, 64 << 10..=64 << 20)?;
    at_least("limits.call", it.call, Duration::from_secs(1))?;
    at_least("limits.idle_tenant", it.idle_tenant, Duration::from_secs(1))
}

fn mail(config: &Config) -> Result<(), ConfigError> {
    if config.mail.spool.as_os_str().is_empty() && !config.node.mode.is_relaxed() {
        return Err(refuse("mail.spool", "is needed outside dev and demo, or nobody gets a sign-in link"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn dev() -> Config {
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        config
    }

    fn key_refused(config: &Config) -> Option<&'static str> {
        match check(config) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn the_process_runtime_is_refused_outside_dev_and_demo() {
        let mut config = dev();
        config.containers.runtime = RuntimeKind::Process;
        assert_eq!(key_refused(&config), None);
        config.node.mode = Mode::Production;
        assert_eq!(key_refused(&config), Some("containers.runtime"));
    }

    #[test]
    fn short_recovery_delays_are_refused_outside_dev_and_demo() {
        let mut config = dev();
        config.mail.spool = "/var/spool/ocmt".into();
        let short = HumanDuration::seconds(2);
        config.recovery = super::super::Recovery {
            lock: short,
            delay: short,
            change_delay: short,
            change_window: HumanDuration::seconds(0),
        };
        assert_eq!(key_refused(&config), None);
        config.node.mode = Mode::Production;
        assert_eq!(key_refused(&config), Some("recovery.lock"));
    }

    #[test]
    fn the_delays_keep_their_order() {
        let mut config = dev();
        config.recovery.lock = HumanDuration::hours(47);
        assert_eq!(key_refused(&config), Some("recovery.delay"));
    }

    #[test]
    fn a_shared_database_wants_an_address_for_the_other_nodes() {
        let mut config = dev();
        config.store.url = "mysql://db/ocmt".to_owned();
        assert_eq!(key_refused(&config), Some("store.url"));
        config.store.url = "postgres://ocmt@db/ocmt".to_owned();
        for bad in ["", "node-1", ":7444", "node-1:", "node-1:70000", "https://node-1:7444"] {
            config.cluster.advertise = bad.to_owned();
            assert_eq!(key_refused(&config), Some("cluster.advertise"), "{bad}");
        }
        config.cluster.advertise = "node-1:7444".to_owned();
        assert_eq!(key_refused(&config), None);
        config.cluster.drain = HumanDuration::seconds(601);
        assert_eq!(key_refused(&config), Some("cluster.drain"));
    }

    #[test]
    fn telemetry_in_clear_stays_on_loopback() {
        let mut config = dev();
        config.listen.telemetry = SocketAddrAny::ANY;
        assert_eq!(key_refused(&config), Some("listen.telemetry"));
    }

    struct SocketAddrAny;
    impl SocketAddrAny {
        const ANY: std::net::SocketAddr =
            std::net::SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 7445));
    }
}
