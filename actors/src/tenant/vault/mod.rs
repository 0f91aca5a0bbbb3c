//! One vault: its ciphertexts, key slots, manifest and rotation.
//!
//! Supervised by the tenant's actor, started by the first call for the vault after an activation, gone
//! when the tenant sleeps. Durable: everything; this actor is the
//! order in which one vault's calls are worked on, so that they never wait for another vault's.

pub(super) mod asked;
mod budget;
mod changes;
mod create;
pub(super) mod ground;
pub(super) mod history;
pub(crate) mod inbox;
pub(super) mod read;
mod reads;
pub(super) mod rotation;
mod rotation_read;
mod shared;
pub(super) mod slots;
pub(crate) mod watch;
mod write;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
pub(super) use read::redeem;
pub(super) use shared::arrived as shared_arrived;
pub(super) use write::{apply, no_rotation};

use self::reads::Reads;
use super::TenantMessage;
use crate::{
    api::vault::{GetEntry, VaultCall},
    call::Incoming,
    env::Scope,
    lane::{Finished, Lane},
    work::{self, Handle, Outcome},
};

/// What a vault's actor is told.
pub(super) enum VaultMessage {
    /// A call for it.
    Call(VaultCall),
    /// Work of the lane is done.
    Finished(Finished<Outcome>),
}

/// What it begins with.
pub(super) struct VaultStart {
    pub(super) scope: Scope,
    pub(super) tenant: ActorRef<TenantMessage>,
}

/// The actor; what it holds is in [`VaultState`].
pub(super) struct VaultActor;

pub(super) struct VaultState {
    scope: Scope,
    tenant: ActorRef<TenantMessage>,
    lane: Lane<VaultMessage, Outcome>,
    /// The reads at the end of the lane, if it ends with reads that others may join.
    reads: Reads,
}

impl Actor for VaultActor {
    type Msg = VaultMessage;
    type State = VaultState;
    type Arguments = VaultStart;

    async fn pre_start(
        &self,
        _: ActorRef<VaultMessage>,
        start: VaultStart,
    ) -> Result<VaultState, ActorProcessingErr> {
        Ok(VaultState {
            scope: start.scope,
            tenant: start.tenant,
            lane: Lane::new(VaultMessage::Finished),
            reads: Reads::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<VaultMessage>,
        message: VaultMessage,
        state: &mut VaultState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            VaultMessage::Call(call) => state.dispatch(&myself, call),
            VaultMessage::Finished(finished) => {
                if let Some(outcome) = state.lane.finish(&myself, finished)? {
                    state.tenant.cast(TenantMessage::FromChild(Box::new(outcome)))?;
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<VaultMessage>,
        _: SupervisionEvent,
        _: &mut VaultState,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

impl VaultState {
    fn dispatch(&mut self, myself: &ActorRef<VaultMessage>, call: VaultCall) {
        match call {
            VaultCall::CreateVault(call) => self.work(myself, call),
            VaultCall::GetVault(call) => self.work(myself, call),
            VaultCall::ListEntries(call) => self.work(myself, call),
            VaultCall::GetEntry(call) => self.read(myself, call),
            VaultCall::BatchGetEntries(call) => self.work(myself, call),
            VaultCall::PutEntry(call) => self.work(myself, call),
            VaultCall::DeleteEntry(call) => self.work(myself, call),
            VaultCall::BatchPutEntries(call) => self.work(myself, call),
            VaultCall::ListInboxItems(call) => self.work(myself, call),
            VaultCall::FileInboxItems(call) => self.work(myself, call),
            VaultCall::ListSharedWrites(call) => self.work(myself, call),
            VaultCall::FileSharedWrites(call) => self.work(myself, call),
            VaultCall::WatchVault(call) => self.work(myself, call),
            VaultCall::GetKeySlots(call) => self.work(myself, call),
            VaultCall::ReportUnlock(call) => self.work(myself, call),
            VaultCall::RefuseSlotRequest(call) => self.work(myself, call),
            VaultCall::AddKeySlot(call) => self.work(myself, call),
            VaultCall::RemoveKeySlot(call) => self.work(myself, call),
            VaultCall::BeginRotation(call) => self.work(myself, call),
            VaultCall::PutRewrappedKeys(call) => self.work(myself, call),
            VaultCall::ListStagedObjects(call) => self.work(myself, call),
            VaultCall::FinishRotation(call) => self.work(myself, call),
        }
    }

    fn work<C: Handle>(&mut self, myself: &ActorRef<VaultMessage>, call: Incoming<C>) {
        self.reads = Reads::default();
        self.lane.push(myself, work::run(self.scope.clone(), call));
    }
}

impl VaultState {
    /// Puts a read to those at the end of the lane.
    fn read(&mut self, myself: &ActorRef<VaultMessage>, call: Incoming<GetEntry>) {
        let Some(first) = self.reads.join(call) else { return };
        self.reads = Reads::of(first);
        let (scope, reads) = (self.scope.clone(), self.reads.clone());
        self.lane.push(myself, work::run_together(scope, move || reads.take()));
    }
}

/// The vault that a call names; none for "the caller's own", which only the store knows.
pub(super) fn named(call: &VaultCall) -> Option<ocmt_types::VaultId> {
    match call {
        VaultCall::CreateVault(call) => Some(call.request.vault),
        VaultCall::GetVault(call) => call.request.vault,
        VaultCall::ListEntries(call) => Some(call.request.vault),
        VaultCall::GetEntry(call) => Some(call.request.vault),
        VaultCall::BatchGetEntries(call) => Some(call.request.vault),
        VaultCall::PutEntry(call) => Some(call.request.0.vault),
        VaultCall::DeleteEntry(call) => Some(call.request.0.vault),
        VaultCall::BatchPutEntries(call) => Some(call.request.0.vault),
        VaultCall::ListInboxItems(call) => Some(call.request.vault),
        VaultCall::FileInboxItems(call) => Some(call.request.change.vault),
        VaultCall::ListSharedWrites(call) => Some(call.request.vault),
        VaultCall::FileSharedWrites(call) => Some(call.request.change.vault),
        VaultCall::WatchVault(call) => Some(call.request.vault),
        VaultCall::GetKeySlots(call) => call.request.vault,
        VaultCall::ReportUnlock(call) => Some(call.request.vault),
        VaultCall::RefuseSlotRequest(call) => call.request.vault,
        VaultCall::AddKeySlot(call) => Some(call.request.vault),
        VaultCall::RemoveKeySlot(call) => Some(call.request.vault),
        VaultCall::BeginRotation(call) => Some(call.request.vault),
        VaultCall::PutRewrappedKeys(call) => Some(call.request.vault),
        VaultCall::ListStagedObjects(call) => Some(call.request.vault),
        VaultCall::FinishRotation(call) => Some(call.request.vault),
    }
}
