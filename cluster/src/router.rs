//! Where a tenant's calls go: to its owner; without one, to the node that placement prefers.
//!
//! What is cached may be wrong at any time, and harms nothing: the node asked claims the tenant or answers
//! who owns it, unread. An entry is used only while the view has that very life of that node. Without the
//! database, entries go on being used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ocmt_store::{
    Store,
    tables::{NodeState, TenantOwner},
};
use ocmt_types::{Incarnation, NodeId, TenantId};
use tokio::sync::watch;

use crate::{ClusterError, Membership, Peer, View, preferred};

/// Most tenants in one generation of the cache; there are two.
const GENERATION: usize = 50_000;

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To this node.
    Here,
    /// To another.
    There(Peer),
    /// Nobody owns the tenant, and no node is live to take it.
    Nobody,
}

/// Finds the node for a tenant. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    /// None for a node without peers.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    store: Store,
    view: watch::Receiver<Arc<View>>,
    own: NodeId,
    cache: Mutex<Cache>,
}

impl Router {
    /// The router of a node without peers: everything is here.
    pub const fn alone() -> Self {
        Self { inner: None }
    }

    /// A router over the view of `membership`; `store` is the main runtime's.
    pub fn new(store: Store, membership: &Membership) -> Self {
        let (view, own) = (membership.view(), membership.node_id());
        Self { inner: Some(Arc::new(Inner { store, view, own, cache: Mutex::default() })) }
    }

    /// Where a call for the tenant goes. A tenant that does not exist is looked for here, and not found.
    ///
    /// # Errors
    /// [`ClusterError::Store`] if the owner is not known here and the database does not answer.
    pub async fn route(&self, tenant: TenantId) -> Result<Route, ClusterError> {
        let Some(inner) = &self.inner else {
            return Ok(Route::Here);
        };
        let view = Arc::clone(&inner.view.borrow());
        if let Some(known) = inner.known(&view, tenant) {
            return Ok(known);
        }
        // who asks has proven nothing yet: he waits for a turn, and then somebody may have found it for him
        let look = inner.store.cluster().look().await?;
        if let Some(known) = inner.known(&view, tenant) {
            return Ok(known);
        }
        let Some(owner) = look.owner(tenant).await? else {
            return Ok(Route::Here);
        };
        let Some(peer) = owner_in(&view, &owner).or_else(|| favourite(&view, tenant)) else {
            return Ok(Route::Nobody);
        };
        inner.cache().put(tenant, (peer.node_id, peer.incarnation));
        Ok(inner.to(peer))
    }

    /// Where a call goes that is about no tenant: here, unless this node is joining or draining and another
    /// is live.
    pub fn anybody(&self) -> Route {
        let Some(inner) = &self.inner else {
            return Route::Here;
        };
        next_live(&inner.view.borrow(), inner.own).map_or(Route::Here, |peer| inner.to(peer))
    }

    /// What was known of the tenant's owner is not so.
    pub fn forget(&self, tenant: TenantId) {
        if let Some(inner) = &self.inner {
            inner.cache().remove(tenant);
        }
    }

    /// The tenant is owned there: a node that was asked said so.
    pub fn learn(&self, tenant: TenantId, owner: NodeId, incarnation: Incarnation) {
        if let Some(inner) = &self.inner {
            inner.cache().put(tenant, (owner, incarnation));
        }
    }

    /// The node, if it is not dead in the view, and another than this one.
    pub fn peer(&self, node: NodeId) -> Option<Peer> {
        let inner = self.inner.as_ref().filter(|inner| inner.own != node)?;
        inner.view.borrow().nodes.get(&node).cloned()
    }
}

impl Inner {
    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, view: &View, tenant: TenantId) -> Option<Route> {
        let (node, incarnation) = self.cache().get(tenant)?;
        view.living(node, incarnation).map(|peer| self.to(peer))
    }

    fn to(&self, peer: &Peer) -> Route {
        if peer.node_id == self.own { Route::Here } else { Route::There(peer.clone()) }
    }
}

