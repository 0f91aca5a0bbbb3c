//! `ocmt snapshot`.

use ocmt_client::snapshot::Snapshot;

use super::{args::SnapshotCommand, context::Context, output::waiting, show};

pub(super) async fn run(context: &Context, command: SnapshotCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        SnapshotCommand::Create(args) => {
            let container = client.container_or_only(args.which.container).await?;
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
            let container = client.container_or_only(args.container).await?;
            let mut vault = context.vault(&client, &args.passphrase).await?;
            let generation = {
                let _waiting = waiting("restoring the snapshot");
                vault.restore_snapshot(container, args.snapshot, args.accept_host).await?
            };
            let json = serde_json::json!({ "generation": generation });
            context.out.value(&json, || format!("restored: the container is generation {generation} now"))
        }
        SnapshotCommand::Verify(args) => {
            let container = client.container_or_only(args.container).await?;
            let mut vault = context.vault(&client, &args.passphrase).await?;
            {
                let _waiting = waiting("reading the snapshot");
                vault.verify_snapshot(container, args.snapshot, args.accept_host).await?;
            }
            context.out.done("the snapshot opens to its end")
        }
        SnapshotCommand::Rm { snapshot } => {
            client.delete_snapshot(snapshot).await?;
            context.out.done("the snapshot was deleted")
        }
    }
}

fn state(snapshot: &Snapshot) -> String {
    let state = format!("{:?}", snapshot.state).to_lowercase();
    match (snapshot.failure.as_str(), snapshot.verified) {
        ("", true) => format!("{state}, verified"),
        ("", false) => state,
        (failure, _) => format!("{state}; last: {failure}"),
    }
}
