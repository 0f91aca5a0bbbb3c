//! `ocmt share give`, `accept`, `list`, `revoke`, `read` and `words`: secrets between people of a tenant.

use std::io::{self, Write as _};

use ocmt_client::{
    Client, ClientError,
    share::{Permission, PersonKeys, Share, ShareState},
};
use ocmt_types::ShareId;
use serde_json::json;

use super::sending;
use crate::cli::{
    approve,
    args::{GiveArgs, OfferArgs, PassphraseArgs, ShareCommand},
    context::Context,
    guardian::same_words,
    output::{confirm, note},
    show,
};

pub(super) async fn run(context: &Context, command: ShareCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        ShareCommand::Give(args) => Box::pin(give(context, &client, &args)).await,
        ShareCommand::Accept { share, words } => accept(context, &client, share, words.as_deref()).await,
        ShareCommand::List => list(context, &client).await,
        ShareCommand::Revoke { share, passphrase } => revoke(context, &client, share, &passphrase).await,
        ShareCommand::Read { share, name, passphrase } => {
            Box::pin(read(context, &client, share, name.as_deref(), &passphrase)).await
        }
        ShareCommand::Write { of, value_file, words } => {
            let words = words.as_deref();
            Box::pin(sending::write(context, &client, &of, value_file.as_deref(), words)).await
        }
        ShareCommand::Delete { of } => Box::pin(sending::delete(context, &client, &of)).await,
        ShareCommand::Ask(args) => approve::ask(context, &client, &args).await,
        ShareCommand::Words { passphrase } => {
            let vault = context.vault(&client, &passphrase).await?;
            let keyring = vault.keys().keyring();
            let (signing, sealing) = (keyring.identity_signing.verify_key(), keyring.identity_seal.public());
            let words = PersonKeys { signing, sealing }.words().await?;
            context.out.value(&json!({ "words": words }), || words.clone())
        }
        // the tokens of programs are seen to before
        ShareCommand::Program(_) => Ok(()),
    }
}

async fn give(context: &Context, client: &Client, args: &GiveArgs) -> anyhow::Result<()> {
    let OfferArgs { to, may, lifetime, compared } = &args.offer;
    let permissions: Vec<Permission> = may.iter().map(|may| Permission::from(*may)).collect();
    if !trusted(context, client, to, compared.words.as_deref()).await? {
        note("Nothing was shared.");
        return Ok(());
    }
    let lifetime = lifetime.map(|lifetime| lifetime.0);
    let mut vault = context.vault(client, &compared.passphrase).await?;
    let writes = permissions.iter().any(|one| matches!(one, Permission::Write | Permission::Delete));
    let share = match args.from {
        None if writes => vault.give_to_write(to, &args.entry, &permissions, lifetime).await?,
        Some(from) => vault.give_on(&client.share(from).await?, to, &permissions, lifetime).await?,
        None => vault.give(to, &args.entry, &permissions, lifetime).await?,
    };
    context.out.value(&share, || {
        format!(
            "offered to {} as share {}: {} of {}, {}",
            share.taker_email,
            share.id,
            named(&share),
            show::count(share.entries.len(), "secret"),
            until(&share)
        )
    })
}

/// Whether what is sealed to the keys of this address is sealed to the person: their words were compared, now or before.
pub(in crate::cli) async fn trusted(
    context: &Context,
    client: &Client,
    email: &str,
    heard: Option<&str>,
) -> anyhow::Result<bool> {
    let (tenant, keys) = (client.identity()?.tenant, client.keys_of(email).await?);
    if let Some(heard) = heard {
        hold(heard, &keys, email).await?;
        context.state.compared_person(tenant, email, &keys)?;
        return Ok(true);
    }
    if context.state.person_pin(tenant, email)?.is_some() {
        // others than before are refused
        context.state.pin_person(tenant, email, &keys)?;
    }
    // a pin that `ocmt share accept` made was compared by nobody
    if context.state.compared_keys(tenant, email)?.is_none() {
        let words = keys.words().await?;
        note(&format!(
            "Call {email} on a number you already had, and let them read you the six words of `ocmt share words`. They must be:\n\n  {words}\n"
        ));
        if !confirm("Are they exactly these, and did you know the voice?", "--words")? {
            return Ok(false);
        }
    }
    context.state.compared_person(tenant, email, &keys)?;
    Ok(true)
}

