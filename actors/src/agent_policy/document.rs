//! The policy as a workload reads it: JSON, the same bytes for the same policy.

use std::collections::BTreeSet;

use ocmt_types::{TenantId, UserId};
use serde::Serialize;

use super::{EffectivePolicy, SandboxMode};
use crate::{
    error::ActorError,
    policy::{DirectPolicy, GroupPolicy},
};

/// Of the document; another one is another form.
const FORMAT: u8 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: u8,
    version: u64,
    tenant: String,
    user: Option<String>,
    sandbox: Sandbox,
    tools: Tools<'a>,
    models: Allowed<'a>,
    plugins: Plugins<'a>,
    channels: Channels<'a>,
}

#[derive(Serialize)]
struct Sandbox {
    mode: SandboxMode,
}

#[derive(Serialize)]
struct Tools<'a> {
    allow: Option<&'a BTreeSet<String>>,
    deny: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct Allowed<'a> {
    allow: Option<&'a BTreeSet<String>>,
}

#[derive(Serialize)]
struct Plugins<'a> {
    allow_sha256: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct Channels<'a> {
    allow: Option<&'a BTreeSet<String>>,
    dm_policy: DirectPolicy,
    group_policy: GroupPolicy,
}

impl EffectivePolicy {
    /// What a workload reads.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) fn document(
        &self,
        version: u64,
        tenant: TenantId,
        user: Option<UserId>,
    ) -> Result<Vec<u8>, ActorError> {
        let document = Document {
            format: FORMAT,
            version,
            tenant: tenant.to_string(),
            user: user.map(|user| user.to_string()),
            sandbox: Sandbox { mode: self.sandbox_mode },
            tools: Tools { allow: self.allowed_tools.as_ref(), deny: &self.denied_tools },
            models: Allowed { allow: self.allowed_models.as_ref() },
            plugins: Plugins { allow_sha256: &self.allowed_plugins },
            channels: Channels {
                allow: self.allowed_channels.as_ref(),
                dm_policy: self.dm_policy,
                group_policy: self.group_policy,
            },
        };
        let mut text = serde_json::to_vec_pretty(&document)
            .map_err(|error| ActorError::unavailable("POLICY_UNREADABLE", error.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }
}
