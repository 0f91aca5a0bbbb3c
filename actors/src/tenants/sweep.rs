//! The end of a drain: what this node still owns in the store though no actor here stands for it.
//!
//! Such rows are left by an actor that failed, by a release that the store did not answer, by a sign-up in
//! the moment before the drain. Others find a living owner there and come here in vain. So when the last
//! actor is gone, and whenever a call comes for a tenant that has none while the node drains, everything that
//! the store says is this life's is given up, with the epochs read: nothing is activated here meanwhile, and
//! should the node be told to stay, a new claim outdates what was read.

use std::time::Duration;

use ocmt_types::Deadline;
use ractor::ActorRef;

use super::{TenantsMessage, TenantsState, leave::Drain};
use crate::{error::ActorError, supervisor};

/// Between two sweeps that calls ask for, and between two tries of one that failed.
const REST: Duration = Duration::from_secs(1);

/// A drain: nothing is activated here until it is taken back.
#[derive(Default)]
pub(super) struct Draining {
    /// Who sees how many tenants are left, until when they wait, and their answers.
    waiting: Vec<Drain>,
    /// Whether the store has been asked and has not answered.
    under_way: bool,
    /// Not asked again before this, for the sake of a call.
    rest: Option<Deadline>,
}

impl Draining {
    /// Somebody waits for its end.
    pub(super) fn wait(&mut self, drain: Drain) {
        self.waiting.push(drain);
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// So many tenants are left.
    pub(super) fn tell(&self, left: usize) {
        for drain in &self.waiting {
            drain.progress.send_if_modified(|progress| std::mem::replace(progress, left) != left);
        }
    }

    /// Answers everybody who waits.
    pub(super) fn answer(self, answer: &Result<(), ActorError>) {
        self.waiting.into_iter().for_each(|drain| drain.reply.send(answer.clone()));
    }
}

impl TenantsState {
    /// A call came for a tenant that has no actor here, while the node drains.
    pub(super) fn sweep_again(&mut self, myself: &ActorRef<TenantsMessage>) {
        let clock = self.env.clock.clone();
        let Some(drain) = &mut self.departures.drain else { return };
        if self.tenants.len() == 0 && drain.rest.is_none_or(|until| until.has_passed(&*clock)) {
            drain.rest = Some(Deadline::after(&*clock, REST));
            self.sweep(myself);
        }
    }

    /// Asks the store to take back what is this life's.
    pub(super) fn sweep(&mut self, myself: &ActorRef<TenantsMessage>) {
        let Some(drain) = &mut self.departures.drain else { return };
        if std::mem::replace(&mut drain.under_way, true) {
            return;
        }
        let (env, myself) = (self.env.clone(), myself.clone());
        supervisor::detach(async move {
            let swept = env.store.cluster().release_all(env.incarnation).await;
            let _ = myself.cast(TenantsMessage::Swept(swept.map_err(ActorError::from)));
        });
    }

    /// The store has answered. Whoever waits for the end of the drain has it; or there is another try, until
    /// their patience is over.
    pub(super) fn swept(&mut self, myself: &ActorRef<TenantsMessage>, result: Result<u64, ActorError>) {
        let Some(drain) = &mut self.departures.drain else { return };
        drain.under_way = false;
        let error = match result {
            Ok(released) => {
                if released > 0 {
                    tracing::info!(released, "gave up tenants that had no actor");
                }
                std::mem::take(&mut drain.waiting).into_iter().for_each(|drain| drain.reply.send(Ok(())));
                return;
            }
            Err(error) => error,
        };
        let clock = self.env.clock.clone();
        let (over, waiting) = std::mem::take(&mut drain.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|drain| drain.patience.has_passed(&*clock));
        over.into_iter().for_each(|drain| drain.reply.send(Err(error.clone())));
        drain.waiting = waiting;
        if drain.is_awaited() {
            let again = myself.clone();
            supervisor::detach(async move {
                tokio::time::sleep(REST).await;
                let _ = again.cast(TenantsMessage::Sweep);
            });
        }
    }
}
