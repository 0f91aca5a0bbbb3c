//! What a cell seals to its user's vault, on its way into the owner's store.
//!
//! A cell calls nobody, so its host asks, and the cell answers when it has something. It keeps each item until it
//! was told that the item is stored, and whoever made the item waits for that: a host that dies in between takes
//! the item again, and the store knows it by its id.

mod transcripts;

use std::{sync::Arc, time::Duration};

use ocmt_store::tables::ContainerState;
use ocmt_types::{ContainerId, Epoch};

use ractor::ActorRef;

use super::{ContainerActorState, ContainerMessage, agent, cell::Cell, errand, moved::is_moved, ops::Ctx};
use crate::{
    env::Scope,
    error::ActorError,
    host::owner::tell,
    ports::{CellError, CellInboxItem, CellInboxSettled},
    supervisor::{self, Task},
    tenant::vault::inbox::TakeIn,
    work::run_system,
};

/// How long a cell may let its host wait for something.
const WAIT: Duration = Duration::from_secs(20);
/// It answers within this then, or does not answer at all.
const ANSWER: Duration = Duration::from_secs(5);
/// After a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Between two batches; after one with refusals longer, and longer each time.
const SHORTEST: Duration = Duration::from_millis(50);
const REFUSED: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// What is left is taken in before a cell is frozen or ended, in so many rounds and this long at most.
const ROUNDS: usize = 8;
const DRAIN: Duration = Duration::from_secs(3);

/// Who collects, under which ownership, from which start of the cell.
pub(super) struct Collector {
    epoch: Epoch,
    cell: Arc<Cell>,
    _task: Task,
    /// The way out for its connections.
    _carrier: Task,
    /// What it says in its conversations.
    _transcripts: Task,
    /// The way in for what its agents may do.
    policy: agent::Carrier,
}

impl ContainerActorState {
    /// A running cell is listened to, under the ownership of today; any other is not.
    pub(super) fn listen(&mut self, myself: &ActorRef<ContainerMessage>) {
        let running = self.row.as_ref().filter(|row| row.observed == ContainerState::Running);
        let (Some(row), Some(cell)) = (running, self.cell.clone()) else {
            self.collector = None;
            return;
        };
        let epoch = self.scope.ownership.epoch;
        let same = |now: &Collector| now.epoch == epoch && Arc::ptr_eq(&now.cell, &cell);
        if self.collector.as_ref().is_some_and(same) {
            return self.look_at_policy();
        }
        let said = transcripts::serve(myself, &self.scope, self.container, Arc::clone(&cell));
        let (scope, container, of_cell) = (self.scope.clone(), self.container, Arc::clone(&cell));
        let myself = myself.clone();
        let task = supervisor::task(async move {
            if let Some(error) = collect(scope, container, of_cell).await {
                // whoever owns the tenant now is asked, also if it sleeps; that brings the next ownership
                let _ = myself.cast(ContainerMessage::Moved(epoch, error));
            }
        });
        let carried = errand::carry(self.scope.clone(), self.container, Arc::clone(&cell));
        let policy = agent::Carrier::new(&self.scope, row, Arc::clone(&cell));
        let carrier = supervisor::task(carried);
        self.collector =
            Some(Collector { epoch, cell, _task: task, _carrier: carrier, _transcripts: said, policy });
    }

    /// What its agents may do may have changed.
    pub(super) fn look_at_policy(&self) {
        if let Some(collector) = &self.collector {
            collector.policy.look();
        }
    }
}

/// Collects until the ownership is not the current one any more: how that was told. None for a container that is gone.
async fn collect(scope: Scope, container: ContainerId, cell: Arc<Cell>) -> Option<ActorError> {
    let (mut settled, mut pace) = (CellInboxSettled::default(), Duration::ZERO);
    loop {
        let asked = scope.env.clock.boottime();
        // what could not be confirmed comes again, and is known then
        let given = take(&scope, &cell, std::mem::take(&mut settled), WAIT).await;
        let stored = match given {
            Ok(items) if items.is_empty() => {
                if scope.env.clock.boottime().saturating_sub(asked) < AGAIN_AFTER {
                    // it has nothing and does not wait: one of before, that makes no items
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                continue;
            }
            Ok(items) => {
                tokio::time::sleep(pace).await;
                store(&scope, container, items).await
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(now) => {
                pace = pace_after(&now, pace);
                settled = now;
            }
            Err(error) if is_moved(&error) => return Some(error),
            Err(ActorError::NotFound) => return None,
            Err(error) => {
                tracing::debug!(%container, %error, "inbox of a cell not taken, asked again");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// A workload that goes on sending what is refused waits longer each time: each look takes the tenant's transaction.
fn pace_after(settled: &CellInboxSettled, before: Duration) -> Duration {
    if settled.refused.is_empty() { SHORTEST } else { (before * 2).clamp(REFUSED, LONGEST) }
}

/// Takes what is left in the cell, before it is frozen or ended.
pub(super) async fn drain(ctx: &Ctx) {
    let Some(cell) = &ctx.cell else { return };
    let all = async {
        let mut settled = CellInboxSettled::default();
        for _ in 0..ROUNDS {
            let items = take(&ctx.scope, cell, std::mem::take(&mut settled), Duration::ZERO).await?;
            if items.is_empty() {
                return Ok(());
            }
            settled = store(&ctx.scope, ctx.container, items).await?;
        }
        take(&ctx.scope, cell, settled, Duration::ZERO).await.map(drop)
    };
    match tokio::time::timeout(DRAIN, all).await {
        Ok(Ok(())) => {}
        // whoever made it has no confirmation
        Ok(Err(error)) => tracing::debug!(container = %ctx.container, %error, "inbox of a cell not drained"),
        Err(_) => tracing::debug!(container = %ctx.container, "inbox of a cell not drained in time"),
    }
}

async fn take(
    scope: &Scope,
    cell: &Cell,
    settled: CellInboxSettled,
    wait: Duration,
) -> Result<Vec<CellInboxItem>, ActorError> {
    let call = scope.env.cells.take_inbox(&cell.target, settled, wait);
    let no_answer = |why: String| ActorError::unavailable("CELL_UNREACHABLE", why);
    match tokio::time::timeout(wait + ANSWER, call).await {
        Ok(Ok(items)) => Ok(items),
        Ok(Err(CellError::Unreachable(why) | CellError::Refused { why, .. })) => Err(no_answer(why)),
        Err(_) => Err(no_answer("no answer in time".to_owned())),
    }
}

async fn store(
    scope: &Scope,
    container: ContainerId,
    items: Vec<CellInboxItem>,
) -> Result<CellInboxSettled, ActorError> {
    let (settled, effects) = run_system(scope, TakeIn { container, items }).await?;
    tell(scope, effects);
    Ok(settled)
}
