//! `ocmt oauth`: providers in the vault, and connections of containers to them.

use std::path::Path;

use anyhow::Context as _;
use ocmt_client::{
    ClientError,
    oauth::{PRESETS, preset},
    vault::Vault,
};
use ocmt_crypto::connect::{
    Endpoints, ProviderName, ProviderSettings, SecretBy, settings_entry, tokens_entry,
};
use ocmt_types::{ConnectionId, ContainerId, Secret};
use serde_json::json;

use super::{
    account,
    args::{ConnectArgs, OauthCommand, PassphraseArgs, ProviderCommand, ProviderSetArgs, SecretPlace},
    context::Context,
    output::{note, waiting},
    show,
};
use crate::secret_file;

pub(super) async fn run(context: &Context, command: OauthCommand) -> anyhow::Result<()> {
    match command {
        OauthCommand::Provider(ProviderCommand::Set(args)) => set(context, *args).await,
        OauthCommand::Provider(ProviderCommand::Ls { passphrase }) => {
            let names = vault(context, &passphrase).await?.providers().await?;
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            context.out.list(&names, &["PROVIDER"], |name| vec![name.clone()])
        }
        OauthCommand::Provider(ProviderCommand::Rm { provider, passphrase }) => {
            let mut vault = vault(context, &passphrase).await?;
            let tokens = tokens_entry(&provider);
            if vault.list().await?.iter().any(|entry| entry.name == tokens) {
                // without settings nobody can revoke them
                return Err(ClientError::Usage(format!(
                    "`{provider}` is connected: `ocmt oauth disconnect` first (see `ocmt oauth ls`), or `ocmt vault rm {tokens}`"
                ))
                .into());
            }
            vault.delete(&settings_entry(&provider)).await?;
            context.out.done(&format!("`{provider}` is forgotten"))
        }
        OauthCommand::Connect(args) => connect(context, args).await,
        OauthCommand::Ls { container } => list(context, container).await,
        OauthCommand::Disconnect { connection, anyway, passphrase } => {
            disconnect(context, connection, anyway, &passphrase).await
        }
    }
}

async fn vault(context: &Context, passphrase: &PassphraseArgs) -> anyhow::Result<Vault> {
    let client = context.client().await?;
    context.vault(&client, passphrase).await
}

async fn set(context: &Context, args: ProviderSetArgs) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    vault(context, &args.passphrase).await?.set_provider(&settings).await?;
    let name = &settings.name;
    context.out.done(&format!(
        "`{name}` is in your vault. Next: `ocmt container unlock --connect {name}`, then `ocmt oauth connect {name}`"
    ))
}

/// What the arguments say over what is known by name.
fn settings(args: &ProviderSetArgs) -> anyhow::Result<ProviderSettings> {
    let name = args.provider.clone();
    let described = args.issuer.is_some() || args.token_endpoint.is_some();
    let named = args.preset.as_deref().or((!described).then_some(name.as_str()));
    let known = named.and_then(|named| preset(named, name.clone()));
    if !described && known.is_none() {
        let known = PRESETS.join(", ");
        return Err(ClientError::Usage(format!(
            "`{}` is not one of {known}: name its --issuer, or its endpoints",
            named.unwrap_or_default()
        ))
        .into());
    }
    let endpoints = args.authorization_endpoint.clone().zip(args.token_endpoint.clone());
    let endpoints = endpoints.map(|(authorization, token)| Endpoints {
        authorization,
        token,
        revocation: args.revocation_endpoint.clone(),
    });
    let mut settings = known.unwrap_or_else(|| blank(name));
    settings.client_id.clone_from(&args.client_id);
    settings.client_secret = secret(args.client_secret_file.as_deref())?;
    settings.issuer = args.issuer.clone().or(settings.issuer);
    settings.endpoints = endpoints.or(settings.endpoints);
    settings.hosts.extend(args.host.iter().cloned());
    settings.parameters.extend(args.parameter.iter().cloned());
    if !args.scope.is_empty() {
        settings.scopes.clone_from(&args.scope);
    }
    settings.secret_by = match args.secret_by {
        Some(SecretPlace::Basic) => Some(SecretBy::Basic),
        Some(SecretPlace::Body) => Some(SecretBy::Body),
        None => settings.secret_by,
    };
    settings.pkce_assumed |= args.assume_pkce;
    if let Some(file) = &args.provider_ca {
        let pem = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        settings.ca_pem = Some(pem);
    }
    Ok(settings)
}

