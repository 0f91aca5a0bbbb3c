//! Where a node carries its cells to: the hosts of its configuration, at public addresses, and nowhere else.
//!
//! What is carried is TLS that begins in the cell and ends at the provider. The address that is checked is the address
//! that is connected to.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::sso::{FetchError, connect};

/// From the question for an address to the connection.
const CONNECTS: Duration = Duration::from_secs(6);
/// Connections of this node at once.
const AT_ONCE: usize = 64;

/// Which hosts are reached.
pub struct Outgoing {
    /// Name, in lower case, and port.
    hosts: BTreeSet<(String, u16)>,
    /// Addresses of this machine and its network too: for a developer.
    reaches_all: bool,
    at_once: Semaphore,
}

impl Outgoing {
    /// Those that are named, `host` or `host:port`.
    pub fn new(hosts: &[String], reaches_all: bool) -> Self {
        let hosts = hosts.iter().filter_map(|host| parse(host)).collect();
        Self { hosts, reaches_all, at_once: Semaphore::new(AT_ONCE) }
    }

    /// A connection, as long as its permit. Why not, in words for the user.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u32,
    ) -> Result<(TcpStream, SemaphorePermit<'_>), String> {
        let target = u16::try_from(port).ok().map(|port| (host.to_ascii_lowercase(), port));
        let target = target.filter(|target| self.hosts.contains(target));
        let Some((host, port)) = target else {
            return Err(
                "this node does not carry there: its operator adds hosts with `oauth.hosts`".to_owned()
            );
        };
        let place = self.at_once.try_acquire().map_err(|_| "too many connections at once".to_owned())?;
        match timeout(CONNECTS, connect(&host, port, self.reaches_all)).await {
            Ok(Ok(stream)) => Ok((stream, place)),
            Ok(Err(FetchError::Refused(why) | FetchError::Failed(why))) => Err(format!("it {why}")),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }
}

/// A host of the configuration; none if it is none.
pub fn parse(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, 443),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let name = (1..=253).contains(&host.len()) && host.bytes().all(plain);
    // an address is nothing that a certificate of the public web names
    let named = host.bytes().any(|byte| byte.is_ascii_alphabetic());
    (name && named).then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        assert_eq!(parse("GitHub.com"), Some(("github.com".to_owned(), 443)));
        assert_eq!(parse("id.example:8443"), Some(("id.example".to_owned(), 8443)));
        for bad in [
            "",
            ":443",
            "id.example:",
            "id.example:0",
            "id.example:65536",
            "a/b",
            "a b",
            "*",
            "127.0.0.1",
            "[::1]:443",
            "user@host",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn only_hosts_of_the_configuration_are_reached_and_none_of_the_own_network() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let named = [format!("localhost:{port}")];
        let developers = Outgoing::new(&named, true);
        assert!(developers.connect("localhost", port.into()).await.is_ok());
        assert!(developers.connect("LOCALHOST", port.into()).await.is_ok());
        for (host, port) in
            [("127.0.0.1", port.into()), ("localhost", 0), ("localhost", u32::from(port) + 65_536)]
        {
            let why = developers.connect(host, port).await.err().unwrap();
            assert!(why.contains("does not carry there"), "{why}");
        }
        let why = Outgoing::new(&named, false).connect("localhost", port.into()).await.err().unwrap();
        assert!(why.contains("public address"), "{why}");
    }
}
