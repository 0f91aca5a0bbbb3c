//! The audit of the cluster itself: what operators do, and what nodes do that is no tenant's.
//!
//! It is one more chain in the audit's tables, under the cluster's id in the place of a tenant's: the same
//! format, the same verifier. No tenant can have that id, since both are random.
//!
//! The end of the chain is read first and replaced last, if it is still the one that was read. So it is the
//! lock of the operators' acts too: of two that decide on the same rows, one is repeated.

use ocmt_crypto::audit::{Actor, AuditRecord, Outcome};
use ocmt_types::{Id as _, RequestId, TenantId, Timestamp};

use super::log;
use crate::{
    Filter, RequestKey, StoreError,
    backend::Tx,
    kernel::row::Row as _,
    tables::{AuditHead, Cluster, IdempotencyRow},
};

/// An act upon the cluster, as its audit tells it.
#[derive(Debug, Clone)]
pub struct ClusterAct {
    /// When.
    pub at: Timestamp,
    /// In which request.
    pub request: RequestId,
    /// Who.
    pub actor: Actor,
    /// What, as `area.verb`.
    pub action: &'static str,
    /// Upon what, as `kind/id`; empty if upon nothing.
    pub object: String,
    /// How it ended.
    pub outcome: Outcome,
    /// More, never a secret.
    pub details: Vec<(String, String)>,
    /// The answer to keep for a repeat of the request; none if it cannot be repeated.
    pub remember: Option<Remembered>,
}

/// The answer to a request, kept with its effect.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Which request.
    pub key: RequestKey,
    /// What was answered; empty if the answer is a secret that is shown once.
    pub response: Vec<u8>,
}

/// The cluster's chain as it stood when the transaction began.
pub(super) struct Trail {
    /// The cluster's id in the place of a tenant's.
    chain_of: TenantId,
    head: Option<AuditHead>,
}

impl Trail {
    /// Reads the end of the chain. First of all in a transaction, see above.
    pub(super) async fn open(tx: &mut Tx) -> Result<Self, StoreError> {
        // acts are rare: they wait for each other rather than overtake
        tx.serialise("acts of operators").await?;
        let chain_of = chain_of(tx).await?;
        let head = tx.first(AuditHead::tenant_id.eq(chain_of), false).await?;
        Ok(Self { chain_of, head })
    }

    /// Appends the act, and keeps its answer.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another act was recorded since, or the same request was answered.
    pub(super) async fn append(self, tx: &mut Tx, act: &ClusterAct) -> Result<(), StoreError> {
        let tenant_id = self.chain_of;
        log::append(tx, tenant_id, self.head, &record(tenant_id, act)).await?;
        match &act.remember {
            Some(remembered) => keep(tx, tenant_id, remembered, act.at).await,
            None => Ok(()),
        }
    }
}

/// The cluster's id in the place of a tenant's.
pub(super) async fn chain_of(tx: &mut Tx) -> Result<TenantId, StoreError> {
    let cluster = tx.first::<Cluster>(Filter::all(), false).await?;
    let missing = || StoreError::Corrupt { table: Cluster::table().name, what: "it has no row".to_owned() };
    cluster.map(|cluster| TenantId::from_bytes(cluster.cluster_id.into_bytes())).ok_or_else(missing)
}

async fn keep(
    tx: &mut Tx,
    tenant_id: TenantId,
    remembered: &Remembered,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = IdempotencyRow {
        tenant_id,
        principal: remembered.key.principal.clone(),
        idempotency_key: remembered.key.key.clone(),
        method: remembered.key.method.to_owned(),
        request_hash: remembered.key.request_hash,
        response: remembered.response.clone(),
        created_at: now,
    };
    if tx.insert(&row).await? { Ok(()) } else { Err(StoreError::Conflict) }
}

fn record(tenant: TenantId, act: &ClusterAct) -> AuditRecord {
    AuditRecord {
        tenant,
        at: act.at,
        request: act.request,
        actor: act.actor,
        action: act.action.to_owned(),
        object: act.object.clone(),
        outcome: act.outcome,
        details: act.details.clone(),
    }
}
