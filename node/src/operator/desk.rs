//! What nodes give each other of keys: renewed certificates by the one that has the authority, and the
//! generations of the sealing key by all.
//!
//! The peer's certificate was looked at in the handshake; whether the node was revoked since is read from the
//! database here, since what is handed out outlives the connection.

use ocmt_crypto::{
    audit::checkpoint::NoteKey, join::seal_sealing_keys, seal::SealPublicKey, sign::VerifyKey,
};
use ocmt_proto::v1 as pb;
use ocmt_store::Store;
use ocmt_types::{ClusterId, NodeId};
use tonic::Status;

use super::node_key::told_key;
use crate::pki::{NextWanted, Pki, PkiError, ServerNames, Wanting};

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
        self.not_replaced(node, key).await?;
        let some = |der: bytes::Bytes| Some(der.to_vec()).filter(|der| !der.is_empty());
        let wanting = Wanting {
            node: some(request.certificate_request_der),
            listener: some(request.listener_request_der),
        };
        let next = some(request.next_request_der);
        let next = next.map(|der| NextWanted { request: der, introduction: request.next_introduction });
        let names = self.names_of(node).await?;
        let refuse = |error| match error {
            PkiError::NoAuthority => Status::failed_precondition(error.to_string()),
            PkiError::Request(why) => Status::invalid_argument(why),
            error => {
                tracing::error!(%node, %error, "a certificate cannot be renewed");
                Status::unavailable("the certificate cannot be made now")
            }
        };
        let renewed = self.pki.renew_for(node, key, &names, &wanting).map_err(refuse)?;
        let next =
            next.map(|wanted| self.pki.certify_next(node, key, &wanted)).transpose().map_err(refuse)?;
        tracing::info!(%node, "renewed the certificates of a node");
        let wire = |chain: Vec<rustls_pki_types::CertificateDer<'static>>| {
            chain.iter().map(|der| der.to_vec().into()).collect()
        };
        Ok(pb::RenewCertificateResponse {
            certificate_chain_der: wire(renewed.node),
            listener_chain_der: wire(renewed.listener),
            next_chain_der: wire(next.unwrap_or_default()),
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

    /// What the node's listeners were given when it was let in; nothing to a node that never was.
    async fn names_of(&self, node: NodeId) -> Result<ServerNames, Status> {
        let joined = self.store.operators().joined_node(node).await;
        let joined = joined.map_err(|_| Status::unavailable("the database does not answer"))?;
        Ok(joined.map_or_else(ServerNames::default, |joined| ServerNames::from_text(&joined.names)))
    }

    /// A key that a later one has taken the place of is certified no more: whoever has a copy of it would keep it good.
    async fn not_replaced(&self, node: NodeId, key: &VerifyKey) -> Result<(), Status> {
        let told = told_key(&self.store, node).await;
        let told = told.map_err(|_| Status::unavailable("the database does not answer"))?;
        if told.is_some_and(|told| told != NoteKey::of_node(node, *key).to_text()) {
            tracing::warn!(%node, "a certificate was asked for with a key that was replaced");
            return Err(Status::permission_denied("this key of the node was replaced"));
        }
        Ok(())
    }

    async fn not_revoked(&self, node: NodeId) -> Result<(), Status> {
        let seen = self.store.cluster().observe().await;
        let seen = seen.map_err(|_| Status::unavailable("the database does not answer"))?;
        if seen.revoked.nodes.contains(&node) {
            tracing::warn!(%node, "a revoked node asked for keys");
            return Err(Status::permission_denied("this node was revoked"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use ocmt_actors::NodeSigner as _;
    use ocmt_crypto::{join::open_sealing_keys, seal::SealSecretKey};
    use ocmt_store::testing::{TestNode, id, remove};
    use ocmt_types::{RandomIds, SystemClock, Timestamp};
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_removed_node_gets_no_keys_and_a_living_one_no_names_that_it_was_not_given() {
        let (folder, store) = (tempfile::tempdir().unwrap(), Store::sim());
        let cluster = store.cluster().cluster(id(9), Timestamp(0)).await.unwrap().cluster_id;
        let names = ServerNames::of(&[], []);
        let pki = Pki::open(folder.path(), true, names.clone(), Arc::new(SystemClock), &RandomIds).unwrap();
        let (desk, node) = (KeyDesk::new(store.clone(), pki.clone(), cluster), id::<NodeId>(2));
        TestNode::start(&store, 2).await.unwrap();
        let secret = SealSecretKey::generate(&mut rand::rng());
        let take = || {
            let request = pb::TakeSealingKeysRequest { recipient_key: secret.public().0.to_vec().into() };
            desk.sealing_keys(node, request)
        };
        let given = take().await.unwrap().sealed_sealing_keys;
        assert_eq!(open_sealing_keys(&secret, cluster, node, &given).unwrap().latest(), Some(1));

        let key = pki.identity().verify_key();
        let listener = crate::pki::ListenerKey::load_or_create(folder.path()).unwrap();
        let renew = || {
            let listener_request_der = listener.request(&names).unwrap().into();
            let request = pb::RenewCertificateRequest { listener_request_der, ..Default::default() };
            desk.renew(node, &key, request)
        };
        assert_eq!(renew().await.unwrap_err().code(), Code::InvalidArgument, "it was given no names");

        let _ = remove(&store, node, false).await.unwrap();
        assert_eq!(take().await.unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(renew().await.unwrap_err().code(), Code::PermissionDenied);
    }
}
