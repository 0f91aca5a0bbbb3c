//! `ocmt recovery`: going on over a stop, stopping that, and watching what happens.

use ocmt_client::{
    Client, ClientError,
    recovery::{Ceremony, CeremonyState, Side},
};
use ocmt_types::Digest32;

use super::{
    args::PassphraseArgs,
    context::Context,
    output::{self, print, waiting},
    recovery::pick,
    show,
    telling::{ended, owner_next, requester_next},
};

/// A new request over one that the owner or a guardian stopped.
pub(super) async fn open_over(
    context: &Context,
    client: &Client,
    stopped: Option<&str>,
) -> anyhow::Result<()> {
    let stopped = newest_stopped(client, stopped).await?;
    let (request, opened) = {
        let _waiting = waiting("asking your guardians");
        client.open_override(&stopped, &context.state).await?
    };
    let words = request.words().await?;
    let json = serde_json::json!({ "ceremony": opened, "words": words });
    context.out.value(&json, || {
        format!(
            "Your guardians are asked to go on over the stop of request {}; the owner is told.\n\n  {words}\n\nNow call each guardian. They see six words too, and sign only if you read these to them.\n{}\nThis device keeps the key of this request: go on with it here.",
            show::short(&stopped.id),
            requester_next(&opened)
        )
    })
}

async fn newest_stopped(client: &Client, named: Option<&str>) -> Result<Ceremony, ClientError> {
    let email = client.who_am_i().await?.email;
    let mut stopped = client.ceremonies(false).await?;
    stopped.retain(|one| {
        one.owner_email == email && matches!(one.state, CeremonyState::Vetoed | CeremonyState::Locked)
    });
    if named.is_some() {
        return pick(named, stopped);
    }
    // newest first
    stopped.into_iter().next().ok_or_else(|| {
        ClientError::Usage("no request of yours was stopped: ask with `ocmt recovery open`".to_owned())
    })
}

/// Ends a request that no veto ends, and every other, by dismissing all guardians.
pub(super) async fn retire(
    context: &Context,
    client: &Client,
    named: Option<&str>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let ceremony = to_retire_by(client, named).await?;
    let mut vault = context.vault(client, passphrase).await?;
    let stopped = {
        let _waiting = waiting("dismissing your guardians and encrypting everything under new keys");
        Box::pin(vault.retire_guardians(ceremony)).await?
    };
    context.out.value(&stopped, || {
        "Stopped: your guardians are dismissed, your vault has new keys, and what they hold opens nothing.\nUntil you name others with `ocmt recovery setup`, nobody can give your vault back. Change the password of your mail, then `ocmt sessions revoke-others`.".to_owned()
    })
}

/// The request that is named, or one that goes on, or else the newest: a dismissal that was cut off is gone on with.
async fn to_retire_by(client: &Client, named: Option<&str>) -> Result<Digest32, ClientError> {
    let email = client.who_am_i().await?.email;
    let mut own = client.ceremonies(false).await?;
    own.retain(|one| one.owner_email == email);
    if named.is_some() {
        return Ok(pick(named, own)?.id);
    }
    let live = own.iter().find(|one| one.state.is_live());
    live.or_else(|| own.first()).map(|one| one.id).ok_or_else(|| {
        let text =
            "nobody has asked for your vault: take the guardians' way in away with `ocmt vault slots rm`";
        ClientError::Usage(text.to_owned())
    })
}

/// Other guardians than before are named after a wait.
pub(super) fn change_waits(context: &Context, waits: &ClientError) -> anyhow::Result<()> {
    context.out.value(&serde_json::json!({ "waits": waits.to_string() }), || {
        format!(
            "Not yet: {waits}.\nUntil then your guardians of now can give your vault back. Run this command again when it can be made; you get a letter then."
        )
    })
}

/// Somebody who was asked is to be no guardian.
pub(super) async fn take_back(context: &Context, client: &Client, address: &str) -> anyhow::Result<()> {
    let asked = client.guardianships(Some(Side::Owner)).await?;
    let found = asked.into_iter().find(|guardian| guardian.email.eq_ignore_ascii_case(address));
    let Some(found) = found else {
        let text = format!("you have not asked {address} to be a guardian: see `ocmt recovery status`");
        return Err(ClientError::Usage(text).into());
    };
    let ended = client.resign_guardianship(found.id).await?;
    context.state.forget_guardian(ended.vault, &ended.email)?;
    context.out.value(&ended, || {
        format!(
            "Taken back: {} is not to be your guardian, and no change of guardians that names them can be made.",
            ended.email
        )
    })
}

/// A change of guardians that waits is not to be made.
pub(super) async fn take_change_back(context: &Context, client: &Client) -> anyhow::Result<()> {
    let asked = client.guardianships(Some(Side::Owner)).await?;
    let none = || ClientError::Usage("you have asked nobody to be a guardian".to_owned());
    client.take_change_back(asked.first().ok_or_else(none)?.id).await?;
    context.out.done("Taken back: your guardians stay as they are. If you did not ask for the change, somebody has your account and your vault open: change your passphrase, then `ocmt sessions revoke-others`.")
}

/// What happens, as it happens.
pub(super) async fn watch(context: &Context, client: &Client, resume: &str) -> anyhow::Result<()> {
    let me = client.who_am_i().await?;
    let in_recovery = me.is_of_recovery();
    let mut watch = client.watch_ceremonies(resume).await?;
    let mut token = resume.to_owned();
    loop {
        let event =
            watch.next().await.map_err(|error| output::cut_off(error, "ocmt recovery watch", &token))?;
        token.clone_from(&event.resume_token);
        if context.out.json {
            print(&serde_json::to_string(&event)?)?;
            continue;
        }
        let ceremony = &event.ceremony;
        print(&format!("{}  {}", show::at(event.at), line(ceremony)))?;
        if ceremony.owner_email != me.email {
            continue;
        }
        print(&format!("    {}", if in_recovery { requester_next(ceremony) } else { owner_next(ceremony) }))?;
    }
}

/// Units whose guardians have to sign for it.
pub(super) fn to_sign(ceremony: &Ceremony) -> u32 {
    ceremony.units_to_sign().unwrap_or(0)
}

/// Where it came to, in one line.
fn line(ceremony: &Ceremony) -> String {
    let state = match ceremony.state {
        CeremonyState::Proposed => {
            format!("is proposed, {} of {} signed", ceremony.units_signed(), to_sign(ceremony))
        }
        CeremonyState::Open => {
            format!("is open, {} of {} approved", ceremony.units_approved, ceremony.units_needed)
        }
        CeremonyState::Ready => "has its approvals, and waits".to_owned(),
        CeremonyState::Released => "is released".to_owned(),
        over => return format!("request {}: {}", show::short(&ceremony.id), ended(over)),
    };
    let last =
        ceremony.acts.last().map_or_else(String::new, |act| format!(" (last: {} {})", act.by(), act.kind));
    format!("request {} for the vault of {} {state}{last}", show::short(&ceremony.id), ceremony.owner_email)
}
