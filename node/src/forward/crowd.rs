//! Who may fill the ways to other nodes: so much for each tenant and so much for each client address.
//!
//! A link has places for so many calls, and what a call shows has not been looked at when it takes one: a
//! token of any tenant can be made up. So neither a tenant nor an address may hold more than a part of them, from
//! when the first of its message has come (an address: from before that) until its answer has ended. And those who
//! are anybody have a small part of their own, so that they take nothing from those whom the tenant's owner has
//! lately found signed in ([`Met`]); it is the same at the owner.

use std::{net::IpAddr, time::Duration};

use ocmt_types::{Digest32, TenantId};

use super::met::Met;
use crate::{
    server::network,
    shares::{Share, Shares},
};

/// How long a call waits for a place of its own.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many at once.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Of one tenant, of those who are known.
    pub known: usize,
    /// Of one tenant, of all others.
    pub strangers: usize,
    /// Of one address (of IPv6: of one /64).
    pub address: usize,
}

/// Calls, or WebSockets, on their way through this node. Cheap to clone.
#[derive(Clone)]
pub struct Crowd {
    known: Shares<TenantId>,
    strangers: Shares<TenantId>,
    addresses: Shares<IpAddr>,
    met: Met,
}

/// One of them; out when dropped.
pub(super) struct Place {
    _of_address: Comer,
    _of_tenant: Option<Share<TenantId>>,
}

/// One that has said nothing yet; out when dropped.
pub(super) struct Comer {
    _place: Share<IpAddr>,
}

/// Who that may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Face<'a> {
    /// Whoever shows this token, if any.
    Showing(Option<&'a Digest32>),
    /// Somebody whom the owner looks at before anything of his is waited for: he is gone at once, or known.
    LookedAt,
}

impl Crowd {
    /// With so much room.
    pub fn new(room: Room) -> Self {
        Self {
            known: Shares::new(room.known),
            strangers: Shares::new(room.strangers),
            addresses: Shares::new(room.address),
            met: Met::default(),
        }
    }

    /// A place of the address; none if it has as many as it may and none comes free within a second.
    pub(super) async fn come(&self, address: IpAddr) -> Option<Comer> {
        self.addresses.take(network(address), PATIENCE).await.map(|place| Comer { _place: place })
    }

    /// A place of the tenant on top, likewise.
    pub(super) async fn enter(
        &self,
        comer: Comer,
        tenant: Option<TenantId>,
        face: Face<'_>,
    ) -> Option<Place> {
        let known = match face {
            Face::Showing(token) => token.is_some_and(|token| self.met.knows(token)),
            Face::LookedAt => true,
        };
        let shares = if known { &self.known } else { &self.strangers };
        let of_tenant = match tenant {
            Some(tenant) => Some(shares.take(tenant, PATIENCE).await?),
            None => None,
        };
        Some(Place { _of_address: comer, _of_tenant: of_tenant })
    }

    /// The owner of the token's tenant has looked at it.
    pub(super) fn found(&self, token: &Digest32, good: bool) {
        self.met.found(token, good);
    }
}
