//! Timers of containers, adoption, and locks that follow from elsewhere.

use ocmt_runtime::ContainerRef;
use ocmt_store::tables::{Container, ContainerState};
use ocmt_types::{ContainerId, UserId};

use crate::{
    effect::Effect,
    error::ActorError,
    host::{
        container::row::{CUT_OFF, LOCK, LOOK},
        message::What,
    },
    ports::LockReason,
    work::{SystemWork, Work},
};

/// The idle clock of a container is due: its actor looks, and sets the timer anew. Until it has, the timer
/// stands where a crash in between is found.
pub(crate) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await? else { return Ok(()) };
    let again = work.now + CUT_OFF;
    work.set_timer(LOOK, subject, again, &[]).await?;
    // in the middle of something for so long: whoever did it is gone, or hangs
    let what = match row.observed {
        ContainerState::Running | ContainerState::Paused => What::Look,
        _ => What::Doubt,
    };
    work.then(Effect::Container(row.container_id, Box::new(what)));
    Ok(())
}

/// A lock is due, and due again until the cell has locked.
pub(crate) async fn lock(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await? else { return Ok(()) };
    if matches!(
        row.observed,
        ContainerState::Stopped | ContainerState::Failed | ContainerState::Absent | ContainerState::Held
    ) {
        // what does not run holds nothing
        return Ok(());
    }
    let again = work.now + CUT_OFF;
    work.set_timer(LOCK, subject, again, &[]).await?;
    work.then(Effect::Container(row.container_id, Box::new(What::Lock(LockReason::Rotated, None))));
    Ok(())
}

async fn row_of(work: &mut Work, subject: &str) -> Result<Option<Container>, ActorError> {
    let Ok(container) = subject.parse::<ContainerId>() else { return Ok(None) };
    Ok(work.tx.get::<Container>(container).await?)
}

/// The vault of a user has other keys: the cells that hold old ones lock, now or at the next try.
pub(crate) async fn lock_cells_of(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for row in work.tx.find::<Container>(Container::user_id.eq(user)).await? {
        lock(work, &row.container_id.to_string()).await?;
    }
    Ok(())
}

/// Whether this making of a container is ours: its actor is told to look, and strays are removed.
pub(super) struct Known(pub(super) ContainerRef);

impl SystemWork for Known {
    type Output = bool;
    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let row = work.tx.get::<Container>(self.0.container).await?;
        let Some(row) =
            row.filter(|row| row.generation == self.0.generation && row.host_node == work.env.node)
        else {
            return Ok(false);
        };
        work.then(Effect::Container(row.container_id, Box::new(What::Doubt)));
        Ok(true)
    }
}

/// What was not at rest when this activation began is looked at.
pub(super) struct LookAtAll;

impl SystemWork for LookAtAll {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        for state in [
            ContainerState::Creating,
            ContainerState::Running,
            ContainerState::Pausing,
            ContainerState::Paused,
            ContainerState::Stopping,
            ContainerState::Waking,
        ] {
            for row in work.tx.find::<Container>(Container::observed.eq(state)).await? {
                work.then(Effect::Container(row.container_id, Box::new(What::Doubt)));
            }
        }
        Ok(())
    }
}
