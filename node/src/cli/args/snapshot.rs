//! Arguments of `ocmt snapshot`.

use clap::{Args, Subcommand};
use ocmt_types::{ContainerId, SnapshotId};

use super::{ContainerArg, PassphraseArgs};

/// `ocmt snapshot`
#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// Take a snapshot of your stopped container's volume
    #[command(
        after_help = "Example:\n  ocmt container stop && ocmt snapshot create\n\nIts key is made here and goes to a cell that runs nothing beside your container: whoever keeps the snapshot reads nothing of it. Run from a timer, with --passphrase-file, it works while your session on that device lasts, 24 h at the most."
    )]
    Create(SnapshotCreateArgs),
    /// Your snapshots
    #[command(after_help = "Example:\n  ocmt snapshot ls")]
    Ls(ContainerArg),
    /// Put a snapshot in the place of your stopped container's volume
    #[command(
        after_help = "Example:\n  ocmt container stop && ocmt snapshot restore 93b3c1d0-…\n\nWhat is in the volume now is gone then: take a snapshot of it first. A snapshot of an earlier container of yours goes into the one you have, on whatever host that is."
    )]
    Restore(SnapshotOpenArgs),
    /// Have a snapshot read to its end, and change nothing
    #[command(after_help = "Example:\n  ocmt container stop && ocmt snapshot verify 93b3c1d0-…")]
    Verify(SnapshotOpenArgs),
    /// Delete a snapshot
    #[command(after_help = "Example:\n  ocmt snapshot rm 93b3c1d0-…")]
    Rm {
        /// Which, from `ocmt snapshot ls`
        snapshot: SnapshotId,
    },
}

/// `ocmt snapshot create`
#[derive(Args)]
pub struct SnapshotCreateArgs {
    /// Which container; may be left out if you have only one
    #[command(flatten)]
    pub which: ContainerArg,
    /// The container is on another host than before, and that is right
    #[arg(long)]
    pub accept_host: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt snapshot restore` and `verify`
#[derive(Args)]
pub struct SnapshotOpenArgs {
    /// Which snapshot, from `ocmt snapshot ls`
    pub snapshot: SnapshotId,
    /// Which container; may be left out if you have only one
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// The container is on another host than before, and that is right
    #[arg(long)]
    pub accept_host: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
