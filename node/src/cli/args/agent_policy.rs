//! `ocmt tenant agent-policy`.

use clap::{Args, Subcommand, ValueEnum};
use ocmt_client::agent_policy::SandboxMode;
use ocmt_types::UserId;

/// `ocmt tenant agent-policy`
#[derive(Subcommand)]
pub enum AgentPolicyCommand {
    /// What agents may do: as it was set, and what holds in the end
    #[command(
        after_help = "Examples:\n  ocmt tenant agent-policy show\n  ocmt tenant agent-policy show --user 0198b0c5-7b1e-7cc3-9f4e-1f2a3b4c5d6e --json\n\nMembers see their own, admins those of others. What holds is signed by the node and verified here."
    )]
    Show {
        /// What narrows it for this user's agents
        #[arg(long, value_name = "ID")]
        user: Option<UserId>,
    },
    /// Set what agents may do; what is not named stays
    Set(Box<AgentPolicySetArgs>),
}

/// `ocmt tenant agent-policy set`: owners only
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt tenant agent-policy set --sandbox all --deny-tool exec --allow-model vendor/model-4\n  ocmt tenant agent-policy set --user 0198b0c5-7b1e-7cc3-9f4e-1f2a3b4c5d6e --deny-tool exec --allow-plugin 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  ocmt tenant agent-policy set --allow-plugin 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  ocmt tenant agent-policy set --clear deny-tools\n\nA list that is named is set whole. Without an allow list all tools, models and channels are\nallowed, and no plugin: so a user for whom anything is set has none but those named for them\nand the tenant, and that is not taken back. A user's policy only narrows the tenant's. Running containers are told\nwithin a second; who may talk to agents is in `ocmt tenant policy`. docs/agent-policy.md says\nwhat the platform enforces and what the workload has to."
)]
pub struct AgentPolicySetArgs {
    /// For the agents of this user, within what the tenant's policy allows. Once anything is set for them they have no
    /// plugins but those that are named for them too
    #[arg(long, value_name = "ID")]
    pub user: Option<UserId>,
    /// Which work runs in a sandbox; `unsaid` takes back what was said
    #[arg(long, value_enum, value_name = "MODE")]
    pub sandbox: Option<SandboxChoice>,
    /// A tool that is allowed; again for more
    #[arg(long = "allow-tool", value_name = "NAME")]
    pub allow_tools: Vec<String>,
    /// A tool that is denied, whatever is allowed; again for more
    #[arg(long = "deny-tool", value_name = "NAME")]
    pub deny_tools: Vec<String>,
    /// A model that is allowed; again for more
    #[arg(long = "allow-model", value_name = "NAME")]
    pub allow_models: Vec<String>,
    /// SHA-256 of a plugin that is allowed, in hexadecimal; again for more
    #[arg(long = "allow-plugin", value_name = "SHA256")]
    pub allow_plugins: Vec<String>,
    /// A channel that agents talk on, such as `telegram`; again for more
    #[arg(long = "allow-channel", value_name = "NAME")]
    pub allow_channels: Vec<String>,
    /// Empty this list; again for more
    #[arg(long, value_enum, value_name = "LIST")]
    pub clear: Vec<ListChoice>,
}

/// Of [`AgentPolicySetArgs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SandboxChoice {
    /// All work
    All,
    /// All but the owner's own conversation
    NonMain,
    /// None
    Off,
    /// The tenant's holds, or `all`
    Unsaid,
}

impl From<SandboxChoice> for Option<SandboxMode> {
    fn from(choice: SandboxChoice) -> Self {
        match choice {
            SandboxChoice::All => Some(SandboxMode::All),
            SandboxChoice::NonMain => Some(SandboxMode::NonMain),
            SandboxChoice::Off => Some(SandboxMode::Off),
            SandboxChoice::Unsaid => None,
        }
    }
}

/// A list of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListChoice {
    /// Then all are allowed
    AllowTools,
    /// Then none is denied
    DenyTools,
    /// Then all are allowed
    AllowModels,
    /// Then none is allowed
    AllowPlugins,
    /// Then all are allowed
    AllowChannels,
}
