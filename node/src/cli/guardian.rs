//! `ocmt guardian`: being a guardian of somebody else's vault.

use ocmt_client::{
    Client, ClientError,
    recovery::{Ceremony, CeremonyState, Guardianship, GuardianshipState, Side},
    share::PersonKeys,
};
use ocmt_types::{Clock as _, GuardianshipId, SystemClock};

use super::{
    args::{GuardianCommand, PassphraseArgs},
    context::Context,
    lost_mailbox,
    output::{confirm, note, print, waiting},
    recovery::pick,
    recovery_stops::to_sign,
    show,
    telling::{describe, ended},
};

pub(super) async fn run(context: &Context, command: GuardianCommand) -> anyhow::Result<()> {
    let client = context.client().await?;
    match command {
        GuardianCommand::Accept { guardianship, passphrase } => {
            accept(context, &client, guardianship, &passphrase).await
        }
        GuardianCommand::Resign { guardianship } => {
            let ended = client.resign_guardianship(guardianship).await?;
            if ended.side == Side::Owner {
                context.state.forget_guardian(ended.vault, &ended.email)?;
            }
            context.out.value(&ended, || {
                format!("You are no guardian of {} any more; they are told. Until they name others, your part still counts.", ended.email)
            })
        }
        GuardianCommand::List { words, passphrase } => {
            let opened = if words { Some(context.vault(&client, &passphrase).await?) } else { None };
            list(context, &client, opened.map(|vault| vault.person_keys())).await
        }
        GuardianCommand::Approve { ceremony, words, passphrase } => {
            Box::pin(approve(context, &client, ceremony, words, &passphrase)).await
        }
        GuardianCommand::Deny { ceremony, passphrase } => {
            let id = asked(&client, ceremony.as_deref()).await?.id;
            let after = context.vault(&client, &passphrase).await?.deny_ceremony(id).await?;
            context.out.value(&after, || "You refused. The owner is told.".to_owned())
        }
        GuardianCommand::Doubt { ceremony, passphrase } => {
            let id = asked(&client, ceremony.as_deref()).await?.id;
            let after = context.vault(&client, &passphrase).await?.doubt_ceremony(id).await?;
            context.out.value(&after, || {
                "The owner and the other guardians are told that you are not sure. You can still approve or deny.".to_owned()
            })
        }
        GuardianCommand::Lock { ceremony, passphrase } => lock(context, &client, ceremony, &passphrase).await,
        GuardianCommand::LostMailbox { owner, new_address } => {
            lost_mailbox::report(context, &client, &owner, &new_address).await
        }
        GuardianCommand::Sign { ceremony, words, passphrase }
        | GuardianCommand::Override { ceremony, words, passphrase } => {
            Box::pin(sign_for(context, &client, ceremony, words, &passphrase)).await
        }
        GuardianCommand::Answer { passphrase } => answer(context, &client, &passphrase).await,
    }
}

async fn accept(
    context: &Context,
    client: &Client,
    which: Option<GuardianshipId>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let mut invited = client.guardianships(Some(Side::Guardian)).await?;
    invited
        .retain(|one| one.state == GuardianshipState::Invited && which.is_none_or(|which| which == one.id));
    let one = match invited.as_slice() {
        [one] => one,
        [] => return Err(ClientError::Usage("nobody's invitation waits for you".to_owned()).into()),
        _ => {
            return Err(ClientError::Usage(
                "several invitations wait: name one of `ocmt guardian list`".to_owned(),
            )
            .into());
        }
    };
    let vault = context.vault(client, passphrase).await?;
    let accepted = vault.accept_guardianship(one.id).await?;
    let words = vault.person_keys().words().await?;
    let json = serde_json::json!({ "guardianship": accepted, "words": words });
    context.out.value(&json, || {
        format!(
            "You are a guardian of {} now. You cannot read anything of theirs.\n\n  {words}\n\nThey will call you and compare these words of yours. Then you need do nothing, until they lose their passphrase: you will get a mail, and you call them before you approve.",
            accepted.email
        )
    })
}

