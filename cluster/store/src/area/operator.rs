//! Operators, and acts that take two steps. Invitations: [`super::joins`].
//!
//! Everything here is strict SQL that any node may do. What changes something is audited in the same
//! transaction ([`ClusterAct`]); what is good once is consumed by one statement, so that of many callers on
//! many nodes exactly one gets it.

use ocmt_types::{ActId, Digest32, OperatorId, TenantId, Timestamp};

use super::{
    idempotency::RequestKey,
    trail::{ClusterAct, Trail, chain_of},
};
use crate::{
    Filter, StoreError,
    backend::{Backend, Scope, Tx},
    tables::{ActKind, AuditHead, AuditRow, DestructiveAct, IdempotencyRow, Operator, Tenant},
};

/// How often an act is tried that other acts keep overtaking.
pub(super) const TRIES: u32 = 8;

/// Repeats what was overtaken by another act. A macro, since the futures of async closures that borrow are
/// not `Send` to the compiler.
macro_rules! retried {
    ($act:expr) => {{
        let mut tries = 1;
        loop {
            match $act.await {
                Err($crate::StoreError::Conflict) if tries < $crate::area::operator::TRIES => tries += 1,
                done => break done,
            }
        }
    }};
}
pub(super) use retried;

/// What shows that an operator asked for a destructive act twice.
#[derive(Debug, Clone)]
pub struct Confirmation {
    /// SHA-256 of the token of the second step.
    pub token_hash: Digest32,
    /// Who shows it.
    pub operator: OperatorId,
    /// For what.
    pub act: ActKind,
    /// On what: the id's text.
    pub object: String,
}

/// What became of the revocation of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Revocation {
    /// The certificate has ended.
    Done,
    /// It is the last one, which stays.
    Last,
    /// There is no such operator, or it was revoked before.
    Unknown,
    /// The confirmation is not good for this.
    Unconfirmed,
}

/// The area of operators. Cheap to clone.
#[derive(Clone)]
pub struct OperatorStore {
    pub(super) backend: Backend,
}

