//! Arguments of the audit and of images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ocmt audit`
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print records, newest last
    #[command(after_help = "Example:\n  ocmt audit query --limit 20 --action container")]
    Query {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Only those whose action contains this
        #[arg(long, value_name = "TEXT")]
        action: Option<String>,
    },
    /// Write all records as JSON lines, checked
    #[command(after_help = "Example:\n  ocmt audit export --out audit.jsonl")]
    Export {
        /// Where to; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check an export offline, or the tenant's audit as the node shows it; names the first bad record
    #[command(
        after_help = "Examples:\n  ocmt audit verify audit.jsonl    needs no node\n  ocmt audit verify                asks the node\n\nKeep the head that is printed: an export that ends before it was cut."
    )]
    Verify {
        /// An export of `ocmt audit export`
        file: Option<PathBuf>,
        /// Fail unless the audit reaches the head printed earlier
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
}

/// `ocmt image`
#[derive(Subcommand)]
pub enum ImageCommand {
    /// Build an image from the static cell and programs of yours, offline
    Build(ImageBuildArgs),
}

/// `ocmt image build`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt image build --name my-agent:1 --add ./agent=/bin/agent\n\nThe cell is the image's first program; name yours when you make a container:\n  ocmt container create --image sha256:… -- /bin/agent"
)]
pub struct ImageBuildArgs {
    /// Name of the image
    #[arg(long, default_value = "ocmt-cell:latest")]
    pub name: String,
    /// The static cell; by default beside this program
    #[arg(long, value_name = "FILE")]
    pub cell: Option<PathBuf>,
    /// A file and its place in the image, FILE=/PATH; may be given more than once
    #[arg(long, value_name = "FILE=/PATH")]
    pub add: Vec<String>,
    /// The engine to load it into
    #[arg(long, default_value = "unix:///var/run/docker.sock", env = "DOCKER_HOST")]
    pub docker_host: String,
}
