//! `ocmt snapshot`.

use anyhow::Context as _;
use ocmt_client::{Client, snapshot::Snapshot, snapshot_schedule::SnapshotSchedule};
use ocmt_types::ContainerId;
use serde_json::Value;

use super::{
    args::{SnapshotCommand, SnapshotScheduleCommand},
    context::Context,
    output::waiting,
    show,
};

pub(super) async fn run(context: &Context, command: SnapshotCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        SnapshotCommand::Create(args) => {
            let container = with_snapshots(&client, args.which.container).await?;
            let mut vault = context.vault(&client, &args.passphrase).await?;
            let taken = {
                let _waiting = waiting("taking a snapshot");
                vault.take_snapshot(container, args.accept_host).await?
            };
            context.out.value(&taken, || {
                format!("snapshot {}: {} bytes of ciphertext, read back", taken.id, taken.size_bytes)
            })
        }
        SnapshotCommand::Ls(which) => {
            let container = client.container_or_only(which.container).await?;
            let all = client.list_snapshots(container).await?;
            context.out.list(&all, &["SNAPSHOT", "TAKEN", "BYTES", "STATE", "OF"], |one| {
                vec![
                    one.id.to_string(),
                    show::when(Some(one.created_at)),
                    one.size_bytes.to_string(),
                    state(one),
                    format!("{} g{}", one.container, one.generation),
                ]
            })
        }
        SnapshotCommand::Restore(args) => {
            let container = with_snapshots(&client, args.container).await?;
            let mut vault = context.vault(&client, &args.passphrase).await?;
            let generation = {
                let _waiting = waiting("restoring the snapshot");
                vault.restore_snapshot(container, args.snapshot, args.accept_host).await?
            };
            let json = serde_json::json!({ "generation": generation });
            context.out.value(&json, || format!("restored: the container is generation {generation} now"))
        }
        SnapshotCommand::Verify(args) => {
            let container = with_snapshots(&client, args.container).await?;
            let mut vault = context.vault(&client, &args.passphrase).await?;
            {
                let _waiting = waiting("reading the snapshot");
                vault.verify_snapshot(container, args.snapshot, args.accept_host).await?;
            }
            context.out.done("the snapshot opens to its end")
        }
        SnapshotCommand::Schedule(command) => schedule(context, &client, command).await,
        SnapshotCommand::Rm { snapshot } => {
            client.delete_snapshot(snapshot).await?;
            context.out.done("the snapshot was deleted")
        }
    }
}

async fn schedule(
    context: &Context,
    client: &Client,
    command: SnapshotScheduleCommand,
) -> anyhow::Result<()> {
    match command {
        SnapshotScheduleCommand::Set(args) => {
            let container = with_snapshots(client, args.container).await?;
            let mut vault = context.vault(client, &args.passphrase).await?;
            let zone = args.time_zone.as_deref();
            let put = vault.put_snapshot_schedule(container, &args.cron, zone, args.keep).await?;
            context.out.value(&put, || shown(&put))
        }
        SnapshotScheduleCommand::Show(which) => {
            let container = with_snapshots(client, which.container).await?;
            let me = client.identity()?;
            let own = context.state.own_keys(me.tenant, me.user)?;
            let own =
                own.context("open your vault on this device once, as `ocmt vault ls` does: the schedule is signed with its key")?;
            match client.snapshot_schedule(container, &own.signing).await? {
                Some(found) => context.out.value(&found, || shown(&found)),
                None => context.out.value(&Value::Null, || "no snapshots are taken by schedule".to_owned()),
            }
        }
        SnapshotScheduleCommand::Rm(which) => {
            let container = client.container_or_only(which.container).await?;
            client.delete_snapshot_schedule(container).await?;
            context.out.done("no snapshots are taken by schedule any more")
        }
    }
}

/// The container that is meant, if there are snapshots of it: nobody is to type a passphrase for a refusal.
async fn with_snapshots(client: &Client, named: Option<ContainerId>) -> anyhow::Result<ContainerId> {
    let container = client.container_or_only(named).await?;
    client.takes_snapshots(container).await?;
    Ok(container)
}

fn shown(schedule: &SnapshotSchedule) -> String {
    let mut lines = vec![format!("{} ({}), keeps {}", schedule.cron, schedule.time_zone, schedule.keep)];
    lines.push(match (schedule.rests.as_str(), schedule.next_at) {
        ("", next) => format!("next: {}", show::when(next)),
        (why, _) => format!("rests: {why}"),
    });
    if let Some(due) = schedule.due_at {
        let due = show::when(Some(due));
        lines.push(format!("due since {due}: taken when the container stops"));
    }
    if !schedule.failure.is_empty() {
        lines.push(format!("last: {}", schedule.failure));
    }
    lines.join("\n")
}

fn state(snapshot: &Snapshot) -> String {
    let mut state = format!("{:?}", snapshot.state).to_lowercase();
    if snapshot.by_schedule {
        state.push_str(" by schedule");
    }
    // what the store gives back is what it was given: only who has the key can know more
    match (snapshot.verified, snapshot.opened) {
        (true, true) => state.push_str(", opened"),
        (true, false) => state.push_str(", read back"),
        (false, _) => {}
    }
    if !snapshot.failure.is_empty() {
        state = format!("{state}; last: {}", snapshot.failure);
    }
    state
}
