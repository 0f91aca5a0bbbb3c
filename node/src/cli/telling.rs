//! Guardians and ceremonies in words: where they stand, what comes next, and when.

use ocmt_client::recovery::{Ceremony, CeremonyState, Circle};
use ocmt_types::{Clock as _, SystemClock};

use super::show;

/// The guardians of the caller's vault.
pub(super) fn describe_circle(circle: Option<&Circle>) -> String {
    let Some(circle) = circle else {
        return "Your vault has no guardians: if you lose the passphrase, it is lost. See `ocmt recovery setup --help`."
            .to_owned();
    };
    let locked = circle
        .locked_until
        .map(|until| format!(" A guardian has locked recovery until {}.", show::when(Some(until))));
    format!(
        "{} of {} parts, held by {} guardians since {}, open your vault.{}",
        circle.threshold,
        circle.units,
        circle.guardians,
        show::at(circle.dealt_at),
        locked.unwrap_or_default()
    )
}

/// What a ceremony is and where it stands, for everybody who has to do with it.
pub(super) async fn describe(ceremony: &Ceremony) -> anyhow::Result<String> {
    let words = if ceremony.state.is_live() { ceremony.words().await? } else { String::new() };
    let mut text = show::facts(&[
        ("request", show::short(&ceremony.id)),
        ("state", format!("{:?}", ceremony.state).to_lowercase()),
        ("vault of", ceremony.owner_email.clone()),
        ("asked by", ceremony.requester_email.clone()),
        ("since", show::when(ceremony.opened_at)),
        ("six words", words),
        ("approved", format!("{} of {} needed", ceremony.units_approved, ceremony.units_needed)),
        ("over a stop", over_stop(ceremony)),
        ("mailbox lost", lost_mailbox(ceremony)),
    ]);
    for act in &ceremony.acts {
        text.push_str(&format!("\n  {} {} {}", show::at(act.at), act.by(), act.kind));
    }
    Ok(text)
}

/// Of one that goes on over a stop, who signed for it; empty for others, and left out.
fn over_stop(ceremony: &Ceremony) -> String {
    if !ceremony.is_override() {
        return String::new();
    }
    format!("yes, {} of {} signed for it", ceremony.units_signed(), ceremony.units_needed + 1)
}

/// Of one whose owner has lost the mailbox too, who signed for it; empty for others, and left out.
fn lost_mailbox(ceremony: &Ceremony) -> String {
    if !ceremony.lost_mailbox {
        return String::new();
    }
    let (signed, of) = (ceremony.units_signed(), ceremony.units_to_sign().unwrap_or(0));
    let address = &ceremony.requester_email;
    format!(
        "yes, says a guardian; {signed} of {of} signed for {address}, which becomes the account's address"
    )
}

/// What comes next for whoever asked.
pub(super) fn requester_next(ceremony: &Ceremony) -> String {
    let waited = ceremony.releasable_at.is_some_and(|at| at <= SystemClock.now());
    let earliest = show::when(ceremony.releasable_at);
    let missing = ceremony.units_needed.saturating_sub(ceremony.units_approved);
    match ceremony.state {
        CeremonyState::Proposed => format!(
            "Next: call your guardians. {} of {} have signed for it with `ocmt guardian {}`; with the last of them it begins, and then they approve as usual.",
            ceremony.units_signed(),
            ceremony.units_to_sign().unwrap_or(0),
            if ceremony.is_override() { "override" } else { "sign" }
        ),
        CeremonyState::Open if ceremony.releasable_at.is_none() => {
            format!(
                "Next: {missing} more must approve. The waiting time begins when the owner has been told."
            )
        }
        CeremonyState::Open if waited => {
            format!(
                "Next: {missing} more must approve; then the vault opens at once. The waiting time is over."
            )
        }
        CeremonyState::Open => format!(
            "Next: {missing} more must approve. However fast they are, nothing opens before {earliest}."
        ),
        CeremonyState::Ready if waited => "Next: enough have approved; it is released any moment.".to_owned(),
        CeremonyState::Ready => {
            format!("Next: enough have approved. The vault opens {earliest}, unless its owner stops it.")
        }
        CeremonyState::Released => {
            format!("Next: run `ocmt recovery complete` before {}.", show::when(ceremony.expires_at))
        }
        over => ended(over).to_owned(),
    }
}

/// What comes next for the owner of the vault.
pub(super) fn owner_next(ceremony: &Ceremony) -> String {
    match ceremony.state {
        CeremonyState::Proposed | CeremonyState::Open | CeremonyState::Ready | CeremonyState::Released
            if ceremony.is_override() =>
        {
            "Your guardians go on over a stop, so a veto does not end it. If this was not you, open your vault and dismiss them all: `ocmt recovery veto --retire-guardians`.".to_owned()
        }
        CeremonyState::Proposed if ceremony.lost_mailbox => format!(
            "A guardian says that you have lost your mailbox and are reached at {}. If this was not you, stop it now: `ocmt recovery veto {}`, and call your guardians.",
            ceremony.requester_email,
            show::short(&ceremony.id)
        ),
        CeremonyState::Open | CeremonyState::Ready => format!(
            "If this was not you, stop it now: `ocmt recovery veto {}`. It cannot open your vault before {}.",
            show::short(&ceremony.id),
            show::when(ceremony.releasable_at)
        ),
        CeremonyState::Released => format!(
            "The waiting time is over. If this was not you, stop it at once: `ocmt recovery veto {}`.",
            show::short(&ceremony.id)
        ),
        over => ended(over).to_owned(),
    }
}

pub(super) fn ended(state: CeremonyState) -> &'static str {
    match state {
        CeremonyState::Proposed | CeremonyState::Open | CeremonyState::Ready | CeremonyState::Released => {
            "It is still going on."
        }
        CeremonyState::Completed => "It is over: the vault was given back under a new passphrase.",
        CeremonyState::Denied => "It is over: too many guardians said no.",
        CeremonyState::Vetoed => {
            "It is over: the owner stopped it. If that was not the owner: `ocmt login --recovery`, then `ocmt recovery open --over-stop`."
        }
        CeremonyState::Locked => {
            "It is over: a guardian locked recovery. Talk to your guardians; it can be asked for again when the lock ends, or over it: `ocmt login --recovery`, then `ocmt recovery open --over-stop`."
        }
        CeremonyState::Expired => "It is over: it ran out of time. It can be asked for again.",
        CeremonyState::Cancelled => "It is over: it was given up.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_ceremony_says_why_it_is_over() {
        use CeremonyState as S;
        for state in [S::Completed, S::Denied, S::Vetoed, S::Locked, S::Expired, S::Cancelled] {
            assert!(!state.is_live() && ended(state).starts_with("It is over: "), "{state:?}");
        }
    }
}
