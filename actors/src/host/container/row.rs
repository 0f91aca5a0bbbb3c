//! What is written down of a container: intents before the engine is called, results after, each with its
//! audit record and timer in one fenced transaction.

use std::time::Duration;

use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_store::tables::{Container, ContainerState, DesiredState, EgressPolicyRow, EgressUse, WakeCause};
use ocmt_types::{ContainerId, Timestamp};

use super::{
    sealing::{self, Sealing},
    state::{Clocks, due_at},
};
use crate::{
    api::container::ContainerSpec,
    audit,
    clip::clip,
    env::Scope,
    error::ActorError,
    host::owner::tell,
    policy::{TenantPolicy, positive},
    tenant::{
        connections,
        container::events::{self, WokeLocked},
        quota,
        session_row::tenant_of,
    },
    work::{SystemWork, Work, run_system},
};

/// Timer of the idle clock; its subject is the container.
pub(crate) const LOOK: &str = "container.look";
/// Timer of a lock that has to happen; its subject is the container.
pub(crate) const LOCK: &str = "container.lock";
/// An operation that was cut off is looked at after this.
pub(crate) const CUT_OFF: Duration = Duration::from_secs(60);

/// A change that meets another of the same row is applied anew, so often at most.
const TRIES: usize = 4;

/// Whether something was begun, or has to be done whoever still waits for it: a removal, and a quarantine of what
/// does not rest. Whoever was to do it may have been cut off, or never have heard of it; the timer finds that.
pub(crate) fn is_unfinished(row: &Container) -> bool {
    use ContainerState as Phase;
    match row.observed {
        Phase::Creating | Phase::Waking | Phase::Pausing | Phase::Stopping => true,
        Phase::Running | Phase::Paused => matches!(row.desired, DesiredState::Absent | DesiredState::Held),
        Phase::Absent | Phase::Stopped | Phase::Failed | Phase::Held => row.desired == DesiredState::Absent,
    }
}

/// Looks again at what was admitted just now, should its order not reach the host.
pub(crate) async fn see_to(work: &mut Work, row: &Container) -> Result<(), ActorError> {
    if is_unfinished(row) {
        work.set_timer(LOOK, &row.container_id.to_string(), work.now + CUT_OFF, &[]).await?;
    }
    Ok(())
}

/// Reads what a user chose.
pub(crate) fn spec_of(row: &Container) -> Result<ContainerSpec, ActorError> {
    serde_json::from_slice(&row.spec).map_err(|error| {
        tracing::error!(container = %row.container_id, %error, "stored spec of a container cannot be read");
        ActorError::unavailable("STORE_DAMAGED", "the container's stored spec cannot be read")
    })
}

/// When a container sleeps: its own values before the tenant's.
pub(super) fn clocks_of(row: &Container, policy: &TenantPolicy) -> Result<Clocks, ActorError> {
    let spec = spec_of(row)?;
    let pause_after = positive(spec.pause_after_ms.unwrap_or(policy.pause_after_ms));
    let stop_after = positive(spec.stop_after_ms.unwrap_or(policy.stop_after_ms));
    Ok(Clocks { pause_after, stop_after })
}

/// A change of the row.
#[derive(Clone)]
pub(super) struct Write<F> {
    pub(super) container: ContainerId,
    /// Applied to the row as it is in the transaction.
    pub(super) change: F,
    /// For the audit: what the node does or did; none for what nobody needs to read.
    pub(super) action: Option<&'static str>,
    pub(super) failed: bool,
    /// Its cell has locked, and could not seal its volume.
    pub(super) unsealed: bool,
    /// How the last sealing went, as far as this shows it.
    pub(super) sealing: Sealing,
    /// It settles a lock that was asked for.
    pub(super) locked: bool,
    /// What woke it, if this is the end of a wake and its cell is locked.
    pub(super) woke: Option<WakeCause>,
}

