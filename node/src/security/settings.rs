//! The configuration by itself: lawful, and weaker than it has to be.

use std::time::Duration;

use ocmt_actors::api::pairing::{DirectPolicy, GroupPolicy};

use super::{Finding, Severity, is_for_real, is_of_a_cluster, runs_docker};
use crate::{
    config::{Config, DriftPolicy, HumanDuration},
    database,
    limits::Class,
};

/// How much laxer than its default a limit may be before somebody should look at it.
const LAX: u64 = 10;

/// Everything that can be said without looking elsewhere.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    mode(config, &mut found);
    listeners(config, &mut found);
    store(config, &mut found);
    containers(config, &mut found);
    sessions(config, &mut found);
    pairing(config, &mut found);
    limits(config, &mut found);
    found
}

fn mode(config: &Config, found: &mut Vec<Finding>) {
    if !is_for_real(config) {
        found.push(Finding::new(
            "settings.mode",
            Severity::High,
            "node.mode",
            format!("is `{}`", format!("{:?}", config.node.mode).to_lowercase()),
            "sign-in links are printed, delays of recovery may be short, containers may run without isolation",
            "write mode = \"production\" unless this is a developer's machine",
        ));
    }
}

fn listeners(config: &Config, found: &mut Vec<Finding>) {
    let listen = &config.listen;
    for text in &listen.trusted_proxies {
        let wide = text.parse::<ipnet::IpNet>().is_ok_and(|net| match net {
            ipnet::IpNet::V4(net) => net.prefix_len() < 16,
            ipnet::IpNet::V6(net) => net.prefix_len() < 48,
        });
        if wide {
            found.push(Finding::new(
                "settings.proxies",
                Severity::High,
                "listen.trusted_proxies",
                format!("`{text}` is a large network"),
                "whoever is in it says which address a request is from, and no limit by address holds",
                "name the proxies themselves",
            ));
        }
    }
    if !listen.operators.ip().is_loopback() {
        found.push(Finding::new(
            "settings.operators",
            Severity::Low,
            "listen.operators",
            format!("is reached beyond this machine, at {}", listen.operators),
            "operators are known by certificates; a network of their own is a second wall",
            "bind it to an address of the operators' network, or to loopback",
        ));
    }
}

fn store(config: &Config, found: &mut Vec<Finding>) {
    if let Some(warning) = database::warning(&config.store.url) {
        found.push(Finding::new(
            "settings.database",
            Severity::High,
            "store.url",
            warning,
            "whoever stands between reads addresses and sizes, and may change what nodes decide by",
            "write sslmode=verify-full, and sslrootcert for an authority of your own",
        ));
    }
    if !is_of_a_cluster(config) {
        return;
    }
    if config.store.cluster_user.is_empty() {
        found.push(Finding::new(
            "settings.roles",
            Severity::Medium,
            "store.cluster_user",
            "is empty: all work is done by one login",
            "a mistake in one tenant's work could reach another's rows",
            "give the login that crosses tenants a name of its own (docs/postgresql.md)",
        ));
    }
    if config.redis.url.is_empty() {
        found.push(Finding::new(
            "settings.redis",
            Severity::Medium,
            "redis.url",
            "is empty, and there may be several nodes",
            "each node counts for itself: limits admit as many times more as there are nodes",
            "run a Redis and name it (docs/security/limits.md)",
        ));
    }
}

fn containers(config: &Config, found: &mut Vec<Finding>) {
    let it = &config.containers;
    if !runs_docker(config) {
        found.push(Finding::new(
            "settings.runtime",
            if is_for_real(config) { Severity::Critical } else { Severity::Medium },
            "containers.runtime",
            "is `process`",
            "it isolates nothing: workloads run as this node's user",
            "write runtime = \"docker\"",
        ));
    }
    if it.on_drift == DriftPolicy::Report {
        found.push(Finding::new(
            "settings.drift",
            Severity::Medium,
            "containers.on_drift",
            "is `report`",
            "a container that somebody changed by hand goes on running",
            "write on_drift = \"hold\"",
        ));
    }
    // a node without an image hosts nobody
    if runs_docker(config) && it.volume_mib == 0 && !it.image.is_empty() {
        found.push(Finding::new(
            "settings.volumes",
            Severity::Medium,
            "containers.volume_mib",
            "is 0: volumes have no bound of their own",
            "one container fills the disk that all volumes of this host lie on",
            "write a size, or put containers.data_dir on a disk of its own (docs/security/containers.md)",
        ));
    }
    if it.docker_host.starts_with("tcp://") || it.docker_host.starts_with("http://") {
        found.push(Finding::new(
            "settings.engine",
            Severity::Critical,
            "containers.docker_host",
            "is reached over the network in clear",
            "whoever reaches it is root on the host",
            "use the socket: unix:///var/run/docker.sock",
        ));
    }
    if config.egress.open {
        found.push(Finding::new(
            "settings.egress",
            Severity::Low,
            "egress.open",
            "is on",
            "containers may get out as far as their tenants' policies say",
            "nothing, if that is wanted; `ocmt tenant egress show` names what they may reach",
        ));
    }
}

