//! `ocmt group vault cell` and `unlock --into-cell`: a group's vault opened into one container, so that no device gets its key.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::Context as _;
use ocmt_client::{
    Client, ClientError,
    cell::Mapping,
    group_vault::{Appointed, CellAsked, GroupCell, GroupVault, Known, Unlock},
    recovery::CeremonyState,
    vault::Vault,
};
use ocmt_types::{ContainerId, Digest32, GroupId};
use serde_json::json;

use super::unlock::{humantime, pick};
use crate::cli::{
    args::{GroupCellCommand, OneGroup},
    context::Context,
    output::{confirm, note, print, waiting},
    show,
};

pub(super) async fn run(context: &Context, client: &Client, command: GroupCellCommand) -> anyhow::Result<()> {
    match command {
        GroupCellCommand::Appoint { of, container, map, longest, accept_host } => {
            let place = (container, accept_host);
            appoint(context, client, &of, place, &map, longest.0).await
        }
        GroupCellCommand::Show(of) => {
            let own = context.vault(client, &of.passphrase).await?;
            match own.group_cell(of.group).await? {
                Some(cell) => context.out.value(&cell, || facts(&cell)),
                None => {
                    note("No container is appointed: `ocmt group vault cell appoint` names one.");
                    context.out.value(&json!(null), String::new)
                }
            }
        }
        GroupCellCommand::Dismiss { group } => {
            client.dismiss_group_cell(group).await?;
            context.out.done("the vault opens into no container any more; what was open there is being wiped")
        }
        GroupCellCommand::Open { of, unlock } => {
            let own = context.vault(client, &of.passphrase).await?;
            let which = pick(&own, of.group, unlock.as_deref(), is_released).await?;
            open(context, &own, of.group, which.id).await
        }
        GroupCellCommand::End { of, unlock } => {
            let own = context.vault(client, &of.passphrase).await?;
            end(context, &own, of.group, unlock.as_deref()).await
        }
        GroupCellCommand::Watch { of, unlock } => {
            let own = context.vault(client, &of.passphrase).await?;
            watch(context, &own, of.group, unlock.as_deref()).await
        }
    }
}

async fn appoint(
    context: &Context,
    client: &Client,
    of: &OneGroup,
    (container, accept_host): (Option<ContainerId>, bool),
    map: &[Mapping],
    longest: Duration,
) -> anyhow::Result<()> {
    let container = client.container_or_only(container).await?;
    let mut own = context.vault(client, &of.passphrase).await?;
    let host = {
        let _waiting = waiting("waking the container and checking its host");
        own.proven_host(container, accept_host).await?
    };
    let mut open = super::open(&own, of.group, &of.passphrase).await?;
    let cell = open.appoint_cell(container, host, map, longest).await?;
    context.out.value(&cell, || facts(&cell))?;
    if !context.out.json {
        note(
            "The others hear of it. This device had the vault's key: `ocmt group vault rotate --keep-cell` makes new ones, and \
             from then on no device has them. Then `ocmt group vault unlock --into-cell` asks the others.",
        );
    }
    Ok(())
}

/// Asks the others, and approves with the own part.
pub(super) async fn ask(
    context: &Context,
    own: &Vault,
    group: GroupId,
    lasts: Duration,
) -> anyhow::Result<()> {
    let asked = {
        let _waiting = waiting("waking the container and asking for its key");
        own.ask_for_cell(group, lasts).await?
    };
    let words = asked.words().await?;
    if context.out.json {
        return context.out.value(&json!({ "unlock": asked, "words": words }), String::new);
    }
    if asked.lasts() != lasts {
        note(&format!(
            "You have asked for {} before, and that is not over: `ocmt group vault cell end` gives it up.",
            humantime(asked.lasts())
        ));
    }
    let until = show::when(Some(asked.expires_at));
    if asked.state == CeremonyState::Released {
        note(&format!(
            "Enough have approved, until {until}. `ocmt group vault cell show` says whether the container has opened it; \
             `ocmt group vault cell open` has it do so."
        ));
        return context.out.done("released");
    }
    note(&format!(
        "Asked: {} of {} have approved, you among them. Call the others on a number you already had, and read them these \
         six words:\n\n  {words}\n\nThen they run `ocmt group vault approve`. With the last approval the container opens the vault: \
         you can close this device. It lasts until {until}; if the container is stopped before then, run \
         `ocmt group vault cell end` and ask again.",
        asked.approved, asked.needed,
    ));
    context.out.done("asked")
}

/// Has the cell open what was released.
pub(super) async fn open(
    context: &Context,
    own: &Vault,
    group: GroupId,
    which: Digest32,
) -> anyhow::Result<()> {
    let opened = {
        let _waiting = waiting("the container opens the vault");
        own.open_group_cell(group, which).await
    };
    let until = opened.context(
        "enough have approved, but the container has not opened it: `ocmt group vault cell open` tries again",
    )?;
    let unlock = own.group_unlock(group, which).await?;
    context.out.value(&unlock, || {
        format!("the container has the secrets until {}, and no device has the key", show::when(Some(until)))
    })
}

