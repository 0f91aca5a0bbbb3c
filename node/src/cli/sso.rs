//! `ocmt tenant sso`, and signing in at a tenant's own provider.

use std::path::Path;

use anyhow::Context as _;
use ocmt_client::{Client, sso::Provider};
use ocmt_types::TenantId;

use super::{
    args::{SsoCommand, SsoSetArgs},
    context::Context,
    output::note,
    show,
};
use crate::secret_file;

pub(super) async fn run(context: &Context, client: &Client, command: SsoCommand) -> anyhow::Result<()> {
    match command {
        SsoCommand::Show => match client.oidc_provider().await? {
            Some(provider) => context.out.value(&provider, || describe(&provider)),
            None => context.out.value(&serde_json::Value::Null, || {
                "no provider: people sign in by mailed links and passkeys".to_owned()
            }),
        },
        SsoCommand::Set(args) => {
            let provider = set(client, &args).await?;
            context.out.value(&provider, || describe(&provider))
        }
        SsoCommand::Remove => {
            client.remove_oidc_provider().await?;
            context.out.done("nobody signs in at a provider any more")
        }
    }
}

async fn set(client: &Client, args: &SsoSetArgs) -> anyhow::Result<Provider> {
    let secret = secret_file::read(args.client_secret_file.as_deref().unwrap_or(Path::new("")))?;
    Ok(client
        .set_oidc_provider(&args.issuer, &args.client_id, secret.as_ref(), args.by_verified_email)
        .await?)
}

/// Sends somebody to the provider of `tenant`, and waits for the address at which they come back.
pub(super) async fn sign_in(
    client: &Client,
    tenant: Option<TenantId>,
    device: &str,
    pasted: impl FnOnce() -> anyhow::Result<zeroize::Zeroizing<String>>,
) -> anyhow::Result<Client> {
    let tenant = tenant.context("whose provider? Name the tenant with --tenant")?;
    let pending = client.begin_sso(tenant).await?;
    note(&format!(
        "Open this address in a browser, sign in there, and paste the address of the page where that ends:\n\n    {}\n",
        pending.url()
    ));
    Ok(pending.finish(&pasted()?, device).await?)
}

fn describe(provider: &Provider) -> String {
    let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
    show::facts(&[
        ("issuer", provider.issuer.clone()),
        ("client", provider.client_id.clone()),
        ("has a secret", yes(provider.has_client_secret)),
        ("finds accounts by verified address", yes(provider.by_verified_email)),
        ("set", show::at(provider.updated_at)),
    ])
}
