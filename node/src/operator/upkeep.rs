//! What a node keeps up by itself: certificates that end are renewed, a new generation of the sealing key is
//! fetched, and the node empties itself when an operator says so. Each compares what is with what should be,
//! again and again: nothing is lost with a message.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ocmt_actors::System;
use ocmt_cluster::View;
use ocmt_crypto::{
    join::open_sealing_keys,
    seal::SealSecretKey,
    sealing::{SealingKey, SealingKeys},
};
use ocmt_proto::v1 as pb;
use ocmt_store::{
    MayHold, Store,
    tables::{NodeState, SealingGeneration},
};
use ocmt_types::{Clock, ClusterId, IdGen, NodeId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::sealing::Retiring;
use crate::{
    peers::{Peer, Pool},
    pki::Pki,
    tasks,
};

const CERTIFICATES: Duration = Duration::from_secs(60);
/// An operator waits for it.
const NEXT_KEY: Duration = Duration::from_secs(10);
const GENERATIONS: Duration = Duration::from_secs(2);
pub(super) const ANSWER: Duration = Duration::from_secs(5);

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
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdGen>,
}

impl Upkeep {
    /// Keeps certificates and sealing keys fresh until `stop`, and what `system` has under the latter.
    pub async fn run(self, system: System, stop: CancellationToken) {
        let certificates = async {
            let mut told = false;
            loop {
                told = told || self.tell_key().await;
                self.renew().await;
                tokio::time::sleep(CERTIFICATES).await;
            }
        };
        let next_key = async {
            loop {
                self.certify_next().await;
                tokio::time::sleep(NEXT_KEY).await;
            }
        };
        let generations = async {
            loop {
                self.fetch().await;
                // from when a generation is met its time runs, whoever asks for keys and when
                if let Err(error) = system.gateway_keys() {
                    tracing::error!(%error, "gateway tokens cannot be looked at");
                }
                tokio::time::sleep(GENERATIONS).await;
            }
        };
        let retiring = self.retiring();
        let earlier = async {
            loop {
                if let Err(error) = retiring.round(&system).await {
                    tracing::debug!(%error, "earlier sealing keys stay for now");
                }
                tokio::time::sleep(GENERATIONS).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = certificates => {}
            () = next_key => {}
            () = generations => {}
            () = earlier => {}
        }
    }

    fn retiring(&self) -> Retiring {
        let Self { store, pki, clock, ids, .. } = self.clone();
        Retiring { store, pki, clock, ids, met: Arc::default() }
    }

    pub(super) fn own(&self) -> NodeId {
        self.pki.identity().id()
    }

    pub(super) fn others(&self) -> Vec<Peer> {
        let own = self.own();
        self.views.borrow().nodes.values().filter(|peer| peer.node_id != own).cloned().collect()
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
        if let Some(until) = latest.overlap_until {
            self.pki.sealing().overlap(generation, until);
        }
        if let Err(error) = self.retiring().erase(&latest) {
            tracing::error!(%error, "earlier sealing keys cannot be erased");
        }
        if self.pki.sealing().now().latest() >= Some(generation) {
            return;
        }
        let view = self.views.borrow().clone();
        if self.pool.is_some() && !view.nodes.contains_key(&self.own()) {
            // who else lives is not known yet
            return;
        }
        self.obtain(&latest, generation, &self.others(), self).await;
    }

    /// Takes a generation from whoever of `others` has it. If this node was to make it and nobody can have it, it is
    /// made now. Asked comes first even so: a node that came back with an older copy of its disk would make another
    /// key for a generation that is in use.
    async fn obtain(
        &self,
        latest: &SealingGeneration,
        generation: u32,
        others: &[Peer],
        holders: &impl Holders,
    ) {
        let (mut lacking, mut silent) = (BTreeSet::new(), BTreeSet::new());
        // its maker first
        let (makers, rest): (Vec<_>, Vec<_>) = others.iter().partition(|peer| peer.node_id == latest.made_by);
        for peer in makers.into_iter().chain(rest) {
            match holders.take_from(peer).await {
                Ok(keys) if keys.generations().any(|key| key.generation() == generation) => {
                    let more: Vec<_> = keys.generations().map(SealingKey::duplicate).collect();
                    match self.pki.hold_also(more) {
                        Ok(()) => tracing::info!(generation, from = %peer.node_id, "took a new sealing key"),
                        Err(error) => tracing::error!(generation, %error, "the sealing key cannot be kept"),
                    }
                    return;
                }
                Ok(_) => {
                    lacking.insert(peer.node_id);
                }
                Err(why) => {
                    silent.insert(peer.node_id);
                    tracing::debug!(peer = %peer.node_id, why, "no sealing keys from that node");
                }
            }
        }
        if latest.made_by != self.own() {
            tracing::warn!(generation, maker = %latest.made_by, "no node that answers has the newest sealing key");
            return;
        }
        match self.store.operators().may_hold(generation, self.own()).await {
            Ok(MayHold { own: true, .. }) => {
                tracing::error!(
                    generation,
                    "this node wrapped under the newest sealing key and has it no more: its disk is of before. Put the \
                     key back from its backup, or revoke the node and let a new one join"
                );
                return;
            }
            Ok(MayHold { others, .. }) => silent.extend(others.difference(&lacking)),
            Err(error) => {
                tracing::debug!(%error, "who may have the newest sealing key cannot be read");
                return;
            }
        }
        if let Some(node) = silent.first() {
            tracing::warn!(
                generation,
                %node,
                "that node may have the newest sealing key, which this one was to make: start it, or revoke it"
            );
            return;
        }
        match self.pki.make_generation(generation) {
            Ok(()) => tracing::info!(generation, "made a sealing key that nobody had"),
            Err(error) => tracing::error!(generation, %error, "the sealing key cannot be kept"),
        }
    }
}

/// Nodes that can be asked for their sealing keys.
trait Holders {
    /// What `peer` holds; why not, if it gave no answer.
    fn take_from(&self, peer: &Peer) -> impl Future<Output = Result<SealingKeys, String>> + Send;
}

impl Holders for Upkeep {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use ocmt_store::{
        Revocations,
        testing::{id, life_of},
    };
    use ocmt_types::{RandomIds, SystemClock, Timestamp};

