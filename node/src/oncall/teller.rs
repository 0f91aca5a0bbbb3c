//! Tells operators' channels what the cluster's audit says, whatever node does it: one has a channel at a time, and what it was told
//! is written down before the next is.
//!
//! A node that dies between a hand-over and writing that down leaves one alert that comes again, with the same id. Nothing else
//! comes twice: whoever had the channel before writes nothing any more, and a node that does not know whether it still has it stops.

use std::{sync::Arc, time::Duration};

use ocmt_actors::{MailError, api::alert::Alert};
use ocmt_store::{Store, StoreError, tables::OperatorChannel};
use ocmt_types::{Clock, Id as _, NodeId, NoticeId, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio_util::task::AbortOnDropHandle;

use super::{
    channel::{Carry, Channel},
    plan::{Draft, State},
};
use crate::tasks;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a node has a channel for itself, longer than one alert may take.
const HOLD: Duration = Duration::from_secs(120);
/// Records read at once.
const PAGE: u32 = 200;
/// Alerts handed over in one round.
const AT_ONCE: usize = 32;
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Tells the channels of this node's configuration.
#[derive(Clone)]
pub struct Teller {
    /// Durable state.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which node.
    pub node: NodeId,
    /// Whose audit it is.
    pub cluster: TenantId,
    /// The way to channels.
    pub carry: Arc<dyn Carry>,
}

impl Teller {
    /// Tells each channel until its handle is dropped: none waits for another.
    pub fn begin(&self, channels: Vec<Channel>) -> Vec<AbortOnDropHandle<()>> {
        let begin = |channel: Channel| {
            let teller = self.clone();
            AbortOnDropHandle::new(tasks::spawn(async move {
                loop {
                    if let Err(error) = teller.round(&channel).await {
                        tracing::debug!(channel = channel.name, %error, "operators' channel waits for the database");
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }))
        };
        channels.into_iter().map(begin).collect()
    }

    /// Tells what there is to tell, if no other node does; how many alerts were taken.
    ///
    /// # Errors
    /// [`StoreError`]: what was not written down is told again.
    pub async fn round(&self, channel: &Channel) -> Result<usize, StoreError> {
        let (operators, now) = (self.store.operators(), self.clock.now());
        let read = operators.channel(&channel.name).await?;
        if read.next_at > now {
            return Ok(0);
        }
        // most rounds find nothing, and write nothing
        let waits = !operators.audit_page(read.seq, 1).await?.is_empty();
        if !waits && !State::read(read.seq, &read.told).is_due(now) {
            return Ok(0);
        }
        match operators.hold_channel(&read, self.node, now, now + HOLD).await? {
            Some(held) => self.tell(channel, held).await,
            None => Ok(0),
        }
    }

    async fn tell(&self, channel: &Channel, mut row: OperatorChannel) -> Result<usize, StoreError> {
        let operators = self.store.operators();
        let mut taken = 0;
        loop {
            let now = self.clock.now();
            let rows = operators.audit_page(row.seq, PAGE).await?;
            let step = State::read(row.seq, &row.told).step(&channel.wanted, &rows, now);
            let mut done = step.alert.is_none() && rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            let failed = match &step.alert {
                None => None,
                Some(draft) => self.hand_over(channel, draft).await,
            };
            if let Some(error) = failed {
                row.failed = row.failed.saturating_add(1);
                row.next_at = self.clock.now() + wait(row.failed);
                if row.failed == 1 {
                    tracing::warn!(channel = channel.name, %error, "operators' channel takes nothing: it is tried again");
                }
                done = true;
            } else {
                taken += usize::from(step.alert.is_some());
                (row.seq, row.told, row.failed) = (step.state.seq, step.state.told(), 0);
                done |= taken >= AT_ONCE;
            }
            (row.holder, row.held_until) =
                if done { (None, Timestamp(0)) } else { (Some(self.node), self.clock.now() + HOLD) };
            // another has it by now: what it tells is its own
            if !operators.put_channel(&row).await? || done {
                return Ok(taken);
            }
        }
    }

    /// Why it was not taken for now; none if it was, or never will be.
    async fn hand_over(&self, channel: &Channel, draft: &Draft) -> Option<MailError> {
        let alert = Alert {
            id: id_of(&channel.name, &draft.key),
            tenant: self.cluster,
            action: draft.action.clone(),
            severity: draft.severity,
            facts: draft.facts.clone(),
            at: draft.at,
        };
        match self.carry.carry(channel, &alert).await {
            Ok(()) => None,
            Err(error @ MailError::Later(_)) => Some(error),
            Err(error @ MailError::Refused(_)) => {
                tracing::warn!(channel = channel.name, action = draft.action, %error, "an alert of operators' is given up");
                None
            }
        }
    }
}

fn wait(failed: i64) -> Duration {
    let doubled = u32::try_from(failed.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    (FIRST_WAIT * 2_u32.pow(doubled)).min(LONGEST_WAIT)
}

/// The same at each attempt and at every node.
fn id_of(channel: &str, key: &str) -> NoticeId {
    let digest: [u8; 32] = Sha256::new()
        .chain_update("OCMT operators' alert v1\0")
        .chain_update(channel)
        .chain_update("\0")
        .chain_update(key)
        .finalize()
        .into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    NoticeId::from_bytes(id)
}

#[cfg(test)]
#[path = "teller_tests.rs"]
mod tests;
