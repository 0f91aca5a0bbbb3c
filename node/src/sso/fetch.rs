//! HTTPS to a server that a tenant has named: to public addresses alone, without redirects, bounded in size and time.
//!
//! Who runs a tenant is not who runs the node. What a tenant names must not reach what only the node's machine reaches,
//! so the address that is checked is the address that is connected to.

use std::{collections::BTreeSet, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use ocmt_runtime::egress::{Internet, Network as _};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;

use crate::cells::outgoing;

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
    /// Name, in lower case, and port; none for every host.
    only: BTreeSet<(String, u16)>,
    at_once: Semaphore,
}

impl Fetch {
    /// Over this TLS.
    pub fn new(tls: TlsConnector, reaches_all: bool) -> Self {
        Self { tls, reaches_all, only: BTreeSet::new(), at_once: Semaphore::new(AT_ONCE) }
    }

    /// To these hosts alone, `host` or `host:port`, if any are named.
    #[must_use]
    pub fn only(mut self, hosts: &[String]) -> Self {
        self.only = hosts.iter().filter_map(|host| outgoing::parse(host)).collect();
        self
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        timeout(LASTS, self.ask(request)).await.unwrap_or(Err(FetchError::Failed("does not answer in time")))
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
        let port = authority.port_u16().unwrap_or(443);
        if !self.only.is_empty() && !self.only.contains(&(host.to_ascii_lowercase(), port)) {
            return Err(FetchError::Refused("is not among the hosts that this node's operator allows"));
        }
        let tcp = connect(&host, port, self.reaches_all).await?;
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

/// A connection to a name's address, which is a public one and not this machine's own unless `reaches_all`.
pub(crate) async fn connect(host: &str, port: u16, reaches_all: bool) -> Result<TcpStream, FetchError> {
    let found =
        tokio::net::lookup_host((host, port)).await.map_err(|_| FetchError::Failed("is not found"))?;
    let found: Vec<SocketAddr> = found.collect();
    let internet = Internet::without(Vec::new());
    if !reaches_all && found.iter().any(|address| internet.refuses(address.ip())) {
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
        Box::pin(self.fetch(request))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn of_hosts_that_an_operator_names_no_other_is_asked() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = here.local_addr().unwrap().port();
        let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
        let tls = TlsConnector::from(std::sync::Arc::new(tls.with_no_client_auth()));
        let named = Fetch::new(tls, true).only(&[format!("localhost:{port}"), "id.example".to_owned()]);
        let ask = async |uri: String| {
            named.fetch(Request::get(uri).body(Vec::new()).unwrap()).await.err().unwrap().to_string()
        };
        for other in [
            format!("https://127.0.0.1:{port}/"),
            "https://localhost/".to_owned(),
            "https://id.example:444/".to_owned(),
        ] {
            assert!(ask(other.clone()).await.contains("this node's operator allows"), "{other}");
        }
        // it is connected to: what listens there shows no certificate
        let closes = async { drop(here.accept().await) };
        let (why, ()) = tokio::join!(ask(format!("https://LOCALHOST:{port}/")), closes);
        assert!(why.contains("certificate"), "{why}");
    }

    #[tokio::test]
    async fn what_only_this_machine_reaches_is_refused_before_it_is_connected_to() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = here.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let refused = connect(host, port, false).await;
            assert!(matches!(refused, Err(FetchError::Refused(_))), "{host}: {refused:?}");
        }
        assert!(connect("127.0.0.1", port, true).await.is_ok());
    }
}
