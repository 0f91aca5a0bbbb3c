//! What a node keeps up by itself: certificates that end are renewed, a new generation of the sealing key is
//! fetched, and the node empties itself when an operator says so. Each compares what is with what should be,
//! again and again: nothing is lost with a message.

use std::{sync::Arc, time::Duration};

use ocmt_actors::System;
use ocmt_cluster::View;
use ocmt_crypto::{
    join::open_sealing_keys,
    seal::SealSecretKey,
    sealing::{SealingKey, SealingKeys},
};
use ocmt_proto::v1 as pb;
use ocmt_store::{
    Store,
    tables::{NodeState, SealingGeneration},
};
use ocmt_types::{ClusterId, NodeId};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    peers::{Peer, Pool},
    pki::{Pki, Renewed, Wanting},
    tasks,
};

const CERTIFICATES: Duration = Duration::from_secs(60);
const GENERATIONS: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// What it is kept up with.
#[derive(Clone)]
pub struct Upkeep {
    /// Durable state.
    pub store: Store,
    /// This node's keys.
    pub pki: Pki,
    /// Which cluster.
    pub cluster: ClusterId,
    /// The cluster as observed last.
    pub views: watch::Receiver<Arc<View>>,
    /// Other nodes; none for a node alone.
    pub pool: Option<Pool>,
}

impl Upkeep {
    /// Keeps certificates and sealing keys fresh until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let certificates = async {
            loop {
                self.renew().await;
                tokio::time::sleep(CERTIFICATES).await;
            }
        };
        let generations = async {
            loop {
                self.fetch().await;
                tokio::time::sleep(GENERATIONS).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = certificates => {}
            () = generations => {}
        }
    }

    fn own(&self) -> NodeId {
        self.pki.identity().id()
    }

    fn others(&self) -> Vec<Peer> {
        let own = self.own();
        self.views.borrow().nodes.values().filter(|peer| peer.node_id != own).cloned().collect()
    }

    async fn renew(&self) {
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
        let pool = self.pool.as_ref().ok_or("there are no links to other nodes")?;
        let request = pb::RenewCertificateRequest {
            certificate_request_der: wanting.node.clone().unwrap_or_default().into(),
            listener_request_der: wanting.listener.clone().unwrap_or_default().into(),
        };
        let mut node = pool.node(peer).await.map_err(|error| format!("{error:?}"))?;
        let answer = tokio::time::timeout(ANSWER, node.renew_certificate(request)).await;
        let answer =
            answer.map_err(|_| "no answer")?.map_err(|status| status.message().to_owned())?.into_inner();
        let chain =
            |ders: Vec<bytes::Bytes>| ders.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        let renewed =
            Renewed { node: chain(answer.certificate_chain_der), listener: chain(answer.listener_chain_der) };
        self.pki.install(renewed).map_err(|error| error.to_string())
    }

    async fn fetch(&self) {
        let latest = match self.store.operators().latest_generation().await {
            Ok(Some(latest)) => latest,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "the generations of the sealing key cannot be read");
                return;
            }
        };
        let Ok(generation) = u32::try_from(latest.generation) else { return };
        if self.pki.sealing().now().latest() >= Some(generation) {
            return;
        }
        // this node was to make it and did not get as far: nobody has it, so it is made now
        if latest.made_by == self.own() {
            if let Err(error) = self.pki.make_generation(generation) {
                tracing::error!(generation, %error, "the sealing key cannot be kept");
            }
            return;
        }
        self.fetch_from_others(&latest, generation).await;
    }

    async fn fetch_from_others(&self, latest: &SealingGeneration, generation: u32) {
        let mut others = self.others();
        // its maker first
        others.sort_by_key(|peer| peer.node_id != latest.made_by);
        for peer in others {
            match self.take_from(&peer).await {
                Ok(keys) if keys.latest() >= Some(generation) => {
                    let more: Vec<_> = keys.generations().map(SealingKey::duplicate).collect();
                    match self.pki.hold_also(more) {
                        Ok(()) => tracing::info!(generation, from = %peer.node_id, "took a new sealing key"),
                        Err(error) => tracing::error!(generation, %error, "the sealing key cannot be kept"),
                    }
                    return;
                }
                Ok(_) => {}
                Err(why) => tracing::debug!(peer = %peer.node_id, why, "no sealing keys from that node"),
            }
        }
        tracing::warn!(generation, maker = %latest.made_by, "no node that answers has the newest sealing key");
    }

    async fn take_from(&self, peer: &Peer) -> Result<SealingKeys, String> {
        let pool = self.pool.as_ref().ok_or("there are no links to other nodes")?;
        let secret = SealSecretKey::generate(&mut rand::rng());
        let request = pb::TakeSealingKeysRequest { recipient_key: secret.public().0.to_vec().into() };
        let mut node = pool.node(peer).await.map_err(|error| format!("{error:?}"))?;
        let answer = tokio::time::timeout(ANSWER, node.take_sealing_keys(request)).await;
        let answer =
            answer.map_err(|_| "no answer")?.map_err(|status| status.message().to_owned())?.into_inner();
        open_sealing_keys(&secret, self.cluster, self.own(), &answer.sealed_sealing_keys)
            .map_err(|_| "the sealing keys do not open".to_owned())
    }
}

/// Empties the node when its own state says draining, and lets it take tenants again when it is live.
pub async fn follow(
    own: NodeId,
    mut views: watch::Receiver<Arc<View>>,
    system: System,
    patience: Duration,
    stop: CancellationToken,
) {
    let mut draining = false;
    loop {
        let state = views.borrow_and_update().nodes.get(&own).map(|node| node.state);
        match state {
            Some(NodeState::Draining) if !draining => {
                draining = true;
                tracing::info!("this node empties itself");
                let system = system.clone();
                tasks::spawn(async move {
                    if let Err(error) = system.drain(patience, watch::Sender::new(0)).await {
                        tracing::warn!(%error, "not every tenant was given up in time");
                    }
                });
            }
            Some(NodeState::Live) if draining => {
                draining = false;
                tracing::info!("this node takes tenants again");
                system.resume();
            }
            _ => {}
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}
