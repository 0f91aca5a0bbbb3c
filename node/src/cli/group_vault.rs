//! `ocmt group vault`: the vault that a group has together, opened by a member's own.

mod cell;
mod staying;
mod unlock;

use ocmt_client::{
    Client,
    group::MemberRole,
    group_vault::{GroupVault, Part},
    share::Permission,
    vault::{Listed, Vault},
};
use ocmt_crypto::vault::Rollback;
use ocmt_types::GroupId;
use serde_json::json;

use super::{
    args::{ComparedArgs, GroupVaultCommand, OfferArgs, OneGroup, PassphraseArgs, ProgramCreateArgs},
    context::Context,
    output::{note, waiting},
    secrets,
    share::{self, people::trusted},
    show, vault,
};

pub(super) async fn run(context: &Context, command: GroupVaultCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        GroupVaultCommand::Create(of) => create(context, &client, &of).await,
        GroupVaultCommand::Join { group, admin, compared } => {
            join(context, &client, group, &admin, &compared).await
        }
        GroupVaultCommand::Admit { group, email, compared } => {
            admit(context, &client, group, &email, &compared).await
        }
        GroupVaultCommand::Status { group } => status(context, &client, group).await,
        GroupVaultCommand::Ls(of) => {
            let own = context.vault(&client, &of.passphrase).await?;
            let entries: Vec<Listed> = open(&own, of.group, &of.passphrase).await?.secrets().list().await?;
            vault::show_list(context, &entries)
        }
        GroupVaultCommand::Get { named, out } => {
            let own = context.vault(&client, &named.passphrase).await?;
            let entry = open(&own, named.group, &named.passphrase).await?.secrets().get(&named.name).await?;
            vault::hand_out(context, &named.name, &entry, out.as_deref())
        }
        GroupVaultCommand::Put { named, value_file } => {
            let value = secrets::value(value_file.as_deref())?;
            let own = context.vault(&client, &named.passphrase).await?;
            let mut group = open(&own, named.group, &named.passphrase).await?;
            group.secrets_mut().put(&named.name, &value).await?;
            context.out.done(&format!("{} was written ({} bytes)", named.name, value.len()))
        }
        GroupVaultCommand::Rm(named) => {
            let own = context.vault(&client, &named.passphrase).await?;
            open(&own, named.group, &named.passphrase).await?.secrets_mut().delete(&named.name).await?;
            context.out.done(&format!("{} was deleted", named.name))
        }
        GroupVaultCommand::Give { group, offer, entry } => {
            give(context, &client, group, &offer, &entry).await
        }
        GroupVaultCommand::Program { group, program: args } => program(context, &client, group, &args).await,
        GroupVaultCommand::Rotate { of, keep, keep_cell, reason } => {
            rotate(context, &client, &of, (&keep, keep_cell), &reason).await
        }
        GroupVaultCommand::ShareKey { of, need, keep, keep_cell } => {
            share_key(context, &client, &of, need, (&keep, keep_cell)).await
        }
        GroupVaultCommand::Unlock { of, lasts, into_cell } => {
            let own = context.vault(&client, &of.passphrase).await?;
            unlock::ask(context, &own, of.group, lasts.0, into_cell).await
        }
        GroupVaultCommand::Cell(command) => Box::pin(cell::run(context, &client, command)).await,
        GroupVaultCommand::Approve { of, unlock, words } => {
            let own = context.vault(&client, &of.passphrase).await?;
            unlock::approve(context, &own, of.group, unlock.as_deref(), words.as_deref()).await
        }
        GroupVaultCommand::Deny { of, unlock } => {
            let own = context.vault(&client, &of.passphrase).await?;
            unlock::deny(context, &own, of.group, unlock.as_deref()).await
        }
        GroupVaultCommand::Cancel { of, unlock } => {
            let own = context.vault(&client, &of.passphrase).await?;
            unlock::cancel(context, &own, of.group, unlock.as_deref()).await
        }
        GroupVaultCommand::Unlocks(of) => {
            let own = context.vault(&client, &of.passphrase).await?;
            unlock::list(context, &own, of.group).await
        }
    }
}

/// The vault of a group, opened by one's own.
pub(super) async fn open<'o>(
    own: &'o Vault,
    group: GroupId,
    args: &PassphraseArgs,
) -> anyhow::Result<GroupVault<'o>> {
    let rollback = if args.accept_rollback { Rollback::Accept } else { Rollback::Refuse };
    Ok(own.open_group_vault(group, rollback).await?)
}

async fn create(context: &Context, client: &Client, of: &OneGroup) -> anyhow::Result<()> {
    let own = context.vault(client, &of.passphrase).await?;
    let made = own.create_group_vault(of.group).await?.secrets().id().to_string();
    context.out.value(&json!({ "vault": made }), || format!("vault {made}"))?;
    if !context.out.json {
        note(
            "You alone open it. Others of the group run `ocmt group vault join`, and you `ocmt group vault admit`. Let two \
             take part at the least: when nobody can open it any more, nobody can help.",
        );
    }
    Ok(())
}

