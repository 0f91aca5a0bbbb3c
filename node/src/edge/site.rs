//! The names this node is reached under, whose pages may use it, and whom it believes about addresses.

use std::{collections::BTreeSet, net::IpAddr};

use http::{HeaderMap, HeaderValue, header, request::Parts, uri::Authority};

use super::proxies::Proxies;
use crate::{config::Listen, pki::ServerNames};

/// From `[listen]`, checked.
#[derive(Debug)]
pub struct Site {
    /// `HOST[:PORT]` of `listen.public_url`.
    public: Option<String>,
    /// The port of the client listener.
    port: u16,
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
    pub(super) proxies: Proxies,
}

impl Site {
    /// Of a configuration that was checked; the client listener is at `port`.
    pub fn of(listen: &Listen, port: u16) -> Self {
        let public = listen.public_url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
        let public = public.and_then(|rest| rest.parse::<Authority>().ok());
        let mut hosts: BTreeSet<String> =
            ServerNames::of(&[listen.client.ip()], listen.hosts.iter().cloned()).0.into_iter().collect();
        hosts.extend(public.as_ref().map(|public| bare(public.host())));
        Self {
            public: public.map(|public| public.as_str().to_ascii_lowercase()),
            port,
            hosts,
            origins: listen.origins.iter().cloned().collect(),
            proxies: Proxies::of(listen),
        }
    }

    /// Of the operator listener: at its own address, and pages elsewhere have no part in it.
    pub fn of_operators(listen: &Listen) -> Self {
        let own = Listen { client: listen.operators, origins: Vec::new(), ..listen.clone() };
        Self::of(&own, listen.operators.port())
    }

    /// Whether connections from there bring other people's requests.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.trust(address)
    }

    /// Where a browser that asked for `host` in clear goes: always to a configured name. None for any other host.
    pub(crate) fn in_https(&self, host: &str) -> Option<String> {
        let asked = self.ours(host)?;
        Some(match &self.public {
            Some(public) => public.clone(),
            None if self.port == 443 => asked.host().to_ascii_lowercase(),
            None => format!("{}:{}", asked.host().to_ascii_lowercase(), self.port),
        })
    }

    /// Whether the request comes from one of our own pages: its one Origin is the address it was sent to, and
    /// that is one of our names.
    pub(super) fn is_own(&self, request: &Parts) -> bool {
        let Some(origin) = one(&request.headers, &header::ORIGIN) else { return false };
        let Some(asked) = authority(request).and_then(|asked| self.ours(asked)) else { return false };
        origin.to_str().is_ok_and(|origin| {
            origin.strip_prefix("https://").is_some_and(|rest| rest == asked.as_str().to_ascii_lowercase())
        })
    }

    /// Whether its one Origin is on the list.
    pub(super) fn is_listed(&self, headers: &HeaderMap) -> bool {
        let origin = one(headers, &header::ORIGIN).and_then(|origin| origin.to_str().ok());
        origin.is_some_and(|origin| self.origins.contains(origin))
    }

    fn ours(&self, host: &str) -> Option<Authority> {
        // a user before an @ would be sent on with the host
        let asked: Authority = host.parse().ok().filter(|_| !host.contains('@'))?;
        self.hosts.contains(&bare(asked.host())).then_some(asked)
    }
}

/// The host without the brackets of IPv6, in lower case.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// To whom a request was sent: HTTP/2 says it in the address, HTTP/1.1 in one header.
fn authority(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => one(&request.headers, &header::HOST)?.to_str().ok(),
    }
}

/// The value of a header that stands there exactly once.
pub(super) fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn site(public: &str) -> Site {
        let listen = Listen {
            public_url: public.to_owned(),
            hosts: vec!["ocmt.example".to_owned()],
            origins: vec!["https://app.example:8443".to_owned()],
            ..Listen::default()
        };
        Site::of(&listen, 7443)
    }

    fn asked(host: &str, origins: &[&str]) -> Parts {
        let mut request = http::Request::post("/x").header("host", host);
        for origin in origins {
            request = request.header("origin", *origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn w2_only_the_very_origin_that_was_asked_is_our_own() {
        let site = site("");
        assert!(site.is_own(&asked("localhost:7443", &["https://localhost:7443"])));
        assert!(site.is_own(&asked("OCMT.example", &["https://ocmt.example"])));
        assert!(site.is_own(&asked("[::1]:7443", &["https://[::1]:7443"])));
        for bad in [
            "null",
            "",
            "http://localhost:7443",
            "https://localhost",
            "https://localhost:7444",
            "https://localhost:7443/",
            "https://evil.example",
            "https://localhost:7443@evil.example",
            "https://evil.example@localhost:7443",
            "https://localhost:7443.evil.example",
        ] {
            assert!(!site.is_own(&asked("localhost:7443", &[bad])), "{bad}");
        }
        let own = "https://localhost:7443";
        assert!(!site.is_own(&asked("localhost:7443", &[])), "none");
        assert!(!site.is_own(&asked("localhost:7443", &[own, own])), "two");
        // a name that somebody else has made point here
        assert!(!site.is_own(&asked("evil.example", &["https://evil.example"])));
    }

    #[test]
    fn listed_origins_are_compared_letter_by_letter() {
        let site = site("");
        let listed = |origin: &str| site.is_listed(&asked("localhost:7443", &[origin]).headers);
        assert!(listed("https://app.example:8443"));
        for bad in ["https://app.example", "https://App.example:8443", "https://app.example:8443/", "null"] {
            assert!(!listed(bad), "{bad}");
        }
    }

    #[test]
    fn the_way_to_https_never_leads_elsewhere() {
        let (named, unnamed) = (site("https://Node.example:8443/"), site(""));
        assert_eq!(named.in_https("ocmt.example").unwrap(), "node.example:8443");
        assert_eq!(unnamed.in_https("OCMT.example:80").unwrap(), "ocmt.example:7443");
        assert_eq!(unnamed.in_https("[::1]").unwrap(), "[::1]:7443");
        for bad in
            ["", "evil.example", "localhost@evil.example", "evil.example@localhost", "localhost/", "a b"]
        {
            assert_eq!(unnamed.in_https(bad), None, "{bad}");
            assert_eq!(named.in_https(bad), None, "{bad}");
        }
    }
}
