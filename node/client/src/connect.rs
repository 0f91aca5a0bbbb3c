//! Connections to nodes: TLS against the cluster's authority, and the credential on each call.

use std::{sync::Arc, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use zeroize::Zeroizing;

use crate::{ClientError, ca::ClusterCa};

const CONNECT: Duration = Duration::from_secs(5);
/// A call that waits for a node that is gone without a word is known to be lost after twice this, and repeated.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// A call's deadline unless it names another: waking a container from nothing may take a while.
pub(crate) const CALL: Duration = Duration::from_secs(60);

/// Where a cluster is reached, and whom to believe there.
#[derive(Debug, Clone)]
pub struct Target {
    /// `https://HOST:PORT`; several with commas between them, the preferred first.
    pub endpoint: String,
    /// The cluster's certificate authority.
    pub ca: ClusterCa,
}

impl Target {
    /// The endpoints, the preferred first.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoint.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty())
    }

    /// The same authority at this endpoint alone.
    #[must_use]
    pub fn at(&self, endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), ca: self.ca.clone() }
    }

    /// The host and port of the first endpoint.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it is not `https://HOST:PORT`.
    pub fn authority(&self) -> Result<http::uri::Authority, ClientError> {
        authority(self.endpoints().next().unwrap_or_default())
    }

    /// Opens a connection to the first endpoint, or says why it cannot be.
    ///
    /// # Errors
    /// [`ClientError::Connect`] or [`ClientError::Usage`].
    pub async fn connect(&self) -> Result<Channel, ClientError> {
        let endpoint = self.endpoints().next().unwrap_or_default();
        self.channel(endpoint)?.connect().await.map_err(|error| Self::failed(endpoint, &error))
    }

    /// How connections to `endpoint` are made.
    pub(crate) fn channel(&self, endpoint: &str) -> Result<Endpoint, ClientError> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.ca.pem()))
            .domain_name(host(&authority(endpoint)?));
        let described = Endpoint::from_shared(endpoint.to_owned()).and_then(|it| it.tls_config(tls));
        Ok(described
            .map_err(|error| Self::failed(endpoint, &error))?
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE))
    }

    pub(crate) fn failed(endpoint: &str, error: &tonic::transport::Error) -> ClientError {
        ClientError::Connect { endpoint: endpoint.to_owned(), why: innermost(error) }
    }
}

fn authority(endpoint: &str) -> Result<http::uri::Authority, ClientError> {
    let uri: http::Uri = endpoint.parse().map_err(|_| bad_endpoint(endpoint))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("https"), Some(authority)) => Ok(authority.clone()),
        _ => Err(bad_endpoint(endpoint)),
    }
}

/// The host without brackets around an IPv6 address.
pub(crate) fn host(authority: &http::uri::Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}

fn bad_endpoint(endpoint: &str) -> ClientError {
    ClientError::Usage(format!("`{endpoint}` is not an endpoint: write it as https://HOST:PORT"))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A credential: a session token or an API key. Shared by clones, wiped with the last.
#[derive(Clone)]
pub struct Credential(Arc<Zeroizing<String>>);

impl Credential {
    /// Takes the token in.
    pub fn new(token: String) -> Self {
        Self(Arc::new(Zeroizing::new(token)))
    }

    /// The token, for storing it in the user's own state.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Puts the credential on each call; without one, calls go out without.
#[derive(Clone, Default)]
pub struct Bearer(pub Option<Credential>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(credential) = &self.0 {
            let mut value: MetadataValue<Ascii> = format!("Bearer {}", credential.expose())
                .parse()
                .map_err(|_| Status::unauthenticated("the stored token is damaged: sign in again"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}
