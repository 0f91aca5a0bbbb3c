//! Hands the heads of audits out of the database's reach, on a schedule: to a file, to a webhook.
//!
//! Every node that has a place for them hands out those of all tenants and the cluster's own that have grown since its last
//! round, signed with its own key: two nodes are two witnesses. What was not taken is handed out again with the next
//! round.
//!
//! A head is signed only if it goes on from the last one that was handed out: a log that is smaller than it was, of the same size
//! and not the same, or larger and not proven to begin with it, was falsified or restored. That one is refused until it goes
//! on again: the log of the node, the cluster's audit and the place itself say so, once. What a file holds is remembered over a
//! restart.

mod judge;
mod place;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE64;
use ocmt_actors::NodeSigner;
use ocmt_client::audit::{KeptCheckpoint, Refusal, Seen, Trust};
use ocmt_crypto::{audit::checkpoint::Checkpoint, merkle::log::Tree};
use ocmt_store::{Store, StoreError, tables::AuditHead};
use ocmt_types::{Clock, TenantId, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use self::judge::{Verdict, Why, judge};
pub use self::place::{Place, PlaceError};
pub(crate) use self::place::{SIGNATURE, sign};
use crate::{
    oncall::{Noter, condition},
    tasks,
};

/// Heads read at once, and handed out together.
const AT_ONCE: u32 = 200;
/// Rounds that fail, one after the other, before operators are told.
const TOLD_AFTER: u64 = 3;
/// What goes on is noted again after this time.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

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
    noter: Noter,
    place: Place,
    given: HashMap<TenantId, Tree>,
    /// Audits whose heads are refused.
    refused: HashSet<TenantId>,
    /// Rounds that failed, one after the other.
    failed: u64,
}

impl Witness {
    /// Goes on from what the place holds and `trust` has signed; from nothing where it cannot be read back.
    pub fn new(
        store: Store,
        signer: Arc<dyn NodeSigner>,
        clock: Arc<dyn Clock>,
        noter: Noter,
        place: Place,
        trust: &Trust,
    ) -> Self {
        let given = place.last(trust).into_iter().map(|last| (last.tenant, last.tree)).collect();
        Self { store, signer, clock, noter, place, given, refused: HashSet::new(), failed: 0 }
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
            Ok(handed) if self.failed == 0 => {
                tracing::debug!(place = %self.place, handed, "heads of audits were handed out");
            }
            Ok(_) => {
                tracing::info!(place = %self.place, rounds = self.failed, "heads of audits are taken again");
                self.failed = 0;
            }
            Err(error) => {
                self.failed += 1;
                if self.failed == 1 {
                    tracing::warn!(place = %self.place, %error, "heads of audits are not handed out");
                }
                if self.failed >= TOLD_AFTER {
                    let facts =
                        [("place", self.place.to_string()), ("why", error.to_string())].map(named).to_vec();
                    let object = format!("node/{}", self.noter.node());
                    self.noter.try_note(condition::AUDIT_LAG, object, facts, AGAIN).await;
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
            let (mut lines, mut grown, mut refused) = (String::new(), Vec::new(), Vec::new());
            for head in &heads {
                let tenant = head.tenant_id;
                seen.insert(tenant);
                match judge(&self.store, self.given.get(&tenant).copied(), head).await? {
                    Verdict::Nothing => {}
                    Verdict::GoesOn(tree) => {
                        lines += &self.line(head, tree);
                        grown.push((tenant, tree));
                    }
                    Verdict::Refused(tree, why) if !self.refused.contains(&tenant) => {
                        lines += &self.refusal(tenant, tree, why).await;
                        refused.push(tenant);
                    }
                    Verdict::Refused(..) => {}
                }
            }
            if lines.is_empty() {
                continue;
            }
            self.place.take(lines, self.clock.now()).await?;
            handed += grown.len();
            for (tenant, _) in &grown {
                self.refused.remove(tenant);
            }
            self.given.extend(grown);
            self.refused.extend(refused);
        }
        self.miss(&seen).await;
        Ok(handed)
    }

    /// The end of a deleted tenant's audit stays: none goes.
    async fn miss(&mut self, seen: &HashSet<TenantId>) {
        let gone: Vec<TenantId> =
            self.given.keys().filter(|tenant| !seen.contains(tenant)).copied().collect();
        for tenant in gone.into_iter().filter(|tenant| !self.refused.contains(tenant)).collect::<Vec<_>>() {
            tracing::error!(%tenant, "the audit whose head was handed out is gone");
            self.tell(tenant, "it is gone").await;
            self.refused.insert(tenant);
        }
    }

    async fn tell(&self, tenant: TenantId, why: &str) {
        let facts = vec![named(("place", self.place.to_string())), named(("why", why.to_owned()))];
        self.noter.try_note(condition::WITNESS_REFUSED, format!("audit/{tenant}"), facts, AGAIN).await;
    }

    /// A head that is not signed: what the place and the operators are told of it.
    async fn refusal(&self, tenant: TenantId, now: Option<Tree>, why: Why) -> String {
        let was = self.given.get(&tenant);
        tracing::error!(
            %tenant,
            was = was.map(|tree| tree.size),
            now = now.map(|tree| tree.size),
            why = why.as_str(),
            "the head of an audit is refused: it does not go on from the one that was handed out; the audit was restored, or falsified"
        );
        self.tell(tenant, why.as_str()).await;
        let at: Timestamp = self.clock.now();
        let refusal = Refusal {
            tenant,
            why: why.as_str().to_owned(),
            had: was.map(Seen::from),
            has: now.as_ref().map(Seen::from),
            at,
        };
        refusal.to_line() + "\n"
    }

    fn line(&self, head: &AuditHead, tree: Tree) -> String {
        let checkpoint = Checkpoint { tenant: head.tenant_id, tree, chain: head.hash, at: self.clock.now() };
        let signature = self.signer.sign_checkpoint(&checkpoint);
        let kept = KeptCheckpoint {
            note: checkpoint.note(self.signer.node(), &self.signer.verify_key(), &signature),
            certificates: self.signer.certificate_chain().iter().map(|der| BASE64.encode(der)).collect(),
            introductions: self.signer.introductions(),
        };
        // a note and base64 always are JSON
        kept.to_line().map(|line| line + "\n").unwrap_or_default()
    }
}

fn named((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests;
