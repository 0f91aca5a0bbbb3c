//! Whose request a proxy brings.
//!
//! Each proxy adds, at the right end, the address that it saw. Read from there, everything is true up to the first
//! address that is no trusted proxy's: that is the client. What stands to the left of it the client may have made up.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::{Listen, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = http::header::FORWARDED;
/// Proxies in a row; longer chains are not followed.
const MOST_PROXIES: usize = 16;

/// Who is trusted, and where they say it.
#[derive(Debug)]
pub(super) struct Proxies {
    trusted: Vec<IpNet>,
    header: ProxyHeader,
}

impl Proxies {
    pub(super) fn of(listen: &Listen) -> Self {
        let trusted = listen.trusted_proxies.iter().filter_map(|text| text.parse().ok()).collect();
        Self { trusted, header: listen.proxy_header }
    }

    pub(super) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The client of a request that came from `direct`. What cannot be read ends the chain: the last who was
    /// believed stands for whatever is behind.
    pub(super) fn client(&self, direct: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = direct.to_canonical();
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => FORWARDED,
        };
        let said: Vec<_> = headers.get_all(&name).iter().collect();
        let entries = said.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries.take(MOST_PROXIES) {
            if !self.trust(client) {
                break;
            }
            let entry = std::str::from_utf8(entry).ok().map(str::trim);
            let address = entry.and_then(|entry| match self.header {
                ProxyHeader::XForwardedFor => address(entry),
                ProxyHeader::Forwarded => forwarded_for(entry),
            });
            let Some(address) = address else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// Takes away what was read, or must not be.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(X_FORWARDED_FOR);
    headers.remove(FORWARDED);
}

/// The `for` of one element of `Forwarded`, RFC 7239: a token, or quoted where it has a colon.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut all = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = all.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

/// An address, with or without port, of IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted_proxies = vec!["192.0.2.0/24".to_owned(), "2001:db8:1::/64".to_owned()];
        Proxies::of(&Listen { trusted_proxies, proxy_header: header, ..Listen::default() })
    }

    fn client(header: ProxyHeader, direct: &str, said: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, value.parse().unwrap());
        }
        proxies(header).client(direct.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let of = |direct: &str, said: &[&str]| {
            let said: Vec<_> = said.iter().map(|value| ("x-forwarded-for", *value)).collect();
            client(ProxyHeader::XForwardedFor, direct, &said)
        };
        // nobody is believed who is not trusted
        assert_eq!(of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(of("192.0.2.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("::ffff:192.0.2.1", &["198.51.100.1"]), "198.51.100.1");
        // what a client says before its proxy does is not read
        assert_eq!(of("192.0.2.1", &["127.0.0.1, 192.0.2.7, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("192.0.2.1", &["127.0.0.1", "198.51.100.1, 192.0.2.7"]), "198.51.100.1");
        assert_eq!(of("192.0.2.1", &["[2001:db8:2::5]:443, 2001:db8:1::9"]), "2001:db8:2::5");
        // what cannot be read is the fault of whoever was believed last
        for bad in ["", "unknown", "198.51.100.1, junk", "198.51.100.1:x", "198.51.100.999"] {
            assert_eq!(of("192.0.2.1", &[bad]), "192.0.2.1", "{bad}");
        }
        assert_eq!(of("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(of("192.0.2.1", &["192.0.2.2, 192.0.2.3"]), "192.0.2.2", "proxies all the way");
    }

    #[test]
    fn only_the_header_that_the_proxies_set_is_read() {
        let said = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.5")];
        assert_eq!(client(ProxyHeader::XForwardedFor, "192.0.2.1", &said), "198.51.100.1");
        assert_eq!(client(ProxyHeader::Forwarded, "192.0.2.1", &said), "203.0.113.5");
        let of = |value: &str| client(ProxyHeader::Forwarded, "192.0.2.1", &[("forwarded", value)]);
        assert_eq!(
            of("for=127.0.0.1, for=\"[2001:db8:2::5]:4711\";proto=https;by=192.0.2.1"),
            "2001:db8:2::5"
        );
        assert_eq!(of("For=198.51.100.1;for=203.0.113.5"), "198.51.100.1");
        for bad in ["for=unknown", "for=_hidden", "proto=https", "for=\"198.51.100.1", "="] {
            assert_eq!(of(bad), "192.0.2.1", "{bad}");
        }
    }
}