async fn hold(heard: &str, keys: &PersonKeys, email: &str) -> anyhow::Result<()> {
    if same_words(heard, &keys.words().await?) {
        return Ok(());
    }
    let text = format!(
        "the words you heard are not those of the keys that are shown for {email}: share nothing with them, and take nothing"
    );
    Err(ClientError::Usage(text).into())
}

async fn accept(
    context: &Context,
    client: &Client,
    which: ShareId,
    heard: Option<&str>,
) -> anyhow::Result<()> {
    let offer = client.share(which).await?;
    let (tenant, giver) = (client.identity()?.tenant, offer.giver_email.as_str());
    let keys = client.keys_of(giver).await?;
    match heard {
        Some(heard) => {
            hold(heard, &keys, giver).await?;
            context.state.compared_person(tenant, giver, &keys)?;
        }
        None => context.state.pin_person(tenant, giver, &keys)?,
    }
    // what was taken on a page is read here once this device knows whose word it is
    let taken = match offer.state {
        ShareState::Accepted => offer.clone(),
        _ => client.accept_share(which).await?,
    };
    context.out.value(&taken, || {
        format!(
            "taken from {giver}: {} of {}, {}",
            named(&taken),
            show::count(taken.entries.len(), "secret"),
            until(&taken)
        )
    })
}

async fn list(context: &Context, client: &Client) -> anyhow::Result<()> {
    let shares = client.list_shares().await?;
    context.out.list(&shares, &["SHARE", "FROM", "TO", "MAY", "SECRETS", "STATE", "UNTIL", "SENT"], |share| {
        vec![
            share.id.to_string(),
            share.giver_email.clone(),
            share.taker_email.clone(),
            named(share),
            share.entries.len().to_string(),
            share.state.as_str().to_owned(),
            show::at(share.expires_at),
            if share.rights.iter().any(|right| right.waits) { "waits for its owner" } else { "-" }.to_owned(),
        ]
    })
}

async fn revoke(
    context: &Context,
    client: &Client,
    which: ShareId,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    // first the share, which ends at once; then what it may write, whatever the node says of it; then the keys that its
    // taker may have kept
    let ended = client.revoke_share(which).await;
    let mut own = context.vault(client, passphrase).await?;
    own.forget_share(which).await?;
    let rekey = ended?;
    if !rekey.is_empty() {
        // what a program was approved to write is in no list of shares, and of one's own vault
        let listed = client.list_shares().await?.into_iter().find(|share| share.id == which);
        let of = listed.map_or(own.id(), |share| share.vault);
        super::rekey(client, &mut own, of, &rekey, passphrase).await?;
    }
    context.out.value(&json!({ "rekeyed": rekey.len() }), || {
        if rekey.is_empty() {
            // of somebody else's secrets, or of none that it gave a key of
            return "the share has ended; nothing of yours is to be written under fresh keys".to_owned();
        }
        format!("the share has ended; {} under fresh keys", show::count(rekey.len(), "secret"))
    })
}

async fn read(
    context: &Context,
    client: &Client,
    which: ShareId,
    name: Option<&str>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let share = client.share(which).await?;
    if share.state != ShareState::Accepted {
        let text = format!("the share is {}: there is nothing to read by it", share.state.as_str());
        return Err(ClientError::Usage(text).into());
    }
    let entries = context.vault(client, passphrase).await?.read_share(&share).await?;
    let found = match (name, entries.as_slice()) {
        (Some(name), all) => all.iter().find(|entry| entry.name.expose() == name),
        (None, [one]) => Some(one),
        (None, _) => None,
    };
    if let Some(entry) = found {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&entry.value)?;
        return Ok(stdout.flush()?);
    }
    if let Some(name) = name {
        return Err(ClientError::Usage(format!("`{name}` is not in this share")).into());
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.expose()).collect();
    context.out.list(&names, &["SECRET"], |name| vec![(*name).to_owned()])
}

fn named(share: &Share) -> String {
    share.permissions.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
}

fn until(share: &Share) -> String {
    match share.expires_at {
        Some(at) => format!("until {}", show::when(Some(at))),
        None => "until it is taken back".to_owned(),
    }
}
