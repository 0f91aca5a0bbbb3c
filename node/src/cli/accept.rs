//! `ocmt store accept-restore`: the database was put back, and that was meant.
//!
//! What was revoked since the backup is honoured by it. So the nodes' own disks are asked whom they have seen revoked,
//! and the operator is shown who is left before anything is written.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use ocmt_cluster::{ClusterError, FolderMemory, LeaseTimes, RevokedFile};
use ocmt_crypto::audit::Actor;
use ocmt_store::{Acceptance, Accepted, Honoured, Revocations, Store, StoreError};
use ocmt_types::{Clock as _, IdGen, RandomIds, SystemClock};

use super::{
    args::AcceptArgs,
    output::{confirm, note},
    store::{Place, load},
};
use crate::pki::{self, Authority};

/// Accepts that the database was put back.
///
/// # Errors
/// When it was not, a node runs, nobody would be left to operate the cluster, or the database cannot be written;
/// nothing has changed then.
pub(super) async fn accept(args: &AcceptArgs) -> anyhow::Result<ExitCode> {
    let config = load(&args.config)?;
    let keys = config.node.data_dir.join("pki");
    let store = Place::of(&config)?.open().await?;
    let done = Box::pin(accept_in(&store, args, &config.node.data_dir, &keys)).await;
    store.close().await;
    if let Some(accepted) = done? {
        tell(&accepted);
    }
    Ok(ExitCode::SUCCESS)
}

/// None if the operator said no.
async fn accept_in(
    store: &Store,
    args: &AcceptArgs,
    own: &Path,
    keys: &Path,
) -> anyhow::Result<Option<Accepted>> {
    let folders: Vec<&Path> = std::iter::once(own).chain(args.memory.iter().map(PathBuf::as_path)).collect();
    let seen = Seen::by(store, &folders, args).await?;
    let ids: &dyn IdGen = &RandomIds;
    let acceptance = Acceptance {
        at: SystemClock.now(),
        request: ids.id(),
        // whoever holds the database's login; no certificate of an operator is asked for
        actor: Actor::Anonymous,
        floor: seen.floor,
        went_back: seen.went_back,
        revoked: seen.revoked,
        sealing: pki::sealing_of(keys)?,
    };
    let cluster = store.cluster().observe().await?.cluster;
    if !cluster.is_some_and(|cluster| acceptance.is_due(&cluster)) {
        bail!("the database was not restored, there is nothing to accept");
    }
    nobody_renews(store).await?;
    let before = store.honoured(&Revocations::default(), acceptance.at).await?;
    let honoured = store.honoured(&acceptance.revoked, acceptance.at).await?;
    let left_alone = honoured.operators.is_empty() && !before.operators.is_empty();
    if left_alone && args.operator_out.is_none() {
        bail!(
            "every operator of this backup is revoked: make another with --operator-out DIR, on the machine where \
             `ocmt cluster init` ran"
        );
    }
    show(&honoured, &acceptance.revoked);
    if !args.yes
        && !confirm("Are those all to be honoured? --revoke-node and --revoke-operator end one.", "--yes")?
    {
        note("nothing was done");
        return Ok(None);
    }
    if let Some(out) = &args.operator_out {
        let authority = Authority::load(keys)?.ok_or(pki::PkiError::NoAuthority)?;
        pki::first_operator(keys, out, &authority, ids.id(), &SystemClock)?;
    }
    match Box::pin(store.accept_restore(&acceptance)).await {
        Err(StoreError::Invalid { what, .. }) => bail!("{what}"),
        done => Ok(Some(done?)),
    }
}

/// What data folders, and the operator, know of the database.
struct Seen {
    floor: i64,
    went_back: bool,
    revoked: Revocations,
}

impl Seen {
    async fn by(store: &Store, folders: &[&Path], args: &AcceptArgs) -> anyhow::Result<Self> {
        let cluster = store.cluster().observe().await?.cluster;
        let shown = cluster.as_ref().map_or(0, |cluster| cluster.view_version);
        let mut seen = Self {
            floor: args.floor,
            went_back: args.floor > 0 && args.floor >= shown,
            revoked: Revocations {
                nodes: args.revoke_node.iter().copied().collect(),
                operators: args.revoke_operator.iter().copied().collect(),
            },
        };
        for folder in folders {
            seen.revoked.extend(&RevokedFile::of(folder).read()?);
            let Some(remembered) = FolderMemory::peek(folder)? else { continue };
            seen.floor = seen.floor.max(remembered.view_version);
            let renewals = store.cluster().renewals(remembered.incarnation).await?;
            match remembered.check(cluster.as_ref(), renewals) {
                Ok(()) => {}
                Err(ClusterError::WentBack(_)) => seen.went_back = true,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(seen)
    }
}

/// Refuses while a node runs: one that is connected, or whose lease moves.
async fn nobody_renews(store: &Store) -> anyhow::Result<()> {
    store.check_no_node_runs().await?;
    let before = store.cluster().observe().await?;
    if before.nodes.is_empty() {
        return Ok(());
    }
    // why: a node behind something that hides its connections still renews once in a heartbeat
    tokio::time::sleep(LeaseTimes::default().heartbeat * 2 + Duration::from_millis(500)).await;
    let after = store.cluster().observe().await?;
    let moved = |(node, renewals): &&(ocmt_store::tables::Node, i64)| {
        let known = before.nodes.iter().find(|(earlier, _)| earlier.incarnation == node.incarnation);
        known.is_none_or(|(_, earlier)| earlier != renewals)
    };
    let alive: Vec<String> =
        after.nodes.iter().filter(moved).map(|(node, _)| node.node_id.to_string()).collect();
    if alive.is_empty() {
        return Ok(());
    }
    Err(StoreError::NodesRun(format!("nodes {}", alive.join(", "))).into())
}

fn show(honoured: &Honoured, revoked: &Revocations) {
    if !revoked.is_empty() {
        note("Revoked since, and so from now on:");
        revoked.nodes.iter().for_each(|node| note(&format!("  node {node}")));
        revoked.operators.iter().for_each(|operator| note(&format!("  operator {operator}")));
    }
    note("This database honours:");
    honoured.nodes.iter().for_each(|node| note(&format!("  node {node}")));
    for operator in &honoured.operators {
        note(&format!("  operator {} ({})", operator.operator_id, operator.name));
    }
    if honoured.nodes.is_empty() && honoured.operators.is_empty() {
        note("  nobody");
    }
}

fn tell(accepted: &Accepted) {
    if accepted.sealing_generation.is_none() {
        note("no keys in this data folder: the sealing key stays the one that it was");
    }
    note(&format!(
        "accepted: {} ended, {} dropped, {} cancelled, {} ended, {} revoked; it stands in the audit of the cluster and of {}\nthe view is at version {}: start the nodes",
        counted(accepted.sessions, "session", "sessions"),
        counted(accepted.tokens, "link or invitation", "links and invitations"),
        counted(accepted.ceremonies, "ceremony", "ceremonies"),
        counted(accepted.shares, "share", "shares"),
        counted(accepted.revoked, "node or operator", "nodes and operators"),
        counted(accepted.tenants, "tenant", "tenants"),
        accepted.view_version
    ));
}

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
