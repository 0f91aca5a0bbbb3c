//! Whether the sealed volume of a container was sealed the last time, as its cell says: in the row for its user, and written down
//! once each for the tenant.
//!
//! A cell that locks by itself at the end of a lease tells nobody that it could not seal: its host hears it at the next look, or before a
//! stop. A cell of an earlier program tells nothing but the lock that it was asked for.

use std::sync::{Arc, Mutex, PoisonError};

use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_store::tables::Container;
use ocmt_types::UnlockId;

use super::{cell::Cell, ops::is_live, row::changed};
use crate::{
    api::container::{Unsealed, VolumeFault},
    audit,
    env::{Env, Scope},
    error::ActorError,
    host::owner::tell,
    ports::CellStatus,
    work::{SystemWork, Work, run_system},
};

/// How the last sealing of a volume went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sealing {
    /// That is not known, or there is none.
    #[default]
    Unknown,
    /// It succeeded at an unlock, or in it: whatever was lost before, there is a volume that is sealed.
    Open,
    /// Nothing failed since: what was not lost is sealed.
    Locked,
    /// It failed.
    Failed(Unsealed),
}

/// What the looks at a cell have written down of it; none before the first.
pub(super) type Known = Mutex<Option<Option<Unsealed>>>;

/// In the row now.
pub(crate) fn unsealed(row: &Container) -> Option<Unsealed> {
    let since = row.unsealed_since?;
    Some(Unsealed { since, why: row.unsealed_why.unwrap_or(VolumeFault::Unknown), lost: row.unsealed_lost })
}

/// What a cell says after it was asked to lock, which said that it could not seal (`refused`) or nothing.
pub(super) async fn after_lock(env: &Env, cell: &Cell, refused: bool) -> Sealing {
    if !cell.seals && !refused {
        return Sealing::Unknown;
    }
    match cell.status(env).await {
        Ok(CellStatus { unsealed: Some(unsealed), .. }) => Sealing::Failed(unsealed),
        _ if refused => Sealing::Failed(Unsealed { since: env.now(), why: VolumeFault::Unknown, lost: true }),
        Ok(_) => Sealing::Locked,
        Err(_) => Sealing::Unknown,
    }
}

/// Takes it into the row that was read in this transaction, if that says something else.
pub(super) async fn take_in(
    work: &mut Work,
    row: Container,
    sealing: Sealing,
) -> Result<Container, ActorError> {
    let before = unsealed(&row);
    let now = match (sealing, before) {
        (Sealing::Unknown, _) => before,
        (Sealing::Locked, Some(before)) if before.lost => Some(before),
        (Sealing::Open | Sealing::Locked, _) => None,
        (Sealing::Failed(now), Some(before)) => {
            Some(Unsealed { lost: now.lost || before.lost && before.since == now.since, ..now })
        }
        (Sealing::Failed(now), None) => Some(now),
    };
    if now == before {
        return Ok(row);
    }
    let container = row.container_id;
    let row = changed(work, row, |row| {
        row.unsealed_since = now.map(|now| now.since);
        row.unsealed_why = now.map(|now| now.why);
        row.unsealed_lost = now.is_some_and(|now| now.lost);
        Ok(())
    })
    .await?;
    let object = format!("container/{container}");
    match now {
        None => audit::note(work, "container.sealed", object, AuditOutcome::Allowed, vec![]).await?,
        // why the latest failed may change by the minute
        Some(now) if before.is_none_or(|it| (it.since, it.lost) != (now.since, now.lost)) => {
            let details =
                vec![("why".to_owned(), now.why.to_string()), ("lost".to_owned(), now.lost.to_string())];
            audit::note(work, "container.not_sealed", object, AuditOutcome::Failed, details).await?;
        }
        Some(_) => {}
    }
    Ok(row)
}

/// Writes down what a look at a cell showed, if no look before has; `held` is the unlock that its row had when the look began.
pub(super) async fn looked(
    scope: &Scope,
    cell: &Arc<Cell>,
    known: &Known,
    held: Option<UnlockId>,
    status: &CellStatus,
) {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if !cell.seals || *lock() == Some(status.unsealed) {
        return;
    }
    let open_by = status.unlocked.map(|(unlock, _)| unlock);
    let sealing = match (status.unsealed, open_by) {
        (Some(unsealed), _) => Sealing::Failed(unsealed),
        (None, Some(_)) => Sealing::Open,
        (None, None) => Sealing::Locked,
    };
    match run_system(scope, Looked { cell: Arc::clone(cell), sealing, of: open_by.or(held) }).await {
        Ok((written, effects)) => {
            tell(scope, effects);
            // a stop that was under way then may have come to nothing: the next look says it again
            if written {
                *lock() = Some(status.unsealed);
            }
        }
        Err(error) => {
            tracing::debug!(container = %cell.container(), %error, "sealing was not written down, looked at again");
        }
    }
}

struct Looked {
    cell: Arc<Cell>,
    sealing: Sealing,
    /// The unlock that the row has to be of: what was seen of one is nothing to say of the next.
    of: Option<UnlockId>,
}

impl SystemWork for Looked {
    /// Whether it was written down.
    type Output = bool;

    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let row = work.tx.get::<Container>(self.cell.container()).await?.ok_or(ActorError::NotFound)?;
        if !is_live(row.observed) || !self.cell.is_of(&work.env, &row)? {
            return Ok(false);
        }
        if row.unlock_id != self.of {
            return Err(ActorError::Aborted("the container"));
        }
        take_in(work, row, self.sealing).await.map(|_| true)
    }
}
