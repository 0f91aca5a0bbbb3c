//! The bounds of each setting, and the combinations that are refused.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use crate::cells::outgoing;

use super::{
    Config, ConfigError, HostMemory, HumanDuration, StorePlace, alerts, audit, containers, egress, listen,
    mail, otlp, outbound, rates, snapshots,
};

/// Refuses what a node must not start with.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    listen::check(config)?;
    store(config)?;
    containers::check(config)?;
    egress::check(config)?;
    snapshots::check(config)?;
    hibernation(config)?;
    sessions(config)?;
    recovery(config)?;
    tenants(config)?;
    limits(config)?;
    oauth(config)?;
    outbound::check(&config.outbound)?;
    rates::check(&config.redis, config.node.mode)?;
    audit::check(&config.audit)?;
    alerts::check(&config.alerts)?;
    otlp::check(&config.telemetry.otlp)?;
    mail::check(&config.mail, config.node.mode)
}

pub(super) fn refuse(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { key, problem: problem.into() }
}

pub(super) fn within(key: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), ConfigError> {
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

pub(super) fn between(
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

fn oauth(config: &Config) -> Result<(), ConfigError> {
    let hosts = &config.oauth.hosts;
    match hosts.iter().find(|host| outgoing::parse(host).is_none()) {
        Some(wrong) => Err(refuse("oauth.hosts", format!("`{wrong}` is no `HOST` or `HOST:PORT`, by name"))),
        None if hosts.len() > 256 => Err(refuse("oauth.hosts", "are more than 256")),
        None => Ok(()),
    }
}

fn store(config: &Config) -> Result<(), ConfigError> {
    match config.store.place() {
        // a node of a cluster that lost its address would serve an empty database of its own, and say nothing
        None if config.store.url.is_empty() && !config.cluster.advertise.is_empty() => Err(refuse(
            "store.url",
            "is empty though cluster.advertise is set: name the cluster's database, `postgres://USER@HOST:PORT/DATABASE`",
        )),
        None if config.store.url.is_empty() => Ok(()),
        None => Err(refuse("store.url", "must be `sqlite:FOLDER` or `postgres://USER@HOST:PORT/DATABASE`")),
        Some(StorePlace::Sqlite(_)) => Ok(()),
        Some(StorePlace::Postgres(url)) => {
            ocmt_store::check_address(&url).map_err(|why| refuse("store.url", why))?;
            logins(config).and_then(|()| cluster(config))
        }
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
    if let HostMemory::Mib(mib) = it.memory_mib {
        within("cluster.memory_mib", mib, 0..=1 << 24)?;
    }
    between("cluster.drain", it.drain, Duration::from_secs(1)..=Duration::from_secs(600))?;
    // shorter than a failover of the database it would pause what people work with
    let least = if config.node.mode.is_relaxed() { 1 } else { 30 };
    between("cluster.dead_man", it.dead_man, Duration::from_secs(least)..=Duration::from_secs(24 * 3600))
}

fn logins(config: &Config) -> Result<(), ConfigError> {
    let it = &config.store;
    let is_set = |file: &Path| !file.as_os_str().is_empty();
    if it.cluster_user.is_empty() && (is_set(&it.cluster_password_file) || !it.migrate_user.is_empty()) {
        return Err(refuse("store.cluster_user", "is needed with any other login of its own"));
    }
    if it.migrate_user.is_empty() && is_set(&it.migrate_password_file) {
        return Err(refuse("store.migrate_user", "is needed with store.migrate_password_file"));
    }
    Ok(())
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
    let least = if config.node.mode.is_relaxed() { Duration::ZERO } else { Duration::from_millis(500) };
    between("sessions.link_spread", it.link_spread, least..=Duration::from_secs(10))
}

fn tenants(config: &Config) -> Result<(), ConfigError> {
    let least = if config.node.mode.is_relaxed() { Duration::ZERO } else { Duration::from_secs(3600) };
    let most = Duration::from_secs(90 * 24 * 3600);
    between("tenants.deletion_delay", config.tenants.deletion_delay, least..=most)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mode, RuntimeKind};

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
    fn a_tenant_is_not_deleted_at_once_in_production() {
        let mut config = dev();
        config.mail.spool = "/var/spool/ocmt".into();
        config.node.mode = Mode::Production;
        config.tenants.deletion_delay = HumanDuration::hours(1);
        assert_eq!(key_refused(&config), None);
        config.tenants.deletion_delay = HumanDuration::seconds(3599);
        assert_eq!(key_refused(&config), Some("tenants.deletion_delay"));
        config.node.mode = Mode::Dev;
        assert_eq!(key_refused(&config), None);
        config.tenants.deletion_delay = HumanDuration::hours(90 * 24 + 1);
        assert_eq!(key_refused(&config), Some("tenants.deletion_delay"));
    }

    #[test]
    fn in_production_links_are_not_made_at_a_time_that_anybody_knows() {
        let mut config = dev();
        config.mail.spool = "/var/spool/ocmt".into();
        for (mode, seconds, fine) in [
            (Mode::Dev, 0, true),
            (Mode::Production, 0, false),
            (Mode::Production, 1, true),
            (Mode::Production, 11, false),
        ] {
            config.node.mode = mode;
            config.sessions.link_spread = HumanDuration::seconds(seconds);
            let expected = (!fine).then_some("sessions.link_spread");
            assert_eq!(key_refused(&config), expected, "{mode:?}: {seconds} s");
        }
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
    fn two_listeners_never_have_one_address_and_a_cluster_has_a_database() {
        let mut config = dev();
        config.listen.operators = config.listen.client;
        assert_eq!(key_refused(&config), Some("listen.operators"));
        config.listen.operators.set_port(0);
        config.listen.client.set_port(0);
        assert_eq!(key_refused(&config), None, "the kernel chooses two");
        config.cluster.advertise = "node-1:7444".to_owned();
        assert_eq!(key_refused(&config), Some("store.url"));
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
        for bad in ["mysql://db/ocmt", "postgres://ocmt@db/ocmt?sslmod=verify-full"] {
            config.store.url = bad.to_owned();
            assert_eq!(key_refused(&config), Some("store.url"), "{bad}");
        }
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
    fn the_dead_man_waits_longer_than_a_failover_and_a_day_at_the_most() {
        let mut config = dev();
        config.store.url = "postgres://ocmt@db/ocmt".to_owned();
        config.cluster.advertise = "node-1:7444".to_owned();
        config.mail.spool = "/var/spool/ocmt".into();
        for (mode, seconds, fine) in [
            (Mode::Production, 29, false),
            (Mode::Production, 30, true),
            (Mode::Dev, 0, false),
            (Mode::Dev, 1, true),
            (Mode::Dev, 86_401, false),
        ] {
            config.node.mode = mode;
            config.cluster.dead_man = HumanDuration::seconds(seconds);
            let expected = (!fine).then_some("cluster.dead_man");
            assert_eq!(key_refused(&config), expected, "{mode:?}: {seconds} s");
        }
    }

    #[test]
    fn logins_of_their_own_come_with_their_names() {
        let mut config = dev();
        config.store.url = "postgres://ocmt@db/ocmt".to_owned();
        config.cluster.advertise = "node-1:7444".to_owned();
        config.store.cluster_password_file = "/etc/ocmt/cluster.password".into();
        assert_eq!(key_refused(&config), Some("store.cluster_user"));
        config.store.cluster_user = "ocmt_across".to_owned();
        assert_eq!(key_refused(&config), None);
        config.store.migrate_password_file = "/etc/ocmt/migrate.password".into();
        assert_eq!(key_refused(&config), Some("store.migrate_user"));
        config.store.migrate_user = "ocmt_schema".to_owned();
        assert_eq!(key_refused(&config), None);
        (config.store.cluster_user, config.store.cluster_password_file) = Default::default();
        assert_eq!(key_refused(&config), Some("store.cluster_user"));
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
