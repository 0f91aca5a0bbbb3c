//! What happens to containers is written down in the transaction in which it does, for those who watch.

use ocmt_store::tables::{Container, ContainerEvent, ContainerEventKind, ContainerState, WakeCause};
use ocmt_types::Timestamp;

use crate::{effect::Effect, error::ActorError, tenant::group_vault::unlock as group_unlock, work::Work};

/// Events of a tenant that are kept.
pub(crate) const KEPT: i64 = 1024;

/// That a container woke locked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WokeLocked {
    pub(crate) cause: WakeCause,
    /// When whoever waits gives up.
    pub(crate) wait_until: Timestamp,
}

/// It is another than before, in what people see.
pub(crate) async fn changed(
    work: &mut Work,
    before: Option<&Container>,
    row: &Container,
) -> Result<(), ActorError> {
    if before.is_some_and(|before| shown(before) == shown(row)) {
        return Ok(());
    }
    note(work, row, ContainerEventKind::Changed, None).await
}

/// What people see of it.
type Shown<'a> =
    (ContainerState, i64, Option<Timestamp>, Option<&'a str>, Option<Timestamp>, Option<Timestamp>, bool);

fn shown(row: &Container) -> Shown<'_> {
    let failure = row.failure.as_deref();
    let (since, lost) = (row.unsealed_since, row.unsealed_lost);
    (row.observed, row.generation, row.unlocked_until, failure, row.exited_at, since, lost)
}

/// It is gone.
pub(crate) async fn removed(work: &mut Work, row: &Container) -> Result<(), ActorError> {
    let row = Container { observed: ContainerState::Absent, ..row.clone() };
    note(work, &row, ContainerEventKind::Removed, None).await?;
    group_unlock::container_gone(work, row.container_id).await
}

/// It runs, and its cell is locked.
pub(crate) async fn woke_locked(
    work: &mut Work,
    row: &Container,
    woke: WokeLocked,
) -> Result<(), ActorError> {
    note(work, row, ContainerEventKind::Locked, Some(woke)).await
}

async fn note(
    work: &mut Work,
    row: &Container,
    kind: ContainerEventKind,
    woke: Option<WokeLocked>,
) -> Result<(), ActorError> {
    let seq = last(work).await?.map_or(0, |last| last.seq) + 1;
    let event = ContainerEvent {
        tenant_id: work.ownership.tenant,
        seq,
        container_id: row.container_id,
        user_id: row.user_id,
        kind,
        state: row.observed,
        generation: row.generation,
        cause: woke.map(|woke| woke.cause),
        wait_until: woke.map(|woke| woke.wait_until),
        at: work.now,
    };
    work.tx.insert(&event).await?;
    work.tx.delete_all::<ContainerEvent>(ContainerEvent::seq.le(seq - KEPT)).await?;
    work.then(Effect::ContainersChanged);
    Ok(())
}

/// The last event, if there was any.
pub(super) async fn last(work: &mut Work) -> Result<Option<ContainerEvent>, ActorError> {
    let last = ocmt_store::Filter::all().desc(ContainerEvent::seq).limit(1);
    Ok(work.tx.first::<ContainerEvent>(last).await?)
}