impl<F> SystemWork for Write<F>
where
    F: FnOnce(&mut Container) -> Result<(), ActorError> + Clone + Send + 'static,
{
    type Output = Container;

    async fn perform(self, work: &mut Work) -> Result<Container, ActorError> {
        let row = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let before = row.observed;
        let next = changed(work, row, self.change).await?;
        let next = sealing::take_in(work, next, self.sealing).await?;
        if next.observed != before
            && matches!(next.observed, ContainerState::Creating | ContainerState::Waking)
        {
            quota::may_live(work, &next).await?;
        }
        let subject = next.container_id.to_string();
        let due = if is_unfinished(&next) {
            Some(work.now + CUT_OFF)
        } else {
            let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
            due_at(next.observed, next.active_at, next.unlocked_until, clocks_of(&next, &policy)?)
        };
        match due {
            Some(due) => work.set_timer(LOOK, &subject, due, &[]).await?,
            None => drop(work.tx.clear_timer(LOOK, &subject).await?),
        }
        if let Some(cause) = self.woke.filter(|_| next.unlocked_until.is_none_or(|until| until <= work.now)) {
            let wait_until = due.unwrap_or(work.now);
            events::woke_locked(work, &next, WokeLocked { cause, wait_until }).await?;
        }
        if self.locked {
            work.tx.clear_timer(LOCK, &subject).await?;
        }
        if let Some(action) = self.action {
            let outcome = if self.failed { AuditOutcome::Failed } else { AuditOutcome::Allowed };
            let mut details = Vec::new();
            details.extend(
                next.failure.iter().filter(|_| self.failed).map(|why| ("why".to_owned(), clip(why, 500))),
            );
            details.extend(self.unsealed.then(|| ("volume".to_owned(), "not sealed".to_owned())));
            audit::note(work, action, format!("container/{subject}"), outcome, details).await?;
        }
        Ok(next)
    }
}

/// Applies a change to the row that was read in this transaction.
pub(crate) async fn changed(
    work: &mut Work,
    mut row: Container,
    change: impl FnOnce(&mut Container) -> Result<(), ActorError>,
) -> Result<Container, ActorError> {
    let before = row.clone();
    change(&mut row)?;
    let secret = before.start_secret.as_deref();
    if let Some(wrapped) = row.start_secret.as_deref().filter(|wrapped| secret != Some(wrapped)) {
        work.check_wrapped(wrapped).await?;
    }
    if row.observed != before.observed {
        row.updated_at = work.now;
    }
    row.version += 1;
    if !work.tx.update_if(&row, Container::version.eq(before.version)).await? {
        return Err(ActorError::Aborted("the container"));
    }
    events::changed(work, Some(&before), &row).await?;
    Ok(row)
}

/// Runs it, tells the tenant's actor of the timers, and answers with the row.
pub(super) async fn write<F>(scope: &Scope, write: Write<F>) -> Result<Container, ActorError>
where
    F: FnOnce(&mut Container) -> Result<(), ActorError> + Clone + Send + 'static,
{
    for _ in 1..TRIES {
        match run_system(scope, write.clone()).await {
            Ok((row, effects)) => {
                tell(scope, effects);
                return Ok(row);
            }
            Err(error) if matches!(error.reason(), "CHANGED_MEANWHILE" | "STORE_CONFLICT") => {}
            Err(error) => return Err(error),
        }
    }
    let (row, effects) = run_system(scope, write).await?;
    tell(scope, effects);
    Ok(row)
}

/// Sets the timer of the idle clock anew, and writes the last activity down.
pub(super) struct Rearm {
    pub(super) container: ContainerId,
    pub(super) active_at: Timestamp,
    pub(super) due: Option<Timestamp>,
}

impl SystemWork for Rearm {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let Some(row) = work.tx.get::<Container>(self.container).await? else { return Ok(()) };
        if row.active_at < self.active_at {
            changed(work, row, |row| {
                row.active_at = self.active_at;
                Ok(())
            })
            .await?;
        }
        match self.due {
            Some(due) => work.set_timer(LOOK, &self.container.to_string(), due, &[]).await,
            None => Ok(()),
        }
    }
}

/// The row is gone with all that belongs to it; the volume stays, or is gone already.
pub(crate) struct Forget {
    pub(crate) container: ContainerId,
    /// What became of its volume; none if nothing was done to it.
    pub(crate) volume: Option<&'static str>,
}

impl SystemWork for Forget {
    /// Whether it is forgotten: not while its volume is to go first, which may have been asked for meanwhile.
    type Output = bool;
    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let subject = self.container.to_string();
        let mut details = Vec::new();
        if let Some(row) = work.tx.get::<Container>(self.container).await? {
            if row.erase_volume && self.volume.is_none() {
                return Ok(false);
            }
            work.tx.delete::<Container>(self.container).await?;
            work.tx.return_memory(row.host_node, row.memory_mib).await?;
            if row.volume_mib > 0 {
                quota::count_bytes(work, -quota::volume_bytes(row.volume_mib)).await?;
            }
            events::removed(work, &row).await?;
            if row.erase_volume {
                details.extend(self.volume.map(|became| ("volume".to_owned(), became.to_owned())));
            }
        }
        connections::forget(work, self.container).await?;
        work.tx.delete::<EgressPolicyRow>(EgressPolicyRow::subject_of(Some(self.container))).await?;
        work.tx.delete::<EgressUse>(self.container).await?;
        work.tx.clear_timer(LOOK, &subject).await?;
        work.tx.clear_timer(LOCK, &subject).await?;
        let object = format!("container/{subject}");
        audit::note(work, "container.removed", object, AuditOutcome::Allowed, details).await?;
        Ok(true)
    }
}
