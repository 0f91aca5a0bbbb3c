//! HTTPS to a server that a tenant has named: to public addresses alone, without redirects, bounded in size and time.
//!
//! Who runs a tenant is not who runs the node. What a tenant names must not reach what only the node's machine reaches,
//! so the address that is checked is the address that is connected to.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;

/// One request, from the question for its address to the last byte of its answer.
const LASTS: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 256 << 10;
/// Requests of this node at once.
const AT_ONCE: usize = 16;

/// Why there is no answer. The texts hold nothing that a server said.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not asked.
    #[error("{0}")]
    Refused(&'static str),
    /// It does not answer as it should.
    #[error("{0}")]
    Failed(&'static str),
}

/// The way to servers that tenants name.
pub struct Fetch {
    tls: TlsConnector,
    /// Addresses of this machine and its network too: for a developer.
    reaches_all: bool,
    at_once: Semaphore,
}

impl Fetch {
    /// Over this TLS.
    pub fn new(tls: TlsConnector, reaches_all: bool) -> Self {
        Self { tls, reaches_all, at_once: Semaphore::new(AT_ONCE) }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let _place = self.at_once.acquire().await.map_err(|_| FetchError::Failed("the node stops"))?;
        let (mut head, body) = request.into_parts();
        if head.uri.scheme_str() != Some("https") {
            return Err(FetchError::Refused("is not asked in clear"));
        }
        let authority = head.uri.authority().ok_or(FetchError::Refused("names no host"))?.clone();
        if authority.as_str().contains('@') {
            return Err(FetchError::Refused("names a login"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tcp = connect(&host, authority.port_u16().unwrap_or(443), self.reaches_all).await?;
        let name = ServerName::try_from(host).map_err(|_| FetchError::Refused("names no host"))?;
        let tls = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(|_| FetchError::Failed("does not show a certificate that is believed"))?;
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head.uri = path.parse().map_err(|_| FetchError::Refused("has no path"))?;
        let host = authority.as_str().parse().map_err(|_| FetchError::Refused("names no host"))?;
        head.headers.insert(HOST, host);
        let failed = |_| FetchError::Failed("does not speak HTTP");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(failed)?;
        // ends with this call, whatever becomes of it
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender
            .send_request(Request::from_parts(head, Full::<bytes::Bytes>::from(body)))
            .await
            .map_err(failed)?;
        let (head, body) = answer.into_parts();
        if head.status.is_redirection() {
            return Err(FetchError::Failed("sends elsewhere"));
        }
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|_| FetchError::Failed("says too much, or breaks off"))?;
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }
}

/// A connection to a name's address, which is a public one unless `reaches_all`.
pub(crate) async fn connect(host: &str, port: u16, reaches_all: bool) -> Result<TcpStream, FetchError> {
    let found =
        tokio::net::lookup_host((host, port)).await.map_err(|_| FetchError::Failed("is not found"))?;
    let found: Vec<SocketAddr> = found.collect();
    if !reaches_all && !found.iter().all(|address| is_public(address.ip())) {
        return Err(FetchError::Refused("is not a public address"));
    }
    for address in found {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok(stream);
        }
    }
    Err(FetchError::Failed("cannot be reached"))
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            timeout(LASTS, self.ask(request))
                .await
                .unwrap_or(Err(FetchError::Failed("does not answer in time")))
        })
    }
}

/// Whether an address is one of the internet at large (IANA's registries of special addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    let special = it.is_private()
        || it.is_loopback()
        || it.is_link_local()
        || it.is_documentation()
        || it.is_multicast();
    let of_this_network = a == 0;
    let behind_a_carrier = a == 100 && (64..128).contains(&b);
    let of_protocols = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let of_benchmarks = a == 198 && (18..20).contains(&b);
    !(special || of_this_network || behind_a_carrier || of_protocols || of_benchmarks || a >= 240)
}

/// Of 2000::/3 alone, without what carries an IPv4 address or is for protocols and documents.
fn is_public_v6(it: Ipv6Addr) -> bool {
    let [a, b, ..] = it.segments();
    let of_protocols = a == 0x2001 && b < 0x200;
    let of_documents = (a, b) == (0x2001, 0xdb8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    (0x2000..0x4000).contains(&a) && !of_protocols && !of_documents && !six_to_four
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_that_only_this_machine_or_its_network_reaches_is_public() {
        let v4 = |a, b, c, d| IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        for special in [
            v4(0, 0, 0, 0),
            v4(127, 0, 0, 1),
            v4(10, 1, 2, 3),
            v4(172, 16, 0, 1),
            v4(172, 31, 255, 255),
            v4(192, 168, 0, 1),
            v4(169, 254, 169, 254),
            v4(100, 64, 0, 1),
            v4(100, 127, 0, 1),
            v4(192, 0, 0, 8),
            v4(192, 0, 2, 1),
            v4(198, 18, 0, 1),
            v4(198, 19, 255, 255),
            v4(198, 51, 100, 1),
            v4(203, 0, 113, 1),
            v4(224, 0, 0, 1),
            v4(255, 255, 255, 255),
            v4(240, 0, 0, 1),
        ] {
            assert!(!is_public(special), "{special}");
        }
        for special in [
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "8.8.8.8",
            "100.63.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1",
            "2a00:1450::1",
            "2001:4860::8888",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
