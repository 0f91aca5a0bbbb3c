//! `ocmt recovery`: what an owner does beforehand, and what somebody does who has lost the passphrase.
//!
//! The words here are for people who are worried: each command says what happened, what will happen next,
//! and when.

use ocmt_client::{
    Client, ClientError,
    recovery::{
        Ceremony, CeremonyState, Guardianship, GuardianshipState, RecoveryRequest, Side, identity_words,
        strength::{Chair, weaknesses},
    },
    vault::NotRenewed,
};
use ocmt_crypto::kdf::Cost;
use ocmt_types::Digest32;

use super::{
    args::{Asked, NewPassphraseArgs, RecoveryCommand, SetupArgs},
    context::Context,
    lost_mailbox,
    output::{confirm, note, print, waiting},
    recovery_stops, recovery_who, secrets, show,
    telling::{describe, describe_circle, ended, owner_next, requester_next},
    vault::not_renewed,
};

pub(super) async fn run(context: &Context, command: RecoveryCommand) -> anyhow::Result<()> {
    let client = match &command {
        // whoever has lost everything has no session yet
        RecoveryCommand::Begin { .. } => context.anonymous().await?,
        _ => context.client().await?,
    };
    match command {
        RecoveryCommand::Begin { over_stop } => {
            lost_mailbox::begin(context, &client, over_stop.as_deref()).await
        }
        RecoveryCommand::Setup(args) => Box::pin(setup(context, &client, args)).await,
        RecoveryCommand::Status => status(context, &client).await,
        RecoveryCommand::Who(args) => recovery_who::run(context, &client, &args).await,
        RecoveryCommand::Open { over_stop: false, .. } => open(context, &client).await,
        RecoveryCommand::Open { stopped, .. } => {
            recovery_stops::open_over(context, &client, stopped.as_deref()).await
        }
        RecoveryCommand::Watch { resume } => recovery_stops::watch(context, &client, &resume).await,
        RecoveryCommand::Collect { ceremony } => collect(context, &client, ceremony).await,
        RecoveryCommand::Complete { ceremony, new } => {
            Box::pin(complete(context, &client, ceremony, &new)).await
        }
        RecoveryCommand::Cancel { ceremony } => {
            let id = own_live(&client, ceremony.as_deref()).await?.id;
            let ended = client.cancel_ceremony(id).await?;
            context.state.forget_request(id)?;
            context.out.value(&ended, || {
                "given up: the guardians are told, and nothing can be opened with it".to_owned()
            })
        }
        RecoveryCommand::Veto { ceremony, retire_guardians: false, .. } => {
            veto(context, &client, ceremony).await
        }
        RecoveryCommand::Veto { ceremony, passphrase, .. } => {
            Box::pin(recovery_stops::retire(context, &client, ceremony.as_deref(), &passphrase)).await
        }
        RecoveryCommand::TakeBack { guardian: Some(guardian), .. } => {
            recovery_stops::take_back(context, &client, &guardian).await
        }
        RecoveryCommand::TakeBack { guardian: None, .. } => {
            recovery_stops::take_change_back(context, &client).await
        }
        RecoveryCommand::Drill => drill(context, &client).await,
    }
}

