//! The connection to a node: TLS against the cluster's authority, and the credential on each call.

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
const KEEPALIVE: Duration = Duration::from_secs(20);
/// A call's deadline unless it names another: waking a container from nothing may take a while.
const CALL: Duration = Duration::from_secs(60);

/// Where a cluster is reached, and whom to believe there.
#[derive(Debug, Clone)]
pub struct Target {
    /// `https://HOST:PORT`.
    pub endpoint: String,
    /// The cluster's certificate authority.
    pub ca: ClusterCa,
}

impl Target {
    /// The host name or address in the endpoint.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the endpoint is not `https://HOST:PORT`.
    pub fn authority(&self) -> Result<http::uri::Authority, ClientError> {
        let uri: http::Uri = self.endpoint.parse().map_err(|_| bad_endpoint(&self.endpoint))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("https"), Some(authority)) => Ok(authority.clone()),
            _ => Err(bad_endpoint(&self.endpoint)),
        }
    }

    /// Opens the connection, or says why it cannot be.
    ///
    /// # Errors
    /// [`ClientError::Connect`] or [`ClientError::Usage`].
    pub async fn connect(&self) -> Result<Channel, ClientError> {
        let authority = self.authority()?;
        let failed = |error: tonic::transport::Error| ClientError::Connect {
            endpoint: self.endpoint.clone(),
            why: innermost(&error),
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.ca.pem()))
            .domain_name(host(&authority));
        Endpoint::from_shared(self.endpoint.clone())
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(failed)?
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .connect()
            .await
            .map_err(failed)
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