impl OperatorStore {
    pub(crate) fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// An operator, revoked or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn operator(&self, id: OperatorId) -> Result<Option<Operator>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(Operator::operator_id.eq(id), false).await
    }

    /// Operators behind `after`, in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn operators(
        &self,
        after: Option<OperatorId>,
        limit: u32,
    ) -> Result<Vec<Operator>, StoreError> {
        let behind = after.map_or_else(Filter::all, |after| Operator::operator_id.gt(after));
        self.backend.begin_read(Scope::Cluster).await?.find(behind.limit(limit), false).await
    }

    /// Tenants behind `after`, in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn tenants(&self, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        let behind = after.map_or_else(Filter::all, |after| Tenant::tenant_id.gt(after));
        let page = behind.asc(Tenant::tenant_id).limit(limit);
        self.backend.begin_read(Scope::Cluster).await?.find(page, false).await
    }

    /// Makes an operator; `false` if the id is known, revoked or not.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn add_operator(&self, operator: &Operator, act: &ClusterAct) -> Result<bool, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            if !tx.insert(operator).await? {
                return Ok(false);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Makes the operator that was made with the cluster's authority, where no other is good: operators make
    /// further ones. `false` if there are others, and nothing has changed; a repeat changes nothing either.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn add_first_operator(
        &self,
        operator: &Operator,
        act: &ClusterAct,
    ) -> Result<bool, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            let known = tx.find::<Operator>(Operator::operator_id.eq(operator.operator_id), false).await?;
            if !known.is_empty() {
                return Ok(true);
            }
            let others = tx.find::<Operator>(Operator::revoked_at.eq(None), false).await?;
            if others.iter().any(|other| other.expires_at > act.at) || !tx.insert(operator).await? {
                return Ok(false);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Ends an operator's certificate; the last one that is good stays.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn revoke_operator(
        &self,
        id: OperatorId,
        confirmation: &Confirmation,
        act: &ClusterAct,
    ) -> Result<Revocation, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            if !consume(&mut tx, confirmation, act.at).await? {
                return Ok(Revocation::Unconfirmed);
            }
            let good = tx.find::<Operator>(Operator::revoked_at.eq(None), false).await?;
            let lasting = |other: &&Operator| other.operator_id != id && other.expires_at > act.at;
            let Some(operator) = good.iter().find(|operator| operator.operator_id == id) else {
                return Ok(Revocation::Unknown);
            };
            if !good.iter().any(|other| lasting(&other)) {
                return Ok(Revocation::Last);
            }
            let ended = Operator { revoked_at: Some(act.at), ..operator.clone() };
            if !tx.update_if(&ended, Operator::revoked_at.eq(None)).await? {
                return Err(StoreError::Conflict);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(Revocation::Done)
        })
    }

    /// First step of a destructive act. Drops those that have expired.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Conflict`], [`StoreError::Unavailable`].
    pub async fn begin_act(&self, begun: &DestructiveAct, act: &ClusterAct) -> Result<(), StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            tx.delete::<DestructiveAct>(DestructiveAct::expires_at.le(act.at)).await?;
            if !tx.insert(begun).await? {
                return Err(StoreError::AlreadyExists { table: "destructive_acts" });
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await
        })
    }

    /// An act on its way that this operator began and that has not expired.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn act(
        &self,
        id: ActId,
        operator: OperatorId,
        now: Timestamp,
    ) -> Result<Option<DestructiveAct>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(on_its_way(id, operator, now), false).await
    }

    /// Second step: from here on the token with this hash does the act. Once for each act; `None` if there is
    /// no such act of this operator, it has expired, or it was confirmed before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn confirm_act(
        &self,
        id: ActId,
        operator: OperatorId,
        token_hash: Digest32,
        act: &ClusterAct,
    ) -> Result<Option<DestructiveAct>, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            let unconfirmed =
                || on_its_way(id, operator, act.at).and(DestructiveAct::token_hash.eq(None::<Digest32>));
            let Some(begun) = tx.first(unconfirmed(), false).await? else { return Ok(None) };
            let confirmed = DestructiveAct { token_hash: Some(token_hash), ..begun };
            if !tx.update_if(&confirmed, unconfirmed()).await? {
                return Ok(None);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(Some(confirmed))
        })
    }

    /// Records an act that changes nothing here: one that was refused, or whose effect is elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn record(&self, act: &ClusterAct) -> Result<(), StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            trail.append(&mut tx, act).await?;
            tx.commit().await
        })
    }

    /// The answer kept for a request that was done: empty for one that is shown once. `None` if it is new.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if the key was used for another request; [`StoreError::Unavailable`].
    pub async fn answered(&self, request: &RequestKey) -> Result<Option<Vec<u8>>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let kept = IdempotencyRow::tenant_id
            .eq(chain_of(&mut tx).await?)
            .and(IdempotencyRow::principal.eq(&request.principal))
            .and(IdempotencyRow::idempotency_key.eq(request.key.as_slice()));
        match tx.first::<IdempotencyRow>(kept, false).await? {
            None => Ok(None),
            Some(row) if row.method == request.method && row.request_hash == request.request_hash => {
                Ok(Some(row.response))
            }
            Some(_) => Err(StoreError::Invalid {
                table: "idempotency",
                what: "the key was used for another request",
            }),
        }
    }

    /// Records of the cluster's audit behind number `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn audit_page(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let own = AuditRow::tenant_id.eq(chain_of(&mut tx).await?).and(AuditRow::seq.gt(after));
        tx.find(own.asc(AuditRow::seq).limit(limit), false).await
    }

    /// The end of the cluster's audit; none while nothing is recorded.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn audit_end(&self) -> Result<Option<AuditHead>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let own = AuditHead::tenant_id.eq(chain_of(&mut tx).await?);
        tx.first(own, false).await
    }
}

/// Consumes the confirmation of an act; `false` if it is not good for it.
pub(super) async fn consume(
    tx: &mut Tx,
    confirmation: &Confirmation,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let fits = DestructiveAct::token_hash
        .eq(Some(confirmation.token_hash))
        .and(DestructiveAct::operator_id.eq(confirmation.operator))
        .and(DestructiveAct::act.eq(confirmation.act))
        .and(DestructiveAct::object.eq(&confirmation.object))
        .and(DestructiveAct::expires_at.gt(now));
    Ok(!tx.take::<DestructiveAct>(fits).await?.is_empty())
}

fn on_its_way(id: ActId, operator: OperatorId, now: Timestamp) -> Filter<DestructiveAct> {
    DestructiveAct::act_id
        .eq(id)
        .and(DestructiveAct::operator_id.eq(operator))
        .and(DestructiveAct::expires_at.gt(now))
}
