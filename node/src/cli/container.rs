//! `ocmt container`.

use std::process::ExitCode;

use bytes::Bytes;
use ocmt_client::{
    Client, ClientError,
    cell::UnlockedCell,
    container::{Container, Idle, Spec, State},
    oauth::Gifts,
};
use ocmt_crypto::channel::StreamKind;
use ocmt_types::ContainerId;
use tonic::{Code, Status};

use super::{
    args::{ContainerCommand, CreateArgs, ExecArgs, LogsArgs, PassphraseArgs, UnlockArgs},
    container_volume,
    context::Context,
    output::{self, confirm, note, print, waiting},
    show, streams,
};

pub(super) async fn run(context: &Context, command: ContainerCommand) -> anyhow::Result<ExitCode> {
    match command {
        ContainerCommand::Exec(args) => exec(context, args).await,
        ContainerCommand::Logs(args) => logs(context, args).await,
        command => life(context, command).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn life(context: &Context, command: ContainerCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    let out = context.out;
    match command {
        ContainerCommand::Create(args) => create(context, &client, args).await,
        ContainerCommand::Start(which) => {
            let id = client.container_or_only(which.container).await?;
            let _waiting = waiting("starting the container");
            tell(context, &client.start_container(id).await?)
        }
        ContainerCommand::Pause(which) => {
            let id = client.container_or_only(which.container).await?;
            tell(context, &client.pause_container(id).await?)
        }
        ContainerCommand::Stop { which, grace } => {
            let id = client.container_or_only(which.container).await?;
            let _waiting = waiting("stopping the container");
            tell(context, &client.stop_container(id, Some(grace.0)).await?)
        }
        ContainerCommand::Wake(which) => wake(context, &client, which.container).await,
        ContainerCommand::Status(which) => status(context, &client, which.container).await,
        ContainerCommand::Watch { container, resume } => watch(context, &client, container, &resume).await,
        ContainerCommand::Explain(which) => {
            let id = client.container_or_only(which.container).await?;
            let idle = client.explain_idle(id).await?;
            out.value(&idle, || explain(&idle))
        }
        ContainerCommand::Unlock(args) => unlock(context, &client, args).await,
        ContainerCommand::Extend { which, lease, passphrase } => {
            let id = client.container_or_only(which.container).await?;
            let mut vault = context.vault(&client, &passphrase).await?;
            let until = vault.extend_unlock(id, lease.0).await?;
            let json = serde_json::json!({ "unlocked_until": until });
            out.value(&json, || format!("unlocked until {}", show::when(Some(until))))
        }
        ContainerCommand::Lock(which) => {
            let id = client.container_or_only(which.container).await?;
            client.lock_container(id).await?;
            out.done("locked: its secrets are wiped, its channels have ended")
        }
        ContainerCommand::Token { which, lifetime } => {
            let id = client.container_or_only(which.container).await?;
            let token = client.gateway_token(id, Some(lifetime.0)).await?;
            out.value(&token, || token.token.clone())
        }
        ContainerCommand::Hold { which, reason } => {
            let id = client.container_or_only(which.container).await?;
            tell(context, &client.hold_container(id, &reason).await?)
        }
        ContainerCommand::Release { which, reason } => {
            let id = client.container_or_only(which.container).await?;
            tell(context, &client.release_container(id, &reason).await?)
        }
        ContainerCommand::Rm { which, delete_volume, yes } => {
            let id = client.container_or_only(which.container).await?;
            if delete_volume && !yes && !confirm(&format!("Erase the volume of {id} for good?"), "--yes")? {
                return out.done("nothing was removed");
            }
            client.remove_container(id, delete_volume).await?;
            out.done(if delete_volume {
                "the container was removed; its volume goes with it"
            } else {
                "the container was removed; its volume stays"
            })
        }
        ContainerCommand::Exec(_) | ContainerCommand::Logs(_) => Ok(()),
    }
}

async fn create(context: &Context, client: &Client, args: CreateArgs) -> anyhow::Result<()> {
    let spec = Spec {
        image: args.image,
        argv: args.argv,
        workload_port: args.port,
        memory_bytes: args.memory_mib.map(|mib| mib.saturating_mul(1 << 20)),
        pids: args.pids,
        cpu_shares: args.cpu_shares,
        pause_after: args.pause_after.map(|time| time.0),
        stop_after: args.stop_after.map(|time| time.0),
        gateway_plain: args.gateway_plain,
        sealed_volume_bytes: args.sealed_volume.map(|mib| mib.saturating_mul(1 << 20)),
    };
    // so that one of before is not taken for one that was made and did not start
    let had_none = matches!(client.container_or_only(None).await, Err(ClientError::Usage(_)));
    let made = {
        let _waiting = waiting("making the container");
        client.create_container(&spec, !args.no_start).await
    };
    let there = match &made {
        Ok(made) => Some(made.clone()),
        Err(_) => own(client).await,
    };
    if args.sealed_volume.is_some()
        && let Some(there) = &there
        && (made.is_ok() || there.sealed_volume_bytes > 0)
    {
        // before its first unlock too, a node's word that it has none is not enough
        context.state.made_sealed(there.id)?;
    }
    let made = made.map_err(|error| match there {
        Some(there) if had_none && error.code() != Some(Code::AlreadyExists) => anyhow::Error::new(error)
            .context(made_all_the_same(there.id, !args.no_start && !goes_on(there.state))),
        _ => by_flag(error).into(),
    })?;
    tell(context, &made)?;
    if !context.out.json {
        note("Next: `ocmt container unlock --map VARIABLE=SECRET` gives it secrets from your vault.");
    }
    Ok(())
}

/// The caller's container, if there is one.
async fn own(client: &Client) -> Option<Container> {
    client.container(client.container_or_only(None).await.ok()?).await.ok()
}

/// Whether a start is under way or done, whatever became of the call.
fn goes_on(state: State) -> bool {
    matches!(state, State::Creating | State::Waking | State::Running)
}

/// What a call that failed has made.
fn made_all_the_same(id: ContainerId, start: bool) -> String {
    if start {
        return format!(
            "the container {id} was made, but did not start: `ocmt container start {id}` tries again"
        );
    }
    format!("the container {id} was made all the same: see `ocmt container status {id}`")
}

/// What is refused in a container that is to be made, by the option that asked for it.
const OPTIONS: [(&str, &str); 6] = [
    ("spec.sealed_volume_bytes: ", "--sealed-volume"),
    ("spec.image: ", "--image"),
    ("spec.gateway_plain: ", "--gateway-plain"),
    ("spec.hibernation.pause_after: ", "--pause-after"),
    ("spec.hibernation.stop_after: ", "--stop-after"),
    ("spec.workload_argv: ", "PROGRAM"),
];

/// The same refusal in the words of whoever typed the command.
fn by_flag(error: ClientError) -> ClientError {
    let ClientError::Refused(status) = &error else { return error };
    let said = OPTIONS.iter().find_map(|(field, option)| {
        let why = status.message().strip_prefix(field)?;
        Some(format!("{option} {why}"))
    });
    match said {
        Some(said) => {
            Status::with_details(status.code(), said, Bytes::copy_from_slice(status.details())).into()
        }
        None => error,
    }
}

async fn wake(context: &Context, client: &Client, which: Option<ContainerId>) -> anyhow::Result<()> {
    let id = client.container_or_only(which).await?;
    let (container, wake) = {
        let _waiting = waiting("waking the container");
        client.wake_container(id).await?
    };
    let json = serde_json::json!({ "container": container, "wake": wake });
    context.out.value(&json, || {
        let how = match wake.kind.as_str() {
            "none" => "it was running".to_owned(),
            kind => format!("{kind}, {} ms", wake.millis),
        };
        let locked = if container.locked { "locked" } else { "unlocked" };
        format!("{} ({how}), {locked}", container.state)
    })
}

async fn status(context: &Context, client: &Client, which: Option<ContainerId>) -> anyhow::Result<()> {
    if let Some(id) = which {
        return tell(context, &client.container(id).await?);
    }
    let all = client.list_containers().await?;
    context.out.list(&all, &["CONTAINER", "STATE", "CELL", "RUNTIME", "LAST ACTIVITY"], |container| {
        vec![
            container.id.to_string(),
            container.state.to_string(),
            cell(container),
            container.runtime.clone(),
            show::when(container.last_activity_at),
        ]
    })
}

async fn watch(
    context: &Context,
    client: &Client,
    only: Option<ContainerId>,
    resume: &str,
) -> anyhow::Result<()> {
    let mut watch = client.watch_containers(only, resume).await?;
    let mut token = resume.to_owned();
    loop {
        let event =
            watch.next().await.map_err(|error| output::cut_off(error, "ocmt container watch", &token))?;
        token.clone_from(&event.resume_token);
        if context.out.json {
            print(&serde_json::to_string(&event)?)?;
            continue;
        }
        let how = event.container.as_ref().map_or_else(|| "removed".to_owned(), cell);
        print(&format!("{}  {}  {}, {how}", show::when(event.at), event.id, event.state))?;
    }
}

fn tell(context: &Context, container: &Container) -> anyhow::Result<()> {
    context.out.value(container, || {
        let exit = container.exit.map(|exit| {
            let why = if exit.out_of_memory { ", out of memory" } else { "" };
            format!("code {}{why}, {}", exit.code, show::when(exit.at))
        });
        show::facts(&[
            ("container", container.id.to_string()),
            ("state", format!("{} since {}", state(container), show::at(container.state_since))),
            ("cell", cell(container)),
            ("image", container.image.clone()),
            ("volume", container_volume::kind(container)),
            ("not sealed", container_volume::unsealed(container)),
            ("host", container.host.map(|host| host.to_string()).unwrap_or_default()),
            ("runtime", container.runtime.clone()),
            ("last activity", show::when(container.last_activity_at)),
            ("ended by itself", exit.unwrap_or_default()),
            ("why", container.failure.clone()),
        ])
    })
}

fn state(container: &Container) -> String {
    match container.last_known_state {
        Some(last) => format!("{} (its host does not answer; it was {last})", container.state),
        None => container.state.to_string(),
    }
}

fn cell(container: &Container) -> String {
    let volume = if container.unsealed.is_some() { ", volume not sealed" } else { "" };
    if container.locked {
        return format!("locked{volume}");
    }
    format!("unlocked until {}{volume}", show::when(container.unlocked_until))
}

fn explain(idle: &Idle) -> String {
    let mut lines = vec![format!("{}; last activity {}", idle.state, show::when(idle.last_activity_at))];
    for reason in &idle.reasons {
        let until =
            reason.until.map(|until| format!(", until {}", show::when(Some(until)))).unwrap_or_default();
        lines.push(format!("kept awake by: {} {}{until}", reason.count, reason.kind));
    }
    if idle.reasons.is_empty() {
        lines.push("nothing keeps it awake".to_owned());
    }
    if idle.pause_due_at.is_some() {
        lines.push(format!("will be paused {}", show::when(idle.pause_due_at)));
    }
    if idle.stop_due_at.is_some() {
        lines.push(format!("will be stopped {}", show::when(idle.stop_due_at)));
    }
    if idle.next_wake_at.is_some() {
        lines.push(format!("a schedule wakes it {}", show::when(idle.next_wake_at)));
    }
    lines.push(match idle.unlocked_until {
        Some(until) => format!("its cell locks {}", show::when(Some(until))),
        None => "its cell is locked".to_owned(),
    });
    lines.join("\n")
}

async fn unlock(context: &Context, client: &Client, args: UnlockArgs) -> anyhow::Result<()> {
    let id = client.container_or_only(args.which.container).await?;
    let mut vault = context.vault(client, &args.passphrase).await?;
    let cell = {
        let _waiting = waiting("waking the container and unlocking its cell");
        let gifts = Gifts {
            mapping: &args.map,
            may_write: &args.may_write,
            connect: &args.connect,
            conversations: &args.conversation,
            new_conversations: args.new_conversations,
            accept_older_volume: args.accept_older_volume,
        };
        vault.unlock_with(id, gifts, args.lease.0, args.accept_host).await?
    };
    let json = serde_json::json!({
        "container": id,
        "unlock": cell.endpoints.place.unlock,
        "unlocked_until": cell.unlocked_until,
        "wake": cell.wake,
    });
    context.out.value(&json, || {
        let secrets = show::count(args.map.len(), "secret");
        format!("unlocked with {secrets} until {}", show::when(Some(cell.unlocked_until)))
    })
}

async fn attach(
    context: &Context,
    client: &Client,
    which: Option<ContainerId>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<UnlockedCell> {
    let id = client.container_or_only(which).await?;
    let mut vault = context.vault(client, passphrase).await?;
    let _waiting = waiting("reaching the container");
    let cell = vault.attach_container(id, false).await?;
    Ok(cell.ok_or_else(|| {
        ClientError::Usage("the cell is locked: unlock it with `ocmt container unlock` first".to_owned())
    })?)
}

async fn exec(context: &Context, args: ExecArgs) -> anyhow::Result<ExitCode> {
    let client = context.client().await?;
    let cell = attach(context, &client, args.container, &args.passphrase).await?;
    let kind = StreamKind::Exec { argv: args.argv, tty: args.tty };
    let channel = client.open_channel(&cell.endpoints, kind).await?;
    Box::pin(streams::run(channel, args.tty)).await
}

async fn logs(context: &Context, args: LogsArgs) -> anyhow::Result<ExitCode> {
    let client = context.client().await?;
    let cell = attach(context, &client, args.which.container, &args.passphrase).await?;
    let channel = client.open_channel(&cell.endpoints, StreamKind::Logs { follow: args.follow }).await?;
    Box::pin(streams::print(channel)).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn a_refusal_names_the_option_and_stays_one() {
        let details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "ocmt", []);
        let of = |text: &str| {
            let refused = Status::with_error_details(Code::InvalidArgument, text, details.clone());
            by_flag(refused.into())
        };
        let refused = of("spec.sealed_volume_bytes: needs Docker");
        assert_eq!(refused.to_string(), "--sealed-volume needs Docker");
        assert_eq!(refused.reason().as_deref(), Some("INVALID_ARGUMENT"));
        assert_eq!(refused.code(), Some(Code::InvalidArgument));
        assert_eq!(of("user_id: is nobody").to_string(), "user_id: is nobody");
        let other = by_flag(ClientError::Usage("spec.image: x".to_owned()));
        assert!(matches!(other, ClientError::Usage(_)));
    }
}
