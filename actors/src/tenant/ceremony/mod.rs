//! One recovery ceremony, on its owner's side.
//!
//! Supervised by the tenant's actor, started by the first call of owner or requester for the ceremony after
//! an activation, gone when the tenant sleeps. Durable: everything. This actor is the order in which one
//! ceremony's calls are worked on, beside all others; what guardians say comes through the tenant's post, and
//! who wins is decided in the database (`ground::advance`). The machine itself is in [`state`], pure.

pub(super) mod agree;
pub(crate) mod events;
mod finish;
pub(super) mod ground;
pub(super) mod open;
pub(super) mod read;
pub(super) mod remind;
pub(super) mod state;
pub(super) mod stop;
pub(super) mod tell;
pub(crate) mod watch;

#[cfg(test)]
mod state_tests;

use ocmt_crypto::ceremony::Ceremony as Params;
use ocmt_types::Digest32;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::TenantMessage;
use crate::{
    api::recovery::RecoveryCall,
    call::Incoming,
    env::Scope,
    lane::{Finished, Lane},
    work::{self, Handle, Outcome},
};

/// What a ceremony's actor is told.
pub(super) enum CeremonyMessage {
    /// A call of its owner or requester.
    Call(Box<RecoveryCall>),
    /// Work of the lane is done.
    Finished(Finished<Outcome>),
}

/// What it begins with.
pub(super) struct CeremonyStart {
    pub(super) scope: Scope,
    pub(super) tenant: ActorRef<TenantMessage>,
}

/// The actor; what it holds is in [`CeremonyWork`].
pub(super) struct CeremonyActor;

pub(super) struct CeremonyWork {
    scope: Scope,
    tenant: ActorRef<TenantMessage>,
    lane: Lane<CeremonyMessage, Outcome>,
}

impl Actor for CeremonyActor {
    type Msg = CeremonyMessage;
    type State = CeremonyWork;
    type Arguments = CeremonyStart;

    async fn pre_start(
        &self,
        _: ActorRef<CeremonyMessage>,
        start: CeremonyStart,
    ) -> Result<CeremonyWork, ActorProcessingErr> {
        Ok(CeremonyWork {
            scope: start.scope,
            tenant: start.tenant,
            lane: Lane::new(CeremonyMessage::Finished),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<CeremonyMessage>,
        message: CeremonyMessage,
        state: &mut CeremonyWork,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CeremonyMessage::Call(call) => state.dispatch(&myself, *call),
            CeremonyMessage::Finished(finished) => {
                if let Some(outcome) = state.lane.finish(&myself, finished)? {
                    state.tenant.cast(TenantMessage::FromChild(Box::new(outcome)))?;
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<CeremonyMessage>,
        _: SupervisionEvent,
        _: &mut CeremonyWork,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

impl CeremonyWork {
    fn dispatch(&mut self, myself: &ActorRef<CeremonyMessage>, call: RecoveryCall) {
        match call {
            RecoveryCall::OpenCeremony(call) => self.work(myself, call),
            RecoveryCall::VetoCeremony(call) => self.work(myself, call),
            RecoveryCall::CancelCeremony(call) => self.work(myself, call),
            RecoveryCall::CollectShares(call) => self.work(myself, call),
            RecoveryCall::CompleteCeremony(call) => self.work(myself, call),
            // `named` sends nothing else here
            other => other.refuse(crate::error::ActorError::NotFound),
        }
    }

    fn work<C: Handle>(&mut self, myself: &ActorRef<CeremonyMessage>, call: Incoming<C>) {
        self.lane.push(myself, work::run(self.scope.clone(), call));
    }
}

/// The ceremony whose actor takes this call; none if it is the tenant's own to do.
pub(super) fn named(call: &RecoveryCall) -> Option<Digest32> {
    match call {
        // parameters that cannot be read name no ceremony: the tenant's lane refuses them
        RecoveryCall::OpenCeremony(call) => {
            Params::decode(&call.request.params).ok().map(|params| params.hash())
        }
        RecoveryCall::VetoCeremony(call) => Some(call.request.ceremony),
        RecoveryCall::CancelCeremony(call) => Some(call.request.ceremony),
        RecoveryCall::CollectShares(call) => Some(call.request.ceremony),
        RecoveryCall::CompleteCeremony(call) => Some(call.request.ceremony),
        _ => None,
    }
}
