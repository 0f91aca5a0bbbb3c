//! `[listen]`: where a node listens, under which names, and whom it believes on the way there.

use std::net::SocketAddr;

use http::uri::Authority;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Config, ConfigError, StorePlace, check::refuse};

/// Most names, origins and networks of proxies, each.
const MOST: usize = 64;

/// `[listen]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// gRPC, HTTP and WebSocket for users and programs (TLS 1.3).
    pub client: SocketAddr,
    /// Other nodes, with certificates of the cluster; opened only in a cluster.
    pub peers: SocketAddr,
    /// Operators, with certificates of the cluster.
    pub operators: SocketAddr,
    /// `/healthz` and `/readyz` in clear; loopback unless you know why not.
    pub telemetry: SocketAddr,
    /// HTTP in clear that sends browsers to HTTPS and does nothing else: `HOST:PORT`, as a rule port 80. Empty:
    /// there is none.
    pub redirect: String,
    /// The address users reach the node under; in links and the TLS certificate. Empty: from `client`.
    pub public_url: String,
    /// Further names that browsers reach the node under, without ports. Loopback, the address of `client` and the
    /// host of `public_url` are names in any case.
    #[serde(deserialize_with = "words")]
    pub hosts: Vec<String>,
    /// Origins of pages that may call this node from a browser and open its gateways, `https://HOST[:PORT]`, compared
    /// letter by letter. Its own pages may in any case.
    #[serde(deserialize_with = "words")]
    pub origins: Vec<String>,
    /// Networks of proxies that are believed when they say whose request they bring, as `192.0.2.0/24`.
    #[serde(deserialize_with = "words")]
    pub trusted_proxies: Vec<String>,
    /// Where those say it. The other header is never read: a proxy that sets one passes the client's own other one on.
    pub proxy_header: ProxyHeader,
}

/// The header in which proxies name whose request they bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            client: SocketAddr::from(([127, 0, 0, 1], 7443)),
            peers: SocketAddr::from(([127, 0, 0, 1], 7444)),
            operators: SocketAddr::from(([127, 0, 0, 1], 7446)),
            telemetry: SocketAddr::from(([127, 0, 0, 1], 7445)),
            redirect: String::new(),
            public_url: String::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::XForwardedFor,
        }
    }
}

impl Listen {
    /// Where the redirect listens, if there is one.
    pub fn redirect(&self) -> Option<SocketAddr> {
        self.redirect.parse().ok()
    }
}

/// A list, or one text with commas, as the environment gives it.
fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::Many(words) => words,
        OneOrMany::One(text) => {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// Refuses what a node must not listen with.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let it = &config.listen;
    if !it.telemetry.ip().is_loopback() {
        return Err(refuse(
            "listen.telemetry",
            "is in clear: use a loopback address and a proxy of your own",
        ));
    }
    distinct(config)?;
    let tls = &config.tls;
    if tls.certificate.as_os_str().is_empty() != tls.key.as_os_str().is_empty() {
        return Err(refuse("tls.certificate", "and tls.key go together: set both or neither"));
    }
    if !it.public_url.is_empty() && !is_address(&it.public_url) {
        return Err(refuse(
            "listen.public_url",
            "must be `https://HOST` or `https://HOST:PORT`, without a path",
        ));
    }
    each(
        "listen.hosts",
        &it.hosts,
        is_host,
        "is no host name or address: give it in lower case, without a port",
    )?;
    each(
        "listen.origins",
        &it.origins,
        is_origin,
        "is no origin: write `https://HOST` or `https://HOST:PORT`",
    )?;
    let is_network =
        |text: &str| text.parse::<IpNet>().is_ok_and(|net| net.trunc() == net && net.prefix_len() > 0);
    each("listen.trusted_proxies", &it.trusted_proxies, is_network, "is no network such as `192.0.2.0/24`")
}

/// No two listeners have one address; the peers' is only used with others.
fn distinct(config: &Config) -> Result<(), ConfigError> {
    let it = &config.listen;
    let mut all = vec![
        ("listen.client", it.client),
        ("listen.telemetry", it.telemetry),
        ("listen.operators", it.operators),
    ];
    if matches!(config.store.place(), Some(StorePlace::Postgres(_))) {
        all.push(("listen.peers", it.peers));
    }
    if !it.redirect.is_empty() {
        let no_address = || refuse("listen.redirect", "must be `ADDRESS:PORT`");
        all.push(("listen.redirect", it.redirect().ok_or_else(no_address)?));
    }
    for (n, (key, address)) in all.iter().enumerate() {
        // the kernel chooses another port for each 0
        let other = all[..n].iter().find(|(_, taken)| taken == address && address.port() != 0);
        if let Some((other, _)) = other {
            return Err(refuse(
                key,
                format!("is {address} like {other}: each listener has an address of its own"),
            ));
        }
    }
    Ok(())
}

