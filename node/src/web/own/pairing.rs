//! Who may talk to one's agents over a messenger: letting a sender through by the code that they were sent, refusing, taking it back.

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_actors::{
    ActorError,
    api::pairing::{
        ApprovePairing, ListPairedSenders, ListPendingPairings, PairedSender, PendingPairing, RejectPairing,
        RevokePairedSender,
    },
};
use ocmt_types::Secret;
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused, see_other},
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    MOST, act, behind, then,
    view::{OnePairing, OneSender, Pairings},
};

const HERE: &str = "/app/pairing";

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Who waits, behind this one.
    after: Option<String>,
    /// Who is let through, behind this one.
    senders: Option<String>,
    /// The code typed just now was not the one.
    wrong: Option<String>,
}

/// One page of those who wait, and one of those who are let through.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(wanted): Query<Wanted>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match gathered(&pages, &visitor, &guest, &wanted).await {
        Ok(page) => {
            let (csrf, cookie) = visitor.own_csrf();
            html(StatusCode::OK, &Pairings { csrf: &csrf, ..page }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(
    pages: &Pages,
    visitor: &Visitor,
    guest: &Guest,
    wanted: &Wanted,
) -> Result<Pairings<'static>, ActorError> {
    let after = behind(wanted.after.as_deref())?;
    let waiting = pages.ask(&guest.caller, ListPendingPairings { after, limit: MOST }).await?;
    let after = behind(wanted.senders.as_deref())?;
    let paired = pages.ask(&guest.caller, ListPairedSenders { after, limit: MOST }).await?;
    let frame = visitor.frame().of_user();
    Ok(Pairings {
        frame,
        waiting: waiting.pairings.into_iter().map(|one| waits(&frame, one)).collect(),
        next: waiting.next.map(|next| next.to_string()),
        further: wanted.after.is_some(),
        senders: paired.senders.into_iter().map(|one| through(&frame, one)).collect(),
        next_sender: paired.next.map(|next| next.to_string()),
        further_senders: wanted.senders.is_some(),
        wrong: wanted.wrong.is_some(),
        csrf: "",
    })
}

fn waits(frame: &Frame, one: PendingPairing) -> OnePairing {
    OnePairing {
        id: one.id.to_string(),
        name: one.display_name,
        channel: one.channel,
        sender: one.sender,
        container: one.container.to_string(),
        since: frame.at(one.requested_at),
        until: frame.at(one.expires_at),
    }
}

fn through(frame: &Frame, one: PairedSender) -> OneSender {
    OneSender {
        id: one.id.to_string(),
        name: one.display_name,
        channel: one.channel,
        sender: one.sender,
        container: one.container.to_string(),
        since: frame.at(one.approved_at),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    pairing: String,
    code: String,
    csrf: String,
}

/// Lets a sender through.
pub(super) async fn approve(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(typed): Form<Code>,
) -> Response {
    let asks = || Some(ApprovePairing { pairing: typed.pairing.parse().ok()?, code: bare(&typed.code) });
    match act(&pages, &visitor, &typed.csrf, asks).await {
        // said where it is typed again
        Err(error) if error.reason() == "WRONG_CODE" => see_other(&format!("{HERE}?wrong=1"), []),
        done => then(done.map(|_| HERE), &visitor),
    }
}

/// Without spaces and dashes that people put between.
fn bare(typed: &str) -> Secret<String> {
    let code = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    Secret::new(code.collect::<String>().to_uppercase())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    pairing: String,
    csrf: String,
}

/// Refuses a sender.
pub(super) async fn refuse(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(RejectPairing { pairing: one.pairing.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sender {
    sender: String,
    csrf: String,
}

/// Lets a sender through no longer.
pub(super) async fn revoke(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(one): Form<Sender>,
) -> Response {
    let asks = || Some(RevokePairedSender { sender: one.sender.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_taken_as_people_write_it() {
        for typed in ["ABCD2345", "abcd-2345", " ab cd 23 45 "] {
            assert_eq!(bare(typed).expose(), "ABCD2345");
        }
    }
}