async fn setup(context: &Context, client: &Client, args: SetupArgs) -> anyhow::Result<()> {
    if let Some(heavy) = args.guardian.iter().find(|asked| asked.units >= u32::from(args.need)) {
        let text =
            format!("{} alone would be enough: everybody must count as less than {}", heavy.email, args.need);
        return Err(ClientError::Usage(text).into());
    }
    warn_of_weak(client, &args).await?;
    let mut vault = context.vault(client, &args.passphrase).await?;
    let known = client.guardianships(Some(Side::Owner)).await?;
    for asked in &args.guardian {
        if !known.iter().any(|guardian| guardian.email.eq_ignore_ascii_case(&asked.email)) {
            vault.invite_guardian(&asked.email, asked.units).await?;
            note(&format!("{} was asked to be your guardian.", asked.email));
        }
    }
    let mut chosen = client.guardianships(Some(Side::Owner)).await?;
    chosen.retain(|guardian| {
        args.guardian.iter().any(|asked| guardian.email.eq_ignore_ascii_case(&asked.email))
    });
    let missing: Vec<_> = chosen.iter().filter(|guardian| !guardian.state.can_hold_units()).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|guardian| guardian.email.as_str()).collect();
        note(&format!(
            "Not ready yet: {} still {} to accept (`ocmt guardian accept`, with a vault of their own).\nRun this command again when they have; until then nobody can give your vault back.",
            names.join(" and "),
            if names.len() == 1 { "has" } else { "have" },
        ));
        return context.out.list(&chosen, GUARDIANS, guardian_row);
    }
    if !args.yes && !compared(&chosen).await? {
        note("Nothing was done.");
        return Ok(());
    }
    let delays = if args.policy_delays {
        client.policy_delays().await?
    } else {
        client.delays_to_deal(vault.id()).await?
    };
    if delays.check(false).is_err() && !args.short_delays {
        let text = "the tenant's waiting times are under an hour, or do not fit together: set them with `ocmt tenant policy`, or add --short-delays in development";
        return Err(ClientError::Usage(text.to_owned()).into());
    }
    let dealt = {
        let _waiting = waiting("sharing a recovery key among your guardians");
        Box::pin(vault.deal_shares(args.need, &chosen, delays, args.short_delays)).await
    };
    let set = match dealt {
        Err(error) if error.reason().as_deref() == Some("CHANGE_WAITS") => {
            return recovery_stops::change_waits(context, &error);
        }
        dealt => dealt?,
    };
    let total: u32 = chosen.iter().map(|guardian| guardian.units).sum();
    let wait = show::span(std::time::Duration::from_millis(delays.recovery_ms));
    let json =
        serde_json::json!({ "set": set, "need": args.need, "of": total, "delay_ms": delays.recovery_ms });
    context.out.value(&json, || {
        format!(
            "Done. {} of {total} can now give your vault back to you. When somebody asks them to, you are told at once and have {wait} to stop it with `ocmt recovery veto`.",
            args.need
        )
    })
}

/// Says what is weak about the guardians to be, before anybody is asked.
async fn warn_of_weak(client: &Client, args: &SetupArgs) -> anyhow::Result<()> {
    let owner = client.who_am_i().await?.email;
    let chair = |asked: &Asked| Chair { email: asked.email.clone(), units: asked.units };
    let chairs: Vec<Chair> = args.guardian.iter().map(chair).collect();
    for weak in weaknesses(&owner, &chairs, u32::from(args.need)) {
        note(&format!("Weak: {}", recovery_who::in_words(&weak)));
    }
    Ok(())
}

/// Whether the owner has compared each guardian's words.
async fn compared(guardians: &[Guardianship]) -> anyhow::Result<bool> {
    note("Call each guardian and compare these words; theirs are in `ocmt guardian list`:");
    for guardian in guardians {
        let Some(keys) = guardian.keys else { continue };
        note(&format!("  {}: {}", guardian.email, identity_words(keys.identity, keys.sealing).await?));
    }
    confirm("Are they all the same?", "--yes")
}

const GUARDIANS: &[&str] = &["GUARDIAN", "COUNTS AS", "STATE", "LAST DRILL"];

fn guardian_row(guardian: &Guardianship) -> Vec<String> {
    let state = match guardian.state {
        GuardianshipState::Invited => "asked, has not answered",
        GuardianshipState::Accepted => "said yes, holds nothing yet",
        GuardianshipState::Dealt => "its part is on the way",
        GuardianshipState::Active => "holds its part",
        GuardianshipState::Resigned => "stopped",
        GuardianshipState::Ended => "ended",
    };
    vec![guardian.email.clone(), guardian.units.to_string(), state.to_owned(), show::at(guardian.drilled_at)]
}

async fn status(context: &Context, client: &Client) -> anyhow::Result<()> {
    let me = client.who_am_i().await?;
    let in_recovery = me.is_of_recovery();
    let circle = client.circle(None).await?;
    let guardians = if in_recovery { Vec::new() } else { client.guardianships(Some(Side::Owner)).await? };
    let mut ceremonies = client.ceremonies(false).await?;
    // a session for recovery is shown its own alone, and may be at another address
    ceremonies.retain(|ceremony| in_recovery || ceremony.owner_email == me.email);
    if context.out.json {
        let json = serde_json::json!({ "guardians": guardians, "set": circle, "ceremonies": ceremonies });
        return print(&serde_json::to_string_pretty(&json)?);
    }
    print(&describe_circle(circle.as_ref()))?;
    if !guardians.is_empty() {
        print("")?;
        context.out.list(&guardians, GUARDIANS, guardian_row)?;
    }
    for ceremony in ceremonies.iter().take(5) {
        print("")?;
        print(&describe(ceremony).await?)?;
        print(&if in_recovery { requester_next(ceremony) } else { owner_next(ceremony) })?;
    }
    Ok(())
}

