//! Arguments of `ocmt cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::{NodeId, OperatorId, TenantId};

use super::{AcceptArgs, NewPassphraseArgs};
use crate::{config::HumanDuration, pki::host_name};

/// `ocmt cluster`
#[derive(Subcommand)]
pub enum ClusterCommand {
    /// Set up the first node of a cluster: authority, sealing key, node identity, first operator
    #[command(
        after_help = "Example:\n  ocmt cluster init --data-dir /var/lib/ocmt --operator-out ~/ocmt-operator --name node1.example.org\n\nThe authority's key stays in this data folder: back it up, and keep this node."
    )]
    Init(InitArgs),
    /// Make an invitation for one node; it is shown once
    #[command(
        after_help = "Example:\n  ocmt cluster invite --operator ~/ocmt-operator --lifetime 15min --name node2.example.org > token\n\nAsk the node where `ocmt cluster init` ran: it has the authority."
    )]
    Invite {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// How long it is good, 1 min to 24 h
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
        lifetime: HumanDuration,
        /// A host name or address that the node may have certified for its listeners, beside loopback; may be
        /// given more than once. Without, the node says which it wants when it joins
        #[arg(long, value_name = "HOST", value_parser = host_name)]
        name: Vec<String>,
    },
    /// Bring this machine in with an invitation, then start `ocmt node`
    #[command(
        after_help = "Example:\n  ocmt cluster join --data-dir /var/lib/ocmt --name node2.example.org --token-file token\n\nWithout --token-file the invitation is taken from OCMT_JOIN_TOKEN, else asked for: arguments are seen by others on the machine."
    )]
    Join(JoinArgs),
    /// List the nodes
    #[command(after_help = "Example:\n  ocmt cluster nodes --operator ~/ocmt-operator")]
    Nodes(OperatorArg),
    /// Show which node owns which tenant
    #[command(after_help = "Example:\n  ocmt cluster placement --node 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Placement {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Of this tenant alone
        #[arg(long = "of", value_name = "TENANT", conflicts_with = "node")]
        of: Option<TenantId>,
        /// Of this node alone
        #[arg(long, value_name = "NODE")]
        node: Option<NodeId>,
    },
    /// Empty a node: its tenants go elsewhere, its containers keep running
    #[command(
        after_help = "Example:\n  ocmt cluster drain 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11    waits until it owns no tenant"
    )]
    Drain {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which node
        node: NodeId,
        /// Do not wait until it is empty
        #[arg(long)]
        no_wait: bool,
        /// Fail if it is not empty by then
        #[arg(long, value_name = "TIME", default_value = "5min")]
        within: HumanDuration,
    },
    /// Give a drained node work again
    #[command(after_help = "Example:\n  ocmt cluster resume 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Resume {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which node
        node: NodeId,
    },
    /// Move one tenant to a node
    #[command(
        after_help = "Example:\n  ocmt cluster move 7a1d2b64-0d4b-4b0a-8a53-6c5a8cf0e0a7 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"
    )]
    Move {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which tenant
        #[arg(value_name = "TENANT")]
        moved: TenantId,
        /// Where to
        node: NodeId,
    },
    /// End a node's certificate at once: its key may be in wrong hands
    #[command(after_help = "Example:\n  ocmt cluster revoke 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Revoke(RemoveArgs),
    /// Strike a dead node off; the volumes on it are lost
    #[command(after_help = "Example:\n  ocmt cluster forget 0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Forget(RemoveArgs),
    /// Accept that the database was put back; the same as `ocmt store accept-restore`
    ///
    /// For when no node runs, on the machine of one of them. Nodes refuse a restored database until this was done.
    #[command(after_help = "Example:\n  ocmt cluster accept-restore --config /etc/ocmt/ocmt.toml")]
    AcceptRestore(AcceptArgs),
    /// Show how the cluster stands: nodes, and how far a new sealing key is
    #[command(after_help = "Example:\n  ocmt cluster status --operator ~/ocmt-operator")]
    Status(OperatorArg),
    /// Print changes of nodes and of who owns which tenant, as they come
    #[command(after_help = "Example:\n  ocmt cluster watch --json")]
    Watch {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Go on after the event with this token
        #[arg(long, value_name = "TOKEN", default_value = "")]
        resume: String,
    },
    /// Backups of the sealing key, which no dump of the database holds
    #[command(subcommand)]
    SealingKey(SealingKeyCommand),
    /// The key that a node is known by, and signs heads of audits with
    #[command(subcommand)]
    NodeKey(NodeKeyCommand),
    /// The operators of the cluster
    #[command(subcommand)]
    Operators(OperatorsCommand),
}

