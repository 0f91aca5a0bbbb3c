//! What nodes give each other of keys: renewed certificates by the one that has the authority, and the
//! generations of the sealing key by all.
//!
//! The peer's certificate was looked at in the handshake; whether the node was revoked since is read from the
//! database here, since what is handed out outlives the connection.

use ocmt_crypto::{join::seal_sealing_keys, seal::SealPublicKey, sign::VerifyKey};
use ocmt_proto::v1 as pb;
use ocmt_store::Store;
use ocmt_types::{ClusterId, NodeId};
use tonic::Status;

use crate::pki::{Pki, PkiError, Wanting};

/// The key side of NodeService. Cheap to clone.
#[derive(Clone)]
pub struct KeyDesk {
    store: Store,
    pki: Pki,
    cluster: ClusterId,
}

impl KeyDesk {
    /// The desk of this node.
    pub fn new(store: Store, pki: Pki, cluster: ClusterId) -> Self {
        Self { store, pki, cluster }
    }

    /// Answers a node whose certificate holds `key`.
    ///
    /// # Errors
    /// PERMISSION_DENIED for a revoked node, FAILED_PRECONDITION where the authority is not.
    pub async fn renew(
        &self,
        node: NodeId,
        key: &VerifyKey,
        request: pb::RenewCertificateRequest,
    ) -> Result<pb::RenewCertificateResponse, Status> {
        self.not_revoked(node).await?;
        let some = |der: bytes::Bytes| Some(der.to_vec()).filter(|der| !der.is_empty());
        let wanting = Wanting {
            node: some(request.certificate_request_der),
            listener: some(request.listener_request_der),
        };
        let renewed = self.pki.renew_for(node, key, &wanting).map_err(|error| match error {
            PkiError::NoAuthority => Status::failed_precondition(error.to_string()),
            PkiError::Request(why) => Status::invalid_argument(why),
            error => {
                tracing::error!(%node, %error, "a certificate cannot be renewed");
                Status::unavailable("the certificate cannot be made now")
            }
        })?;
        tracing::info!(%node, "renewed the certificates of a node");
        let wire = |chain: Vec<rustls_pki_types::CertificateDer<'static>>| {
            chain.iter().map(|der| der.to_vec().into()).collect()
        };
        Ok(pb::RenewCertificateResponse {
            certificate_chain_der: wire(renewed.node),
            listener_chain_der: wire(renewed.listener),
        })
    }

    /// The generations held here, sealed to that node's key.
    ///
    /// # Errors
    /// PERMISSION_DENIED for a revoked node, INVALID_ARGUMENT for a key that nothing can be sealed to.
    pub async fn sealing_keys(
        &self,
        node: NodeId,
        request: pb::TakeSealingKeysRequest,
    ) -> Result<pb::TakeSealingKeysResponse, Status> {
        self.not_revoked(node).await?;
        let wrong = || Status::invalid_argument("recipient_key: is no X25519 public key to seal to");
        let to = <[u8; 32]>::try_from(request.recipient_key.as_ref()).map_err(|_| wrong())?;
        let keys = self.pki.sealing().now();
        let sealed = seal_sealing_keys(&keys, self.cluster, node, &SealPublicKey(to), &mut rand::rng());
        Ok(pb::TakeSealingKeysResponse { sealed_sealing_keys: sealed.map_err(|_| wrong())?.into() })
    }

    async fn not_revoked(&self, node: NodeId) -> Result<(), Status> {
        let seen = self.store.cluster().observe().await;
        let seen = seen.map_err(|_| Status::unavailable("the database does not answer"))?;
        if seen.revoked.contains(&node) {
            tracing::warn!(%node, "a revoked node asked for keys");
            return Err(Status::permission_denied("this node was revoked"));
        }
        Ok(())
    }
}
