//! `ocmt tenant` and `ocmt user`.

use std::time::Duration;

use ocmt_client::tenant::{Policy, PolicyChange, Quotas, Tenant};

use super::{
    agent_policy,
    args::{PolicyArgs, TenantCommand, UserCommand},
    context::Context,
    egress,
    output::note,
    show, sso,
};

pub(super) async fn tenant(context: &Context, command: TenantCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        TenantCommand::Get => {
            let tenant = client.tenant().await?;
            context.out.value(&tenant, || describe(&tenant))
        }
        TenantCommand::Create { name } => {
            let tenant = client.create_tenant(&name).await?;
            context.out.value(&tenant, || format!("tenant {} ({})", tenant.name, tenant.id))?;
            if !context.out.json {
                let email = context.session()?.email.clone();
                note(&format!(
                    "Next: sign in to it with `ocmt login --email {email} --tenant {}`.",
                    tenant.id
                ));
            }
            Ok(())
        }
        TenantCommand::Quota => {
            let quotas = client.quota().await?;
            context.out.value(&quotas, || limits(&quotas))
        }
        TenantCommand::Delete { name } => {
            let at = client.delete_tenant(&name).await?;
            context.out.value(&serde_json::json!({ "deletes_at": at }), || {
                format!(
                    "tenant {name} is deleted at {}; until then `ocmt tenant keep` stops it",
                    show::at(at)
                )
            })
        }
        TenantCommand::Keep => {
            let tenant = client.keep_tenant().await?;
            context.out.value(&tenant, || format!("tenant {} stays", tenant.name))
        }
        TenantCommand::Sso(command) => sso::run(context, &client, command).await,
        TenantCommand::Egress(command) => egress::run(context, &client, command).await,
        TenantCommand::AgentPolicy(command) => agent_policy::run(context, &client, command).await,
        // an operator's, with a connection of its own
        TenantCommand::Operated(_) => Ok(()),
        TenantCommand::Policy(args) => {
            let tenant = client.change_policy(&change(&args)).await?;
            context.out.value(&tenant, || describe(&tenant))
        }
    }
}

fn change(args: &PolicyArgs) -> PolicyChange {
    PolicyChange {
        pause_after: args.pause_after.map(|time| time.0),
        stop_after: args.stop_after.map(|time| time.0),
        recovery_delay: args.recovery_delay.map(|time| time.0),
        lock_period: args.lock.map(|time| time.0),
        change_delay: args.change_delay.map(|time| time.0),
        change_window: args.change_window.map(|time| time.0),
        dm_policy: args.dm_policy.map(Into::into),
        group_policy: args.group_policy.map(Into::into),
        session_idle: args.session_idle.map(|time| time.0),
        session_absolute: args.session_absolute.map(|time| time.0),
        max_sessions: args.max_sessions,
        require_mfa: args.require_mfa,
        require_passkey: args.require_passkey,
        step_up_lifetime: args.step_up_lifetime.map(|time| time.0),
        email_change_delay: args.email_change_delay.map(|time| time.0),
        transcript_retention: args.transcript_retention.map(|time| time.0),
        kept_versions: args.kept_versions,
        argon2_memory_mib: args.argon2_memory,
        argon2_passes: args.argon2_passes,
        backup_delay: args.backup_key_delay.map(|time| time.0),
        hardware_delay: args.hardware_delay.map(|time| time.0),
    }
}

/// What is used of each limit.
pub(super) fn limits(quotas: &Quotas) -> String {
    let Quotas { limit, used } = quotas;
    let of = |used: u64, limit: u64| format!("{used} of {limit}");
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    show::facts(&[
        ("users", of(used.users, limit.users)),
        ("containers", of(used.containers, limit.containers)),
        ("memory, MiB", of(mib(used.memory_bytes), mib(limit.memory_bytes))),
        ("ciphertext, MiB", of(mib(used.storage_bytes), mib(limit.storage_bytes))),
        ("calls in a minute", of(used.calls_per_minute, limit.calls_per_minute)),
    ])
}