/// The owner, if the view knows that life of it.
fn owner_in<'v>(view: &'v View, owner: &TenantOwner) -> Option<&'v Peer> {
    view.living(owner.node_id?, owner.incarnation?)
}

/// The live node that placement prefers.
fn favourite(view: &View, tenant: TenantId) -> Option<&Peer> {
    let live = view.nodes.values().filter(|peer| peer.state == NodeState::Live);
    let node = preferred(tenant, live.map(|peer| (peer.node_id, peer.capacity)))?;
    view.nodes.get(&node)
}

/// This node if it is live, else the next that is in the order of ids: so several nodes that leave do not all
/// lean on one.
fn next_live(view: &View, own: NodeId) -> Option<&Peer> {
    let from_here = view.nodes.range(own..).chain(view.nodes.range(..own));
    from_here.map(|(_, peer)| peer).find(|peer| peer.state == NodeState::Live)
}

/// Bounded: when the young generation is full it becomes the old one, and what nobody asked for since is
/// dropped.
#[derive(Default)]
struct Cache {
    young: HashMap<TenantId, (NodeId, Incarnation)>,
    old: HashMap<TenantId, (NodeId, Incarnation)>,
}

impl Cache {
    fn get(&mut self, tenant: TenantId) -> Option<(NodeId, Incarnation)> {
        if let Some(&owner) = self.young.get(&tenant) {
            return Some(owner);
        }
        let owner = self.old.remove(&tenant)?;
        self.put(tenant, owner);
        Some(owner)
    }

    fn put(&mut self, tenant: TenantId, owner: (NodeId, Incarnation)) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tenant, owner);
    }

    fn remove(&mut self, tenant: TenantId) {
        self.young.remove(&tenant);
        self.old.remove(&tenant);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;

    use super::*;

    fn owner(n: u8) -> (NodeId, Incarnation) {
        (id(u64::from(n)), Incarnation([n; 16]))
    }

    #[test]
    fn what_is_about_no_tenant_goes_to_a_live_node() {
        let mut view = View::default();
        for n in 1..=3 {
            let (node_id, incarnation) = owner(n);
            let peer = Peer {
                node_id,
                incarnation,
                addr: String::new(),
                endpoint: String::new(),
                state: NodeState::Live,
                capacity: 1,
                memory_mib: 0,
                version: String::new(),
            };
            view.nodes.insert(node_id, peer);
        }
        let found = |view: &View, own: u8| next_live(view, owner(own).0).map(|peer| peer.node_id);
        view.nodes.get_mut(&owner(3).0).unwrap().state = NodeState::Draining;
        assert_eq!((found(&view, 1), found(&view, 3)), (Some(owner(1).0), Some(owner(1).0)));
        view.nodes.get_mut(&owner(1).0).unwrap().state = NodeState::Joining;
        assert_eq!((found(&view, 1), found(&view, 3)), (Some(owner(2).0), Some(owner(2).0)));
        view.nodes.get_mut(&owner(2).0).unwrap().state = NodeState::Draining;
        assert_eq!(found(&view, 1), None);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = Cache::default();
        cache.put(id(0), owner(1));
        for n in 1..=2 * GENERATION as u64 {
            assert_eq!(cache.get(id(0)), Some(owner(1)), "after {n}");
            cache.put(id(n), owner(2));
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        assert_eq!(cache.get(id(1)), None);
    }

    #[test]
    fn what_is_forgotten_is_forgotten_in_both_generations() {
        let mut cache = Cache::default();
        cache.old.insert(id(1), owner(1));
        cache.put(id(1), owner(2));
        assert_eq!(cache.get(id(1)), Some(owner(2)));
        cache.remove(id(1));
        assert_eq!(cache.get(id(1)), None);
    }
}
