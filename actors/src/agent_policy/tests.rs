//! What narrows what, against a model that knows one name at a time.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use ocmt_types::{Id as _, TenantId, UserId};
use proptest::prelude::*;

use super::*;
use crate::policy::TenantPolicy;

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn few() -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set(prop_oneof!["a", "b", "c"], 0..3)
}

fn mode() -> impl Strategy<Value = Option<SandboxMode>> {
    use SandboxMode::{All, NonMain, Off};
    prop_oneof![Just(None), Just(Some(All)), Just(Some(NonMain)), Just(Some(Off))]
}

fn policies() -> impl Strategy<Value = AgentPolicy> {
    (mode(), few(), few(), few(), few(), few()).prop_map(|it| AgentPolicy {
        sandbox_mode: it.0,
        allowed_tools: it.1,
        denied_tools: it.2,
        allowed_models: it.3,
        allowed_plugins: it.4,
        allowed_channels: it.5,
    })
}

/// What a policy alone says of one name.
struct Says {
    tool: bool,
    model: bool,
    plugin: bool,
    channel: bool,
}

fn says(policy: &AgentPolicy, name: &str) -> Says {
    let listed = |list: &BTreeSet<String>| list.is_empty() || list.contains(name);
    Says {
        tool: listed(&policy.allowed_tools) && !policy.denied_tools.contains(name),
        model: listed(&policy.allowed_models),
        plugin: policy.allowed_plugins.contains(name),
        channel: listed(&policy.allowed_channels),
    }
}

fn holds(policy: &EffectivePolicy, name: &str) -> Says {
    let listed = |list: &Option<BTreeSet<String>>| list.as_ref().is_none_or(|list| list.contains(name));
    Says {
        tool: listed(&policy.allowed_tools) && !policy.denied_tools.contains(name),
        model: listed(&policy.allowed_models),
        plugin: policy.allowed_plugins.contains(name),
        channel: policy.allows_channel(name),
    }
}

proptest! {
    /// A name passes where it passes both, and no sandbox is opened that either keeps shut.
    #[test]
    fn a_users_policy_narrows_and_never_widens(tenant in policies(), user in proptest::option::of(policies())) {
        let who = TenantPolicy::default();
        let effective = EffectivePolicy::of(&tenant, user.as_ref(), &who);
        for name in ["a", "b", "c", "d"] {
            let (of_tenant, held) = (says(&tenant, name), holds(&effective, name));
            let of_user = user.as_ref().map(|user| says(user, name));
            let both = |of: fn(&Says) -> bool| of(&of_tenant) && of_user.as_ref().is_none_or(of);
            prop_assert_eq!(held.tool, both(|it| it.tool), "tool {}", name);
            prop_assert_eq!(held.model, both(|it| it.model), "model {}", name);
            prop_assert_eq!(held.plugin, both(|it| it.plugin), "plugin {}", name);
            prop_assert_eq!(held.channel, both(|it| it.channel), "channel {}", name);
        }
        // a workload may look at what is allowed alone
        let denied = |tool| effective.denied_tools.contains(tool);
        prop_assert!(!effective.allowed_tools.iter().flatten().any(denied));
        let modes = [tenant.sandbox_mode, user.as_ref().and_then(|user| user.sandbox_mode)];
        for mode in modes.into_iter().flatten() {
            prop_assert!(effective.sandbox_mode <= mode);
        }
        let nobody_said = modes == [None, None];
        prop_assert!(!nobody_said || effective.sandbox_mode == SandboxMode::All && !effective.sandbox_is_wanted);
        prop_assert!(!effective.sandbox_is_wanted || effective.sandbox_mode != SandboxMode::Off);
    }

    /// What was stored is what is read again, and lawful.
    #[test]
    fn a_policy_is_stored_as_it_was_set(policy in policies()) {
        let text = serde_json::to_vec(&policy).unwrap();
        prop_assert_eq!(serde_json::from_slice::<AgentPolicy>(&text).unwrap(), policy);
    }
}

