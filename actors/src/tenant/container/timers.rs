//! Timers of containers, adoption, and locks that follow from elsewhere.

use ocmt_runtime::ContainerRef;
use ocmt_store::tables::{Container, ContainerState, DesiredState};
use ocmt_types::{ContainerId, NodeId, UserId};

use crate::{
    effect::Effect,
    error::ActorError,
    host::{
        container::row::{CUT_OFF, LOCK, LOOK, is_unfinished},
        message::What,
    },
    ports::{HostStanding, LockReason},
    tenant::quota::LIVE,
    work::{SystemWork, Work},
};

/// The idle clock of a container is due: its actor looks, and sets the timer anew. Until it has, the timer
/// stands where a crash in between is found.
pub(crate) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await?.filter(|row| !is_lost(work, row)) else { return Ok(()) };
    let again = work.now + CUT_OFF;
    work.set_timer(LOOK, subject, again, &[]).await?;
    // in the middle of something for so long: whoever did it is gone, hangs, or has not heard of it
    let what = match row.observed {
        ContainerState::Running | ContainerState::Paused
            if !is_unfinished(&row) && row.desired != DesiredState::Stopped =>
        {
            What::Look
        }
        _ => What::Doubt,
    };
    work.then(Effect::Container((&row).into(), Box::new(what)));
    Ok(())
}

/// A lock is due, and due again until the cell has locked.
pub(crate) async fn lock(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(row) = row_of(work, subject).await?.filter(|row| !is_lost(work, row)) else { return Ok(()) };
    if matches!(
        row.observed,
        ContainerState::Stopped | ContainerState::Failed | ContainerState::Absent | ContainerState::Held
    ) {
        // what does not run holds nothing
        return Ok(());
    }
    let again = work.now + CUT_OFF;
    work.set_timer(LOCK, subject, again, &[]).await?;
    work.then(Effect::Container((&row).into(), Box::new(What::Lock(LockReason::Rotated, None))));
    Ok(())
}

/// Its host was struck off: nobody looks at it any more.
fn is_lost(work: &Work, row: &Container) -> bool {
    work.env.neighbours.standing(row.host_node) == HostStanding::Forgotten
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

/// Whether this making of a container, at this host, is ours: its actor is told to look.
pub(super) struct Known(pub(super) NodeId, pub(super) ContainerRef);

impl SystemWork for Known {
    type Output = bool;
    async fn perform(self, work: &mut Work) -> Result<bool, ActorError> {
        let Self(host, container) = self;
        let row = work.tx.get::<Container>(container.container).await?;
        let Some(row) = row.filter(|row| row.generation == container.generation && row.host_node == host)
        else {
            return Ok(false);
        };
        work.then(Effect::Container((&row).into(), Box::new(What::Doubt)));
        Ok(true)
    }
}

/// What is not at rest is looked at. An activation begins with it: so every host that runs something of the
/// tenant's learns at once under which ownership it works now.
pub(super) struct LookAtAll {
    /// Only what other hosts have.
    pub(super) elsewhere: bool,
}

impl SystemWork for LookAtAll {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        for state in LIVE {
            for row in work.tx.find::<Container>(Container::observed.eq(state)).await? {
                if self.elsewhere && row.host_node == work.env.node {
                    continue;
                }
                work.then(Effect::Container((&row).into(), Box::new(What::Doubt)));
            }
        }
        Ok(())
    }
}
