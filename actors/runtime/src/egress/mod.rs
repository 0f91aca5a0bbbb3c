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
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

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

/// What all containers of a node share to get out.
#[derive(Debug)]
pub struct Outlet {
    network: Arc<dyn Network>,
    bounds: Bounds,
    /// Connections of all containers at once.
    places: Arc<Semaphore>,
    /// Questions for policies at once: the store has other work.
    turns: Semaphore,
}

impl Outlet {
    /// Over `network`, with `bounds` for each container and `connections` for all together.
    pub fn new(network: Arc<dyn Network>, bounds: Bounds, connections: usize) -> Self {
        Self {
            network,
            bounds,
            places: Arc::new(Semaphore::new(connections)),
            turns: Semaphore::const_new(TURNS),
        }
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
