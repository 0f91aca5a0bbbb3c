//! Where the ciphertext of snapshots lies: an object store that all nodes of a cluster reach; and what a host alone
//! remembers of schedules.

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use ocmt_crypto::sign::VerifyKey;
use ocmt_types::{Digest32, SnapshotId, TenantId, UserId};

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

/// A schedule of snapshots that a host has taken from a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulePin {
    /// Who signed it.
    pub identity: VerifyKey,
    /// Its number.
    pub number: u64,
    /// SHA-256 of all of it.
    pub digest: Digest32,
}

impl SchedulePin {
    /// Whether this one may follow one that was taken before; not if somebody else signed that, if its number is higher,
    /// or if it is another one of the same number.
    ///
    /// # Errors
    /// [`PinError::Refused`], with the reason in words for its user.
    pub fn may_follow(&self, before: &Self) -> Result<(), PinError> {
        let refused = |why: &str| Err(PinError::Refused(why.to_owned()));
        if self.identity != before.identity {
            return refused("it is signed by another vault than the first schedule that this host was given");
        }
        if self.number < before.number {
            return refused("the host has seen a later schedule");
        }
        if self.number == before.number && self.digest != before.digest {
            return refused("the host has seen another schedule of the same number");
        }
        Ok(())
    }
}

/// A host does not take a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// It is not the one to follow what was taken before.
    #[error("{0}")]
    Refused(String),
    /// The disk of the host does not say, or does not keep it.
    #[error("the host does not remember schedules now: {0}")]
    Disk(String),
}

/// What a call of [`SchedulePins`] gives.
pub type PinCall<'a> = BoxFuture<'a, Result<(), PinError>>;

/// What a host remembers of its users' schedules, on a disk that nobody writes to but itself: whoever can write to the
/// database puts no key of their own in the place of a user's, and brings none back that was replaced. Of a user and not of
/// a container: the volume outlives that.
pub trait SchedulePins: Send + Sync {
    /// Takes a schedule if it [may follow](SchedulePin::may_follow) the last one, and remembers it: on disk, when it is back.
    fn take(&self, tenant: TenantId, user: UserId, pin: SchedulePin) -> PinCall<'_>;
    /// The volume of this user, or all of the tenant, is gone for good: so is what is remembered.
    fn forget(&self, tenant: TenantId, user: Option<UserId>) -> PinCall<'_>;
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
    /// What this host remembers of schedules.
    pub pins: std::sync::Arc<dyn SchedulePins>,
}