fn blank(name: ProviderName) -> ProviderSettings {
    ProviderSettings {
        name,
        client_id: String::new(),
        client_secret: None,
        secret_by: None,
        issuer: None,
        endpoints: None,
        hosts: Vec::new(),
        scopes: Vec::new(),
        parameters: std::collections::BTreeMap::new(),
        ca_pem: None,
        pkce_assumed: false,
    }
}

fn secret(file: Option<&Path>) -> anyhow::Result<Option<Secret<String>>> {
    Ok(secret_file::read(file.unwrap_or(Path::new("")))?)
}

async fn connect(context: &Context, args: ConnectArgs) -> anyhow::Result<()> {
    let client = context.client().await?;
    let container = client.container_or_only(args.container).await?;
    let vault = context.vault(&client, &args.passphrase).await?;
    let pending = {
        let _waiting = waiting("asking the container's cell");
        vault.begin_connection(container, &args.provider, &args.scope).await?
    };
    note(&format!(
        "Open this address in a browser, allow what it asks there, and paste the address of the page where that ends:\n\n    {}\n",
        pending.url()
    ));
    let pasted = account::link()?;
    let made = {
        let _waiting = waiting("the container's cell redeems it");
        pending.finish(&pasted).await?
    };
    context.out.value(&made, || {
        format!(
            "connected to {} for {}: programs in the container get its token with `\"$OCMT_CELL\" token {}`",
            made.provider,
            scopes(&made.scopes),
            made.provider
        )
    })
}

async fn list(context: &Context, container: Option<ContainerId>) -> anyhow::Result<()> {
    let client = context.client().await?;
    let container = client.container_or_only(container).await?;
    let all = client.connections(container).await?;
    context.out.list(&all, &["CONNECTION", "PROVIDER", "SCOPES", "MADE", "RENEWED", ""], |one| {
        let filed = if one.unfiled { "its tokens wait in the vault's inbox" } else { "" };
        let (made, renewed) = (show::at(one.created_at), show::at(one.refreshed_at));
        vec![one.id.to_string(), one.provider.clone(), scopes(&one.scopes), made, renewed, filed.to_owned()]
    })
}

async fn disconnect(
    context: &Context,
    connection: ConnectionId,
    anyway: bool,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let client = context.client().await?;
    let container = client.container_or_only(None).await?;
    let found = client.connections(container).await?.into_iter().find(|one| one.id == connection);
    // opened first: what cannot be taken out of the vault afterwards would stay there
    let mut vault = context.vault(&client, passphrase).await?;
    let revoked = {
        let _waiting = waiting("the container's cell ends it");
        client.disconnect(connection, anyway).await?
    };
    if let Some(provider) = found.and_then(|one| one.provider.parse::<ProviderName>().ok()) {
        vault.forget_tokens(&tokens_entry(&provider)).await?;
    }
    let json = json!({ "connection": connection, "revoked_at_provider": revoked });
    context.out.value(&json, || {
        let there = if revoked {
            "the provider has revoked its tokens"
        } else {
            "the provider has not revoked its tokens: end it there too"
        };
        format!("disconnected; {there}")
    })
}

fn scopes(scopes: &[String]) -> String {
    if scopes.is_empty() { "what the provider gives by itself".to_owned() } else { scopes.join(" ") }
}
