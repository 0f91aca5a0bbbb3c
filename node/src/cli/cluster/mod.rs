//! `ocmt cluster`: setting up, inviting and joining nodes, and operating them.

mod connect;
mod join;
mod node_key;
mod nodes;
mod operators;
mod remove;
mod sealing;
mod seen;
mod tenants;
mod watch;

use std::process::ExitCode;

use super::{
    args::{ClusterCommand, Global, InitArgs, OperatedCommand},
    output::{self, Output},
};
use crate::pki::{self, Pki, ServerNames};
use anyhow::Context as _;
use ocmt_types::{IdGen, RandomIds, SystemClock};
use std::sync::Arc;

/// What every command of an operator has.
struct At {
    endpoint: String,
    out: Output,
}

/// Where a node's operator listener is unless said otherwise.
const ENDPOINT: &str = "https://127.0.0.1:7446";

/// Runs it.
///
/// # Errors
/// When it could not be done; the text says why.
pub(super) async fn run(command: ClusterCommand, global: Global) -> anyhow::Result<ExitCode> {
    let out = Output { json: global.json };
    let at = At { endpoint: global.endpoint.unwrap_or_else(|| ENDPOINT.to_owned()), out };
    match command {
        ClusterCommand::Init(args) => init(&args, out),
        ClusterCommand::Join(args) => join::run(&args, out).await,
        ClusterCommand::Invite { operator, lifetime, name } => {
            nodes::invite(&at, &operator, lifetime.0, name).await
        }
        ClusterCommand::Nodes(operator) => nodes::list(&at, &operator).await,
        ClusterCommand::Placement { operator, of, node } => nodes::placement(&at, &operator, of, node).await,
        ClusterCommand::Drain { operator, node, no_wait, within } => {
            nodes::drain(&at, &operator, node, (!no_wait).then_some(within.0)).await
        }
        ClusterCommand::Resume { operator, node } => nodes::resume(&at, &operator, node).await,
        ClusterCommand::Move { operator, moved, node } => nodes::move_to(&at, &operator, moved, node).await,
        ClusterCommand::Revoke(args) => remove::revoke(&at, &args).await,
        ClusterCommand::Forget(args) => remove::forget(&at, &args).await,
        ClusterCommand::AcceptRestore(args) => return Box::pin(super::accept::accept(&args)).await,
        ClusterCommand::Status(operator) => watch::status(&at, &operator).await,
        ClusterCommand::Watch { operator, resume } => watch::watch(&at, &operator, resume).await,
        ClusterCommand::SealingKey(command) => sealing::run(&command, out).await,
        ClusterCommand::NodeKey(command) => node_key::run(&command, out),
        ClusterCommand::Operators(command) => operators::run(&at, command).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Runs what operators do to tenants.
///
/// # Errors
/// When it could not be done; the text says why.
pub(super) async fn tenant(command: OperatedCommand, global: Global) -> anyhow::Result<ExitCode> {
    let out = Output { json: global.json };
    let at = At { endpoint: global.endpoint.unwrap_or_else(|| ENDPOINT.to_owned()), out };
    tenants::run(&at, command).await.map(|()| ExitCode::SUCCESS)
}

/// Makes all that the first node has, without a database.
fn init(args: &InitArgs, out: Output) -> anyhow::Result<()> {
    let folder = args.data_dir.join("pki");
    if folder.join("ca.pem").exists() || folder.join("ca.key").exists() {
        let hint = if pki::first_operator_of(&folder)?.is_some() {
            ""
        } else {
            "; if its cluster has no operator yet, `ocmt cluster operators first` makes one"
        };
        anyhow::bail!("{}{hint}", pki::PkiError::SetUp(folder));
    }
    // both folders, before anything is in one of them: half of it would be refused the next time
    operators::room_for_operator(&args.operator_out)?;
    let (clock, ids): (Arc<SystemClock>, &dyn IdGen) = (Arc::new(SystemClock), &RandomIds);
    pki::private_dir(&args.data_dir)?;
    let names = ServerNames::of(&[], args.name.iter().cloned());
    let made = Pki::open(&folder, true, names, clock.clone(), ids)?;
    let authority = made.authority()?;
    pki::first_operator(&folder, &args.operator_out, &authority, ids.id(), &*clock)
        .context("the first operator's files cannot be made")?;
    let node = made.identity().id();
    let fingerprint = made.ca().fingerprint();
    let shown = serde_json::json!({
        "node": node,
        "ca_fingerprint": fingerprint.to_string(),
        "operator_dir": args.operator_out,
    });
    out.value(&shown, || {
        super::show::facts(&[
            ("node", node.to_string()),
            ("authority", fingerprint.to_string()),
            ("operator's files", args.operator_out.display().to_string()),
        ])
    })?;
    if !out.json {
        output::note(
            "Next: start it with `ocmt node --config FILE`, then invite others with `ocmt cluster invite`.",
        );
    }
    Ok(())
}