fn sessions(config: &Config, found: &mut Vec<Finding>) {
    let it = &config.sessions;
    let mut longer = |key: &str, is: HumanDuration, most: Duration| {
        if is.0 > most {
            found.push(Finding::new(
                "settings.sessions",
                Severity::Medium,
                key,
                format!("is {is}"),
                "a token that was stolen is good for longer",
                format!("{} at the most", HumanDuration(most)),
            ));
        }
    };
    longer("sessions.idle", it.idle, Duration::from_secs(3600));
    longer("sessions.absolute", it.absolute, Duration::from_secs(24 * 3600));
    longer("sessions.link", it.link, Duration::from_secs(15 * 60));
    if config.recovery.delay.0 < Duration::from_secs(24 * 3600) {
        found.push(Finding::new(
            "settings.recovery",
            Severity::High,
            "recovery.delay",
            format!("is {}", config.recovery.delay),
            "an owner who is away has less than a day to stop somebody else's recovery",
            "48h, the default",
        ));
    }
}

fn pairing(config: &Config, found: &mut Vec<Finding>) {
    let why = "strangers talk to agents, and what they say is what agents act on";
    if config.pairing.dm_policy == DirectPolicy::Open {
        let mend = "write dm_policy = \"pairing\"";
        let open = "is `open`";
        found.push(Finding::new("settings.dm_policy", Severity::High, "pairing.dm_policy", open, why, mend));
    }
    if config.pairing.group_policy == GroupPolicy::Open {
        let mend = "write group_policy = \"allowlist\"";
        let open = "is `open`";
        found.push(Finding::new(
            "settings.group_policy",
            Severity::High,
            "pairing.group_policy",
            open,
            why,
            mend,
        ));
    }
}

fn limits(config: &Config, found: &mut Vec<Finding>) {
    let defaults = Config::default().rates;
    for class in Class::ALL {
        let (is, should) = (class.rate(&config.rates), class.rate(&defaults));
        let lax = u64::from(is.most.get()) > LAX * u64::from(should.most.get());
        if lax || is.period() * u32::try_from(LAX).unwrap_or(1) < should.period() {
            found.push(Finding::new(
                "settings.rates",
                Severity::Medium,
                format!("rates.{}", class.name()),
                format!("is {is}, more than ten times its default of {should}"),
                "guessing and flooding are that much cheaper",
                format!("{should}, or what your people need"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rules(change: impl FnOnce(&mut Config)) -> Vec<&'static str> {
        let mut config = Config::default();
        change(&mut config);
        check(&config).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_defaults_are_clean() {
        assert!(rules(|_| {}).is_empty(), "{:?}", rules(|_| {}));
    }

    #[test]
    fn each_weakness_is_found() {
        type Change = fn(&mut Config);
        let all: [(&str, Change); 21] = [
            ("settings.mode", |it| it.node.mode = crate::config::Mode::Dev),
            ("settings.proxies", |it| it.listen.trusted_proxies = vec!["203.0.0.0/8".to_owned()]),
            ("settings.proxies", |it| it.listen.trusted_proxies = vec!["2001:db8::/32".to_owned()]),
            ("settings.operators", |it| it.listen.operators = "192.0.2.1:7446".parse().unwrap()),
            ("settings.database", |it| it.store.url = "postgres://u@db.example.org/d".to_owned()),
            ("settings.roles", |it| it.store.url = "postgres://u@localhost/d".to_owned()),
            ("settings.redis", |it| it.store.url = "postgres://u@localhost/d".to_owned()),
            ("settings.runtime", |it| it.containers.runtime = crate::config::RuntimeKind::Process),
            ("settings.drift", |it| it.containers.on_drift = DriftPolicy::Report),
            ("settings.volumes", |it| it.containers.image = "sha256:0".to_owned()),
            ("settings.engine", |it| it.containers.docker_host = "tcp://192.0.2.1:2375".to_owned()),
            ("settings.engine", |it| it.containers.docker_host = "http://192.0.2.1:2375".to_owned()),
            ("settings.egress", |it| it.egress.open = true),
            ("settings.sessions", |it| it.sessions.idle = HumanDuration::hours(2)),
            ("settings.sessions", |it| it.sessions.absolute = HumanDuration::hours(25)),
            ("settings.sessions", |it| it.sessions.link = HumanDuration::hours(1)),
            ("settings.recovery", |it| it.recovery.delay = HumanDuration::hours(1)),
            ("settings.dm_policy", |it| it.pairing.dm_policy = DirectPolicy::Open),
            ("settings.group_policy", |it| it.pairing.group_policy = GroupPolicy::Open),
            ("settings.rates", |it| it.rates.mfa = "1000/1m".parse().unwrap()),
            // as many at once, and given back much sooner
            ("settings.rates", |it| it.rates.mfa = "5/1s".parse().unwrap()),
        ];
        let sized =
            |it: &mut Config| (it.containers.image, it.containers.volume_mib) = ("sha256:0".into(), 64);
        assert!(rules(sized).is_empty());
        for (rule, change) in all {
            assert!(rules(change).contains(&rule), "{rule}: {:?}", rules(change));
        }
    }
}
