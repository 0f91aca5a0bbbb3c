//! Pairing: which senders of a messenger an agent listens to.
//!
//! The list of those who are let through is the owner's: a sender gets onto it with a code that the owner types in,
//! and in no other way. All counts hold exactly, since the transactions of a tenant come one after the other.

mod check;
mod code;
mod decide;

use ocmt_store::tables::{PairedSender, Pairing};
use ocmt_types::{ContainerId, UserId};
use ractor::ActorRef;

use super::{TenantMessage, TenantState};
use crate::{api::pairing::PairingsCall, error::ActorError, work::Work};

impl TenantState {
    /// One line per method.
    pub(super) fn pairings(&mut self, myself: &ActorRef<TenantMessage>, call: PairingsCall) {
        match call {
            PairingsCall::CheckSender(call) => self.work(myself, call),
            PairingsCall::ListPendingPairings(call) => self.work(myself, call),
            PairingsCall::ApprovePairing(call) => self.work(myself, call),
            PairingsCall::RejectPairing(call) => self.work(myself, call),
            PairingsCall::ListPairedSenders(call) => self.work(myself, call),
            PairingsCall::RevokePairedSender(call) => self.work(myself, call),
        }
    }
}

/// An agent goes, and whoever was let through to it.
pub(super) async fn forget_container(work: &mut Work, container: ContainerId) -> Result<(), ActorError> {
    work.tx.delete_all::<Pairing>(Pairing::container_id.eq(container)).await?;
    work.tx.delete_all::<PairedSender>(PairedSender::container_id.eq(container)).await?;
    Ok(())
}

/// The owner of agents goes.
pub(super) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<Pairing>(Pairing::user_id.eq(user)).await?;
    work.tx.delete_all::<PairedSender>(PairedSender::user_id.eq(user)).await?;
    Ok(())
}