/// `opened` are the keys of one's vault, if it was opened for this.
async fn list(context: &Context, client: &Client, opened: Option<PersonKeys>) -> anyhow::Result<()> {
    let guarded = client.guardianships(Some(Side::Guardian)).await?;
    let requests = requests(client).await?;
    let me = client.identity()?;
    let own = match opened {
        Some(keys) => Some(keys),
        None => context.state.own_keys(me.tenant, me.user)?,
    };
    let words = match &own {
        Some(keys) if shown_alike(keys, &guarded) => Some(keys.words().await?),
        _ => None,
    };
    if context.out.json {
        let json = serde_json::json!({ "guardianships": guarded, "requests": requests, "words": words });
        return print(&serde_json::to_string_pretty(&json)?);
    }
    context.out.list(&guarded, &["GUARDIANSHIP", "OF", "COUNTS AS", "STATE", "LAST DRILL"], row)?;
    if guarded.iter().any(|one| one.keys.is_some()) {
        note(&match (words, own) {
            (Some(words), _) => format!("\nYour words, for owners who call: {words}"),
            (None, Some(_)) => OTHER_KEYS.to_owned(),
            (None, None) => UNKNOWN_WORDS.to_owned(),
        });
    }
    if guarded.iter().any(|one| one.challenge.is_some()) {
        note("A drill waits for you: `ocmt guardian answer`.");
    }
    for request in requests.iter().filter(|request| request.state.is_live()) {
        print("")?;
        print(&describe(request).await?)?;
        print(&next(request))?;
    }
    Ok(())
}

const UNKNOWN_WORDS: &str = "\nYour words, for owners who call, are on your guardian card; this device has not opened your vault yet: `ocmt guardian list --words`.";
const OTHER_KEYS: &str = "\nThe node shows other keys for you than your vault has: somebody may want a part of yours. Tell whom you guard to deal nothing to you, unless your vault was made anew; your own words are on your guardian card.";

/// Whether the node shows one's own keys and no others wherever it shows some.
fn shown_alike(own: &PersonKeys, guarded: &[Guardianship]) -> bool {
    let mut shown = guarded.iter().filter_map(|one| one.keys.as_ref());
    shown.all(|keys| keys.identity == own.signing && keys.sealing == own.sealing)
}

fn row(one: &Guardianship) -> Vec<String> {
    let state = match one.state {
        GuardianshipState::Invited => "asks you: `ocmt guardian accept`",
        GuardianshipState::Accepted => "accepted, you hold nothing yet",
        GuardianshipState::Dealt | GuardianshipState::Active => "you hold your part",
        GuardianshipState::Resigned | GuardianshipState::Ended => "ended",
    };
    vec![
        one.id.to_string(),
        one.email.clone(),
        one.units.to_string(),
        state.to_owned(),
        show::at(one.drilled_at),
    ]
}

fn next(request: &Ceremony) -> String {
    match request.state {
        CeremonyState::Proposed if request.lost_mailbox => lost_mailbox::guardian_next(request),
        CeremonyState::Proposed => format!(
            "An earlier request was stopped; this one goes on over that. Call {} on a number you already had. If it is them, the six words are the same, and the stop was wrong: `ocmt guardian override {}`. If not, do nothing.",
            request.owner_email,
            show::short(&request.id)
        ),
        CeremonyState::Open | CeremonyState::Ready => format!(
            "Call {} on a number you already had. If it is them and the six words are the same: `ocmt guardian approve {}`. If not: {}.",
            request.owner_email,
            show::short(&request.id),
            // a lock is refused by one that goes on over a stop
            if request.is_override() { "deny or doubt" } else { "deny, doubt or lock" }
        ),
        CeremonyState::Released => {
            "Enough guardians have approved; nothing is left for you to do.".to_owned()
        }
        over => ended(over).to_owned(),
    }
}

async fn approve(
    context: &Context,
    client: &Client,
    ceremony: Option<String>,
    heard: Option<String>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let id = asked(client, ceremony.as_deref()).await?.id;
    let vault = context.vault(client, passphrase).await?;
    let review = {
        let _waiting = waiting("checking the request");
        vault.review_ceremony(id).await?
    };
    if !agreed(&review.ceremony, heard).await? {
        return Ok(());
    }
    let after = vault.approve_ceremony(&review).await?;
    context.out.value(&after, || {
        let given = format!("Your part is given: {} of {} needed.", after.units_approved, after.units_needed);
        match after.releasable_at {
            Some(at) if at <= SystemClock.now() => {
                format!("{given} The waiting time is over; the owner can still stop it.")
            }
            at => format!("{given} It opens nothing before {}, and the owner can stop it.", show::when(at)),
        }
    })
}

