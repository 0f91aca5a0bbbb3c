//! `ocmt tenant egress`.

use clap::{Args, Subcommand};
use ocmt_types::ContainerId;

/// `ocmt tenant egress`
#[derive(Subcommand)]
pub enum EgressCommand {
    /// Where containers may connect to
    #[command(
        after_help = "Examples:\n  ocmt tenant egress show\n  ocmt tenant egress show --container 0198b0c5-7b1e-7cc3-9f4e-1f2a3b4c5d6e"
    )]
    Show {
        /// What narrows it for this container
        #[arg(long, value_name = "ID")]
        container: Option<ContainerId>,
    },
    /// Set where containers may connect to, whole
    Set(EgressSetArgs),
}

/// `ocmt tenant egress set`: owners only
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt tenant egress set api.example.com:443 '*.example.org:80,443'\n  ocmt tenant egress set --none\n\nContainers reach these hosts and ports through the proxy of their node, which HTTP_PROXY and\nHTTPS_PROXY name, and nothing else. A star stands for every name below. Private, link-local\nand metadata addresses are refused whatever the policy says. Open connections that it no\nlonger allows end within seconds. The operator opens the way out first."
)]
pub struct EgressSetArgs {
    /// Hosts with their ports
    #[arg(value_name = "HOST:PORTS", required_unless_present = "none")]
    pub allowed: Vec<String>,
    /// Nowhere
    #[arg(long, conflicts_with = "allowed")]
    pub none: bool,
    /// Only for this container, within what the tenant's policy allows
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// Most MiB out in one day and container; the node's bound holds in any case
    #[arg(long, value_name = "MIB")]
    pub max_mib_per_day: Option<u32>,
}
