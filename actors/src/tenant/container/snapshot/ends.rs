//! How what was done with a snapshot ended: written by the container's host, under the ownership of the order, or by
//! a timer where the host was cut off.

use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_store::tables::{Container, ContainerState, DesiredState, Snapshot, SnapshotState};
use ocmt_types::{ContainerId, Digest32, SnapshotId};

use super::{TOLD, info, scheduled, set, store};
use crate::{
    api::snapshot::SnapshotDone,
    audit,
    clip::clip,
    env::Scope,
    error::ActorError,
    host::{container::row::changed, tell},
    tenant::quota,
    work::{SystemWork, Work, run_system},
};

/// What was done.
#[derive(Debug, Clone)]
pub(crate) enum Went {
    /// It is in the store, and was read back.
    Taken {
        /// Bytes.
        size: u64,
        /// SHA-256 of them.
        hash: Digest32,
        /// What only one by schedule has.
        scheduled: Option<Box<Scheduled>>,
    },
    /// The volume is the snapshot's.
    Restored,
    /// It opens to its end.
    Verified,
    /// Nothing came of it, and why.
    Failed(String),
    /// What is stored does not open.
    Damaged(String),
    /// Its host does not take the schedule, and why: nothing was begun.
    ScheduleRefused(String),
}

/// What a snapshot by schedule has beside its ciphertext.
#[derive(Debug, Clone)]
pub(crate) struct Scheduled {
    /// Its key, sealed to the schedule's public key.
    pub(crate) sealed_key: Vec<u8>,
    /// What its host signed.
    pub(crate) statement: Vec<u8>,
    /// The certificates of that host.
    pub(crate) chain: Vec<Vec<u8>>,
}

/// Whether something is being done with it.
pub(super) fn is_under_way(state: SnapshotState) -> bool {
    use SnapshotState as It;
    matches!(state, It::Taking | It::Restoring | It::Placing | It::Verifying)
}

/// Before the volume is touched: refused if something else was wanted meanwhile, or by an owner of before.
pub(crate) struct Place {
    pub(crate) container: ContainerId,
    pub(crate) snapshot: SnapshotId,
}

impl SystemWork for Place {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let container = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let row = work.tx.get::<Snapshot>(self.snapshot).await?.ok_or(ActorError::NotFound)?;
        let kept = matches!(container.desired, DesiredState::Held | DesiredState::Absent);
        if kept || row.state != SnapshotState::Restoring {
            return Err(ActorError::Aborted("the snapshot"));
        }
        work.tx.update(&Snapshot { state: SnapshotState::Placing, ..row }).await?;
        Ok(())
    }
}

/// Writes it down.
#[derive(Clone)]
pub(crate) struct Finish {
    pub(crate) container: ContainerId,
    pub(crate) snapshot: SnapshotId,
    /// The key of the cell that did it.
    pub(crate) by: [u8; 32],
    pub(crate) went: Went,
}

impl SystemWork for Finish {
    type Output = (Container, Result<SnapshotDone, ActorError>);

    async fn perform(self, work: &mut Work) -> Result<Self::Output, ActorError> {
        let container = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let row = work.tx.get::<Snapshot>(self.snapshot).await?.ok_or(ActorError::NotFound)?;
        let expected = match self.went {
            Went::Taken { .. } | Went::ScheduleRefused(_) => Some(SnapshotState::Taking),
            Went::Restored => Some(SnapshotState::Placing),
            Went::Verified => Some(SnapshotState::Verifying),
            Went::Failed(_) | Went::Damaged(_) => None,
        };
        if expected.is_some_and(|expected| row.state != expected) {
            // its timer came first
            return Ok((container, Err(ActorError::Aborted("the snapshot"))));
        }
        match self.went {
            Went::Taken { size, hash, scheduled } => {
                taken(work, container, row, (size, hash), scheduled).await
            }
            Went::Restored => {
                let opened_by = Some(Digest32(self.by));
                restored(work, container, Snapshot { opened_by, ..row }).await
            }
            Went::Verified => {
                let opened_by = Some(Digest32(self.by));
                let row =
                    Snapshot { state: SnapshotState::Taken, verified: true, opened: true, opened_by, ..row };
                settled(work, container, row, "snapshot.verified").await
            }
            Went::Damaged(why) => {
                let why =
                    came_to_nothing(work, Snapshot { verified: false, opened: false, ..row }, &why).await?;
                Ok((container, Err(ActorError::precondition("SNAPSHOT_FAILED", why))))
            }
            Went::ScheduleRefused(why) => {
                scheduled::refused_by_host(work, &row, &why).await?;
                Ok((container, Err(ActorError::precondition("SNAPSHOT_SCHEDULE_REFUSED", why))))
            }
            Went::Failed(why) => {
                let why = came_to_nothing(work, row, &why).await?;
                Ok((container, Err(ActorError::precondition("SNAPSHOT_FAILED", why))))
            }
        }
    }
}

type Ended = (Container, Result<SnapshotDone, ActorError>);