fn each(
    key: &'static str,
    given: &[String],
    is_good: impl Fn(&str) -> bool,
    problem: &str,
) -> Result<(), ConfigError> {
    if given.len() > MOST {
        return Err(refuse(key, format!("has more than {MOST} entries")));
    }
    match given.iter().find(|entry| !is_good(entry)) {
        Some(bad) => Err(refuse(key, format!("`{bad}` {problem}"))),
        None => Ok(()),
    }
}

fn is_host(text: &str) -> bool {
    let is_ip = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    is_ip || is_name
}

/// Where browsers find the node: a host, perhaps a port, and nothing else but a last `/`.
fn is_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    rest.parse::<Authority>().is_ok_and(|it| {
        let host = it.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let whole = match it.port_u16() {
            Some(port) => rest == format!("{}:{port}", it.host()),
            None => rest == it.host(),
        };
        whole && is_host(&host)
    })
}

/// In the one form in which browsers send it: lower case, no path, no default port, no user.
fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| {
        let parsed = rest.parse::<Authority>();
        parsed.is_ok_and(|it| {
            let host = it.host().trim_start_matches('[').trim_end_matches(']');
            let in_one_form = match it.port_u16() {
                Some(port) => port != 443 && rest == format!("{}:{port}", it.host()),
                None => rest == it.host(),
            };
            in_one_form && is_host(host)
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Mode;

    fn key_refused(change: impl FnOnce(&mut Listen)) -> Option<&'static str> {
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        change(&mut config.listen);
        match check(&config) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn names_origins_and_proxies_have_one_form() {
        for good in ["https://app.example.org", "https://app.example.org:8443", "https://[2001:db8::1]:8443"]
        {
            assert_eq!(key_refused(|it| it.origins = vec![good.to_owned()]), None, "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "http://app.example.org",
            "https://app.example.org/",
            "https://app.example.org:443",
            "https://*.example.org",
            "https://you@app.example.org",
            "https://App.example.org",
            "https://app.example.org:",
        ] {
            assert_eq!(key_refused(|it| it.origins = vec![bad.to_owned()]), Some("listen.origins"), "{bad}");
        }
        for bad in ["", "Example.org", "example.org:80", "-a.example", "a..example", "*"] {
            assert_eq!(key_refused(|it| it.hosts = vec![bad.to_owned()]), Some("listen.hosts"), "{bad}");
        }
        for bad in ["", "192.0.2.1/33", "192.0.2.1/24", "0.0.0.0/0", "::/0", "proxy.example"] {
            let refused = key_refused(|it| it.trusted_proxies = vec![bad.to_owned()]);
            assert_eq!(refused, Some("listen.trusted_proxies"), "{bad}");
        }
        assert_eq!(key_refused(|it| it.trusted_proxies = vec!["2001:db8::/64".to_owned()]), None);
    }

    #[test]
    fn the_public_address_is_a_host_and_a_port() {
        for good in ["", "https://Node.example", "https://node.example:8443/", "https://[2001:db8::1]:443"] {
            assert_eq!(key_refused(|it| it.public_url = good.to_owned()), None, "{good}");
        }
        for bad in [
            "http://node.example",
            "https://",
            "https://node.example/ocmt",
            "https://node.example//",
            "https://you@node.example",
            "https://node.example:port",
            "https://node.example?x",
        ] {
            let refused = key_refused(|it| it.public_url = bad.to_owned());
            assert_eq!(refused, Some("listen.public_url"), "{bad}");
        }
    }

    #[test]
    fn the_redirect_has_an_address_of_its_own() {
        assert_eq!(key_refused(|it| it.redirect = "nowhere".to_owned()), Some("listen.redirect"));
        assert_eq!(key_refused(|it| it.redirect = it.client.to_string()), Some("listen.redirect"));
        assert_eq!(key_refused(|it| it.redirect = "127.0.0.1:7480".to_owned()), None);
    }

    #[test]
    fn a_list_in_the_environment_is_one_text() {
        let listen: Listen =
            toml::from_str("hosts = \"a.example, b.example\"\norigins = [\"https://c.example\"]").unwrap();
        assert_eq!(listen.hosts, ["a.example", "b.example"]);
        assert_eq!(listen.origins, ["https://c.example"]);
    }
}
