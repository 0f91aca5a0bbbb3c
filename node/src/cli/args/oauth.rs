//! Arguments of `ocmt oauth`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ocmt_crypto::connect::ProviderName;
use ocmt_types::{ConnectionId, ContainerId};

use super::PassphraseArgs;

/// `ocmt oauth`
#[derive(Subcommand)]
pub enum OauthCommand {
    /// The providers that your vault knows, and as whom you are known there
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Connect a container that was unlocked with `--connect PROVIDER`
    Connect(ConnectArgs),
    /// What a container is connected to
    #[command(after_help = "Example:\n  ocmt oauth ls")]
    Ls {
        /// Which container; your only one without it
        #[arg(long, value_name = "ID")]
        container: Option<ContainerId>,
    },
    /// End a connection: its tokens are revoked where the provider can, and forgotten
    #[command(
        after_help = "Example:\n  ocmt oauth disconnect 0b8c2a54-…\n\nThe container has to be unlocked with `--connect PROVIDER`."
    )]
    Disconnect {
        /// Which, as `ocmt oauth ls` shows it.
        connection: ConnectionId,
        /// Forget it here also if the cell or the provider cannot be told
        #[arg(long)]
        anyway: bool,
        /// To open the vault, out of which the tokens are taken.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// `ocmt oauth provider`
#[derive(Subcommand)]
pub enum ProviderCommand {
    /// Say how a provider is reached, and as whom
    Set(Box<ProviderSetArgs>),
    /// The providers that your vault knows
    #[command(after_help = "Example:\n  ocmt oauth provider ls")]
    Ls {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Forget a provider that nothing is connected to
    #[command(after_help = "Example:\n  ocmt oauth provider rm github")]
    Rm {
        /// Which.
        provider: ProviderName,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// `ocmt oauth provider set`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt oauth provider set github --client-id Iv1.… --client-secret-file ./secret --scope repo\n  ocmt oauth provider set work --issuer https://id.example.com --client-id ocmt --scope openid\n\nRegister the application there with the address NODE/oauth/callback/PROVIDER to come back to. `github`, `google` and\n`microsoft` are known by name; others describe themselves under their issuer, or are described with the endpoints.\nThe node has to carry containers there: its operator lists hosts under `oauth.hosts`."
)]
pub struct ProviderSetArgs {
    /// What you call it
    pub provider: ProviderName,
    /// What it calls your application
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// A file with the secret of your application, if it has one; others may not read it
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// How the secret is shown; by default as the provider says
    #[arg(long, value_enum)]
    pub secret_by: Option<SecretPlace>,
    /// Take what is known of this one: github, google or microsoft
    #[arg(long, value_name = "NAME", conflicts_with_all = ["issuer", "token_endpoint"])]
    pub preset: Option<String>,
    /// Its issuer: where it describes itself, and what it calls itself
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// Where the browser goes, if it does not describe itself
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub authorization_endpoint: Option<String>,
    /// Where a code becomes tokens
    #[arg(long, value_name = "URL", requires = "authorization_endpoint")]
    pub token_endpoint: Option<String>,
    /// Where tokens are revoked
    #[arg(long, value_name = "URL", requires = "token_endpoint")]
    pub revocation_endpoint: Option<String>,
    /// A host beside the issuer's own at which it may be asked, HOST or HOST:PORT; may be given more than once
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// What to ask for; may be given more than once
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// A further parameter of the address that the browser is sent to, NAME=VALUE; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameter: Vec<(String, String)>,
    /// A PEM file of the one authority whose certificates are believed there; those of the public web without it
    #[arg(long, value_name = "FILE")]
    pub provider_ca: Option<PathBuf>,
    /// It takes PKCE with S256 though it does not say so: wanted where there is no client secret
    #[arg(long)]
    pub assume_pkce: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// How a client's secret is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretPlace {
    /// In the head of a request.
    Basic,
    /// In its body.
    Body,
}

/// `ocmt oauth connect`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt container unlock --connect github && ocmt oauth connect github\n  ocmt oauth connect google --scope https://www.googleapis.com/auth/calendar.readonly\n\nYou open an address in a browser, allow it there, and paste the address of the page where that ends."
)]
pub struct ConnectArgs {
    /// With whom
    pub provider: ProviderName,
    /// Which container; your only one without it
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// What to ask for, in place of what the provider's settings say; may be given more than once
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