async fn open(context: &Context, client: &Client) -> anyhow::Result<()> {
    let (request, opened) = {
        let _waiting = waiting("asking your guardians");
        client.open_ceremony(None, &context.state).await?
    };
    let words = request.words().await?;
    let json = serde_json::json!({ "ceremony": opened, "words": words });
    context.out.value(&json, || {
        format!(
            "Your guardians are asked, and every known address of the owner is told.\n\n  {words}\n\nNow call each guardian. They see six words too: they approve only if you read these to them. They never ask you for a passphrase.\n{}\nThis device keeps the key of this request: go on with it here.",
            requester_next(&opened)
        )
    })
}

async fn collect(context: &Context, client: &Client, ceremony: Option<String>) -> anyhow::Result<()> {
    let request = own_request(context, client, ceremony.as_deref()).await?;
    released(client, request.id()).await?;
    let recovered = {
        let _waiting = waiting("opening the vault with your guardians' parts");
        request.collect(client, &context.state).await?
    };
    let entries = recovered.vault().list().await?.len();
    let json = serde_json::json!({ "opens": true, "entries": entries, "bad": recovered.bad() });
    context.out.value(&json, || {
        let bad =
            recovered.bad().iter().map(|bad| format!("\nLeft out: {}: {}", bad.guardian_email, bad.why));
        format!(
            "The vault opens, with {} in it. Nothing was changed. Next: `ocmt recovery complete`.{}",
            show::count(entries, "secret"),
            bad.collect::<String>()
        )
    })
}

async fn complete(
    context: &Context,
    client: &Client,
    ceremony: Option<String>,
    new: &NewPassphraseArgs,
) -> anyhow::Result<()> {
    let request = own_request(context, client, ceremony.as_deref()).await.map_err(perhaps_done)?;
    released(client, request.id()).await?;
    let session = context.session()?;
    let passphrase = secrets::new_passphrase(new, &[&session.email])?;
    let (ended, bad, left) = {
        let _waiting = waiting("opening the vault and encrypting everything under new keys");
        let recovered = request.collect(client, &context.state).await?;
        let bad = recovered.bad().to_vec();
        // before the session ends; one that is good for the recovery alone is told nothing of containers
        let left = recovered.vault().not_renewed_by_recovery().await.ok();
        (Box::pin(recovered.complete(passphrase, Cost::DEFAULT, &context.state)).await?, bad, left)
    };
    context.state.forget_session(&session.endpoint, session.user)?;
    let rests = left.as_ref().map(|left| left.schedules.iter().map(|(id, _)| id).collect::<Vec<_>>());
    let json = serde_json::json!({ "completed": true, "ended_sessions": ended, "bad": bad, "rests": rests });
    context.out.value(&json, || completed(left.as_ref()))
}

/// That it is done, what is next, and what goes by the keys of before.
fn completed(left: Option<&NotRenewed>) -> String {
    let done = "Done. The vault is yours again, under the new passphrase; the old one opens nothing.\nAll sessions have ended, this one too. Next: `ocmt login`, then `ocmt recovery setup`: your guardians' parts are used up.";
    let left = match left {
        Some(left) => not_renewed(left),
        None => vec![
            "Snapshots by schedule rest until you set them again (`ocmt snapshot schedule set CRON`), and a sealed volume is under its key of before until its next unlock.".to_owned(),
        ],
    };
    [vec![done.to_owned()], left].concat().join("\n")
}

/// The session ends with the completion: whoever was cut off before its answer finds that here.
fn perhaps_done(error: anyhow::Error) -> anyhow::Error {
    let reason = error.downcast_ref::<ClientError>().and_then(ClientError::reason);
    if reason.as_deref() != Some("UNAUTHENTICATED") {
        return error;
    }
    let text = "this session has ended. If `complete` was cut off before, it may have been done all the same: `ocmt login`, and open the vault with the new passphrase";
    ClientError::Usage(text.to_owned()).into()
}

