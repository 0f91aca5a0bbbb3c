//! Agent policies: the tenant's, and what narrows it for one user.

use data_encoding::HEXLOWER;
use ocmt_store::{
    Filter,
    tables::{AgentPolicyRow, User, UserState},
};
use ocmt_types::UserId;

use super::{
    session_row,
    versioned::{self, Versioned},
};
use crate::{
    agent_policy::stored,
    api::{
        agent_policy::{AgentPolicy, AgentPolicyHeld, AgentPolicySet, GetAgentPolicy, PutAgentPolicy},
        recovery::NodeStatement,
    },
    audit::sha256,
    authorize::{Action, Object},
    effect::Effect,
    error::ActorError,
    work::{Handle, Work},
};

impl Versioned for AgentPolicyRow {
    const NAME: &'static str = "agent policy";

    fn version(&self) -> i64 {
        self.version
    }

    fn is_version(version: i64) -> Filter<Self> {
        Self::version.eq(version)
    }
}

impl Handle for GetAgentPolicy {
    async fn handle(self, work: &mut Work) -> Result<AgentPolicyHeld, ActorError> {
        match self.user {
            // whose agents it is for, or who looks after all
            Some(user) => {
                let found = work.tx.get::<User>(user).await?.filter(|user| user.state == UserState::Active);
                drop(work.authorize_found(Action::ReadContainer, found, |user| Object::of(user.user_id))?);
            }
            None => work.authorize(Action::ReadTenant, &Object::TENANT)?,
        }
        let (policy, version) = stored::set_of(&mut work.tx, self.user).await?;
        let held = stored::held(&work.env, &mut work.tx, self.user).await?;
        let signed = held.sign(&work.env, None)?;
        let chain = work.env.signer.certificate_chain();
        let statement = NodeStatement { statement: signed.statement, certificate_chain: chain };
        Ok(AgentPolicyHeld { policy, version, document: signed.document, statement })
    }
}

impl Handle for PutAgentPolicy {
    async fn handle(self, work: &mut Work) -> Result<AgentPolicySet, ActorError> {
        // a user's as well: whoever was narrowed does not widen it again
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        self.policy.check()?;
        if let Some(user) = self.user {
            active(work, user).await?;
        }
        let subject = AgentPolicyRow::subject_of(self.user);
        let before = versioned::seen::<AgentPolicyRow>(work, subject.clone(), self.expected_version).await?;
        let encoded = serde_json::to_vec(&self.policy)
            .map_err(|error| ActorError::invalid("policy", error.to_string()))?;
        let row = AgentPolicyRow {
            tenant_id: work.ownership.tenant,
            subject,
            policy: encoded,
            version: self.expected_version + 1,
            updated_at: work.now,
        };
        versioned::replace(work, before, &row).await?;
        work.object = match self.user {
            Some(user) => format!("user/{user}"),
            None => format!("tenant/{}", row.tenant_id),
        };
        work.details = details(&self.policy, &row.policy);
        // hosts look at what they carry, wherever they are
        let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        work.then(Effect::PolicyChanged(policy));
        Ok(AgentPolicySet { version: row.version })
    }
}

async fn active(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    let found = work.tx.get::<User>(user).await?;
    found.filter(|user| user.state == UserState::Active).map(drop).ok_or(ActorError::NotFound)
}

/// What the audit says of it: how many of what, and a hash of all.
fn details(policy: &AgentPolicy, encoded: &[u8]) -> Vec<(String, String)> {
    let mode = policy.sandbox_mode.and_then(|mode| serde_json::to_value(mode).ok());
    let mode = mode.as_ref().and_then(serde_json::Value::as_str).unwrap_or("not said").to_owned();
    let counts = [
        ("allowed_tools", &policy.allowed_tools),
        ("denied_tools", &policy.denied_tools),
        ("allowed_models", &policy.allowed_models),
        ("allowed_plugins", &policy.allowed_plugins),
        ("allowed_channels", &policy.allowed_channels),
    ];
    let counts = counts.map(|(name, names)| (name.to_owned(), names.len().to_string()));
    let sha256 = HEXLOWER.encode(&sha256(encoded).0);
    [("sandbox_mode".to_owned(), mode), ("sha256".to_owned(), sha256)].into_iter().chain(counts).collect()
}
