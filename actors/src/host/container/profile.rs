//! Holds a running container against the profile, again and again: a network that was attached by hand, or a limit that
//! was changed, makes it another container than its tenant was promised.

use std::sync::atomic::Ordering;

use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_store::tables::{Container, DesiredState};
use ocmt_types::ContainerId;
use ractor::ActorRef;
use tokio::time::timeout;

use super::{
    ContainerActorState, ContainerMessage,
    ops::is_live,
    row::{changed, see_to},
    state::Event,
    wake::engine_spec,
};
use crate::{
    audit,
    clip::clip,
    env::{OnDrift, Scope},
    error::ActorError,
    host::owner::tell,
    supervisor,
    work::{SystemWork, Work, run_system},
};

/// The engine answers within this.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(20);
/// Of what was found, in bytes.
const LONGEST: usize = 500;

impl ContainerActorState {
    /// Looks whether it is still as it was made; what is not is written down, once, and held where the node says so.
    pub(super) fn hold_to_profile(&mut self, myself: &ActorRef<ContainerMessage>) {
        let live = self.row.as_ref().filter(|row| is_live(row.observed) && self.moved.is_none());
        let (Some(row), None) = (live, &self.flight) else { return };
        let Ok(spec) = engine_spec(&self.scope, row, false) else { return };
        let (scope, myself, known) = (self.scope.clone(), myself.clone(), self.drifted.clone());
        let container = self.container;
        self.profile = Some(supervisor::task(async move {
            // gone or not answering is the business of others
            let Ok(Ok(found)) = timeout(ANSWER, scope.env.runtime.drift(&spec)).await else { return };
            if found.is_empty() {
                if known.is_some() {
                    let _ = myself.cast(ContainerMessage::Drifted(None));
                }
                return;
            }
            let why = found.join("; ");
            if known.as_ref() == Some(&why) {
                return;
            }
            tracing::warn!(%container, why, "container is not as it was made");
            let hold = scope.env.limits.on_drift == OnDrift::Hold;
            match written(&scope, Drifted { container, why: clip(&why, LONGEST), hold }).await {
                Ok(()) => {
                    scope.env.drifted.fetch_add(1, Ordering::Relaxed);
                    let _ = myself.cast(ContainerMessage::Drifted(Some(why)));
                }
                Err(error) => {
                    tracing::debug!(%container, %error, "drift was not written down, looked at again");
                }
            }
        }));
    }

    /// What was found is written down; none if all is well again.
    pub(super) fn drifted(&mut self, myself: &ActorRef<ContainerMessage>, why: Option<String>) {
        let found = why.is_some();
        self.drifted = why;
        if found {
            // what is held since is in the row
            self.step(myself, Event::Doubt);
        }
    }
}

async fn written(scope: &Scope, work: Drifted) -> Result<(), ActorError> {
    let ((), effects) = run_system(scope, work).await?;
    tell(scope, effects);
    Ok(())
}

/// Writes down what was found, and that it is held for it.
struct Drifted {
    container: ContainerId,
    why: String,
    hold: bool,
}

impl SystemWork for Drifted {
    type Output = ();

    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let row = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let holds = self.hold && !matches!(row.desired, DesiredState::Held | DesiredState::Absent);
        if holds {
            let failure = Some(format!("held: {}", self.why));
            let row = changed(work, row, |row| {
                (row.desired, row.failure) = (DesiredState::Held, failure);
                Ok(())
            })
            .await?;
            see_to(work, &row).await?;
        }
        let details = vec![("why".to_owned(), self.why), ("held".to_owned(), holds.to_string())];
        let object = format!("container/{}", self.container);
        audit::note(work, "container.drift", object, AuditOutcome::Denied, details).await
    }
}
