//! `[egress]`: whether containers of this host get out, and how much of it each may use.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use ocmt_runtime::egress::{Bounds, EGRESS_PORT, Internet, Outlet, Places};
use serde::{Deserialize, Serialize};

use super::{
    Config, ConfigError, HumanDuration, RuntimeKind,
    check::{between, refuse, within},
};

/// `[egress]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Whether containers reach what their tenant's policy names, through the proxy of this node. Off: nothing at all.
    pub open: bool,
    /// Networks that are never reached, beside all that are not public: the operator's own public ones, for example.
    pub refused: Vec<String>,
    /// Connections of one container at once, 1 to 1024.
    pub connections: u32,
    /// Connections of all containers of this node at once, 1 to 65536.
    pub connections_of_node: u32,
    /// Of these, those of one tenant, 1 to 65536.
    pub connections_of_tenant: u32,
    /// Requests of one container in a minute, 1 to 60000.
    pub requests_per_minute: u32,
    /// A connection ends after this in any case, 1 s to 7 d.
    pub lasts: HumanDuration,
    /// A connection over which nothing goes ends after this, 1 s to 1 h.
    pub idle: HumanDuration,
    /// Most MiB out in one day and container, 1 to 1048576; a policy may say less.
    pub sent_mib_per_day: u32,
    /// Most MiB in in one day and container, 1 to 16777216.
    pub received_mib_per_day: u32,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            open: false,
            refused: Vec::new(),
            connections: 64,
            connections_of_node: 4096,
            connections_of_tenant: 512,
            requests_per_minute: 600,
            lasts: HumanDuration::hours(1),
            idle: HumanDuration::minutes(5),
            sent_mib_per_day: 1024,
            received_mib_per_day: 16 << 10,
        }
    }
}

impl Egress {
    /// The way out, if it is open.
    pub fn outlet(&self) -> Option<Arc<Outlet>> {
        let bounds = Bounds {
            connections: count(self.connections),
            requests_per_minute: self.requests_per_minute,
            lasts: self.lasts.0,
            idle: self.idle.0,
            sent_per_day: u64::from(self.sent_mib_per_day) << 20,
            received_per_day: u64::from(self.received_mib_per_day) << 20,
        };
        let internet =
            Arc::new(Internet::without(self.refused.iter().filter_map(|text| net(text)).collect()));
        let places =
            Places { node: count(self.connections_of_node), tenant: count(self.connections_of_tenant) };
        self.open.then(|| Arc::new(Outlet::new(internet, bounds, places)))
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A network, or one address.
fn net(text: &str) -> Option<IpNet> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().filter(|net| net.trunc() == *net).or_else(alone)
}

/// Refuses what would bound nothing, and a way out that nothing guards.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let it = &config.egress;
    if it.open && config.containers.runtime != RuntimeKind::Docker {
        return Err(refuse("egress.open", "is for containers of `docker`: `process` isolates nothing"));
    }
    let listen = &config.listen;
    let own = [listen.client, listen.peers, listen.operators, listen.telemetry];
    if it.open && own.iter().any(|address| address.port() == EGRESS_PORT) {
        return Err(refuse("egress.open", "needs port 7451 for itself: let no `listen` have it"));
    }
    if let Some(wrong) = it.refused.iter().find(|text| net(text).is_none()) {
        return Err(refuse("egress.refused", format!("{wrong:?} is no network such as 198.51.100.0/24")));
    }
    within("egress.connections", it.connections, 1..=1024)?;
    within("egress.connections_of_node", it.connections_of_node, 1..=65_536)?;
    within("egress.connections_of_tenant", it.connections_of_tenant, 1..=65_536)?;
    within("egress.requests_per_minute", it.requests_per_minute, 1..=60_000)?;
    within("egress.sent_mib_per_day", it.sent_mib_per_day, 1..=1 << 20)?;
    within("egress.received_mib_per_day", it.received_mib_per_day, 1..=1 << 24)?;
    let second = Duration::from_secs(1);
    between("egress.lasts", it.lasts, second..=Duration::from_secs(7 * 24 * 3600))?;
    between("egress.idle", it.idle, second..=Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(change: impl FnOnce(&mut Config)) -> Result<(), String> {
        let mut config = Config::default();
        change(&mut config);
        check(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn containers_do_not_get_out_by_default() {
        assert!(Egress::default().outlet().is_none());
        assert!(Egress { open: true, ..Egress::default() }.outlet().is_some());
        let outlet = Egress { open: true, sent_mib_per_day: 3, ..Egress::default() }.outlet().unwrap();
        assert_eq!(outlet.bounds().sent_per_day, 3 << 20);
    }

    #[test]
    fn what_bounds_nothing_or_cannot_be_read_is_refused() {
        assert_eq!(checked(|config| config.egress.open = true), Ok(()));
        let process = checked(|config| {
            config.egress.open = true;
            config.containers.runtime = RuntimeKind::Process;
        });
        assert!(process.unwrap_err().contains("egress.open"));
        let taken = checked(|config| {
            config.egress.open = true;
            config.listen.telemetry.set_port(EGRESS_PORT);
        });
        assert!(taken.unwrap_err().contains("7451"), "containers would reach it");
        for bad in ["198.51.100.1/24", "x", "10.0.0.0/33", ""] {
            let refused = checked(|config| config.egress.refused = vec![bad.to_owned()]);
            assert!(refused.unwrap_err().contains("egress.refused"), "{bad}");
        }
        assert_eq!(
            checked(|config| config.egress.refused = vec!["2001:db8::/32".into(), "192.0.2.7".into()]),
            Ok(())
        );
        assert!(checked(|config| config.egress.connections = 0).is_err());
        assert!(checked(|config| config.egress.lasts = HumanDuration(Duration::ZERO)).is_err());
    }
}
