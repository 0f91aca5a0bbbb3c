//! Who may fill the ways to other nodes: so much for each tenant and so much for each client address.
//!
//! A link has places for so many calls, and what a call shows has not been looked at when it takes one: a
//! token of any tenant can be made up. So neither a tenant nor an address may hold more than a part of them,
//! from before its message comes until its answer has ended.

use std::{net::IpAddr, time::Duration};

use ocmt_types::TenantId;

use crate::{
    server::network,
    shares::{Share, Shares},
};

/// How long a call waits for a place of its own.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls, or WebSockets, on their way through this node. Cheap to clone.
#[derive(Clone)]
pub struct Crowd {
    tenants: Shares<TenantId>,
    addresses: Shares<IpAddr>,
}

/// One of them; out when dropped.
pub(super) struct Place {
    _of_address: Share<IpAddr>,
    _of_tenant: Option<Share<TenantId>>,
}

impl Crowd {
    /// At most so many at once of one tenant, and of one address (of IPv6: of one /64).
    pub fn new(of_tenant: usize, of_address: usize) -> Self {
        Self { tenants: Shares::new(of_tenant), addresses: Shares::new(of_address) }
    }

    /// A place; none if either has as many as it may and none comes free within a second.
    pub(super) async fn enter(&self, tenant: Option<TenantId>, address: IpAddr) -> Option<Place> {
        let of_address = self.addresses.take(network(address), PATIENCE).await?;
        let of_tenant = match tenant {
            Some(tenant) => Some(self.tenants.take(tenant, PATIENCE).await?),
            None => None,
        };
        Some(Place { _of_address: of_address, _of_tenant: of_tenant })
    }
}
