//! `ocmt approve`: what others ask for of one's own, and `ocmt share ask`.

use std::time::Duration;

use data_encoding::HEXLOWER;
use ocmt_client::{
    Client, ClientError,
    capability::{AskingProgram, Capability, CapabilityState},
    share::{Permission, Share},
};
use ocmt_crypto::sign::VerifyKey;
use ocmt_types::Digest32;

use super::{
    args::{ApproveArgs, ApproveCommand, AskArgs},
    context::Context,
    output::{confirm, note},
    share::{people::trusted, public_key},
    show,
};

pub(super) async fn run(context: &Context, command: ApproveCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        ApproveCommand::List { all } => {
            let asked = client.list_capabilities(!all).await?;
            let head = ["REQUEST", "FROM", "ASKS TO", "OF", "WHY", "STATE", "UNTIL"];
            context.out.list(&asked, &head, |one| {
                vec![
                    one.id.to_string(),
                    one.requester().to_owned(),
                    named(one),
                    show::short(&one.object),
                    one.reason.clone(),
                    one.state.as_str().to_owned(),
                    show::at(one.expires_at),
                ]
            })
        }
        ApproveCommand::Give(args) => Box::pin(give(context, &client, &args)).await,
        ApproveCommand::Deny { request } => {
            let after = client.deny_capability(request).await?;
            context.out.value(&after, || format!("refused to {}", after.requester()))
        }
    }
}

async fn give(context: &Context, client: &Client, args: &ApproveArgs) -> anyhow::Result<()> {
    let asked = client.list_capabilities(true).await?.into_iter().find(|one| one.id == args.request);
    let Some(asked) = asked.filter(|one| one.state == CapabilityState::Requested) else {
        return Err(ClientError::Usage("no such request waits: see `ocmt approve list`".to_owned()).into());
    };
    match &asked.program {
        Some(program) => compared(context, client, program, args.program_key.as_deref())?,
        None if trusted(context, client, &asked.requester_email, args.words.as_deref()).await? => {}
        None => {
            note("Nothing was given.");
            return Ok(());
        }
    }
    let mut vault = context.vault(client, &args.passphrase).await?;
    let name = vault.asked_name(&asked).await?;
    let permissions: Vec<Permission> = match args.may.as_slice() {
        [] => asked.permissions.clone(),
        some => some.iter().map(|may| Permission::from(*may)).collect(),
    };
    let lifetime = args.lifetime.map_or(Duration::from_millis(asked.lifetime_ms), |lifetime| lifetime.0);
    if !meant(&name, asked.requester(), &permissions, args)? {
        note("Nothing was given.");
        return Ok(());
    }
    let given = if permissions.contains(&Permission::Write) && asked.program.is_some() {
        let signs = signing(args.program_sign_key.as_deref())?;
        vault.approve_writing(&asked, &permissions, lifetime, signs).await?
    } else {
        vault.approve_capability(&asked, &permissions, lifetime).await?
    };
    context.out.value(&given, || {
        format!("{} may {} `{name}` until {}", given.requester(), named(&given), show::when(given.expires_at))
    })
}

/// Takes the key of a program that another device made the token of, if it is the one that the node shows.
fn compared(
    context: &Context,
    client: &Client,
    program: &AskingProgram,
    heard: Option<&str>,
) -> anyhow::Result<()> {
    let Some(heard) = heard else { return Ok(()) };
    let key = Digest32(public_key(heard)?.0);
    if key != program.key {
        let text = format!("the node shows another key for the program {}: give it nothing", program.name);
        return Err(ClientError::Usage(text).into());
    }
    Ok(context.state.pin_program(client.identity()?.tenant, program.id, key)?)
}

/// The key that a program signs with, as somebody has read it where the program runs: what is written is believed for it.
fn signing(heard: Option<&str>) -> anyhow::Result<VerifyKey> {
    let Some(heard) = heard else {
        let text = "a program that writes signs with a key that `ocmt share program key` printed where it runs: say it with \
                    --program-sign-key";
        return Err(ClientError::Usage(text.to_owned()).into());
    };
    Ok(VerifyKey(public_key(heard)?.0))
}

/// Whether it is about the secret that whoever gives thinks of: who asks and the node say an id and no name.
fn meant(name: &str, to: &str, permissions: &[Permission], args: &ApproveArgs) -> anyhow::Result<bool> {
    match &args.name {
        Some(meant) if meant == name => Ok(true),
        Some(meant) => {
            let text = format!("the request is about `{name}` and not about `{meant}`: nothing was given");
            Err(ClientError::Usage(text).into())
        }
        None => confirm(&format!("Let {to} {} `{name}`?", words(permissions)), "--name"),
    }
}

/// The secret of a share that is named, or its only one.
pub(super) fn object_of(share: &Share, named: Option<&str>) -> anyhow::Result<Digest32> {
    match (named.map(object).transpose()?, share.entries.as_slice()) {
        (Some(object), _) => Ok(object),
        (None, [one]) => Ok(one.object),
        (None, several) => {
            let ids: Vec<String> = several.iter().map(|entry| entry.object.to_string()).collect();
            let text = format!("the share has several secrets: name one with --entry, of {}", ids.join(", "));
            Err(ClientError::Usage(text).into())
        }
    }
}

/// `ocmt share ask`
pub(super) async fn ask(context: &Context, client: &Client, args: &AskArgs) -> anyhow::Result<()> {
    let share = client.share(args.share).await?;
    let object = object_of(&share, args.entry.as_deref())?;
    let permissions: Vec<Permission> = args.wish.may.iter().map(|may| Permission::from(*may)).collect();
    let asked = client
        .request_capability(share.vault, object, &permissions, args.wish.lifetime.0, &args.wish.reason)
        .await?;
    context.out.value(&asked, || {
        format!(
            "asked as {}: tell {}; it waits until {}",
            asked.id,
            share.giver_email,
            show::when(asked.expires_at)
        )
    })
}

pub(super) fn object(hex: &str) -> anyhow::Result<Digest32> {
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let wrong = || ClientError::Usage("an entry is 64 hexadecimal digits".to_owned());
    Ok(Digest32(bytes.ok_or_else(wrong)?))
}

fn named(of: &Capability) -> String {
    words(&of.permissions)
}

fn words(permissions: &[Permission]) -> String {
    permissions.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
}
