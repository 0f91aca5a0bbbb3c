//! Arguments of sign-in, tenant and users.

use clap::{Args, Subcommand};
use ocmt_types::{SessionId, UserId};

use super::{
    AgentPolicyCommand, CodeArgs, EgressCommand, OperatedCommand,
    team::{DirectChoice, GroupChoice},
};
use crate::config::HumanDuration;

/// `ocmt login`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt login --email you@example.org\n  ocmt login --sign-up --email you@example.org --tenant-name Home --endpoint https://127.0.0.1:7443 --ca .ocmt/pki/ca.pem\n  ocmt login --recovery --email you@example.org\n\nThe link comes by mail (a node in `dev` prints it). Paste it when asked, or pipe it to standard input. If your account has a second factor, its code is asked for next: the next line, or --totp-code-file."
)]
pub struct LoginArgs {
    /// Your address
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["invited", "sso"])]
    pub email: Option<String>,
    /// Ask for an account and a tenant of your own
    #[arg(long, requires = "tenant_name")]
    pub sign_up: bool,
    /// The name of that tenant
    #[arg(long, value_name = "NAME", requires = "sign_up")]
    pub tenant_name: Option<String>,
    /// A session for recovering a vault, and for nothing else
    #[arg(long, conflicts_with = "sign_up")]
    pub recovery: bool,
    /// Join a tenant with the link of an invitation
    #[arg(long, conflicts_with_all = ["sign_up", "recovery", "email"])]
    pub invited: bool,
    /// Sign in at the tenant's own provider, with the tenant's id in --tenant
    #[arg(long, conflicts_with_all = ["sign_up", "recovery", "email", "invited"])]
    pub sso: bool,
    /// The second factor.
    #[command(flatten)]
    pub code: CodeArgs,
}

/// `ocmt sessions`
#[derive(Subcommand)]
pub enum SessionsCommand {
    /// List your sessions
    #[command(after_help = "Example:\n  ocmt sessions ls")]
    Ls,
    /// End one session
    #[command(after_help = "Example:\n  ocmt sessions revoke 0b8c2a54-…")]
    Revoke {
        /// Which, from `ocmt sessions ls`
        session: SessionId,
    },
    /// End all sessions but this one
    #[command(
        after_help = "Example:\n  ocmt sessions revoke-others --api-keys\n\nAPI keys go on without that flag, whichever session made them: see `ocmt api-key ls`. Programs end with\n`ocmt share program revoke`."
    )]
    RevokeOthers {
        /// All your API keys too
        #[arg(long)]
        api_keys: bool,
    },
}

/// `ocmt tenant`
#[derive(Subcommand)]
pub enum TenantCommand {
    /// The tenant and its policy
    #[command(after_help = "Example:\n  ocmt tenant get")]
    Get,
    /// Make another tenant with your address as its owner
    #[command(after_help = "Example:\n  ocmt tenant create Work")]
    Create {
        /// Its name
        name: String,
    },
    /// Change when idle containers are suspended and how long recovery takes
    Policy(PolicyArgs),
    /// The tenant's limits and what is used of them
    #[command(after_help = "Example:\n  ocmt tenant quota")]
    Quota,
    /// Delete the tenant and all that it holds, after a delay
    #[command(
        after_help = "Example:\n  ocmt tenant delete 'Example Ltd'\n\nOnly an owner does, after `ocmt step-up`. Its people are told by mail, owners first; everything is served as before until the time that is shown, and until then `ocmt tenant keep` stops it. Then containers, volumes, vaults and keys are erased, and nothing brings them back."
    )]
    Delete {
        /// The tenant's name, as `ocmt tenant get` shows it
        name: String,
    },
    /// Stop the deletion of the tenant
    #[command(after_help = "Example:\n  ocmt tenant keep")]
    Keep,
    /// The OpenID provider where people of the tenant sign in
    #[command(subcommand)]
    Sso(SsoCommand),
    /// Where containers of the tenant may connect to
    #[command(subcommand)]
    Egress(EgressCommand),
    /// What agents of the tenant may do
    #[command(subcommand)]
    AgentPolicy(AgentPolicyCommand),
    /// What operators do
    #[command(flatten)]
    Operated(OperatedCommand),
}

