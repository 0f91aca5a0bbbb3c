//! Where the ciphertext of snapshots lies: an object store that all nodes of a cluster reach.

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use ocmt_types::{SnapshotId, TenantId};

/// The object store does not do it, and why, for an operator and a user: no secret, no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store of snapshots: {0}")]
pub struct SnapshotStoreError(pub String);

/// What a call of it gives.
pub type StoreCall<'a, T> = BoxFuture<'a, Result<T, SnapshotStoreError>>;

/// Ciphertext in pieces of any length.
pub type Pieces = BoxStream<'static, Result<Bytes, SnapshotStoreError>>;

/// An object store. Calls may be repeated.
pub trait SnapshotStore: Send + Sync {
    /// Keeps what comes as the object of this snapshot, whole and safe when it is back. If a piece is an error nothing
    /// is kept that [`SnapshotStore::read`] would find.
    fn write(&self, tenant: TenantId, snapshot: SnapshotId, pieces: Pieces) -> StoreCall<'_, ()>;
    /// What was kept.
    fn read(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, Pieces>;
    /// Forgets it; what is not there is fine.
    fn delete(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, ()>;
}

/// What a node may do with snapshots.
#[derive(Clone)]
pub struct Snapshots {
    /// Where they lie.
    pub store: std::sync::Arc<dyn SnapshotStore>,
    /// Most of a user: one more is refused, and none goes for it.
    pub per_user: u32,
    /// Most bytes of ciphertext of one.
    pub most_bytes: u64,
}
