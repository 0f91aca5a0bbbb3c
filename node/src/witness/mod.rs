//! Hands the heads of audits out of the database's reach, on a schedule: to a file, to a webhook.
//!
//! Every node that has a place for them hands out those of all tenants and the cluster's own that have grown since its last
//! round, signed with its own key: two nodes are two witnesses. What was not taken is handed out again with the next
//! round. A log that is smaller than it was, or of the same size and not the same, was falsified or restored: the
//! node says so loudly, and hands its head out all the same, since two that cannot both be true are the proof.

mod place;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE64;
use ocmt_actors::NodeSigner;
use ocmt_client::audit::KeptCheckpoint;
use ocmt_crypto::{audit::checkpoint::Checkpoint, merkle::log::Tree};
use ocmt_store::{Store, StoreError, tables::AuditHead};
use ocmt_types::{Clock, TenantId};
use tokio_util::task::AbortOnDropHandle;

pub use self::place::{Place, PlaceError};
pub(crate) use self::place::{SIGNATURE, sign};
use crate::tasks;

/// Heads read at once, and handed out together.
const AT_ONCE: u32 = 200;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The heads cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place does not take them.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// What one place was given.
pub struct Witness {
    store: Store,
    signer: Arc<dyn NodeSigner>,
    clock: Arc<dyn Clock>,
    place: Place,
    given: HashMap<TenantId, Tree>,
    /// Rounds that failed, one after the other.
    failed: u64,
}

impl Witness {
    /// Begins with nothing given: the first round hands out all.
    pub fn new(store: Store, signer: Arc<dyn NodeSigner>, clock: Arc<dyn Clock>, place: Place) -> Self {
        Self { store, signer, clock, place, given: HashMap::new(), failed: 0 }
    }

    /// A round each `every`, until the handle is dropped.
    pub fn begin(mut self, every: Duration) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tasks::spawn(async move {
            loop {
                self.try_round().await;
                tokio::time::sleep(every).await;
            }
        }))
    }

    async fn try_round(&mut self) {
        match self.round().await {
            Ok(_) if self.failed > 0 => {
                tracing::info!(place = %self.place, rounds = self.failed, "heads of audits are taken again");
                self.failed = 0;
            }
            Ok(handed) => tracing::debug!(place = %self.place, handed, "heads of audits were handed out"),
            Err(error) => {
                self.failed += 1;
                if self.failed == 1 {
                    tracing::warn!(place = %self.place, %error, "heads of audits are not handed out");
                }
            }
        }
    }

    /// Hands out what has grown; how many heads.
    ///
    /// # Errors
    /// [`RoundError`]; what was not taken is handed out again.
    pub async fn round(&mut self) -> Result<usize, RoundError> {
        let (mut after, mut handed, mut seen) = (None, 0, HashSet::new());
        loop {
            let heads = self.store.cluster().audit_heads(after, AT_ONCE).await?;
            let Some(last) = heads.last() else { break };
            after = Some(last.tenant_id);
            let (mut lines, mut grown) = (String::new(), Vec::new());
            for head in &heads {
                seen.insert(head.tenant_id);
                if let Some(tree) = self.grown(head) {
                    lines += &self.line(head, tree);
                    grown.push((head.tenant_id, tree));
                }
            }
            if grown.is_empty() {
                continue;
            }
            self.place.take(lines, self.clock.now()).await?;
            handed += grown.len();
            self.given.extend(grown);
        }
        // the end of a deleted tenant's audit stays: none goes
        self.given.retain(|tenant, given| {
            let is_there = seen.contains(tenant);
            if !is_there {
                tracing::error!(%tenant, was = given.size, "the audit whose head was handed out is gone");
            }
            is_there
        });
        Ok(handed)
    }

    /// The log of this head, if it is another than was given. One that is damaged holds up no other.
    fn grown(&self, head: &AuditHead) -> Option<Tree> {
        let given = self.given.get(&head.tenant_id);
        let tree = match head.tree() {
            Ok(tree) => tree,
            Err(error) => {
                tracing::error!(tenant = %head.tenant_id, %error, "the audit has no head to hand out");
                return None;
            }
        };
        match given {
            Some(given) if *given == tree => return None,
            Some(given) if given.size >= tree.size => {
                tracing::error!(
                    tenant = %head.tenant_id,
                    was = given.size,
                    now = tree.size,
                    "the audit is not the one whose head was handed out: it was restored, or falsified"
                );
            }
            _ => {}
        }
        // after an earlier program the tree is behind for a while: its head comes with a later round
        let is_behind = given.is_none_or(|given| given.size < tree.size) && head.tree_size < head.seq;
        (!is_behind).then_some(tree)
    }

    fn line(&self, head: &AuditHead, tree: Tree) -> String {
        let checkpoint = Checkpoint { tenant: head.tenant_id, tree, chain: head.hash, at: self.clock.now() };
        let signature = self.signer.sign_checkpoint(&checkpoint);
        let kept = KeptCheckpoint {
            note: checkpoint.note(self.signer.node(), &self.signer.verify_key(), &signature),
            certificates: self.signer.certificate_chain().iter().map(|der| BASE64.encode(der)).collect(),
        };
        // a note and base64 always are JSON
        kept.to_line().map(|line| line + "\n").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
