//! `ocmt api-key`: credentials for one's own programs.

use ocmt_client::{Client, api_key::ApiKey};
use serde_json::json;

use super::{
    args::{ApiKeyCommand, ApiKeyCreateArgs},
    context::Context,
    output::note,
    share, show,
};

pub(super) async fn run(context: &Context, command: ApiKeyCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        ApiKeyCommand::Create(args) => create(context, &client, args).await,
        ApiKeyCommand::Ls => {
            let keys = client.list_api_keys().await?;
            context.out.list(&keys, &["KEY", "NAME", "SCOPES", "LAST USED", "ENDS"], row)
        }
        ApiKeyCommand::Revoke { key } => {
            client.revoke_api_key(key).await?;
            context.out.done("the key has ended")
        }
    }
}

async fn create(context: &Context, client: &Client, args: ApiKeyCreateArgs) -> anyhow::Result<()> {
    let made = client.create_api_key(&args.name, &args.scope, args.lifetime.0).await?;
    let until = show::at(made.key.expires_at);
    if let Some(file) = &args.out {
        // what cannot be kept must not go on: nobody has its secret
        if let Err(error) = share::write(file, made.secret.as_bytes()) {
            client.revoke_api_key(made.key.id).await?;
            return Err(error);
        }
        let told = json!({ "api_key": made.key, "file": file });
        return context.out.value(&told, || {
            format!("API key {} was written to {}, good until {until}", made.key.id, file.display())
        });
    }
    let told = json!({ "api_key": made.key, "secret": *made.secret });
    context.out.value(&told, || made.secret.to_string())?;
    if !context.out.json {
        note(&format!("API key {} is good until {until}. Keep it now: it is not shown again.", made.key.id));
    }
    Ok(())
}

fn row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.to_string(),
        key.name.clone(),
        key.scopes.join(" "),
        show::at(key.last_used_at),
        show::at(key.expires_at),
    ]
}
