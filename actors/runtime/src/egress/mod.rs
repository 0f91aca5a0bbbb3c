//! The way out of a container: a proxy on the host's end of its bridge, and nothing else.
//!
//! A container's network is internal: what it may reach, its node reaches for it. Each container has a proxy of its own,
//! that listens on the address of that container's bridge alone and talks with that container's address alone, so
//! whose policy holds follows from where the question came in. Names are resolved here, every address found is checked
//! ([`address`]), and the checked address is the one connected to. What went where is noted in the [`Book`].

pub mod address;
mod book;
mod metered;
pub mod name;
pub mod policy;
mod proxy;
mod refusal;
mod request;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use ocmt_types::TenantId;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::{
    address::{Internet, Network},
    book::{Batch, Book, MOST_NOTED, OTHERS, Tally},
    policy::{Allowed, Bounds, Policies, Policy, Rule, Used},
    proxy::Proxy,
};

/// Port of the proxy on the host's end of a container's bridge.
pub const EGRESS_PORT: u16 = 7451;

/// Policies that are asked for at the same time, of all containers of a node.
const TURNS: usize = 2;

/// Connections to the world that are open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Of all containers of a node.
    pub node: usize,
    /// Of those of one tenant there, so that none takes all.
    pub tenant: usize,
}

/// What all containers of a node share to get out.
#[derive(Debug)]
pub struct Outlet {
    network: Arc<dyn Network>,
    bounds: Bounds,
    /// Connections of all containers at once.
    places: Arc<Semaphore>,
    /// Of each tenant whose containers have a proxy.
    shares: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
    share: usize,
    /// Questions for policies at once: the store has other work.
    turns: Semaphore,
}

impl Outlet {
    /// Over `network`, with `bounds` for each container and `places` for many together.
    pub fn new(network: Arc<dyn Network>, bounds: Bounds, places: Places) -> Self {
        Self {
            network,
            bounds,
            places: Arc::new(Semaphore::new(places.node)),
            shares: Mutex::default(),
            share: places.tenant,
            turns: Semaphore::const_new(TURNS),
        }
    }

    /// The places of a tenant, which all its proxies share.
    fn places_of(&self, tenant: TenantId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(tenant, Arc::downgrade(&share));
        share
    }

    /// Waits for a turn to ask for a policy.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Of each container.
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }
}

/// Where one container finds its proxy, and by which address the proxy knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// The proxy listens here.
    pub listen: SocketAddr,
    /// Only who comes from here is answered.
    pub container: IpAddr,
}