async fn join(
    context: &Context,
    client: &Client,
    group: GroupId,
    admin: &str,
    args: &ComparedArgs,
) -> anyhow::Result<()> {
    if !trusted(context, client, admin, args.words.as_deref()).await? {
        note("You have not joined.");
        return Ok(());
    }
    let own = context.vault(client, &args.passphrase).await?;
    own.join_group_vault(group, admin).await?;
    context.out.done(&format!("{admin} can admit you now: `ocmt group vault admit`"))
}

async fn admit(
    context: &Context,
    client: &Client,
    group: GroupId,
    email: &str,
    args: &ComparedArgs,
) -> anyhow::Result<()> {
    if !trusted(context, client, email, args.words.as_deref()).await? {
        note("Nobody was admitted.");
        return Ok(());
    }
    let own = context.vault(client, &args.passphrase).await?;
    let mut open = open(&own, group, &args.passphrase).await?;
    open.admit(email).await?;
    context.out.done(&if open.opens_together() {
        format!("{email} takes part now: administrators get a part of the key with the next `ocmt group vault rotate`")
    } else {
        format!("{email} opens the group's vault now")
    })
}

async fn status(context: &Context, client: &Client, group: GroupId) -> anyhow::Result<()> {
    let status = client.group_vault(group).await?;
    if context.out.json {
        return context.out.value(&status, String::new);
    }
    match status.vault {
        Some(vault) => note(&format!("vault {vault}")),
        None => note("The group has no vault: an administrator makes one with `ocmt group vault create`."),
    }
    let shared = status.needed > 0;
    if shared {
        note(&format!(
            "{} of {} administrators open it together: `ocmt group vault unlock`",
            status.needed, status.parts
        ));
    }
    context.out.list(&status.participants, &["ADDRESS", "IN THE GROUP", "IN ITS VAULT"], |one| {
        let part = match one.part {
            Part::None => "no: `ocmt group vault join`",
            Part::Accepted => "waits for `ocmt group vault admit`",
            Part::Admitted if shared && one.role == MemberRole::Admin => {
                "holds a part, or gets one by a rotation"
            }
            Part::Admitted => "opens it",
        };
        vec![one.email.clone(), one.role.as_str().to_owned(), part.to_owned()]
    })?;
    if let Some(since) = status.due_since {
        note(&format!(
            "New keys are due since {}, as somebody who had its key takes part no more, or had it for a time that is over: an \
             administrator runs `ocmt group vault rotate` now.",
            show::when(Some(since))
        ));
    }
    Ok(())
}

async fn give(
    context: &Context,
    client: &Client,
    group: GroupId,
    args: &OfferArgs,
    entries: &[String],
) -> anyhow::Result<()> {
    let ComparedArgs { words, passphrase } = &args.compared;
    if !trusted(context, client, &args.to, words.as_deref()).await? {
        note("Nothing was shared.");
        return Ok(());
    }
    let permissions: Vec<Permission> = args.may.iter().map(|may| Permission::from(*may)).collect();
    let lifetime = args.lifetime.map(|lifetime| lifetime.0);
    let own = context.vault(client, passphrase).await?;
    let open = open(&own, group, passphrase).await?;
    let share = open.give(&args.to, entries, &permissions, lifetime).await?;
    context.out.value(&share, || format!("offered to {} as share {}", share.taker_email, share.id))
}

async fn program(
    context: &Context,
    client: &Client,
    group: GroupId,
    args: &ProgramCreateArgs,
) -> anyhow::Result<()> {
    let own = context.vault(client, &args.passphrase).await?;
    let open = open(&own, group, &args.passphrase).await?;
    let key = share::public_key(&args.program_key)?;
    let access = open.create_program_token(&args.name, &args.entry, key, args.lifetime.0).await?;
    share::tell_token(context, &access, &args.out)
}

async fn share_key(
    context: &Context,
    client: &Client,
    of: &OneGroup,
    need: u8,
    (keep, keep_cell): (&[String], bool),
) -> anyhow::Result<()> {
    let own = context.vault(client, &of.passphrase).await?;
    let open = open(&own, of.group, &of.passphrase).await?;
    match staying::confirmed(context, client, &open, true, keep).await? {
        Some(holders) => unlock::share_key(context, open, need, &holders, keep_cell).await,
        None => Ok(()),
    }
}

async fn rotate(
    context: &Context,
    client: &Client,
    of: &OneGroup,
    (keep, keep_cell): (&[String], bool),
    reason: &str,
) -> anyhow::Result<()> {
    let own = context.vault(client, &of.passphrase).await?;
    let mut open = open(&own, of.group, &of.passphrase).await?;
    let together = open.opens_together();
    let appointed = cell::stays(&open, keep_cell).await?;
    let Some(stays) = staying::confirmed(context, client, &open, together, keep).await? else {
        return Ok(());
    };
    let gone = {
        let _waiting = waiting("encrypting everything under new keys");
        open.rotate(&stays, reason).await?
    };
    cell::again(&mut open, appointed).await;
    context.out.value(&json!({ "slots_gone": gone }), || {
        format!("the group's vault has new keys; {} of who left gone", show::count(gone, "way in"))
    })
}
