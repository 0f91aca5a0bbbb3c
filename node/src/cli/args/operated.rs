//! Arguments of `ocmt tenant` that are an operator's.

use clap::{Args, Subcommand};
use ocmt_types::TenantId;

use super::OperatorArg;

/// `ocmt tenant`, with an operator's files and an operator listener as `--endpoint`
#[derive(Subcommand)]
pub enum OperatedCommand {
    /// Operators: list all tenants
    #[command(after_help = "Example:\n  ocmt tenant ls --operator ~/ocmt-operator")]
    Ls(OperatorArg),
    /// Operators: show a tenant
    #[command(after_help = "Example:\n  ocmt tenant show 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Show {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which tenant
        which: TenantId,
    },
    /// Operators: stop serving a tenant; nothing is deleted
    #[command(
        after_help = "Example:\n  ocmt tenant suspend 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11 --reason 'unpaid since May'\n\nIts sessions are refused and its containers stopped; its timers and the delays of its recoveries are held."
    )]
    Suspend {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which tenant
        which: TenantId,
        /// Why; its people read it in their audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Operators: serve a suspended tenant again
    #[command(after_help = "Example:\n  ocmt tenant resume 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Resume {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which tenant
        which: TenantId,
    },
    /// Operators: delete a tenant and all that it holds, after the cluster's delay
    #[command(
        after_help = "Example:\n  ocmt tenant destroy 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11 'Example Ltd'\n\nShows what would be gone and asks. Its people are told by mail, owners first; until its time the deletion is stopped by an owner or by `ocmt tenant resume`."
    )]
    Destroy {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which tenant
        which: TenantId,
        /// Its name, as `ocmt tenant show` says it
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Operators: show a tenant's limits, or change those that are named
    Limits(LimitArgs),
}

/// `ocmt tenant limits`: what is not named stays
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt tenant limits 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11 --users 50 --memory-mib 65536"
)]
pub struct LimitArgs {
    /// Who asks
    #[command(flatten)]
    pub operator: OperatorArg,
    /// Which tenant
    pub which: TenantId,
    /// Users, invited ones included
    #[arg(long, value_name = "N")]
    pub users: Option<u64>,
    /// Containers
    #[arg(long, value_name = "N")]
    pub containers: Option<u64>,
    /// Memory of containers that run or are paused
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<u64>,
    /// Ciphertext of vaults, conversations and snapshots, and volumes that were given a size
    #[arg(long, value_name = "MIB")]
    pub storage_mib: Option<u64>,
    /// Calls of users within a minute
    #[arg(long, value_name = "N")]
    pub calls: Option<u64>,
}