async fn end(context: &Context, own: &Vault, group: GroupId, which: Option<&str>) -> anyhow::Result<()> {
    let email = own.client().who_am_i().await?.email;
    let unlock = pick(own, group, which, |one| one.into_cell() && one.is_live()).await?;
    if !unlock.into_cell() {
        let text = "this one goes to a device: `ocmt group vault cancel` and `deny` end it";
        return Err(ClientError::Usage(text.to_owned()).into());
    }
    let after = if unlock.requester_email == email {
        own.cancel_unlock(group, unlock.id).await?
    } else {
        own.deny_unlock(group, unlock.id).await?
    };
    context.out.value(&after, || {
        // asked for still: the others may say yes
        if after.is_live() {
            "refused; as long as enough others may approve it is not over".to_owned()
        } else {
            "ended: the container wipes what it has of the vault".to_owned()
        }
    })
}

async fn watch(context: &Context, own: &Vault, group: GroupId, which: Option<&str>) -> anyhow::Result<()> {
    let mut now = pick(own, group, which, |one| one.into_cell() && one.is_live()).await?;
    loop {
        if context.out.json {
            print(&serde_json::to_string(&now)?)?;
        } else {
            print(&format!("{}: {} of {} have approved", state(&now), now.approved, now.needed))?;
        }
        if !now.is_live() {
            return Ok(());
        }
        now = own.next_of_unlock(group, &now).await?;
    }
}

/// What goes where, for whoever is asked to approve.
pub(super) fn told(asked: &CellAsked) -> String {
    let known = match asked.known {
        Known::Same => "This device knows it from before.",
        Known::First => {
            "This device has not met it before: ask whether it is the container that you agreed on."
        }
        Known::Newer => {
            "IT IS NOT THE ONE that this device met last: ask why before you approve. Another container, another host or other \
             secrets were named since."
        }
    };
    format!("It goes into a container, and to no device:\n\n{}\n\n{known}", facts(&asked.cell))
}

fn facts(cell: &GroupCell) -> String {
    let stands = if cell.in_force {
        String::new()
    } else {
        "no: the vault got new keys since; `ocmt group vault cell appoint` names it again".to_owned()
    };
    show::facts(&[
        ("container", cell.container.to_string()),
        ("of", cell.owner_email.clone()),
        ("host", cell.host.to_string()),
        ("gets", show::count(cell.secrets, "secret")),
        ("at once", format!("{} at most", humantime(Duration::from_secs(cell.longest_s)))),
        ("appointed", show::when(Some(cell.appointed_at))),
        ("can be opened", stands),
        ("open until", cell.unlocked_until.map(|until| show::when(Some(until))).unwrap_or_default()),
    ])
}

/// Where an unlock stands: of one that goes into a cell, whether it was handed to that too.
pub(super) fn state(unlock: &Unlock) -> String {
    let state = format!("{:?}", unlock.state).to_lowercase();
    match (unlock.into_cell(), unlock.handed_at) {
        (false, _) => state,
        (true, Some(_)) if unlock.is_live() => format!("{state}, handed to the container"),
        (true, _) => format!("{state}, for the container"),
    }
}

fn is_released(unlock: &Unlock) -> bool {
    unlock.into_cell() && unlock.state == CeremonyState::Released
}

/// The appointment that new keys are to sign too, if the person at this device says so: a node could show one that was made by
/// somebody who has left.
pub(super) async fn stays(open: &GroupVault<'_>, keep: bool) -> anyhow::Result<Option<Appointed>> {
    if !open.opens_together() {
        return Ok(None);
    }
    let appointed = match open.appointed_cell().await {
        Ok(Some(appointed)) => appointed,
        Ok(None) => return Ok(None),
        Err(error) => {
            note(&format!(
                "What the node shows of a container for this vault is not to be believed: {error}"
            ));
            return Ok(None);
        }
    };
    note(&format!("The vault may be opened into this container:\n\n{}\n", facts(&appointed.cell)));
    let kept =
        keep || (io::stdin().is_terminal() && confirm("Is it to stay so with the new keys?", "--keep-cell")?);
    if !kept {
        note("With the new keys it may not any more: `ocmt group vault cell appoint` names one again.");
    }
    Ok(kept.then_some(appointed))
}

/// Signs it with the new keys. They are made by then, so a failure is told and is none of theirs.
pub(super) async fn again(open: &mut GroupVault<'_>, appointed: Option<Appointed>) {
    let Some(appointed) = appointed else { return };
    if let Err(error) = open.appoint_again(&appointed).await {
        note(&format!(
            "The new keys are made, but the container is not appointed any more ({error}): `ocmt group vault cell appoint` names it \
             again."
        ));
    }
}
