//! Operators and tenants: an act goes to the node that has the tenant, and is decided and audited there.

use std::time::Duration;

use ocmt_types::{Deadline, OperatorId, RequestId, TenantId};

use crate::{
    call::IdempotencyKey,
    error::ActorError,
    letter::{self, Administered, Key, OperatorAct, OperatorAnswer},
    system::System,
};

/// Who acts, in which request.
#[derive(Debug, Clone)]
pub struct ActingOperator {
    /// By the certificate, which was checked.
    pub operator: OperatorId,
    /// As answers, logs and audits name it.
    pub request: RequestId,
    /// Given for what may be repeated.
    pub idempotency: Option<IdempotencyKey>,
}

impl System {
    /// Does it, wherever the tenant is, within this time.
    ///
    /// # Errors
    /// [`ActorError::NotFound`] if there is no such tenant; what the tenant says; that its node cannot be reached.
    pub async fn administer(
        &self,
        tenant: TenantId,
        acting: ActingOperator,
        act: OperatorAct,
        within: Duration,
    ) -> Result<OperatorAnswer, ActorError> {
        let deadline = Deadline::after(&*self.env.clock, within);
        let ActingOperator { operator, request, idempotency } = acting;
        let key = idempotency.map(|IdempotencyKey { key, request_hash }| Key { key, request_hash });
        letter::send(&self.env, tenant, Administered { request, operator, key, act }, deadline).await
    }
}
