//! Where the listeners are, and what others call them.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::{StartError, clients::ClientSide};
use crate::{config::Config, local::Endpoints};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1_024;

/// An address that is this node's, and refuses connections until it listens. One that listened while the node
/// still waits for its place would have the kernel take connections that nobody answers: callers would wait
/// instead of asking another node.
pub(super) struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    /// Takes the address.
    ///
    /// # Errors
    /// Somebody else has it.
    pub(super) fn take(address: SocketAddr) -> Result<Self, StartError> {
        let refused = |source| StartError::Listen { address, source };
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(refused)?;
        // connections of the life before, or of the process before, may still be closing
        socket.set_reuseaddr(true).map_err(refused)?;
        socket.bind(address).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, address })
    }

    /// Which it is, with the port that the kernel chose where 0 was asked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are taken.
    ///
    /// # Errors
    /// Somebody else listens there.
    pub(super) fn listen(self) -> Result<TcpListener, StartError> {
        let address = self.address;
        self.socket.listen(BACKLOG).map_err(|source| StartError::Listen { address, source })
    }
}

/// What the listeners are called.
pub(super) fn endpoints(config: &Config, side: &ClientSide, telemetry: SocketAddr) -> Endpoints {
    let client = side.address();
    let public = config.listen.public_url.trim_end_matches('/');
    Endpoints {
        client: if public.is_empty() { format!("https://{client}") } else { public.to_owned() },
        telemetry: format!("http://{telemetry}"),
        operators: None,
        redirect: side.redirect(),
    }
}

/// The host of an `https` URL.
pub(super) fn public_host(url: &str) -> Option<&str> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.trim_start_matches('[').trim_end_matches(']')).filter(|host| !host.is_empty())
}