    use super::*;
    use crate::pki::ServerNames;

    /// What each node answers; none of one that does not.
    struct Answers(BTreeMap<NodeId, Option<Pki>>);

    impl Holders for Answers {
        async fn take_from(&self, peer: &Peer) -> Result<SealingKeys, String> {
            let pki = self.0[&peer.node_id].as_ref().ok_or("it is away")?;
            let held = pki.sealing().now();
            Ok(SealingKeys::new(held.generations().map(SealingKey::duplicate)))
        }
    }

    fn node() -> (Pki, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let names = ServerNames::of(&[], []);
        let pki = Pki::open(folder.path(), true, names, Arc::new(SystemClock), &RandomIds).unwrap();
        (pki, folder)
    }

    fn key(pki: &Pki, generation: u32) -> Option<[u8; 32]> {
        let held = pki.sealing().now();
        held.generations().find(|key| key.generation() == generation).map(|key| *key.expose())
    }

    /// A node that was to make generation 2 and does not hold it asks nodes 1 and 2, who answer so.
    async fn obtained(first: Option<&Pki>, second: Option<&Pki>) -> Option<[u8; 32]> {
        let answers = BTreeMap::from([(id(1), first.cloned()), (id(2), second.cloned())]);
        obtained_with(&Store::sim(), answers).await
    }

    /// The same with a database of its own, and of whoever lives.
    async fn obtained_with(store: &Store, answers: BTreeMap<NodeId, Option<Pki>>) -> Option<[u8; 32]> {
        let (pki, _folder) = node();
        obtained_by(&pki, store, answers).await
    }

    /// The same of a certain node.
    async fn obtained_by(
        pki: &Pki,
        store: &Store,
        answers: BTreeMap<NodeId, Option<Pki>>,
    ) -> Option<[u8; 32]> {
        let made_by = pki.identity().id();
        let upkeep = Upkeep {
            store: store.clone(),
            pki: pki.clone(),
            cluster: id(9),
            views: watch::Sender::new(Arc::default()).subscribe(),
            pool: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        };
        let latest = SealingGeneration {
            generation: 2,
            made_by,
            made_at: Timestamp(0),
            alone_since: None,
            overlap_until: None,
        };
        let living = [1, 2].map(life_of).into_iter().filter(|node| answers.contains_key(&node.node_id));
        let others: Vec<Peer> = living.map(Peer::from).collect();
        upkeep.obtain(&latest, 2, &others, &Answers(answers)).await;
        key(pki, 2)
    }

    #[tokio::test]
    async fn a_generation_that_a_node_made_and_lost_is_taken_from_who_has_it() {
        let ((with, _a), (without, _b)) = (node(), node());
        with.make_generation(2).unwrap();
        let known = key(&with, 2);
        assert_eq!(obtained(Some(&without), Some(&with)).await, known);
        assert_eq!(obtained(None, Some(&with)).await, known);
        assert_eq!(obtained(Some(&without), None).await, None, "who is away may have it");
        let made = obtained(Some(&without), Some(&without)).await;
        assert!(made.is_some() && made != known, "nobody has it, so its maker makes it");
    }

    #[tokio::test]
    async fn a_generation_is_not_made_anew_beside_a_node_that_may_have_it() {
        let (without, _folder) = node();
        let lacks = |nodes: &[u64]| nodes.iter().map(|n| (id(*n), Some(without.clone()))).collect();
        let store = Store::sim();
        store.cluster().cluster(id(9), Timestamp(0)).await.unwrap();
        store.cluster().register(&life_of(2)).await.unwrap();
        assert_eq!(obtained_with(&store, BTreeMap::new()).await, None, "node 2 is down and was not asked");
        assert_eq!(obtained_with(&store, lacks(&[1])).await, None, "it may have taken it before it fell");
        assert!(obtained_with(&store, lacks(&[1, 2])).await.is_some(), "nobody has it");
        let revoked = Revocations { nodes: BTreeSet::from([id(2)]), ..Revocations::default() };
        store.cluster().revoke_again(id(1), &revoked, id(7), Timestamp(1)).await.unwrap();
        assert!(obtained_with(&store, lacks(&[1])).await.is_some(), "node 2 is revoked");
    }

    #[tokio::test]
    async fn a_node_that_wrapped_under_a_key_and_lost_it_makes_no_other() {
        let (pki, _folder) = node();
        let store = Store::sim();
        store.operators().wraps_under(pki.identity().id(), 2).await.unwrap();
        assert_eq!(obtained_by(&pki, &store, BTreeMap::new()).await, None);
    }
}
