//! What a node keeps up of its certificates: that which it has is renewed, that of its next key is fetched, and which key counts is
//! said in the cluster's audit.

use ocmt_proto::v1 as pb;
use rustls_pki_types::CertificateDer;

use super::{
    node_key::tell_key,
    upkeep::{ANSWER, Upkeep},
};
use crate::{
    peers::Peer,
    pki::{Renewed, Wanting},
};

impl Upkeep {
    /// Whether nothing is left to say.
    pub(super) async fn tell_key(&self) -> bool {
        let told = tell_key(&self.store, &self.pki, &*self.clock, &*self.ids).await;
        told.unwrap_or_else(|error| {
            tracing::debug!(%error, "that this node has another key is not recorded yet");
            false
        })
    }

    /// Has the node's next key certified, if there is one.
    pub(super) async fn certify_next(&self) {
        let wanted = match self.pki.next_wanted() {
            Ok(None) => return,
            Ok(Some(wanted)) => wanted,
            Err(error) => {
                tracing::error!(%error, "the node's next key cannot be read");
                return;
            }
        };
        for peer in self.others() {
            let request = pb::RenewCertificateRequest {
                next_request_der: wanted.request.clone().into(),
                next_introduction: wanted.introduction.clone(),
                ..Default::default()
            };
            let certified = match self.ask(&peer, request).await {
                Ok(answer) => {
                    self.pki.install_next(&chain(&answer.next_chain_der)).map_err(|error| error.to_string())
                }
                Err(why) => Err(why),
            };
            match certified {
                Ok(()) => {
                    tracing::info!(by = %peer.node_id, "the node's next key is certified: its next start takes it");
                    return;
                }
                Err(why) => tracing::debug!(peer = %peer.node_id, why, "no certificate from that node"),
            }
        }
        tracing::warn!("no node has certified this node's next key: is the one with the authority up?");
    }

    /// Has certificates renewed that end.
    pub(super) async fn renew(&self) {
        let wanting = match self.pki.wanting() {
            Ok(None) => return,
            Ok(Some(wanting)) => wanting,
            Err(error) => {
                tracing::error!(%error, "a certificate cannot be renewed");
                return;
            }
        };
        for peer in self.others() {
            match self.ask_for(&peer, &wanting).await {
                Ok(()) => {
                    tracing::info!(by = %peer.node_id, "renewed this node's certificates");
                    return;
                }
                Err(why) => tracing::debug!(peer = %peer.node_id, why, "no certificate from that node"),
            }
        }
        tracing::warn!("no node has renewed this node's certificates: is the one with the authority up?");
    }

    async fn ask_for(&self, peer: &Peer, wanting: &Wanting) -> Result<(), String> {
        let request = pb::RenewCertificateRequest {
            certificate_request_der: wanting.node.clone().unwrap_or_default().into(),
            listener_request_der: wanting.listener.clone().unwrap_or_default().into(),
            ..Default::default()
        };
        let answer = self.ask(peer, request).await?;
        let renewed = Renewed {
            node: chain(&answer.certificate_chain_der),
            listener: chain(&answer.listener_chain_der),
        };
        self.pki.install(renewed).map_err(|error| error.to_string())
    }

    async fn ask(
        &self,
        peer: &Peer,
        request: pb::RenewCertificateRequest,
    ) -> Result<pb::RenewCertificateResponse, String> {
        let pool = self.pool.as_ref().ok_or("there are no links to other nodes")?;
        let mut node = pool.node(peer).await.map_err(|error| format!("{error:?}"))?;
        let answer = tokio::time::timeout(ANSWER, node.renew_certificate(request)).await;
        Ok(answer.map_err(|_| "no answer")?.map_err(|status| status.message().to_owned())?.into_inner())
    }
}

fn chain(ders: &[bytes::Bytes]) -> Vec<CertificateDer<'static>> {
    ders.iter().map(|der| CertificateDer::from(der.to_vec())).collect()
}