fn describe(tenant: &Tenant) -> String {
    let time = |ms: Option<u64>| {
        ms.map_or_else(|| "the node's default".to_owned(), |ms| show::span(Duration::from_millis(ms)))
    };
    let policy = &tenant.policy;
    let end = tenant.deletes_at.map(|at| ("is deleted at", show::at(Some(at))));
    let facts = [
        ("tenant", format!("{} ({})", tenant.name, tenant.id)),
        ("since", show::at(tenant.created_at)),
        ("idle containers pause after", time(policy.pause_after_ms)),
        ("and stop after", time(policy.stop_after_ms)),
        ("a recovery waits", time(policy.recovery_delay_ms)),
        ("a guardian's lock holds", time(policy.lock_period_ms)),
        ("a change of guardians waits", time(policy.change_delay_ms)),
        ("and may be made within", time(policy.change_window_ms)),
        (
            "direct messages to agents",
            policy.dm_policy.map(|policy| policy.as_str().to_owned()).unwrap_or_default(),
        ),
        (
            "and messages in groups",
            policy.group_policy.map(|policy| policy.as_str().to_owned()).unwrap_or_default(),
        ),
        ("an unused session ends after", time(policy.session_idle_ms)),
        ("and any session after", time(policy.session_absolute_ms)),
        (
            "sessions of one user, at most",
            policy.max_sessions.map(|most| most.to_string()).unwrap_or_default(),
        ),
        ("another address of a user counts after", time(policy.email_change_delay_ms)),
        (
            "earlier versions kept of an entry",
            policy.kept_versions.map(|kept| kept.to_string()).unwrap_or_default(),
        ),
        (
            "a passphrase costs at least",
            match (policy.argon2_memory_mib, policy.argon2_passes) {
                (Some(mib), Some(passes)) => format!("{mib} MiB, {passes} passes"),
                _ => String::new(),
            },
        ),
        ("a backup key is waited for", waited(policy.backup_delay_ms)),
        ("and a hardware token", waited(policy.hardware_delay_ms)),
        ("a proof of presence is good for", time(policy.step_up_lifetime_ms)),
        (
            "transcripts are kept",
            policy.transcript_retention_ms.map_or_else(|| "for ever".to_owned(), |ms| time(Some(ms))),
        ),
        ("a second factor", factor_wanted(policy).to_owned()),
    ];
    show::facts(&facts.into_iter().chain(end).collect::<Vec<_>>())
}

fn waited(delay_ms: Option<u64>) -> String {
    match delay_ms {
        Some(ms) if ms > 0 => show::span(Duration::from_millis(ms)),
        _ => "no time; its owner is told".to_owned(),
    }
}

fn factor_wanted(policy: &Policy) -> &'static str {
    match (policy.require_passkey, policy.require_mfa) {
        (true, _) => "is needed by everybody, and it has to be a passkey",
        (false, true) => "is needed by everybody",
        (false, false) => "is up to each user",
    }
}

pub(super) async fn user(context: &Context, command: UserCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        UserCommand::Ls => {
            let users = client.list_users().await?;
            context.out.list(&users, &["USER", "ADDRESS", "ROLE", "2ND FACTOR", "SINCE"], |user| {
                vec![
                    user.id.to_string(),
                    user.email.clone(),
                    user.role.clone(),
                    if user.second_factor { "yes" } else { "no" }.to_owned(),
                    show::at(user.created_at),
                ]
            })
        }
        UserCommand::Invite { email, role } => {
            let until = client.invite_user(&email, &role).await?;
            context.out.value(&serde_json::json!({ "email": email, "expires_at": until }), || {
                format!(
                    "{email} was invited as {role}; the link in the mail is good until {}",
                    show::when(until)
                )
            })
        }
        UserCommand::Role { user, role } => {
            let user = client.set_role(user, &role).await?;
            context.out.value(&user, || format!("{} is {} now", user.email, user.role))
        }
        UserCommand::Roles => {
            let roles = client.list_roles().await?;
            context.out.list(&roles, &["ROLE", "NARROWS", "MAY"], |role| {
                let narrows = if role.built_in { String::new() } else { role.base.clone() };
                vec![role.id.clone(), narrows, role.permissions.join(" ")]
            })
        }
        UserCommand::CreateRole { role, base, may } => {
            let role = client.create_role(&role, &base, &may).await?;
            context.out.value(&role, || format!("{} may {}", role.id, role.permissions.join(", ")))
        }
        UserCommand::DeleteRole { role } => {
            client.delete_role(&role).await?;
            context.out.done("the role was deleted")
        }
        UserCommand::Rm { user } => {
            client.remove_user(user).await?;
            context.out.done("the user was removed; their sessions have ended")
        }
    }
}