#[test]
fn nothing_said_is_everything_in_a_sandbox_without_plugins() {
    let effective = EffectivePolicy::of(&AgentPolicy::default(), None, &TenantPolicy::default());
    assert_eq!(effective.sandbox_mode, SandboxMode::All);
    assert!(effective.allowed_tools.is_none() && effective.allowed_models.is_none());
    assert!(effective.allowed_plugins.is_empty() && effective.allows_channel("telegram"));
    assert_eq!(
        (effective.dm_policy, effective.group_policy),
        (DirectPolicy::Pairing, GroupPolicy::Allowlist)
    );
}

#[test]
fn lists_that_have_nothing_in_common_allow_nothing_and_not_all() {
    let of = |tool: &str| AgentPolicy { allowed_tools: names(&[tool]), ..AgentPolicy::default() };
    let effective = EffectivePolicy::of(&of("read"), Some(&of("write")), &TenantPolicy::default());
    assert_eq!(effective.allowed_tools, Some(BTreeSet::new()));
    let text = effective.document(1, TenantId::from_bytes([1; 16]), None).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(read["tools"]["allow"], serde_json::json!([]));
    assert_eq!(read["models"]["allow"], serde_json::Value::Null);
}

#[test]
fn every_list_and_name_has_its_bound() {
    let many = |most: usize| (0..most).map(|n| format!("n{n}")).collect::<BTreeSet<_>>();
    let digest = "a".repeat(64);
    let one = |name: &str| names(&[name]);
    let policy = AgentPolicy::default;
    let good = [
        AgentPolicy { allowed_tools: many(256), denied_tools: one(&"x".repeat(128)), ..policy() },
        AgentPolicy { allowed_models: one("vendor/model:1"), allowed_channels: one("a.b_c-1"), ..policy() },
        AgentPolicy { allowed_plugins: one(&digest), allowed_channels: many(64), ..policy() },
    ];
    for good in good {
        good.check().unwrap();
    }
    let bad = [
        AgentPolicy { allowed_tools: many(257), ..policy() },
        AgentPolicy { denied_tools: many(257), ..policy() },
        AgentPolicy { allowed_models: many(257), ..policy() },
        AgentPolicy { allowed_channels: many(65), ..policy() },
        AgentPolicy { allowed_tools: one(""), ..policy() },
        AgentPolicy { allowed_tools: one("a b"), ..policy() },
        AgentPolicy { denied_tools: one(&"x".repeat(129)), ..policy() },
        AgentPolicy { allowed_models: one("caf\u{e9}"), ..policy() },
        AgentPolicy { allowed_plugins: one(&digest[1..]), ..policy() },
        AgentPolicy { allowed_plugins: one(&"A".repeat(64)), ..policy() },
        AgentPolicy { allowed_channels: one("Telegram"), ..policy() },
        AgentPolicy { allowed_channels: one("-x"), ..policy() },
        AgentPolicy { allowed_channels: one(&"x".repeat(65)), ..policy() },
    ];
    for bad in bad {
        assert_eq!(bad.check().unwrap_err().reason(), "INVALID_ARGUMENT", "{bad:?}");
    }
}

/// The worst that bounds allow, with names that JSON has to escape.
#[test]
fn the_longest_document_is_within_what_a_cell_takes() {
    let many = |most: usize, longest: usize, of: char| {
        let name = |n: usize| format!("{n:03}{}", of.to_string().repeat(longest - 3));
        (0..most).map(name).collect::<BTreeSet<_>>()
    };
    let tenant = AgentPolicy {
        sandbox_mode: Some(SandboxMode::NonMain),
        allowed_tools: many(256, 128, '"'),
        denied_tools: many(256, 128, '\\'),
        allowed_models: many(256, 128, '\\'),
        allowed_plugins: many(256, 64, 'a'),
        allowed_channels: many(64, 64, 'x'),
    };
    let user = AgentPolicy { denied_tools: many(256, 127, '\\'), ..tenant.clone() };
    tenant.check().unwrap();
    let effective = EffectivePolicy::of(&tenant, Some(&user), &TenantPolicy::default());
    assert_eq!(effective.denied_tools.len(), 512);
    let (tenant, user) = (TenantId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
    let text = effective.document(u64::MAX, tenant, Some(user)).unwrap();
    assert!(text.len() <= ocmt_crypto::cell::MAX_POLICY_DOCUMENT, "{}", text.len());
}
