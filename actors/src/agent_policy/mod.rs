//! What agents may do: the tenant's policy, what narrows it for one user, and what holds in the end.
//!
//! Who may talk to agents is not in here a second time: `dm_policy` and `group_policy` are the tenant's
//! ([`TenantPolicy`]), where pairing looks them up, and are only put beside the rest for the workload to read.

mod document;
pub(crate) mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::ActorError,
    policy::{DirectPolicy, GroupPolicy, TenantPolicy},
};

/// Names of one list of tools, models or plugins.
pub const MOST_NAMES: usize = 256;
/// Channels.
pub const MOST_CHANNELS: usize = 64;
/// Bytes of the name of a tool or a model.
pub const LONGEST_NAME: usize = 128;
/// Bytes of the name of a channel.
pub const LONGEST_CHANNEL: usize = 64;

/// Which work of an agent runs in a sandbox, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// All of it.
    #[default]
    All,
    /// All but the owner's own conversation.
    NonMain,
    /// None.
    Off,
}

/// A policy as it is set, for the tenant or one user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentPolicy {
    /// None: nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_mode: Option<SandboxMode>,
    /// Empty: all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allowed_tools: BTreeSet<String>,
    /// Whatever is allowed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub denied_tools: BTreeSet<String>,
    /// Empty: all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allowed_models: BTreeSet<String>,
    /// SHA-256 in lower-case hexadecimal. Empty: none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allowed_plugins: BTreeSet<String>,
    /// Empty: all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allowed_channels: BTreeSet<String>,
}

impl AgentPolicy {
    /// Holds it against the bounds, which the contract's layer has checked for whoever comes from outside.
    ///
    /// # Errors
    /// [`ActorError::InvalidArgument`] naming the field.
    pub fn check(&self) -> Result<(), ActorError> {
        let token = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        for (field, names) in [
            ("policy.allowed_tools", &self.allowed_tools),
            ("policy.denied_tools", &self.denied_tools),
            ("policy.allowed_models", &self.allowed_models),
        ] {
            bounded(field, names, MOST_NAMES, LONGEST_NAME, token)?;
        }
        let digest = |text: &str| {
            text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        bounded("policy.allowed_plugin_digests", &self.allowed_plugins, MOST_NAMES, 64, digest)?;
        let name = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            text.bytes().next().is_some_and(plain)
                && text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        };
        bounded("policy.allowed_channels", &self.allowed_channels, MOST_CHANNELS, LONGEST_CHANNEL, name)
    }
}

fn bounded(
    field: &'static str,
    names: &BTreeSet<String>,
    most: usize,
    longest: usize,
    form: impl Fn(&str) -> bool,
) -> Result<(), ActorError> {
    if names.len() > most {
        return Err(ActorError::invalid(field, format!("has {} names: at most {most}", names.len())));
    }
    match names.iter().find(|name| name.is_empty() || name.len() > longest || !form(name)) {
        Some(name) => {
            Err(ActorError::invalid(field, format!("{name:?} is no such name of 1 to {longest} bytes")))
        }
        None => Ok(()),
    }
}

/// What holds. A list of what is allowed that is none allows everything; an empty one allows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectivePolicy {
    /// What of the work runs in a sandbox.
    pub(crate) sandbox_mode: SandboxMode,
    /// Somebody has said so: a host that isolates nothing does not do.
    pub(crate) sandbox_is_wanted: bool,
    /// Less what is denied.
    pub(crate) allowed_tools: Option<BTreeSet<String>>,
    /// Of both.
    pub(crate) denied_tools: BTreeSet<String>,
    /// Models.
    pub(crate) allowed_models: Option<BTreeSet<String>>,
    /// Plugins by their digest.
    pub(crate) allowed_plugins: BTreeSet<String>,
    /// Channels.
    pub(crate) allowed_channels: Option<BTreeSet<String>>,
    /// As pairing holds it.
    pub(crate) dm_policy: DirectPolicy,
    /// As pairing holds it.
    pub(crate) group_policy: GroupPolicy,
}

impl EffectivePolicy {
    /// What holds for a user's agents, or for the tenant's where no user has anything of their own: never more than what
    /// the tenant's policy allows.
    pub(crate) fn of(tenant: &AgentPolicy, user: Option<&AgentPolicy>, who: &TenantPolicy) -> Self {
        let all = || [Some(tenant), user].into_iter().flatten();
        let said = all().filter_map(|policy| policy.sandbox_mode).min();
        let sandbox_mode = said.unwrap_or_default();
        let denied_tools: BTreeSet<String> = all().flat_map(|policy| policy.denied_tools.clone()).collect();
        let mut allowed_tools = within(all().map(|policy| &policy.allowed_tools));
        if let Some(allowed) = &mut allowed_tools {
            allowed.retain(|tool| !denied_tools.contains(tool));
        }
        let plugins = all().map(|policy| policy.allowed_plugins.clone());
        Self {
            sandbox_mode,
            sandbox_is_wanted: said.is_some_and(|mode| mode != SandboxMode::Off),
            allowed_tools,
            denied_tools,
            allowed_models: within(all().map(|policy| &policy.allowed_models)),
            allowed_plugins: plugins.reduce(|a, b| &a & &b).unwrap_or_default(),
            allowed_channels: within(all().map(|policy| &policy.allowed_channels)),
            dm_policy: who.dm_policy,
            group_policy: who.group_policy,
        }
    }

    /// Whether agents talk on this channel.
    pub(crate) fn allows_channel(&self, channel: &str) -> bool {
        self.allowed_channels.as_ref().is_none_or(|allowed| allowed.contains(channel))
    }
}

/// What all of these lists allow, an empty one being no list.
fn within<'a>(lists: impl Iterator<Item = &'a BTreeSet<String>>) -> Option<BTreeSet<String>> {
    lists.filter(|list| !list.is_empty()).cloned().reduce(|a, b| &a & &b)
}
