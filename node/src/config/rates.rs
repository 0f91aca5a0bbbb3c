//! `[rates]` and `[redis]`: how much of what is lawful, and where it is counted for all nodes.

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    ConfigError, HumanDuration, Mode,
    check::{between, refuse},
};

/// So many within so long; all of them at once if one likes. Written `60/10m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub most: NonZeroU32,
    /// Within how long they are given back.
    pub within: HumanDuration,
}

impl Rate {
    /// After how long one more is given; at least a microsecond.
    pub fn period(self) -> Duration {
        (self.within.0 / self.most.get()).max(Duration::from_micros(1))
    }

    const fn of(most: u32, seconds: u64) -> Self {
        // a constant of this file that is zero would be one
        let most = match NonZeroU32::new(most) {
            Some(most) => most,
            None => NonZeroU32::MIN,
        };
        Self { most, within: HumanDuration::seconds(seconds) }
    }
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate; write it as `60/10m`");
        let (most, within) = text.split_once('/').ok_or_else(wrong)?;
        let most = most.trim().parse().map_err(|_| wrong())?;
        let within: HumanDuration = within.trim().parse()?;
        let bounds = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);
        if !bounds.contains(&within.0) {
            return Err(format!("`{text}`: the time is not between 1 s and 7 days"));
        }
        Ok(Self { most, within })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.most, self.within)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `[rates]`: the same on all nodes. docs/security/limits.md says what each counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Requests of one address, at one node.
    pub requests: Rate,
    /// What makes a session: of one address.
    pub sign_in: Rate,
    /// Letters to one e-mail address that anybody may cause, of one address.
    pub account: Rate,
    /// Second factors: of one session.
    pub mfa: Rate,
    /// What opens vaults: of one session, program or API key.
    pub unlock: Rate,
    /// Steps of recovery ceremonies: of one session.
    pub recovery: Rate,
    /// What stops them: of one session, at one node.
    pub stop: Rate,
    /// Reads of one session, program or API key.
    pub read: Rate,
    /// Changes by one session, program or API key.
    pub write: Rate,
    /// Requests and connections to workloads, of one session.
    pub gateway: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            requests: Rate::of(6000, 10),
            sign_in: Rate::of(60, 600),
            account: Rate::of(20, 600),
            mfa: Rate::of(20, 600),
            unlock: Rate::of(120, 600),
            recovery: Rate::of(60, 600),
            stop: Rate::of(60, 60),
            read: Rate::of(12_000, 60),
            write: Rate::of(3000, 60),
            gateway: Rate::of(6000, 60),
        }
    }
}

/// `[redis]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// Where all nodes count: `rediss://USER@HOST:PORT`, `rediss-cluster://HOST:PORT?node=HOST:PORT`, or the same without
    /// TLS (`redis://`) to this machine alone. Empty: each node counts for itself.
    pub url: String,
    /// A file with its password that nobody else may read.
    pub password_file: PathBuf,
    /// A PEM file of the authorities that its certificate may come from; empty for those that the machine trusts.
    pub ca_file: PathBuf,
    /// What a call waits for its count, 5 ms to 150 ms.
    pub patience: HumanDuration,
}

impl Default for Redis {
    fn default() -> Self {
        let patience = HumanDuration(Duration::from_millis(50));
        Self { url: String::new(), password_file: PathBuf::new(), ca_file: PathBuf::new(), patience }
    }
}

pub(super) fn check(redis: &Redis, mode: Mode) -> Result<(), ConfigError> {
    // all answers come within 200 ms, with or without it
    between("redis.patience", redis.patience, Duration::from_millis(5)..=Duration::from_millis(150))?;
    if redis.url.is_empty() {
        let alone = redis.password_file.as_os_str().is_empty() && redis.ca_file.as_os_str().is_empty();
        return if alone {
            Ok(())
        } else {
            Err(refuse("redis.url", "is empty though other keys of [redis] are set"))
        };
    }
    let wrong =
        || refuse("redis.url", "must be `rediss://USER@HOST:PORT`, `rediss-cluster://…` or `redis://…`");
    if !redis.url.starts_with("redis") {
        return Err(wrong());
    }
    let config = fred::types::config::Config::from_url(&redis.url).map_err(|_| wrong())?;
    if config.password.is_some() {
        return Err(refuse("redis.url", "must hold no password: put it into redis.password_file"));
    }
    let here = config.server.hosts().iter().all(|server| {
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if config.tls.is_none() && !here && !mode.is_relaxed() {
        return Err(refuse("redis.url", "leaves this machine in clear: use `rediss://`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_read_back_as_written_and_nonsense_is_refused() {
        let rate: Rate = "60/10m".parse().unwrap();
        assert_eq!((rate.most.get(), rate.period()), (60, Duration::from_secs(10)));
        assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        for bad in ["", "60", "0/1m", "-1/1m", "60/0s", "60/8d", "x/1m", "1/1s/1s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_or_a_network_in_clear_is_refused() {
        let check = |url: &str, mode| check(&Redis { url: url.to_owned(), ..Redis::default() }, mode).is_ok();
        assert!(check("redis://127.0.0.1:6379", Mode::Production));
        assert!(check("rediss://redis.example.org:6379", Mode::Production));
        assert!(check("rediss-cluster://redis.example.org:6379", Mode::Production));
        assert!(!check("redis://redis.example.org:6379", Mode::Production));
        assert!(check("redis://redis.example.org:6379", Mode::Dev));
        assert!(!check("rediss://ocmt:secret@redis.example.org:6379", Mode::Production));
        assert!(!check("http://redis.example.org", Mode::Production));
    }
}
