//! Rows of a policy that a caller replaces by naming the version that they have seen: of several at once one is done.

use ocmt_store::{Filter, TenantRow};

use crate::{error::ActorError, work::Work};

/// A policy's row.
pub(super) trait Versioned: TenantRow {
    /// What of several changes at once is told to look again.
    const NAME: &'static str;
    /// Which one it is; 0 of none.
    fn version(&self) -> i64;
    /// That the stored one is still this one.
    fn is_version(version: i64) -> Filter<Self>;
}

/// The row that is there, if it is the version that the caller has seen.
pub(super) async fn seen<R: Versioned>(
    work: &mut Work,
    key: R::Key,
    version: i64,
) -> Result<Option<R>, ActorError> {
    let before = work.tx.get::<R>(key).await?;
    match before.as_ref().map_or(0, Versioned::version) == version {
        true => Ok(before),
        false => Err(ActorError::Aborted(R::NAME)),
    }
}

/// Puts this one in the place of what was seen.
pub(super) async fn replace<R: Versioned>(
    work: &mut Work,
    before: Option<R>,
    row: &R,
) -> Result<(), ActorError> {
    let Some(before) = before else { return Ok(work.tx.insert(row).await?) };
    match work.tx.update_if(row, R::is_version(before.version())).await? {
        true => Ok(()),
        false => Err(ActorError::Aborted(R::NAME)),
    }
}
