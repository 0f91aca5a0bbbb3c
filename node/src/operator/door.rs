//! The operator listener's door: who shook hands, by certificate.

use std::net::SocketAddr;

use ocmt_types::{Digest32, OperatorId};

use crate::{
    pki::{fingerprint, operator_of},
    server::listen::{Admitted, BoxError, Doorman, IDLE, ListenLimits, Resets},
};

/// Bounds of the operator listener.
pub const OPERATOR_LIMITS: ListenLimits = ListenLimits {
    connections: 64,
    per_address: 32,
    streams: 32,
    window: None,
    idle: Some(IDLE),
    resets: Resets::OF_A_CLIENT,
};

/// The operator at the other end of a connection, in each of its requests. Verified against the authority; not
/// yet that the certificate was not revoked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) id: OperatorId,
    pub(super) fingerprint: Digest32,
}

/// Lets operators in. The handshake has checked their certificates already.
pub struct OperatorDoor;

impl Doorman for OperatorDoor {
    fn admit(&self, tls: &rustls::ServerConnection) -> Result<Admitted, BoxError> {
        let leaf = tls.peer_certificates().and_then(<[_]>::first).ok_or("no certificate")?;
        let shown = Shown { id: operator_of(leaf)?, fingerprint: fingerprint(leaf) };
        let mut extensions = http::Extensions::new();
        extensions.insert(shown);
        Ok(Admitted { extensions, cut: Box::pin(std::future::pending()) })
    }

    fn refused(&self, address: SocketAddr, why: &BoxError) {
        tracing::warn!(%address, %why, "refused a connection to the operator listener");
    }
}

/// A certificate as its handshake leaves it.
#[cfg(test)]
pub(crate) fn shown_by(id: OperatorId, fingerprint: Digest32) -> impl Clone + Send + Sync + 'static {
    Shown { id, fingerprint }
}
