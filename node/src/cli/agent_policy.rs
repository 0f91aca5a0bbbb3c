//! `ocmt tenant agent-policy`: what agents may do.

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use ocmt_client::{
    Client,
    agent_policy::{AgentPolicy, AgentPolicyHeld},
};
use ocmt_types::Digest32;
use serde_json::Value;

use super::{
    args::{AgentPolicyCommand, AgentPolicySetArgs, ListChoice},
    context::Context,
};

pub(super) async fn run(
    context: &Context,
    client: &Client,
    command: AgentPolicyCommand,
) -> anyhow::Result<()> {
    let user = match command {
        AgentPolicyCommand::Show { user } => user,
        AgentPolicyCommand::Set(args) => {
            let held = client.agent_policy(args.user).await?;
            client.set_agent_policy(args.user, &changed(held.policy, &args)?, held.version).await?;
            args.user
        }
    };
    let held = client.agent_policy(user).await?;
    context.out.value(&held, || describe(&held))
}

/// What is not named stays.
fn changed(mut policy: AgentPolicy, args: &AgentPolicySetArgs) -> anyhow::Result<AgentPolicy> {
    if let Some(choice) = args.sandbox {
        policy.sandbox_mode = choice.into();
    }
    let named = |list: &mut Vec<String>, names: &[String], choice: ListChoice| {
        let clear = args.clear.contains(&choice);
        let name = choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        ensure!(!clear || names.is_empty(), "{name} is set and cleared at once: choose one");
        if clear || !names.is_empty() {
            *list = names.to_vec();
        }
        Ok(())
    };
    named(&mut policy.allowed_tools, &args.allow_tools, ListChoice::AllowTools)?;
    named(&mut policy.denied_tools, &args.deny_tools, ListChoice::DenyTools)?;
    named(&mut policy.allowed_models, &args.allow_models, ListChoice::AllowModels)?;
    named(&mut policy.allowed_channels, &args.allow_channels, ListChoice::AllowChannels)?;
    let mut plugins = policy.allowed_plugins.iter().map(ToString::to_string).collect();
    named(&mut plugins, &args.allow_plugins, ListChoice::AllowPlugins)?;
    policy.allowed_plugins = plugins.iter().map(|text| digest(text)).collect::<anyhow::Result<_>>()?;
    Ok(policy)
}

fn digest(text: &str) -> anyhow::Result<Digest32> {
    let wrong = || format!("{text:?} is no SHA-256: 64 hexadecimal digits, as `sha256sum` prints them");
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).with_context(wrong)?;
    bytes.try_into().ok().map(Digest32).with_context(wrong)
}

fn describe(held: &AgentPolicyHeld) -> String {
    let it = &held.effective;
    let names = |list: &Value, without: &str| match list.as_array() {
        None => without.to_owned(),
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
    };
    let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let set = match held.version {
        0 => "nothing was set here; in the end holds".to_owned(),
        version => format!("set {version} times; in the end holds"),
    };
    [
        set,
        format!("sandbox: {}", word(&it["sandbox"]["mode"])),
        format!("tools: {}", names(&it["tools"]["allow"], "all")),
        format!("tools denied: {}", names(&it["tools"]["deny"], "none")),
        format!("models: {}", names(&it["models"]["allow"], "all")),
        format!("plugins: {}", names(&it["plugins"]["allow_sha256"], "none")),
        format!("channels: {}", names(&it["channels"]["allow"], "all")),
        format!("direct messages: {}", word(&it["channels"]["dm_policy"])),
        format!("groups: {}", word(&it["channels"]["group_policy"])),
    ]
    .join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::args::SandboxChoice;

    fn args() -> AgentPolicySetArgs {
        AgentPolicySetArgs {
            user: None,
            sandbox: None,
            allow_tools: Vec::new(),
            deny_tools: Vec::new(),
            allow_models: Vec::new(),
            allow_plugins: Vec::new(),
            allow_channels: Vec::new(),
            clear: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_cleared_goes() {
        let sum = "ab".repeat(32);
        let first = AgentPolicySetArgs {
            sandbox: Some(SandboxChoice::NonMain),
            deny_tools: vec!["exec".to_owned()],
            allow_plugins: vec![sum.to_uppercase()],
            ..args()
        };
        let set = changed(AgentPolicy::default(), &first).unwrap();
        assert_eq!((set.denied_tools.len(), set.allowed_plugins[0].to_string()), (1, sum));
        assert_eq!(changed(set.clone(), &args()).unwrap(), set);
        let next = AgentPolicySetArgs {
            sandbox: Some(SandboxChoice::Unsaid),
            allow_tools: vec!["read".to_owned()],
            clear: vec![ListChoice::DenyTools, ListChoice::AllowPlugins],
            ..args()
        };
        let narrowed = AgentPolicy { allowed_tools: vec!["read".to_owned()], ..AgentPolicy::default() };
        assert_eq!(changed(set, &next).unwrap(), narrowed);
    }

    #[test]
    fn a_sum_that_is_none_and_a_list_both_named_and_cleared_are_refused() {
        for wrong in ["", "ab", &"g".repeat(64), &"ab".repeat(33)] {
            let args = AgentPolicySetArgs { allow_plugins: vec![wrong.to_owned()], ..args() };
            assert!(changed(AgentPolicy::default(), &args).is_err(), "{wrong}");
        }
        let clear = vec![ListChoice::DenyTools];
        let args = AgentPolicySetArgs { deny_tools: vec!["exec".to_owned()], clear, ..args() };
        let refused = changed(AgentPolicy::default(), &args).unwrap_err().to_string();
        assert!(refused.contains("deny-tools"), "{refused}");
    }
}
