//! What a cell says in its conversations, on its way into the owner's store.
//!
//! As with the inbox the host asks, the cell repeats what was not answered, and the store knows a record by its place: so
//! nothing is lost or written twice, whatever breaks in between.

use std::{sync::Arc, time::Duration};

use ocmt_types::{ContainerId, Epoch, MessageId};
use ractor::ActorRef;

use crate::{
    env::Scope,
    error::ActorError,
    host::{
        container::{ContainerMessage, cell::Cell, moved::is_moved},
        owner::tell,
    },
    ports::{CellError, CellGot, CellWant},
    supervisor::{self, Task},
    tenant::transcript::cell::Fulfil,
    work::run_system,
};

/// How long a cell may let its host wait for something.
const WAIT: Duration = Duration::from_secs(20);
/// It answers within this then, or does not answer at all.
const ANSWER: Duration = Duration::from_secs(5);
/// After a failure, and before what could not be answered is looked at again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Before a cell is asked again that knows no conversations.
const OF_BEFORE: Duration = Duration::from_secs(30);
/// After each wish of an exchange, which is a line of the audit; after one with refusals longer, and longer each time.
const FOR_EACH: Duration = Duration::from_millis(50);
const REFUSED: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Serves a cell under this ownership, until it is dropped.
pub(super) fn serve(
    myself: &ActorRef<ContainerMessage>,
    scope: &Scope,
    container: ContainerId,
    cell: Arc<Cell>,
) -> Task {
    let (scope, myself) = (scope.clone(), myself.clone());
    let epoch: Epoch = scope.ownership.epoch;
    supervisor::task(async move {
        if let Some(error) = exchange(scope, container, cell).await {
            // whoever owns the tenant now is asked, also if it sleeps; that brings the next ownership
            let _ = myself.cast(ContainerMessage::Moved(epoch, error));
        }
    })
}

/// Until the ownership is not the current one any more: how that was told. None for a container that is gone.
async fn exchange(scope: Scope, container: ContainerId, cell: Arc<Cell>) -> Option<ActorError> {
    let (mut answers, mut pace) = (Vec::new(), Duration::ZERO);
    loop {
        let asked = scope.env.clock.boottime();
        // what could not be handed over comes again, and is known then
        let call = scope.env.cells.exchange_transcripts(&cell.target, std::mem::take(&mut answers), WAIT);
        let wants = match tokio::time::timeout(WAIT + ANSWER, call).await {
            Ok(Ok(wants)) => wants,
            Ok(Err(CellError::Refused { why, .. })) => {
                tracing::debug!(%container, why, "a cell has no conversations");
                tokio::time::sleep(OF_BEFORE).await;
                continue;
            }
            Ok(Err(CellError::Unreachable(_))) | Err(_) => {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        };
        if wants.is_empty() {
            if scope.env.clock.boottime().saturating_sub(asked) < AGAIN_AFTER {
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            continue;
        }
        tokio::time::sleep(pace).await;
        let wanted = wants.len();
        match fulfil(&scope, container, wants).await {
            Ok(done) => answers = done,
            Err(ActorError::NotFound) => return None,
            Err(error) => return Some(error),
        }
        pace = pace_after(&answers, pace);
        if answers.len() < wanted {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// A workload that goes on with what is refused waits longer each time: each look takes the tenant's transaction. Somebody
/// who was faster is no refusal of that kind.
fn pace_after(answers: &[(MessageId, CellGot)], before: Duration) -> Duration {
    let refused = answers.iter().any(|(_, got)| match got {
        CellGot::Refused { reason, .. } => reason != "CHANGED_MEANWHILE",
        CellGot::Done | CellGot::Shown { .. } => false,
    });
    let each = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    if refused { (before * 2).clamp(REFUSED, LONGEST) } else { FOR_EACH * each }
}

/// What became of each; what has no answer yet is not among them. An error ends it all.
async fn fulfil(
    scope: &Scope,
    container: ContainerId,
    wants: Vec<CellWant>,
) -> Result<Vec<(MessageId, CellGot)>, ActorError> {
    let mut answers = Vec::with_capacity(wants.len());
    for want in wants {
        let wish = want.wish;
        match run_system(scope, Fulfil { container, want }).await {
            Ok((got, effects)) => {
                tell(scope, effects);
                answers.push((wish, got));
            }
            Err(error) if is_moved(&error) || error == ActorError::NotFound => return Err(error),
            Err(error) if error.is_refusal() && !error.is_retryable() => {
                let got = CellGot::Refused { reason: error.reason().to_owned(), why: error.to_string() };
                answers.push((wish, got));
            }
            // it stays in the cell, and comes again
            Err(error) => tracing::debug!(%container, %error, "wish of a cell not done, asked again"),
        }
    }
    Ok(answers)
}