/// Whether the guardian heard the request's six words from the person who asks.
async fn agreed(request: &Ceremony, heard: Option<String>) -> anyhow::Result<bool> {
    let words = request.words().await?;
    note(&describe(request).await?);
    match heard {
        Some(heard) if same_words(&heard, &words) => Ok(true),
        Some(_) => {
            let text = "the words you heard are not those of this request: do not agree to it. Whoever called you may be somebody else";
            Err(ClientError::Usage(text.to_owned()).into())
        }
        None => {
            note(&format!(
                "\nAsk the person on the telephone to read you the six words. They must be:\n\n  {words}\n"
            ));
            let question =
                format!("Did {} read exactly these to you, and did you know the voice?", request.owner_email);
            let yes = confirm(&question, "--words")?;
            if !yes {
                note("Nothing was done. If you are not sure, say so with `ocmt guardian doubt`.");
            }
            Ok(yes)
        }
    }
}

async fn sign_for(
    context: &Context,
    client: &Client,
    ceremony: Option<String>,
    heard: Option<String>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let mut proposed = requests(client).await?;
    proposed.retain(|request| request.state == CeremonyState::Proposed);
    let id = pick(ceremony.as_deref(), proposed)?.id;
    let vault = context.vault(client, passphrase).await?;
    let review = vault.review_ceremony(id).await?;
    if !agreed(&review.ceremony, heard).await? {
        return Ok(());
    }
    let after = vault.override_stop(&review).await?;
    context.out.value(&after, || {
        let signed = format!("You signed: {} of {} needed.", after.units_signed(), to_sign(&after));
        match after.state {
            CeremonyState::Proposed => {
                format!("{signed} The request begins when the others have signed too.")
            }
            _ => format!(
                "{signed} The request has begun, and the owner is told. Next: `ocmt guardian approve {}`.",
                show::short(&after.id)
            ),
        }
    })
}

/// Words as they are heard: in any case, with any spacing or punctuation between them.
pub(super) fn same_words(heard: &str, meant: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    words(heard) == words(meant)
}

async fn lock(
    context: &Context,
    client: &Client,
    ceremony: Option<String>,
    passphrase: &PassphraseArgs,
) -> anyhow::Result<()> {
    let id = asked(client, ceremony.as_deref()).await?.id;
    let (after, until) = context.vault(client, passphrase).await?.lock_ceremony(id).await?;
    let json = serde_json::json!({ "ceremony": after, "locked_until": until });
    context.out.value(&json, || {
        let until = until.map_or_else(|| "for a lock period".to_owned(), |at| format!("until {}", show::when(Some(at))));
        format!("Locked: nobody can recover this vault {until}. The owner and the other guardians are told. Call them.")
    })
}

async fn answer(context: &Context, client: &Client, passphrase: &PassphraseArgs) -> anyhow::Result<()> {
    let mut waiting_for = client.guardianships(Some(Side::Guardian)).await?;
    waiting_for.retain(|one| one.challenge.is_some());
    if waiting_for.is_empty() {
        return context.out.done("no drill waits for you");
    }
    let vault = context.vault(client, passphrase).await?;
    let mut answered = Vec::new();
    for one in &waiting_for {
        vault.answer_drill(one.id).await?;
        answered.push(one.email.clone());
    }
    context.out.value(&serde_json::json!({ "answered": answered }), || {
        format!("Answered: you could still help {}. Nothing of your part was shown.", answered.join(" and "))
    })
}

/// Requests that the user is asked about as a guardian.
async fn requests(client: &Client) -> Result<Vec<Ceremony>, ClientError> {
    let email = client.who_am_i().await?.email;
    let mut all = client.ceremonies(false).await?;
    all.retain(|ceremony| ceremony.owner_email != email);
    Ok(all)
}

async fn asked(client: &Client, named: Option<&str>) -> anyhow::Result<Ceremony> {
    let mut live = requests(client).await?;
    // one that goes on over a stop is signed for first, see `sign_for`; and may be doubted before that
    live.retain(|ceremony| ceremony.state.is_live());
    Ok(pick(named, live)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_heard_on_the_telephone_are_compared_as_words() {
        assert!(same_words("Zoo, able  baker\n", "zoo able baker"));
        assert!(!same_words("zoo able", "zoo able baker"));
        assert!(!same_words("able zoo baker", "zoo able baker"));
    }
}
