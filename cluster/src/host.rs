//! Where the cluster meets the actors: this layer decides *where* a tenant lives, the actors decide what it
//! does. Neither knows the other; `node` implements this trait over the tenant supervisor.

use std::{future::Future, pin::Pin};

use ocmt_types::{Deadline, Ownership, TenantId};

/// A future that a trait object returns.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why this host did not take a message.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The tenant is not active here, and the message was not read: ask its owner.
    #[error("the tenant is not active on this node")]
    NotHere,
    /// It was not answered in time; it may have been acted on.
    #[error("the tenant did not answer in time")]
    TimedOut,
    /// The tenant refused or failed, in its own words.
    #[error("{0}")]
    Refused(String),
}

impl HostError {
    /// Whether the message was not read and may go elsewhere unchanged.
    pub const fn was_unread(&self) -> bool {
        matches!(self, Self::NotHere)
    }
}

/// The tenants that live on this node.
///
/// Calls for one tenant are ordered by the caller: no `activate` overlaps a `deactivate` of the same tenant.
pub trait LocalHost: Send + Sync {
    /// Brings a tenant to life under an ownership that was just claimed. Activating it again under a newer
    /// epoch replaces the older life; under the same or an older epoch it does nothing.
    ///
    /// # Errors
    /// [`HostError::Refused`] if its state cannot be loaded.
    fn activate(&self, ownership: Ownership) -> HostFuture<'_, Result<(), HostError>>;

    /// Hands a message from another node to a tenant that is active here and returns the answer. The bytes are
    /// the actors' own encoding; this layer does not look into them.
    ///
    /// # Errors
    /// [`HostError::NotHere`] before anything was done, [`HostError::TimedOut`], [`HostError::Refused`].
    fn deliver(
        &self,
        tenant: TenantId,
        message: Vec<u8>,
        deadline: Deadline,
    ) -> HostFuture<'_, Result<Vec<u8>, HostError>>;

    /// Puts a tenant to sleep: nothing new is taken, what runs is finished, and when the future ends no write
    /// of it is in flight. Does nothing if it is not active under this ownership.
    fn deactivate(&self, ownership: Ownership) -> HostFuture<'_, ()>;
}
