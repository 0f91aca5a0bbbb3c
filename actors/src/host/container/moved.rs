//! Whose container it is: orders bring the ownership, and what is written under an older one is refused.
//!
//! A tenant moves while its containers run. The order of a newer owner is taken at once. A write of our own that
//! the fence refuses (an end that was seen, the idle clock) means that we have not heard of the newer owner yet:
//! then nothing is done, whoever waits is told to repeat, connections go on, and whoever owns the tenant now is
//! asked, who answers with an order to look. What came in between is seen in that look. If nobody answers
//! within `Limits::pinned_for`, connections end and the actor with them.

use std::time::Duration;

use ocmt_runtime::ContainerRef;
use ocmt_types::Timestamp;
use ractor::ActorRef;

use super::{ContainerActorState, ContainerMessage, Order, is_barrier, state::Life};
use crate::{
    error::ActorError,
    host::owner,
    supervisor::{self, Task},
};

/// An owner that does not answer is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The alarm comes a moment after the time, so that the time has come.
const MOMENT: Duration = Duration::from_millis(2);

/// Whether the work failed because the tenant has another owner by now.
pub(crate) fn is_moved(error: &ActorError) -> bool {
    error.is_terminal() && *error != ActorError::OutcomeUnknown
}

impl ContainerActorState {
    /// Takes the ownership that an order brings, if it is not an older one.
    ///
    /// # Errors
    /// For an order of an older owner, and for one that was overtaken by a later order on its way.
    pub(super) fn take_ownership(
        &mut self,
        myself: &ActorRef<ContainerMessage>,
        order: &Order,
    ) -> Result<(), ActorError> {
        let (known, brought) = (self.scope.ownership.epoch, order.scope.ownership.epoch);
        if brought < known {
            return Err(ActorError::NotOwner { owner: None });
        }
        if self.barrier.is_some_and(|barrier| order.turn < barrier) {
            return Err(ActorError::Aborted("the container"));
        }
        if is_barrier(&order.what) {
            self.barrier = Some(order.turn);
        }
        if brought > known {
            self.scope = order.scope.clone();
            if self.moved.take().is_some() {
                let (life, first) = Life::unknown();
                self.life = life;
                self.carry_out(myself, vec![first]);
            }
        }
        if self.moved.is_some() { Err(ActorError::NotOwner { owner: None }) } else { Ok(()) }
    }

    /// The fence has refused a write: nothing more is done until the owner of today has ordered something.
    pub(super) fn moved(&mut self, myself: &ActorRef<ContainerMessage>, error: &ActorError) {
        if self.moved.is_some() {
            return;
        }
        tracing::debug!(container = %self.container, "tenant of a container moved: its owner is asked");
        self.refuse_jobs(error);
        self.archives.refuse(error);
        self.refuse_waiters(error);
        (self.flight, self.alarm, self.armed, self.collector) = (None, None, None, None);
        self.moved = Some(self.ask_owner(myself));
    }

    fn ask_owner(&self, myself: &ActorRef<ContainerMessage>) -> Task {
        let (env, tenant, myself) = (self.scope.env.clone(), self.scope.ownership.tenant, myself.clone());
        let generation = self.row.as_ref().map_or(1, |row| row.generation);
        let container = ContainerRef { container: self.container, generation };
        supervisor::task(async move {
            let ask = async {
                // also after an answer: the order that follows from it may be lost
                loop {
                    if let Err(error) = owner::adopt(&env, tenant, container).await {
                        tracing::debug!(%container, %error, "owner of a container does not answer, asked again");
                    }
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            };
            let asked: Result<(), _> = tokio::time::timeout(env.limits.pinned_for, ask).await;
            drop(asked);
            let _ = myself.cast(ContainerMessage::Unowned);
        })
    }

    /// Nobody has answered for too long.
    pub(super) fn unowned(&mut self, myself: &ActorRef<ContainerMessage>) {
        if self.moved.is_some() {
            self.leave(myself, &ActorError::NotOwner { owner: None });
        }
    }

    /// Looks at the idle clock at its time, whether or not the owner's timer comes.
    pub(super) fn alarm_at(&self, myself: &ActorRef<ContainerMessage>, due: Timestamp) -> Task {
        let (myself, wait) = (myself.clone(), due.since(self.scope.env.now()) + MOMENT);
        supervisor::task(async move {
            tokio::time::sleep(wait).await;
            let _ = myself.cast(ContainerMessage::Alarm);
        })
    }
}