/// `ocmt tenant policy`: what is not named stays
#[derive(Args)]
#[command(after_help = "Example:\n  ocmt tenant policy --pause-after 10m --stop-after 2h")]
pub struct PolicyArgs {
    /// Idle time after which a container is paused
    #[arg(long, value_name = "TIME")]
    pub pause_after: Option<HumanDuration>,
    /// Idle time after which a container is stopped
    #[arg(long, value_name = "TIME")]
    pub stop_after: Option<HumanDuration>,
    /// From the notice to the release of a recovery
    #[arg(long, value_name = "TIME")]
    pub recovery_delay: Option<HumanDuration>,
    /// How long a guardian's lock holds
    #[arg(long, value_name = "TIME")]
    pub lock: Option<HumanDuration>,
    /// Delay of a change of guardians
    #[arg(long, value_name = "TIME")]
    pub change_delay: Option<HumanDuration>,
    /// Window in which such a change is finished
    #[arg(long, value_name = "TIME")]
    pub change_window: Option<HumanDuration>,
    /// What becomes of direct messages to agents
    #[arg(long, value_enum, value_name = "POLICY")]
    pub dm_policy: Option<DirectChoice>,
    /// What becomes of messages to agents in groups of a messenger
    #[arg(long, value_enum, value_name = "POLICY")]
    pub group_policy: Option<GroupChoice>,
    /// Unused time after which a session ends
    #[arg(long, value_name = "TIME")]
    pub session_idle: Option<HumanDuration>,
    /// Time after which a session ends in any case
    #[arg(long, value_name = "TIME")]
    pub session_absolute: Option<HumanDuration>,
    /// Most live sessions of one user; a new one ends the oldest
    #[arg(long, value_name = "N")]
    pub max_sessions: Option<u32>,
    /// Whether every user needs a second factor; you show one of your own first
    #[arg(long, value_name = "BOOL")]
    pub require_mfa: Option<bool>,
    /// Whether that factor has to be a passkey; you show one of your own first
    ///
    /// This program talks to no authenticator: who has only it cannot sign in to such a tenant.
    #[arg(long, value_name = "BOOL")]
    pub require_passkey: Option<bool>,
    /// How long showing who you are is good for sensitive acts, 1m to 1h
    #[arg(long, value_name = "TIME")]
    pub step_up_lifetime: Option<HumanDuration>,
    /// From confirming another address of a user to its counting
    #[arg(long, value_name = "TIME")]
    pub email_change_delay: Option<HumanDuration>,
    /// How long the records of a conversation are kept after its last one, 1h to 87600h; 0s for ever
    #[arg(long, value_name = "TIME")]
    pub transcript_retention: Option<HumanDuration>,
    /// How many earlier versions of a vault's entry are kept, 0 to 100; a rotation of the vault takes them away
    #[arg(long, value_name = "N")]
    pub kept_versions: Option<u32>,
    /// Memory that a passphrase costs at the least, in MiB, 64 to 512; what costs less is renewed at its next use
    #[arg(long, value_name = "MIB")]
    pub argon2_memory: Option<u32>,
    /// Passes of Argon2id that a passphrase costs at the least, 3 to 6
    #[arg(long, value_name = "N")]
    pub argon2_passes: Option<u32>,
    /// How long a backup key is waited for before it opens a vault, up to 30 days, such as 3d; 0s for not at all. A shorter
    /// time counts once the one before has passed
    #[arg(long, value_name = "TIME")]
    pub backup_key_delay: Option<HumanDuration>,
    /// The same for hardware tokens
    #[arg(long, value_name = "TIME")]
    pub hardware_delay: Option<HumanDuration>,
}

/// `ocmt tenant sso`
#[derive(Subcommand)]
pub enum SsoCommand {
    /// Which one it is
    #[command(after_help = "Example:\n  ocmt tenant sso show")]
    Show,
    /// Set it, whole
    Set(SsoSetArgs),
    /// No provider any more, and nobody who signs in by it
    #[command(after_help = "Example:\n  ocmt tenant sso remove")]
    Remove,
}

/// `ocmt tenant sso set`: owners only
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt tenant sso set --issuer https://id.example.org/realms/work --client-id ocmt --client-secret-file ./secret --by-verified-email\n\nAt the provider, register the address /auth/oidc of this cluster as the one to send people back to."
)]
pub struct SsoSetArgs {
    /// Its issuer, exactly as it calls itself
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// What it calls this tenant
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// A file with the client's secret that nobody else may read; none for a public client
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<std::path::PathBuf>,
    /// At the first sign-in, take an address that the provider has verified for whose account it is
    ///
    /// Never an owner's account, and never one that somebody of this provider has found before.
    #[arg(long)]
    pub by_verified_email: bool,
}

/// `ocmt user`
#[derive(Subcommand)]
pub enum UserCommand {
    /// List the users of the tenant
    #[command(after_help = "Example:\n  ocmt user ls")]
    Ls,
    /// Invite somebody
    #[command(after_help = "Example:\n  ocmt user invite them@example.org --role member")]
    Invite {
        /// Their address
        email: String,
        /// observer, member, admin, owner, or a custom role
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// Change a user's role
    #[command(after_help = "Example:\n  ocmt user role 0b8c2a54-… admin")]
    Role {
        /// Which user
        user: UserId,
        /// observer, member, admin, owner, or a custom role
        role: String,
    },
    /// List the roles that there are, and what each allows
    #[command(after_help = "Example:\n  ocmt user roles")]
    Roles,
    /// Make a role that allows a part of what a built-in one does
    #[command(after_help = "Example:\n  ocmt user create-role desk --base admin --may user.list,user.invite")]
    CreateRole {
        /// Its name: a-z, 0-9, '.', '_' and '-'
        role: String,
        /// The built-in role that it narrows
        #[arg(long, default_value = "member")]
        base: String,
        /// What it may do, from `ocmt user roles`
        #[arg(long, value_name = "PERMISSION", value_delimiter = ',', required = true)]
        may: Vec<String>,
    },
    /// Delete a role that nobody has
    #[command(after_help = "Example:\n  ocmt user delete-role desk")]
    DeleteRole {
        /// Which
        role: String,
    },
    /// Remove a user
    #[command(
        after_help = "Example:\n  ocmt user rm 0b8c2a54-…\n\nRefused where it would close a group's vault to others, until an administrator of the group has\n  let another member open it (LAST_KEY): ocmt group vault admit\n  dealt its key anew, where several open it together (LAST_KEY): ocmt group vault rotate\n  made you, or somebody else who can act, an administrator (LAST_ADMIN): ocmt group role\nor the group is deleted: ocmt group rm"
    )]
    Rm {
        /// Which user
        user: UserId,
    },
}
