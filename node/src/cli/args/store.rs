//! Arguments of what is done to the store as a whole.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::{NodeId, OperatorId};

/// `ocmt backup`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt backup --config /etc/ocmt/ocmt.toml --to /backup/ocmt.dump\n\nA cluster goes on meanwhile; a node on SQLite has to be stopped."
)]
pub struct BackupArgs {
    /// The configuration, a TOML file; OCMT__SECTION__KEY in the environment wins over it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The dump to write; must not be there yet
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// `ocmt restore`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt restore --config /etc/ocmt/ocmt.toml --from /backup/ocmt.dump\n  ocmt store accept-restore --config /etc/ocmt/ocmt.toml"
)]
pub struct RestoreArgs {
    /// The configuration, a TOML file; OCMT__SECTION__KEY in the environment wins over it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The dump to read
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
}

/// `ocmt store`
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Copy the whole database of a stopped node, as from SQLite to PostgreSQL
    #[command(
        after_help = "Example:\n  ocmt store copy --from sqlite:/var/lib/ocmt/db --to postgres://ocmt@db/ocmt --to-password-file /etc/ocmt/db.password"
    )]
    Copy(CopyArgs),
    /// Accept that the database was put back: ends all sessions, links, invitations and open ceremonies
    ///
    /// For when no node runs, on the machine of one of them. Nodes refuse a restored database until this was done.
    #[command(after_help = "Example:\n  ocmt store accept-restore --config /etc/ocmt/ocmt.toml")]
    AcceptRestore(AcceptArgs),
}

/// `ocmt store copy`
#[derive(Args)]
pub struct CopyArgs {
    /// Where it is: sqlite:FOLDER or postgres://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Where it is to be: the same, and empty
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// A file with the password of the login in --from
    #[arg(long, value_name = "FILE")]
    pub from_password_file: Option<PathBuf>,
    /// A file with the password of the login in --to
    #[arg(long, value_name = "FILE")]
    pub to_password_file: Option<PathBuf>,
}

/// `ocmt store accept-restore`
#[derive(Args)]
pub struct AcceptArgs {
    /// The configuration, a TOML file; OCMT__SECTION__KEY in the environment wins over it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The data folder of another node, or a copy of `cluster.json` and `revoked.json` of it: what that node has seen
    /// counts too; may be given more than once. The data folder of this configuration is read without
    #[arg(long, value_name = "DIR")]
    pub memory: Vec<PathBuf>,
    /// The highest version of the view that any node has seen, as far as no data folder tells. If the database
    /// shows this version itself, it says that it was put back all the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub floor: i64,
    /// A node that was revoked since the backup; may be given more than once. What the data folders remember of
    /// revocations is known without
    #[arg(long, value_name = "NODE")]
    pub revoke_node: Vec<NodeId>,
    /// An operator who was revoked since the backup; may be given more than once
    #[arg(long, value_name = "OPERATOR")]
    pub revoke_operator: Vec<OperatorId>,
    /// Make another operator, with the files in this folder; on the machine where `ocmt cluster init` ran
    #[arg(long, value_name = "DIR")]
    pub operator_out: Option<PathBuf>,
    /// Do not ask whether those are the nodes and operators to honour
    #[arg(long)]
    pub yes: bool,
}
