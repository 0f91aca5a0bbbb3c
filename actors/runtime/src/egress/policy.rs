//! What a tenant lets its containers connect to, and the node's bounds on it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::name::{HostName, HostPattern};

/// Most rules of a policy.
pub const MOST_RULES: usize = 256;
/// Most ports of a rule.
pub const MOST_PORTS: usize = 16;

/// One allowed destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which hosts.
    pub host: HostPattern,
    /// On which ports.
    pub ports: Vec<u16>,
}

/// Where containers may connect to; nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The destinations.
    pub rules: Vec<Rule>,
    /// Most bytes out in one day and container; 0 for the node's bound, which holds in any case.
    pub max_bytes_per_day: u64,
}

impl Policy {
    /// Whether a connection to this place is allowed.
    pub fn allows(&self, host: &HostName, port: u16) -> bool {
        self.rules.iter().any(|rule| rule.ports.contains(&port) && rule.host.takes(host))
    }
}

/// What holds for one container now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The tenant's policy.
    pub tenant: Policy,
    /// The container's own, which only narrows.
    pub container: Option<Policy>,
    /// What it has used on [`Used::day`], as far as that is written down.
    pub used: Used,
}

impl Allowed {
    /// Whether both policies allow a connection to this place.
    pub fn allows(&self, host: &HostName, port: u16) -> bool {
        self.tenant.allows(host, port) && self.container.as_ref().is_none_or(|own| own.allows(host, port))
    }

    /// Most bytes out in one day: the least of what the node and both policies say.
    pub fn most_sent(&self, bounds: &Bounds) -> u64 {
        let said = [Some(&self.tenant), self.container.as_ref()];
        let said = said.into_iter().flatten().map(|policy| policy.max_bytes_per_day).filter(|most| *most > 0);
        said.fold(bounds.sent_per_day, u64::min)
    }
}

/// Bytes of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// Out.
    pub sent: u64,
    /// In.
    pub received: u64,
}

/// Who knows the policy of one container. Asked anew for every connection.
pub trait Policies: Send + Sync {
    /// What holds now; none if that cannot be said, and then nothing is allowed.
    fn allowed(&self) -> BoxFuture<'_, Option<Allowed>>;
}

/// What a node lets one container use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Requests in one minute, refused ones too.
    pub requests_per_minute: u32,
    /// A connection ends after this, whatever it does.
    pub lasts: Duration,
    /// A connection over which nothing went for so long ends, at the latest after twice that.
    pub idle: Duration,
    /// Bytes out in one day; a policy may say less.
    pub sent_per_day: u64,
    /// Bytes in in one day.
    pub received_per_day: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 64,
            requests_per_minute: 600,
            lasts: Duration::from_secs(3600),
            idle: Duration::from_secs(300),
            sent_per_day: 1 << 30,
            received_per_day: 16 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn policy(rules: &[(&str, u16)], max_bytes_per_day: u64) -> Policy {
        let rule = |(host, port): &(&str, u16)| Rule { host: host.parse().unwrap(), ports: vec![*port] };
        Policy { rules: rules.iter().map(rule).collect(), max_bytes_per_day }
    }

    #[test]
    fn nothing_is_allowed_by_default_and_a_containers_own_policy_only_narrows() {
        let (host, other) = ("a.example.com".parse().unwrap(), "b.example.com".parse().unwrap());
        assert!(!Allowed::default().allows(&host, 443));
        let wide = Allowed { tenant: policy(&[("*.example.com", 443)], 0), ..Allowed::default() };
        assert!(wide.allows(&host, 443) && wide.allows(&other, 443) && !wide.allows(&host, 80));
        let own = policy(&[("a.example.com", 443), ("elsewhere.example", 443)], 0);
        let narrow = Allowed { container: Some(own), ..wide };
        assert!(narrow.allows(&host, 443) && !narrow.allows(&other, 443));
        assert!(!narrow.allows(&"elsewhere.example".parse().unwrap(), 443), "it widened the tenant's");
        assert!(!Allowed { container: Some(Policy::default()), ..narrow }.allows(&host, 443));
    }

    #[test]
    fn the_least_bound_on_bytes_holds() {
        let bounds = Bounds::default();
        let most = |tenant, own: Option<u64>| {
            let container = own.map(|most| policy(&[], most));
            Allowed { tenant: policy(&[], tenant), container, used: Used::default() }.most_sent(&bounds)
        };
        assert_eq!(most(0, None), bounds.sent_per_day);
        assert_eq!((most(10, None), most(10, Some(5)), most(10, Some(0))), (10, 5, 10));
        assert_eq!((most(0, Some(7)), most(5, Some(9))), (7, 5));
        assert_eq!(most(u64::MAX, None), bounds.sent_per_day);
    }
}
