//! Where the listeners are, and what others call them.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;
use crate::{config::Config, local::Endpoints};

/// A listener there.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// What the bound listeners are called.
pub(super) fn endpoints(
    config: &Config,
    client: &TcpListener,
    telemetry: &TcpListener,
) -> Result<Endpoints, StartError> {
    let at = |listener: &TcpListener, address| {
        listener.local_addr().map_err(|source| StartError::Listen { address, source })
    };
    let client_address = at(client, config.listen.client)?;
    let public = config.listen.public_url.trim_end_matches('/');
    Ok(Endpoints {
        client: if public.is_empty() { format!("https://{client_address}") } else { public.to_owned() },
        telemetry: format!("http://{}", at(telemetry, config.listen.telemetry)?),
        operators: None,
    })
}

/// The host of an `https` URL.
pub(super) fn public_host(url: &str) -> Option<&str> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.trim_start_matches('[').trim_end_matches(']')).filter(|host| !host.is_empty())
}
