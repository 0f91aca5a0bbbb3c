//! What holds, read in one snapshot and signed by this node.

use ocmt_crypto::cell::{AgentPolicyStatement, policy_digest};
use ocmt_store::{AgentPolicyState, ReadTx, tables::AgentPolicyRow};
use ocmt_types::{ContainerId, TenantId, UserId};

use super::{AgentPolicy, EffectivePolicy};
use crate::{env::Env, error::ActorError, tenant::session_row};

/// What holds for a subject, and how often any of it was changed.
pub(crate) struct Held {
    pub(crate) tenant: TenantId,
    pub(crate) user: Option<UserId>,
    pub(crate) effective: EffectivePolicy,
    /// The sum of the versions of all rows that it is made of, none of which goes down: so it goes up with each change.
    pub(crate) version: u64,
}

/// The policy as it is carried: the text and its signature.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) document: Vec<u8>,
    pub(crate) statement: Vec<u8>,
    pub(crate) version: u64,
}

/// A stored policy, and its version; nothing and 0 if none was set.
fn set(row: Option<&AgentPolicyRow>) -> Result<(AgentPolicy, i64), ActorError> {
    let Some(row) = row else { return Ok((AgentPolicy::default(), 0)) };
    let policy = serde_json::from_slice(&row.policy).map_err(|error| {
        tracing::error!(subject = row.subject, %error, "stored agent policy cannot be read");
        ActorError::unavailable("STORE_DAMAGED", "the stored agent policy cannot be read")
    })?;
    Ok((policy, row.version))
}

/// A policy as it was set, and its version.
pub(crate) async fn set_of(tx: &mut ReadTx, user: Option<UserId>) -> Result<(AgentPolicy, i64), ActorError> {
    set(tx.get::<AgentPolicyRow>(AgentPolicyRow::subject_of(user)).await?.as_ref())
}

/// What holds for the tenant, or for the agents of a user, by the owner's own read.
pub(crate) async fn held(env: &Env, tx: &mut ReadTx, user: Option<UserId>) -> Result<Held, ActorError> {
    let (tenant, _) = session_row::tenant_of(env, tx).await?;
    let of_tenant = tx.get::<AgentPolicyRow>(AgentPolicyRow::subject_of(None)).await?;
    let of_user = match user {
        Some(user) => tx.get::<AgentPolicyRow>(AgentPolicyRow::subject_of(Some(user))).await?,
        None => None,
    };
    Held::of(env, &AgentPolicyState { tenant, of_tenant, of_user }, user)
}

/// What holds for the agents of a user, by the read of a host.
pub(crate) async fn held_by_host(env: &Env, tenant: TenantId, user: UserId) -> Result<Held, ActorError> {
    let state = env.store.cluster().agent_policy(tenant, Some(user)).await?.ok_or(ActorError::NotFound)?;
    Held::of(env, &state, Some(user))
}

impl Held {
    fn of(env: &Env, state: &AgentPolicyState, user: Option<UserId>) -> Result<Self, ActorError> {
        let who = session_row::policy_of(env, &state.tenant)?;
        let (tenant, of_tenant) = set(state.of_tenant.as_ref())?;
        let (own, of_user) = set(state.of_user.as_ref())?;
        let own = state.of_user.as_ref().map(|_| &own);
        let versions = [state.tenant.version, of_tenant, of_user];
        Ok(Self {
            tenant: state.tenant.tenant_id,
            user,
            effective: EffectivePolicy::of(&tenant, own, &who),
            version: versions.iter().map(|version| u64::try_from(*version).unwrap_or(0)).sum(),
        })
    }

    /// Signed, for the cell of a container or for people.
    pub(crate) fn sign(&self, env: &Env, container: Option<ContainerId>) -> Result<Signed, ActorError> {
        let document = self.effective.document(self.version, self.tenant, self.user)?;
        let statement = AgentPolicyStatement {
            tenant: self.tenant,
            user: self.user,
            container,
            version: self.version,
            digest: policy_digest(&document),
            stated_at: env.now(),
            node: env.node,
        };
        let statement = statement.sign_by(|purpose, message| env.signer.sign(purpose, message));
        Ok(Signed { document, statement, version: self.version })
    }
}
