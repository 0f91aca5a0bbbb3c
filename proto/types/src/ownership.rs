//! Who owns a tenant: the node's incarnation and the epoch of its claim (architecture, "State and ownership").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TenantId;

/// Grows by one with each claim of a tenant; a write under an older epoch is refused by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub i64);

/// One life of a node process, 128 random bits. A node that was declared dead comes back as another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

/// The right to write a tenant's state: checked by the store in the transaction of each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// Whose state.
    pub tenant: TenantId,
    /// Which life of which node.
    pub incarnation: Incarnation,
    /// Of which claim.
    pub epoch: Epoch,
}