/// `ocmt cluster sealing-key`
#[derive(Subcommand)]
pub enum SealingKeyCommand {
    /// Write the sealing key to a file under a passphrase; on the machine of any node, running or not
    ///
    /// Save it again after each new generation (`ocmt cluster status`), and destroy the file before: with a copy of the
    /// database from its time, an old key opens what was ended since.
    #[command(
        after_help = "Example:\n  ocmt cluster sealing-key save --data-dir /var/lib/ocmt --to sealing.backup"
    )]
    Save {
        /// The node's data folder, as in its configuration
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Where to; the file must not be there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The passphrase of the file
        #[command(flatten)]
        new: NewPassphraseArgs,
    },
    /// Have the next sealing key made, which gateway tokens are signed under too
    ///
    /// On the machine of a node: of a cluster while it runs, of a node alone while it does not. What is under the earlier key is
    /// wrapped anew; then that one is erased everywhere. Gateway tokens of the earlier one are good until they end, an hour at most.
    #[command(
        after_help = "Example:\n  ocmt cluster sealing-key rotate --config /etc/ocmt/ocmt.toml\n  ocmt cluster sealing-key rotate --compromised    somebody else may have the present one\n  ocmt cluster status    how far it is\n\nSave the new one then: ocmt cluster sealing-key save."
    )]
    Rotate {
        /// The node's configuration
        #[arg(long, value_name = "FILE", default_value = "/etc/ocmt/ocmt.toml")]
        config: PathBuf,
        /// Somebody else may have the present key: gateway tokens of it are refused after a minute
        #[arg(long)]
        compromised: bool,
    },
    /// Put the generations that a node's folder lacks back, from such a file; while that node does not run
    #[command(
        after_help = "Example:\n  ocmt cluster sealing-key restore --data-dir /var/lib/ocmt --from sealing.backup"
    )]
    Restore {
        /// The node's data folder, as in its configuration
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// The file that `save` wrote
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Read the file's passphrase from this file; - is standard input
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// `ocmt cluster node-key`
#[derive(Subcommand)]
pub enum NodeKeyCommand {
    /// Make the node's next key; the node has it certified while it runs, and takes it at its next start
    ///
    /// The present key introduces the next by its signature, so that heads of audits are believed before and after. It is erased when
    /// the next is taken, and the cluster's authority certifies it no more. On the machine of the node, which may run.
    #[command(
        after_help = "Example:\n  ocmt cluster node-key rotate --data-dir /var/lib/ocmt\n  ocmt cluster node-key show --data-dir /var/lib/ocmt    until it says that the next start takes it; then start the node again\n\nA key that may be in wrong hands is not to be rotated: revoke its node (ocmt cluster revoke), and let a new one join."
    )]
    Rotate {
        /// The node's data folder, as in its configuration
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
    /// Show the node's key, as `ocmt audit verify --key` takes it, and how far its next one is
    #[command(after_help = "Example:\n  ocmt cluster node-key show --data-dir /var/lib/ocmt")]
    Show {
        /// The node's data folder, as in its configuration
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
}

/// `ocmt cluster operators`
#[derive(Subcommand)]
pub enum OperatorsCommand {
    /// List them
    #[command(after_help = "Example:\n  ocmt cluster operators ls")]
    Ls(OperatorArg),
    /// Make one, with a key made here
    #[command(
        after_help = "Example:\n  ocmt cluster operators add Ada --out ./ada-operator\n  ocmt cluster operators add 'Ada, browser' --browser --out ./ada-browser\n  openssl pkcs12 -export -inkey ada-browser/operator.key -in ada-browser/operator.pem -out ada.p12    what a browser imports"
    )]
    Add {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Name for people
        name: String,
        /// A folder for the new operator's files
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// With a key that browsers take (ECDSA on P-256), for the console
        #[arg(long)]
        browser: bool,
    },
    /// Make the first operator of a cluster that has none, on the machine of the node with the authority
    ///
    /// For a node that was not set up by `ocmt cluster init`, as one that began with `ocmt dev`. The node lists the
    /// operator at its next start, if the cluster has no other.
    #[command(
        after_help = "Example:\n  ocmt cluster operators first --data-dir /var/lib/ocmt --out ~/ocmt-operator"
    )]
    First {
        /// The node's data folder, as in its configuration
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// A folder for the operator's files
        #[arg(long, value_name = "DIR", default_value = "ocmt-operator")]
        out: PathBuf,
    },
    /// End an operator's certificate at once
    #[command(after_help = "Example:\n  ocmt cluster operators revoke 3f0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11")]
    Revoke {
        /// Who asks
        #[command(flatten)]
        operator: OperatorArg,
        /// Which
        #[arg(value_name = "OPERATOR")]
        ended: OperatorId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What the cluster takes for an invitation.
fn lifetime(text: &str) -> Result<HumanDuration, String> {
    let lifetime: HumanDuration = text.parse()?;
    if (HumanDuration::minutes(1)..=HumanDuration::hours(24)).contains(&lifetime) {
        return Ok(lifetime);
    }
    Err("an invitation is good for 1 min to 24 h".to_owned())
}

/// An operator's files.
#[derive(Args, Clone)]
pub struct OperatorArg {
    /// The operator's files, as `ocmt cluster init` made them
    #[arg(
        long = "operator",
        value_name = "DIR",
        env = "OCMT_OPERATOR_DIR",
        default_value = "ocmt-operator",
        id = "operator_dir"
    )]
    pub dir: PathBuf,
}

/// `ocmt cluster init`
#[derive(Args)]
pub struct InitArgs {
    /// The node's data folder, as in its configuration
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where the first operator's files go
    #[arg(long, value_name = "DIR", default_value = "ocmt-operator")]
    pub operator_out: PathBuf,
    /// A host name or address the node is reached under; may be given more than once
    #[arg(long, value_name = "HOST", value_parser = host_name)]
    pub name: Vec<String>,
}

/// `ocmt cluster join`
#[derive(Args)]
pub struct JoinArgs {
    /// The node's data folder, as in its configuration
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// A file with the invitation, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A host name or address the node is reached under; may be given more than once
    #[arg(long, value_name = "HOST", value_parser = host_name)]
    pub name: Vec<String>,
    /// Where its peers will reach it, HOST:PORT; noted in the audit
    #[arg(long, value_name = "HOST:PORT", default_value = "")]
    pub advertise: String,
}

/// `ocmt cluster revoke`, `forget`
#[derive(Args)]
pub struct RemoveArgs {
    /// Who asks
    #[command(flatten)]
    pub operator: OperatorArg,
    /// Which node
    pub node: NodeId,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}
