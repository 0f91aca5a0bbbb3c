//! Where tenants may have a node connect to.

use serde::{Deserialize, Serialize};

use super::{ConfigError, check::refuse};
use crate::cells::outgoing;

/// `[outbound]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// Hosts that tenants may name as OpenID providers, for alert channels and for streams of their audit, `host` or
    /// `host:port`. None named: every public address.
    pub hosts: Vec<String>,
}

/// Refuses what names no host.
pub(super) fn check(it: &Outbound) -> Result<(), ConfigError> {
    match it.hosts.iter().find(|host| outgoing::parse(host).is_none()) {
        Some(wrong) => {
            Err(refuse("outbound.hosts", format!("`{wrong}` is no `HOST` or `HOST:PORT`, by name")))
        }
        None if it.hosts.len() > 1024 => Err(refuse("outbound.hosts", "are more than 1024")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_hosts_are_taken() {
        let of = |hosts: &[&str]| Outbound { hosts: hosts.iter().map(|&host| host.to_owned()).collect() };
        assert!(check(&of(&[])).is_ok());
        assert!(check(&of(&["id.example.org", "hooks.example.org:8443"])).is_ok());
        for bad in ["", "*", "https://id.example.org", "192.0.2.1", "id.example.org:0"] {
            assert!(check(&of(&[bad])).is_err(), "{bad}");
        }
    }
}