async fn veto(context: &Context, client: &Client, ceremony: Option<String>) -> anyhow::Result<()> {
    let found = own_live(client, ceremony.as_deref()).await?;
    let (stopped, deal_anew) = client.veto_ceremony(found.id).await?;
    let json = serde_json::json!({ "ceremony": stopped, "deal_anew": deal_anew });
    context.out.value(&json, || {
        let more = if deal_anew {
            " Some guardians had approved already: run `ocmt recovery setup` again, so that what they gave opens nothing."
        } else {
            ""
        };
        format!(
            "Stopped: nobody can open your vault with this request.{more}\nIf you did not ask for it, somebody can read mail to {}: change that password, then `ocmt sessions revoke-others`.",
            stopped.requester_email
        )
    })
}

async fn drill(context: &Context, client: &Client) -> anyhow::Result<()> {
    let mut guardians = client.guardianships(Some(Side::Owner)).await?;
    guardians.retain(|guardian| guardian.state == GuardianshipState::Active);
    for guardian in &guardians {
        client.challenge_guardian(guardian).await?;
    }
    context.out.list(&guardians, GUARDIANS, guardian_row)?;
    if !context.out.json && !guardians.is_empty() {
        note(
            "Asked. Each answers with `ocmt guardian answer` within seven days; see `ocmt recovery status`.",
        );
    }
    Ok(())
}

/// The one ceremony that `named` begins, or the only one.
pub(super) fn pick(named: Option<&str>, mut found: Vec<Ceremony>) -> Result<Ceremony, ClientError> {
    found.retain(|ceremony| named.is_none_or(|named| ceremony.id.to_string().starts_with(named)));
    let count = found.len();
    match (found.pop(), count) {
        (Some(only), 1) => Ok(only),
        (None, _) => Err(ClientError::Usage("there is no such request".to_owned())),
        (Some(_), _) => Err(ClientError::Usage(
            "there are several requests: name one by the beginning of its id".to_owned(),
        )),
    }
}

async fn own_live(client: &Client, named: Option<&str>) -> anyhow::Result<Ceremony> {
    let me = client.who_am_i().await?;
    let mut live = client.ceremonies(true).await?;
    live.retain(|ceremony| me.is_of_recovery() || ceremony.owner_email == me.email);
    Ok(pick(named, live)?)
}

/// The request of this device that `named` begins, or the only one that still goes on. Those that have
/// ended are forgotten, keys and all.
async fn own_request(
    context: &Context,
    client: &Client,
    named: Option<&str>,
) -> anyhow::Result<RecoveryRequest> {
    let (mut own, mut over) = (Vec::new(), None);
    for told in client.ceremonies(false).await? {
        if context.state.request(told.id)?.is_none() {
            continue;
        }
        if told.state.is_live() {
            own.push(told);
        } else {
            context.state.forget_request(told.id)?;
            over.get_or_insert(told.state);
        }
    }
    if own.is_empty() {
        let text = match over {
            Some(state) => ended(state),
            None => {
                "this device has no such request: go on where you ran `ocmt recovery open`, or run it here"
            }
        };
        return Err(ClientError::Usage(text.to_owned()).into());
    }
    let id = pick(named, own)?.id;
    Ok(context.state.request(id)?.ok_or(ClientError::Answer("ceremony_id"))?)
}

/// Whether the guardians' parts can be collected; says what is missing otherwise.
async fn released(client: &Client, ceremony: Digest32) -> anyhow::Result<()> {
    let now = client.ceremony(ceremony).await?;
    if now.state == CeremonyState::Released {
        return Ok(());
    }
    Err(ClientError::Usage(format!("not yet. {}", requester_next(&now))).into())
}

#[cfg(test)]
mod tests {
    use ocmt_types::{ContainerId, Id as _};

    use super::*;

    #[test]
    fn a_completed_recovery_says_which_schedules_rest_or_that_each_does() {
        let nothing = completed(Some(&NotRenewed::default()));
        assert!(nothing.starts_with("Done.") && !nothing.contains("rest"), "{nothing}");
        let one = ContainerId::from_bytes([1; 16]);
        let schedules = vec![(one, "the vault has other keys".to_owned())];
        let told = completed(Some(&NotRenewed { schedules, volumes: vec![one] }));
        assert!(told.contains(&format!("`ocmt snapshot schedule set CRON --container {one}`")), "{told}");
        assert!(told.contains(&format!("`ocmt container unlock {one}`")), "{told}");
        assert!(completed(None).contains("Snapshots by schedule rest until you set them again"));
    }
}
