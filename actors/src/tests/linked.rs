//! Nodes of one process that reach each other: [`Neighbours`] over the store's rows and direct calls.
//!
//! What crosses is bytes, errors included, as it is between processes. A test can take a node's lease, cut
//! it off, let it believe something wrong, and lose answers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ocmt_store::{Store, testing::TestNode};
use ocmt_types::{Deadline, Incarnation, NodeId, TenantId};

use crate::{
    ActorError, Answering, HostSeen, HostStanding, Neighbours, RemoteChannel, System, audit::sha256,
};

/// What one node believes of the others.
pub(crate) struct Linked {
    store: Store,
    node: NodeId,
    nodes: Arc<Mutex<BTreeMap<NodeId, System>>>,
    /// What hosts have; 64 GiB those that are not in it.
    memory: Arc<Mutex<BTreeMap<NodeId, i64>>>,
    /// Hosts that were struck off.
    forgotten: Mutex<BTreeSet<NodeId>>,
    /// Whether this node's lease is good.
    pub(crate) lease: AtomicBool,
    /// Nobody is reached.
    pub(crate) cut_off: AtomicBool,
    /// So many answers are lost after the letter was taken.
    pub(crate) loses: AtomicUsize,
    /// Letters that were given out as held.
    pub(crate) held: AtomicUsize,
    /// The next answers to [`Neighbours::is_ours`], whatever the rows say.
    pub(crate) believes: Mutex<VecDeque<bool>>,
    /// Sleeping tenants are for this node, or never; none: for the one that the tenant's hash names.
    pub(crate) prefers: Mutex<Option<bool>>,
    /// Of whom it was asked whether they are this node's.
    pub(crate) asked: Mutex<Vec<TenantId>>,
}

impl Linked {
    pub(crate) fn first(store: &Store, node: &TestNode) -> Arc<Self> {
        Self::new(store, node, Arc::default(), Arc::default())
    }

    pub(crate) fn beside(&self, node: &TestNode) -> Arc<Self> {
        Self::new(&self.store, node, self.nodes.clone(), self.memory.clone())
    }

    fn new(
        store: &Store,
        node: &TestNode,
        nodes: Arc<Mutex<BTreeMap<NodeId, System>>>,
        memory: Arc<Mutex<BTreeMap<NodeId, i64>>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            node: node.node_id,
            nodes,
            memory,
            forgotten: Mutex::default(),
            lease: AtomicBool::new(true),
            cut_off: AtomicBool::new(false),
            loses: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            believes: Mutex::default(),
            prefers: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn joined(&self, system: System) {
        self.nodes.lock().unwrap().insert(self.node, system);
    }

    /// A host has so much memory, as all see it.
    pub(crate) fn has_memory(&self, host: &TestNode, mib: i64) {
        self.memory.lock().unwrap().insert(host.node_id, mib);
    }

    /// A host was struck off.
    pub(crate) fn forget(&self, host: &TestNode) {
        self.forgotten.lock().unwrap().insert(host.node_id);
    }

    /// Nobody reaches this node any more, and all see that.
    pub(crate) fn leaves(&self) {
        self.nodes.lock().unwrap().remove(&self.node);
    }

    /// Sleeping tenants are for this node, or never.
    pub(crate) fn prefers_here(&self, here: bool) {
        *self.prefers.lock().unwrap() = Some(here);
    }

    /// How often it was asked for this tenant.
    pub(crate) fn times_asked(&self, tenant: TenantId) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == tenant).count()
    }

    /// A node by its id, unless this one is cut off.
    pub(crate) fn reach(&self, node: NodeId) -> Result<System, ActorError> {
        let away = || ActorError::unavailable("PEER_UNREACHABLE", "the node does not answer");
        if self.cut_off.load(Ordering::SeqCst) {
            return Err(away());
        }
        self.nodes.lock().unwrap().get(&node).cloned().ok_or_else(away)
    }

    /// Who has the tenant, or is to claim it.
    async fn whose(&self, tenant: TenantId) -> Result<NodeId, ActorError> {
        let cluster = self.store.cluster();
        let living: BTreeMap<Incarnation, NodeId> =
            cluster.living_nodes().await?.into_iter().map(|node| (node.incarnation, node.node_id)).collect();
        let row = cluster.owner(tenant).await?;
        if let Some(owner) = row.and_then(|row| row.incarnation).and_then(|owner| living.get(&owner)) {
            return Ok(*owner);
        }
        let others = || living.values().copied().filter(|node| *node != self.node);
        let by_hash = |node: &NodeId| sha256(&[&node.as_bytes()[..], tenant.as_bytes()].concat()).0;
        Ok(match *self.prefers.lock().unwrap() {
            Some(true) => self.node,
            Some(false) => others().min_by_key(by_hash).unwrap_or(self.node),
            None => living.values().copied().min_by_key(by_hash).unwrap_or(self.node),
        })
    }
}

/// As it is after a way over the network.
fn crossed<T>(answer: Result<T, ActorError>) -> Result<T, ActorError> {
    answer.map_err(|error| ActorError::from_wire(&error.to_wire()))
}

impl Neighbours for Linked {
    fn strict(&self) -> Result<(), ActorError> {
        if self.lease.load(Ordering::SeqCst) { Ok(()) } else { Err(ActorError::no_lease()) }
    }

    fn is_ours(&self, tenant: TenantId) -> Answering<'_, bool> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(tenant);
            let believed = self.believes.lock().unwrap().pop_front();
            match believed {
                Some(ours) => Ok(ours),
                None => Ok(self.whose(tenant).await? == self.node),
            }
        })
    }

    fn deliver(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(async move {
            let system = self.reach(self.whose(tenant).await?)?;
            let answer = crossed(system.deliver(tenant, letter, deadline).await);
            let lost = |left: usize| left.checked_sub(1);
            match self.loses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lost) {
                Ok(_) => Err(ActorError::OutcomeUnknown),
                Err(_) => answer,
            }
        })
    }

    fn deliver_held(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.deliver(tenant, letter, deadline)
    }

    fn order(&self, host: NodeId, order: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(async move { crossed(self.reach(host)?.take_order(order, deadline).await) })
    }

    fn channel(&self, host: NodeId, opening: Vec<u8>, deadline: Deadline) -> Answering<'_, RemoteChannel> {
        Box::pin(async move { crossed(self.reach(host)?.take_channel(opening, deadline).await) })
    }

    fn hosts(&self) -> Vec<HostSeen> {
        let (nodes, memory) = (self.nodes.lock().unwrap(), self.memory.lock().unwrap());
        let seen = |node: &NodeId| HostSeen {
            node: *node,
            memory_mib: memory.get(node).copied().unwrap_or(1 << 16),
            reachable: true,
        };
        nodes.keys().map(seen).collect()
    }

    fn standing(&self, host: NodeId) -> HostStanding {
        if self.forgotten.lock().unwrap().contains(&host) {
            return HostStanding::Forgotten;
        }
        let there = self.nodes.lock().unwrap().contains_key(&host);
        if there { HostStanding::Answers } else { HostStanding::Away }
    }
}
