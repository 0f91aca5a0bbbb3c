//! The key of a cell, and who vouches for it.
//!
//! A cell makes a fresh X25519 key for each unlock. It *offers* the key to its host with a MAC under
//! the start secret, which only the host that started it knows ([`CellKeyOffer`]). The host checks
//! that and signs a *statement* with its node identity key ([`CellKeyStatement`]); the client checks
//! that against the node it has pinned for the container. So a key that somebody on the way puts in
//! its own place is refused by one or the other.

mod gateway;
#[cfg(test)]
mod gateway_tests;
mod key;
mod offer;
mod policy;
#[cfg(test)]
mod policy_tests;
mod start;
mod statement;
#[cfg(test)]
mod tests;

use ocmt_types::{ContainerId, TenantId};

use crate::{
    Result,
    codec::{Reader, Writer},
};

pub use gateway::{GatewayAuthority, MAX_STATED_KEYS, STATED_KEYS_MS};
pub use key::CellKey;
pub use offer::{CellKeyOffer, MAX_OFFER_MS, OFFER_MS};
#[cfg(any(test, fuzzing))]
pub(crate) use policy::PURPOSE as POLICY;
pub use policy::{
    AgentPolicyStatement, DeliveredPolicy, MAX_POLICY_DOCUMENT, NewestPolicy, PolicyAuthority, Standing,
    VOUCHER, digest_of as policy_digest,
};
pub use start::{ControlToken, StartSecret};
pub use statement::{CellKeyStatement, ExpectedCell};

/// Which life of which container a cell is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The container.
    pub container: ContainerId,
    /// Grows with each creation of the container.
    pub generation: u64,
}

impl CellPlace {
    /// Appends tenant, container and generation, 40 bytes.
    pub(crate) fn write(&self, out: &mut Writer) {
        out.id(self.tenant).id(self.container).u64(self.generation);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { tenant: from.id()?, container: from.id()?, generation: from.u64()? })
    }
}
