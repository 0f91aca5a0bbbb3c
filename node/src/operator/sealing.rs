//! Earlier generations of the sealing key go: what is wrapped under them is wrapped under the latest, and when
//! nothing is and nobody wraps under one any more, every node erases them.
//!
//! A node says that it wraps under the latest once it has held it for [`SETTLED`]: by then every transaction that
//! began before has ended; gateway tokens of the generation before are looked at with a public key. When all living nodes
//! have said so and no row is under an earlier one, one of them writes that down, and each erases what it has.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_actors::System;
use ocmt_crypto::{
    audit::{Actor, Outcome},
    sealing::SealingKey,
};
use ocmt_store::{ClusterAct, Rewrap, Store, StoreError, tables::SealingGeneration};
use ocmt_types::{Clock, Deadline, IdGen};

use crate::pki::{Pki, PkiError};

/// How long a generation is held before this node has nothing in hand of those before it.
pub(super) const SETTLED: Duration = Duration::from_secs(60);
/// Tenants asked for at a time.
const PAGE: u32 = 64;
/// One tenant may take so long.
const TENANT: Duration = Duration::from_secs(10);

/// Why a round came to nothing; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RetireError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] PkiError),
}

/// This node's part in it.
#[derive(Clone)]
pub(super) struct Retiring {
    pub(super) store: Store,
    pub(super) pki: Pki,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdGen>,
    /// The latest generation met here, and when (boot time).
    pub(super) met: Arc<Mutex<(u32, Duration)>>,
}

impl Retiring {
    /// What is to be rewrapped; none while one generation alone is held.
    pub(super) fn due(&self) -> Option<Rewrap> {
        let held = self.pki.sealing().now();
        let lowest = held.generations().next().map(SealingKey::generation)?;
        held.latest().filter(|latest| *latest > lowest).map(|latest| Rewrap { lowest, latest })
    }

    /// Rewraps what is this node's to do, then has the generation stand alone if it does.
    pub(super) async fn round(&self, system: &System) -> Result<(), RetireError> {
        let Some(what) = self.due() else { return Ok(()) };
        let mut after = None;
        loop {
            let page = self.store.operators().tenants_to_rewrap(what, after, PAGE).await?;
            for tenant in &page {
                let deadline = Deadline::after(&*self.clock, TENANT);
                if let Err(error) = system.rewrap(*tenant, deadline).await {
                    tracing::debug!(%tenant, %error, "a tenant is not rewrapped yet");
                }
            }
            after = page.last().copied();
            if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                break;
            }
        }
        self.finish(what).await
    }

    /// Says how far this node is, and writes the end of it down when all are there.
    pub(super) async fn finish(&self, what: Rewrap) -> Result<(), RetireError> {
        let operators = self.store.operators();
        if !self.has_settled(what.latest) {
            return Ok(());
        }
        operators.wraps_under(self.pki.identity().id(), what.latest).await?;
        if operators.rewrapping(what).await?.is_done() {
            operators.stand_alone(what, &self.act(what)).await?;
        }
        Ok(())
    }

    /// Erases what was written down as of no use, and wraps under none of it.
    pub(super) fn erase(&self, latest: &SealingGeneration) -> Result<(), PkiError> {
        let Ok(generation) = u32::try_from(latest.generation) else { return Ok(()) };
        if latest.alone_since.is_none() {
            return Ok(());
        }
        self.pki.sealing().require(generation);
        if self.due().is_none_or(|what| what.lowest >= generation) {
            return Ok(());
        }
        self.pki.erase_before(generation)?;
        tracing::info!(generation, "erased the sealing keys before this generation");
        Ok(())
    }

    fn has_settled(&self, latest: u32) -> bool {
        let now = self.clock.boottime();
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.0 != latest {
            *met = (latest, now);
        }
        now.saturating_sub(met.1) >= SETTLED
    }

    fn act(&self, what: Rewrap) -> ClusterAct {
        ClusterAct {
            at: self.clock.now(),
            request: self.ids.id(),
            actor: Actor::Node(self.pki.identity().id()),
            action: "cluster.sealing_alone",
            object: format!("sealing/{}", what.latest),
            outcome: Outcome::Allowed,
            details: Vec::new(),
            remember: None,
        }
    }
}

