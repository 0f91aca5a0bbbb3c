//! `ocmt group vault share-key`, `unlock`, `approve`, `deny`, `cancel`, `unlocks`: a vault that several open together.

use std::time::Duration;

use ocmt_client::{
    ClientError,
    group_vault::{GroupVault, Participant, Unlock},
    recovery::CeremonyState,
    vault::Vault,
};
use ocmt_types::GroupId;
use serde_json::json;

use super::cell;
use crate::cli::{
    context::Context,
    guardian::same_words,
    output::{confirm, note, waiting},
    show,
};

pub(super) async fn share_key(
    context: &Context,
    mut open: GroupVault<'_>,
    need: u8,
    holders: &[Participant],
    keep_cell: bool,
) -> anyhow::Result<()> {
    let appointed = cell::stays(&open, keep_cell).await?;
    let holders = {
        let _waiting = waiting("encrypting everything under a shared key");
        open.share_key(need, holders).await?
    };
    cell::again(&mut open, appointed).await;
    let told = json!({ "needed": need, "parts": holders, "vault": open.secrets().id().to_string() });
    context.out.value(&told, || {
        format!("from now on {need} of {holders} administrators open it together: `ocmt group vault unlock` asks them")
    })
}

pub(super) async fn ask(
    context: &Context,
    own: &Vault,
    group: GroupId,
    lasts: Duration,
    into_cell: bool,
) -> anyhow::Result<()> {
    if into_cell {
        return cell::ask(context, own, group, lasts).await;
    }
    let asked = own.ask_for_unlock(group, lasts).await?;
    let words = asked.words().await?;
    if context.out.json {
        return context.out.value(&json!({ "unlock": asked, "words": words }), String::new);
    }
    // shorter than what was asked for now: asked for before
    if asked.lasts() != lasts {
        note(&format!(
            "You have asked for {} before, and that is not over: `ocmt group vault cancel` gives it up.",
            humantime(asked.lasts())
        ));
    }
    if asked.state == CeremonyState::Released {
        note(&format!("It is open on this device until {}.", show::when(Some(asked.expires_at))));
        return context.out.done("open");
    }
    note(&format!(
        "Asked: {} of {} have approved, you among them. Call the others on a number you already had, and read them these \
         six words:\n\n  {words}\n\nThen they run `ocmt group vault approve`. It lasts until {}.",
        asked.approved,
        asked.needed,
        show::when(Some(asked.expires_at))
    ));
    context.out.done("asked")
}

pub(super) async fn approve(
    context: &Context,
    own: &Vault,
    group: GroupId,
    which: Option<&str>,
    heard: Option<&str>,
) -> anyhow::Result<()> {
    let asked = pick(own, group, which, is_asked).await?;
    let review = own.review_unlock(group, asked.id).await?;
    let (unlock, words) = (&review.unlock, review.unlock.words().await?);
    note(&format!(
        "{} asks to open the group's vault for {}, until {}.",
        unlock.requester_email,
        humantime(unlock.lasts()),
        show::when(Some(unlock.expires_at))
    ));
    match &review.cell {
        Some(asked) => note(&cell::told(asked)),
        None => note("It goes to their own device, which then has the vault's key and all secrets."),
    }
    match heard {
        Some(heard) if same_words(heard, &words) => {}
        Some(_) => {
            let text = "the words you heard are not those of this unlock: do not approve it. Whoever called you may be \
                        somebody else";
            return Err(ClientError::Usage(text.to_owned()).into());
        }
        None => {
            note(&format!(
                "\nAsk them on the telephone to read you the six words. They must be:\n\n  {words}\n"
            ));
            if !confirm("Did they read exactly these, and did you know the voice?", "--words")? {
                note("Nothing was done. `ocmt group vault deny` refuses it.");
                return Ok(());
            }
        }
    }
    let after = own.approve_unlock(group, &review).await?;
    if after.into_cell() && after.state == CeremonyState::Released {
        return cell::open(context, own, group, after.id).await;
    }
    context
        .out
        .value(&after, || format!("Your part is given: {} of {} needed.", after.approved, after.needed))
}

pub(super) async fn deny(
    context: &Context,
    own: &Vault,
    group: GroupId,
    which: Option<&str>,
) -> anyhow::Result<()> {
    // one that is released too: who holds a part ends it
    let asked = pick(own, group, which, Unlock::is_live).await?;
    let after = own.deny_unlock(group, asked.id).await?;
    context.out.value(&after, || format!("refused what {} asked for", after.requester_email))
}

pub(super) async fn cancel(
    context: &Context,
    own: &Vault,
    group: GroupId,
    which: Option<&str>,
) -> anyhow::Result<()> {
    let email = own.client().who_am_i().await?.email;
    let asked = pick(own, group, which, |one| one.is_live() && one.requester_email == email).await?;
    let after = own.cancel_unlock(group, asked.id).await?;
    context.out.value(&after, || "given up; if it was released, new keys are due".to_owned())
}

pub(super) async fn list(context: &Context, own: &Vault, group: GroupId) -> anyhow::Result<()> {
    let unlocks = own.group_unlocks(group).await?;
    context.out.list(&unlocks, &["UNLOCK", "ASKED FOR BY", "STATE", "APPROVED", "SAID", "UNTIL"], |one| {
        let said = one.acts.iter().map(|act| {
            let what = if act.approved { "yes" } else { "no" };
            format!("{} {what}", act.email)
        });
        vec![
            show::short(&one.id),
            one.requester_email.clone(),
            cell::state(one),
            format!("{} of {}", one.approved, one.needed),
            said.collect::<Vec<_>>().join(", "),
            show::at(Some(one.expires_at)),
        ]
    })
}

/// The unlock whose id begins with these digits; without any, the only one that fits.
pub(super) async fn pick(
    own: &Vault,
    group: GroupId,
    digits: Option<&str>,
    fits: impl Fn(&Unlock) -> bool,
) -> Result<Unlock, ClientError> {
    let mut unlocks = own.group_unlocks(group).await?;
    unlocks.retain(|one| match digits {
        Some(digits) => one.id.to_string().starts_with(digits),
        None => fits(one),
    });
    match (unlocks.len(), unlocks.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) => Err(ClientError::Usage(
            "there is none of which you could say this: see `ocmt group vault unlocks`".to_owned(),
        )),
        _ => Err(ClientError::Usage(
            "several fit: name one with --unlock and the first digits from `ocmt group vault unlocks`"
                .to_owned(),
        )),
    }
}

/// What can still be decided about.
fn is_asked(unlock: &Unlock) -> bool {
    unlock.state == CeremonyState::Open
}

pub(super) fn humantime(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
