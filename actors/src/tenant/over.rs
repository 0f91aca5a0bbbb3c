//! The end of an activation whose ownership has ended, or whose last commit is in doubt: the next one reads the
//! truth.
//!
//! In three steps, so that every call gets the answer that is true of it. First the supervisor is told, and sends
//! nothing more; from then on nothing begins here ([`Scope::close`](crate::env::Scope::close)). What was sent
//! before is behind its word in the mailbox and goes back unread, to be sent to the owner. Then the actor stops,
//! when its lane has come to the end of what was under way; every step of that is bounded by the store.

use ractor::{ActorProcessingErr, ActorRef};

use super::{TenantMessage, TenantState};
use crate::{
    error::ActorError,
    lane::{Finished, WorkPanicked},
    tenants::TenantsMessage,
    work::Outcome,
};

const WHY: &str = "ownership ended";

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    /// It is at work.
    #[default]
    NotYet,
    /// The supervisor was told.
    Told,
    /// The supervisor sends nothing more.
    Unread,
}

impl TenantState {
    /// Begins the end. The supervisor hears of it before any caller does, so that a caller's next call finds
    /// the next activation.
    pub(super) fn end(&mut self, myself: &ActorRef<TenantMessage>) {
        if self.end != End::NotYet {
            return;
        }
        self.end = End::Told;
        let ownership = self.scope.ownership;
        tracing::info!(tenant = %ownership.tenant, epoch = ownership.epoch.0, "tenant stops: its ownership ended or a commit is in doubt");
        if self.supervisor.cast(TenantsMessage::Leaves(ownership, myself.clone())).is_err() {
            myself.stop(Some(WHY.to_owned()));
        }
        self.scope.close();
    }

    /// Takes what the lane has done. A word of the end comes before the next piece of work begins.
    pub(super) fn finished(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        finished: Finished<Outcome>,
    ) -> Result<(), WorkPanicked> {
        if finished.outcome().is_some_and(|outcome| outcome.terminal) {
            self.end(myself);
        }
        let outcome = self.lane.finish(myself, finished)?;
        self.settle(myself, outcome);
        Ok(())
    }

    /// At the end: what runs is seen out, everything else goes back unread.
    pub(super) fn see_out(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        message: TenantMessage,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMessage::Finished(finished) => self.finished(myself, finished)?,
            TenantMessage::FromChild(outcome) => self.settle(myself, Some(*outcome)),
            TenantMessage::Unread => self.end = End::Unread,
            other => other.refuse(ActorError::NotOwner { owner: None }),
        }
        if self.end == End::Unread && self.lane.is_idle() {
            myself.stop(Some(WHY.to_owned()));
        }
        Ok(())
    }
}