/// Before a node wraps anything: what other nodes have erased is not wrapped under here either.
///
/// # Errors
/// As the store says.
pub async fn require_what_stands_alone(store: &Store, pki: &Pki) -> Result<(), StoreError> {
    let latest = store.operators().latest_generation().await?;
    if let Some(alone) = latest.filter(|latest| latest.alone_since.is_some()) {
        pki.sealing().require(u32::try_from(alone.generation).unwrap_or(u32::MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use ocmt_store::{
        Acceptance,
        tables::{Node, NodeState},
        testing::acceptance,
    };
    use ocmt_types::{Incarnation, ManualClock, RandomIds, SystemClock, Timestamp};

    use super::*;
    use crate::pki::ServerNames;

    const WHAT: Rewrap = Rewrap { lowest: 1, latest: 2 };

    fn node(folder: &Path, store: &Store, clock: &ManualClock) -> Retiring {
        let names = ServerNames::of(&[], []);
        let pki = Pki::open(folder, true, names, Arc::new(SystemClock), &RandomIds).unwrap();
        Retiring {
            store: store.clone(),
            pki,
            clock: Arc::new(clock.clone()),
            ids: Arc::new(RandomIds),
            met: Arc::default(),
        }
    }

    async fn registered(store: &Store, node: &Retiring) {
        let node_id = node.pki.identity().id();
        let life = Node {
            incarnation: Incarnation(*node_id.as_bytes()),
            node_id,
            addr: "127.0.0.1:1".to_owned(),
            endpoint: "https://127.0.0.1:1".to_owned(),
            state: NodeState::Live,
            capacity: 1,
            memory_mib: 0,
            version: "0.1.0".to_owned(),
            registered_at: Timestamp(0),
        };
        store.cluster().register(&life).await.unwrap();
    }

    async fn latest(store: &Store) -> SealingGeneration {
        store.operators().latest_generation().await.unwrap().unwrap()
    }

    fn held(node: &Retiring) -> Vec<u32> {
        node.pki.sealing().now().generations().map(SealingKey::generation).collect()
    }

    /// A store where generation 2 is written down, as an accepted restore does it.
    async fn second_generation(store: &Store, by: &Retiring) {
        let ids: &dyn IdGen = &RandomIds;
        store.cluster().cluster(ids.id(), Timestamp(0)).await.unwrap();
        let sealing = Some((by.pki.identity().id(), 1));
        let restore = Acceptance { floor: 100, sealing, ..acceptance(Timestamp(1)) };
        assert_eq!(store.accept_restore(&restore).await.unwrap().sealing_generation, Some(2));
        by.pki.make_generation(2).unwrap();
    }

    #[tokio::test]
    async fn earlier_keys_are_erased_when_every_living_node_wraps_under_the_latest() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, clock) = (Store::sim(), ManualClock::at(Timestamp(1_000)));
        let (first, second) = (node(a.path(), &store, &clock), node(b.path(), &store, &clock));
        second_generation(&store, &first).await;
        registered(&store, &first).await;
        registered(&store, &second).await;
        first.finish(WHAT).await.unwrap();
        clock.advance(SETTLED);
        first.finish(WHAT).await.unwrap();
        assert_eq!(latest(&store).await.alone_since, None, "the other node wraps under the first still");
        first.erase(&latest(&store).await).unwrap();
        assert_eq!(held(&first), [1, 2]);

        let key = first.pki.sealing().now().generations().last().unwrap().duplicate();
        second.pki.hold_also([key]).unwrap();
        second.finish(WHAT).await.unwrap();
        assert_eq!(latest(&store).await.alone_since, None, "what it had in hand may be under the first");
        clock.advance(SETTLED);
        second.finish(WHAT).await.unwrap();
        assert!(latest(&store).await.alone_since.is_some());
        for node in [&first, &second] {
            node.erase(&latest(&store).await).unwrap();
            assert_eq!(held(node), [2]);
        }
        let stored = std::fs::read_to_string(a.path().join("sealing.keys")).unwrap();
        assert!(stored.starts_with("2 ") && stored.lines().count() == 1, "on disk too");
    }

    #[tokio::test]
    async fn a_node_that_was_away_when_keys_were_erased_wraps_nothing_until_it_has_the_latest() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, clock) = (Store::sim(), ManualClock::at(Timestamp(1_000)));
        let (first, away) = (node(a.path(), &store, &clock), node(b.path(), &store, &clock));
        second_generation(&store, &first).await;
        registered(&store, &first).await;
        first.finish(WHAT).await.unwrap();
        clock.advance(SETTLED);
        first.finish(WHAT).await.unwrap();
        assert!(latest(&store).await.alone_since.is_some());

        let place = ocmt_crypto::sealing::SealingPlace { purpose: "test", row: b"row" };
        registered(&store, &away).await;
        let ring = away.pki.sealing();
        ring.wrap(&place, b"secret", &mut rand::rng()).unwrap();
        require_what_stands_alone(&store, &away.pki).await.unwrap();
        assert!(ring.wrap(&place, b"secret", &mut rand::rng()).is_err());
        let key = first.pki.sealing().now().generations().last().unwrap().duplicate();
        away.pki.hold_also([key]).unwrap();
        ring.wrap(&place, b"secret", &mut rand::rng()).unwrap();
    }
}
