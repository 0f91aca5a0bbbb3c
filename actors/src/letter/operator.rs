//! Letters of operators: what is done to a tenant by the operator of any node, at the node that has it.

use std::sync::Arc;

use ocmt_types::{Deadline, OperatorId, RequestId, TenantId};
use serde::{Deserialize, Serialize};

use super::{Kind, Letter, wire};
use crate::{
    api::tenant::{
        DeleteTenant, DeletionAsked, GetQuota, InspectTenant, QuotaReport, ResumeTenant, SuspendTenant,
        TenantInfo, UpdateQuota,
    },
    call::{Call, CallMeta, IdempotencyKey},
    caller::Caller,
    env::Env,
    error::ActorError,
    quota::{Quota, QuotaChange},
    system::ask,
};

/// An act of an operator upon a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAct {
    /// Look at it.
    Inspect,
    /// Stop serving it.
    Suspend {
        /// Why, for its audit.
        reason: String,
    },
    /// Serve it again.
    Resume,
    /// Delete it, after the delay.
    Delete {
        /// Its name, typed again.
        confirm_name: String,
    },
    /// Its limits, and what is used of them.
    Quota,
    /// Change its limits.
    SetQuota(QuotaChange),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// The tenant as it is.
    Tenant(Box<TenantInfo>),
    /// When it is deleted.
    Deletion(DeletionAsked),
    /// Limits and use.
    Quota(QuotaReport),
    /// The limits from now on.
    Limit(Quota),
}

/// Of an operator, whose certificate the node has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Administered {
    pub(crate) request: RequestId,
    pub(crate) operator: OperatorId,
    pub(crate) key: Option<Key>,
    pub(crate) act: OperatorAct,
}

/// The operator's idempotency key, and the hash of the request it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    #[serde(with = "wire::text")]
    pub(crate) key: Vec<u8>,
    pub(crate) request_hash: [u8; 32],
}

impl Administered {
    async fn call<C: Call>(
        &self,
        env: &Arc<Env>,
        tenant: TenantId,
        deadline: Deadline,
        call: C,
    ) -> Result<C::Answer, ActorError> {
        let caller = Caller::operator(tenant, self.operator.to_string(), self.request, None);
        let key = self.key.clone();
        let idempotency = key.map(|Key { key, request_hash }| IdempotencyKey { key, request_hash });
        ask(env, tenant, caller, CallMeta { idempotency, ..CallMeta::from(deadline) }, call).await
    }
}

impl Letter for Administered {
    type Answer = OperatorAnswer;
    async fn take(
        self,
        env: &Arc<Env>,
        tenant: TenantId,
        deadline: Deadline,
    ) -> Result<OperatorAnswer, ActorError> {
        let told = |info| OperatorAnswer::Tenant(Box::new(info));
        match self.act.clone() {
            OperatorAct::Inspect => self.call(env, tenant, deadline, InspectTenant).await.map(told),
            OperatorAct::Suspend { reason } => {
                self.call(env, tenant, deadline, SuspendTenant { reason }).await.map(told)
            }
            OperatorAct::Resume => self.call(env, tenant, deadline, ResumeTenant).await.map(told),
            OperatorAct::Delete { confirm_name } => self
                .call(env, tenant, deadline, DeleteTenant { confirm_name })
                .await
                .map(OperatorAnswer::Deletion),
            OperatorAct::Quota => {
                self.call(env, tenant, deadline, GetQuota::default()).await.map(OperatorAnswer::Quota)
            }
            OperatorAct::SetQuota(change) => {
                self.call(env, tenant, deadline, UpdateQuota { change }).await.map(OperatorAnswer::Limit)
            }
        }
    }
}

impl From<Administered> for Kind {
    fn from(letter: Administered) -> Self {
        Self::Administered(letter)
    }
}
