//! Who has lost the mailbox too: a guardian says so, a link comes to a new address, and guardians sign before anything begins.

use ocmt_client::{
    Client, ClientError,
    account::Me,
    recovery::{Ceremony, GuardianshipState, Side},
};
use ocmt_types::Digest32;
use tonic::Code;

use super::{
    account::{device, link},
    context::Context,
    output::{note, waiting},
    show,
    telling::requester_next,
};

/// `ocmt guardian lost-mailbox`
pub(super) async fn report(
    context: &Context,
    client: &Client,
    owner: &str,
    new_address: &str,
) -> anyhow::Result<()> {
    let guarded = client.guardianships(Some(Side::Guardian)).await?;
    let holds = |state| matches!(state, GuardianshipState::Dealt | GuardianshipState::Active);
    let found = guarded.iter().find(|one| one.email.eq_ignore_ascii_case(owner) && holds(one.state));
    let Some(found) = found else {
        let text = format!("you hold no part of the vault of {owner}: see `ocmt guardian list`");
        return Err(ClientError::Usage(text).into());
    };
    client.report_lost_mailbox(found.id, new_address).await?;
    let json = serde_json::json!({ "owner": found.email, "new_address": new_address });
    context.out.value(&json, || {
        format!(
            "A link goes to {new_address}, good for a day. Tell them to run `ocmt recovery begin` and to paste it. {} is told too, and can stop it.\nYou have given nothing yet. When they have asked, a letter comes to you: call them, compare the six words, then `ocmt guardian sign`.",
            found.email
        )
    })
}

/// `ocmt recovery begin`
pub(super) async fn begin(context: &Context, client: &Client, over_stop: Option<&str>) -> anyhow::Result<()> {
    let stopped = over_stop.map(named).transpose()?;
    let (client, me) = match kept(context).await? {
        Some(kept) => kept,
        None => taken(context, client).await?,
    };
    let (request, proposed) = {
        let _waiting = waiting("asking your guardians");
        client.open_without_mailbox(stopped, &context.state).await.inspect_err(link_is_kept)?
    };
    let words = request.words().await?;
    let json = serde_json::json!({ "ceremony": proposed, "words": words });
    context.out.value(&json, || {
        format!(
            "Your guardians are asked to let your request begin, and every known address of the account is told.\n\n  {words}\n\nNow call each guardian. They see six words too: they sign only if you read these to them. They never ask you for a passphrase.\n{}\nAfter that the longest waiting time of your vault runs. At the end {} is your address. This device keeps the key of this request: go on with it here, and see `ocmt recovery status`.",
            requester_next(&proposed),
            me.email
        )
    })
}

/// The session of a link that was taken on this device before, and has proposed nothing.
async fn kept(context: &Context) -> Result<Option<(Client, Me)>, ClientError> {
    let Some((client, me)) = inert(context).await else { return Ok(None) };
    let proposed = client.ceremonies(false).await?;
    if proposed.iter().any(|one| one.state.is_live()) {
        let text = "your guardians are asked already: see `ocmt recovery status`, or give that request up with `ocmt recovery cancel`";
        return Err(ClientError::Usage(text.to_owned()));
    }
    // each proposes one
    if !proposed.is_empty() {
        return Ok(None);
    }
    note(&format!(
        "Going on for {}, whose link this device has taken. To paste another: `ocmt logout` before.",
        me.email
    ));
    Ok(Some((client, me)))
}

/// What was refused after a link was taken is tried again without one, as long as its session lives.
fn link_is_kept(refused: &ClientError) {
    if refused.code() != Some(Code::Unauthenticated) {
        note("Your link is used up, but no other is needed: `ocmt recovery begin` goes on without one.");
    }
}

/// The session that is kept, if guardians have not signed in it yet. One that has ended, or is not to be had, is none.
async fn inert(context: &Context) -> Option<(Client, Me)> {
    context.session().ok()?;
    let client = context.client().await.ok()?;
    let me = client.who_am_i().await.ok()?;
    me.is_inert().then_some((client, me))
}

/// The session of a link that is pasted now.
async fn taken(context: &Context, client: &Client) -> anyhow::Result<(Client, Me)> {
    note("Paste the link that came to your new address, after a guardian of yours had it sent:");
    let client = client.take_lost_mailbox_link(&link()?, &device()).await?;
    // the link is used up: what follows is gone on with in this session
    context.keep(&client, String::new())?;
    let me = client.who_am_i().await?;
    context.keep(&client, me.email.clone())?;
    Ok((client, me))
}

/// A request by its whole id, or by the address of its page.
fn named(text: &str) -> Result<Digest32, ClientError> {
    let id = text.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(id.as_bytes()).unwrap_or_default();
    Digest32::try_from(bytes.as_slice()).map_err(|_| {
        ClientError::Usage("--over-stop is not the address of a request's page, nor its whole id".to_owned())
    })
}

/// What comes next for a guardian who is asked to sign.
pub(super) fn guardian_next(request: &Ceremony) -> String {
    let id = show::short(&request.id);
    let command = if request.is_override() { "override" } else { "sign" };
    let over = if request.is_override() {
        "An earlier request was stopped; this one goes on over that. "
    } else {
        ""
    };
    format!(
        "{over}A guardian says that {} has lost the mailbox too and is reached at {}. Call them on a number you already had, not one from a letter. If it is them and the six words are the same: `ocmt guardian {command} {id}`. With enough of you it begins and waits for the longest time; you give your part later, with `ocmt guardian approve {id}`. If it is not them: `ocmt guardian deny {id}`, and call the others.",
        request.owner_email, request.requester_email
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_named_by_its_id_or_its_page() {
        let id = "0a".repeat(32);
        let meant = Digest32([10; 32]);
        assert_eq!(named(&id).unwrap(), meant);
        assert_eq!(named(&format!("https://ocmt.example.org/guardian/requests/{id}/")).unwrap(), meant);
        assert_eq!(named(&format!(" {}\n", id.to_uppercase())).unwrap(), meant);
        for bad in ["", "0a0a", "https://ocmt.example.org/guardian"] {
            assert!(named(bad).is_err(), "{bad} was taken");
        }
    }
}