async fn taken(
    work: &mut Work,
    container: Container,
    row: Snapshot,
    (size, hash): (u64, Digest32),
    by_schedule: Option<Box<Scheduled>>,
) -> Result<Ended, ActorError> {
    if row.schedule.is_some() != by_schedule.is_some() {
        return Ok((container, Err(ActorError::Aborted("the snapshot"))));
    }
    let size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
    if let Err(full) = quota::store_bytes(work, size_bytes).await {
        // what was counted is taken back: the refusal is written down here, and undoes nothing
        quota::count_bytes(work, -size_bytes).await?;
        came_to_nothing(work, row, &full.to_string()).await?;
        return Ok((container, Err(full)));
    }
    let row =
        Snapshot { state: SnapshotState::Taken, size_bytes, content_hash: Some(hash), verified: true, ..row };
    let Some(by_schedule) = by_schedule else {
        return settled(work, container, row, "snapshot.taken").await;
    };
    let chain = Some(scheduled::join(&by_schedule.chain));
    let Scheduled { sealed_key, statement, .. } = *by_schedule;
    let row = Snapshot { sealed_key: Some(sealed_key), statement: Some(statement), chain, ..row };
    let ended = settled(work, container, row.clone(), "snapshot.taken").await?;
    scheduled::taken(work, &row).await?;
    Ok(ended)
}

/// The container is made anew over the volume that was put in its place.
async fn restored(work: &mut Work, container: Container, row: Snapshot) -> Result<Ended, ActorError> {
    let container = changed(work, container, |container| {
        container.generation += 1;
        container.runtime_ref = None;
        container.cell_addr = None;
        container.start_secret = None;
        container.failure = None;
        (container.exit_code, container.exit_oom, container.exited_at) = (None, false, None);
        if container.desired == DesiredState::Running {
            container.desired = DesiredState::Stopped;
        }
        if container.observed != ContainerState::Held {
            container.observed = ContainerState::Absent;
        }
        Ok(())
    })
    .await?;
    settled(
        work,
        container,
        Snapshot { state: SnapshotState::Taken, verified: true, opened: true, ..row },
        "snapshot.restored",
    )
    .await
}

async fn settled(
    work: &mut Work,
    container: Container,
    row: Snapshot,
    action: &'static str,
) -> Result<Ended, ActorError> {
    work.tx.update(&row).await?;
    let subject = row.snapshot_id.to_string();
    work.tx.clear_timer(super::TIMER, &subject).await?;
    let details = vec![
        ("container".to_owned(), container.container_id.to_string()),
        ("generation".to_owned(), container.generation.to_string()),
        ("bytes".to_owned(), row.size_bytes.to_string()),
    ];
    audit::note(work, action, format!("snapshot/{subject}"), AuditOutcome::Allowed, details).await?;
    let generation = u64::try_from(container.generation).unwrap_or(0);
    Ok((container, Ok(SnapshotDone { snapshot: info(row), generation })))
}

/// Of what was cut off between the volume and its row.
const EITHER: &str = "the volume is as it was, or the snapshot's, whole: which is not known";

/// Nothing came of what is under way: one that was to be taken is none, another is as it was before.
pub(super) async fn came_to_nothing(work: &mut Work, row: Snapshot, why: &str) -> Result<String, ActorError> {
    let id = row.snapshot_id;
    let why = match row.state {
        SnapshotState::Placing => format!("{EITHER} ({why})"),
        _ => why.to_owned(),
    };
    let why = clip(&why, 300);
    let by_schedule = row.schedule.is_some() && row.state == SnapshotState::Taking;
    let state = match row.state {
        // the schedule says why, and begins another
        SnapshotState::Taking if by_schedule => SnapshotState::Ending,
        SnapshotState::Taking => SnapshotState::Failed,
        SnapshotState::Restoring | SnapshotState::Placing | SnapshotState::Verifying => SnapshotState::Taken,
        // somebody else has said so already
        settled @ (SnapshotState::Taken | SnapshotState::Failed | SnapshotState::Ending) => settled,
    };
    if state != row.state {
        work.tx.update(&Snapshot { state, failure: Some(why.clone()), ..row.clone() }).await?;
        match state {
            SnapshotState::Failed => set(work, id, TOLD).await?,
            SnapshotState::Ending => set(work, id, std::time::Duration::ZERO).await?,
            _ => drop(work.tx.clear_timer(super::TIMER, &id.to_string()).await?),
        }
        let details = vec![("why".to_owned(), why.clone())];
        audit::note(work, "snapshot.failed", format!("snapshot/{id}"), AuditOutcome::Failed, details).await?;
    }
    if by_schedule {
        scheduled::came_to_nothing(work, &row, &why).await?;
    }
    Ok(why)
}

/// Deletes the object of one that goes, and then its row. What does not go now is tried again by its timer.
pub(in crate::tenant) async fn drop_object(scope: Scope, snapshot: SnapshotId) {
    let deleted = async {
        store(&scope.env)?
            .store
            .delete(scope.ownership.tenant, snapshot)
            .await
            .map_err(|error| ActorError::unavailable("SNAPSHOT_STORE", error.to_string()))?;
        run_system(&scope, Dropped(snapshot)).await
    };
    match deleted.await {
        Ok(((), effects)) => tell(&scope, effects),
        Err(error) => tracing::warn!(%snapshot, %error, "a snapshot could not be deleted yet"),
    }
}

struct Dropped(SnapshotId);

impl SystemWork for Dropped {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let Some(row) = work.tx.take::<Snapshot>(self.0).await? else { return Ok(()) };
        if row.size_bytes > 0 {
            quota::count_bytes(work, -row.size_bytes).await?;
        }
        let subject = self.0.to_string();
        work.tx.clear_timer(super::TIMER, &subject).await?;
        let details = vec![("user".to_owned(), row.user_id.to_string())];
        audit::note(work, "snapshot.deleted", format!("snapshot/{subject}"), AuditOutcome::Allowed, details)
            .await
    }
}
