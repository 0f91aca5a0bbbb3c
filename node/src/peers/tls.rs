//! TLS between nodes: both sides show a node certificate, and nobody else gets as far as a request.

use std::sync::Arc;

use ocmt_types::NodeId;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Views;
use crate::pki::{
    CaCertificate, PkiError, RevokedNodes, Rotating, Verifier, Wanted, verifying_client, verifying_server,
};

/// This node's certificate, and who it believes. Cheap to clone.
#[derive(Clone)]
pub struct PeerTls {
    own: Arc<Rotating>,
    authority: Arc<CaCertificate>,
    revoked: RevokedNodes,
}

impl PeerTls {
    /// The node of this certificate, in the cluster of this authority. A certificate that replaces it is
    /// shown from then on; connections that live keep theirs.
    pub fn new(own: Arc<Rotating>, authority: CaCertificate, views: Views) -> Self {
        let revoked: RevokedNodes = Arc::new(move |node| views.borrow().revoked.contains(&node));
        Self { own, authority: Arc::new(authority), revoked }
    }

    /// The listener's side: any node of the cluster that is not revoked.
    ///
    /// # Errors
    /// [`PkiError`] if the authority is none.
    pub fn acceptor(&self) -> Result<TlsAcceptor, PkiError> {
        let any = Verifier::new(&self.authority, Wanted::Node(None, self.revoked.clone()))?;
        Ok(TlsAcceptor::from(verifying_server(any, self.own.clone())?))
    }

    /// The dialling side: exactly this node, speaking exactly this protocol.
    pub(super) fn connector(&self, node: NodeId, protocol: &[u8]) -> Result<TlsConnector, PkiError> {
        let this = Verifier::new(&self.authority, Wanted::Node(Some(node), self.revoked.clone()))?;
        Ok(TlsConnector::from(verifying_client(this, self.own.clone(), protocol)?))
    }
}
