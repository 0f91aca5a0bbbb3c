//! Arguments of API keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::ApiKeyId;

use crate::config::HumanDuration;

/// `ocmt api-key`
#[derive(Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key for a program of yours; its secret is shown this once
    Create(ApiKeyCreateArgs),
    /// Your keys: what each is good for, until when, and when it was last used
    #[command(after_help = "Example:\n  ocmt api-key ls --json")]
    Ls,
    /// End a key at once, on every node
    #[command(after_help = "Example:\n  ocmt api-key revoke 0b8c2a54-…")]
    Revoke {
        /// Which
        key: ApiKeyId,
    },
}

/// `ocmt api-key create`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt api-key create deploys --scope container.read --scope container.use --out deploys.key\n  ocmt --api-key-file deploys.key --endpoint https://HOST:7443 --ca ca.pem container start\n\nA key can be made for: audit.read, container.create, container.hold, container.read, container.use, group.list, group.read, pairing.check, pairing.read, role.list, tenant.read, user.list, user.read_identity, vault.read. It never does more than you may at that moment, opens no vault, and is refused where you would have to show yourself again. A recent sign-in is needed: `ocmt step-up`."
)]
pub struct ApiKeyCreateArgs {
    /// What to call it
    pub name: String,
    /// What it is good for, such as container.read; may be repeated
    #[arg(long, value_name = "SCOPE", required = true)]
    pub scope: Vec<String>,
    /// How long it is good: 1 minute to 366 days
    #[arg(long, value_name = "TIME", default_value = "720h")]
    pub lifetime: HumanDuration,
    /// Where the secret goes, a new file for your eyes alone; standard output without it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
