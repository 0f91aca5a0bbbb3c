//! Requests for one's own vault that are under way, and stopping them: session and a fresh sign-in are enough, no key is needed.

use axum::{
    Form,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::recovery::{CeremonyState, CeremonyView, VetoCeremony},
};
use ocmt_types::{Digest32, Timestamp};
use serde::Deserialize;

use super::{
    answer::{html, refused, see_other},
    asked,
    assets::Script,
    circle,
    frame::Frame,
    guardian::{agreed, coming, over_a_stop, said, state_of, under_way},
    pages::{Entered, Guest, Pages, Visitor},
    view::{OneCeremony, Recovery},
};

pub(super) const HERE: &str = "/app/recovery";
/// Asked for after a veto that came behind approvals.
const DEAL_ANEW: &str = "deal-anew";

/// All that are under way.
pub(super) async fn list(
    State(pages): State<Pages>,
    RawQuery(query): RawQuery,
    Entered { visitor, guest }: Entered,
) -> Response {
    let deal_anew = query.is_some_and(|query| query.split('&').any(|one| one == DEAL_ANEW));
    match gathered(&pages, &guest, &visitor).await {
        Ok(page) => {
            let (csrf, cookie) = visitor.own_csrf();
            html(StatusCode::OK, &Recovery { deal_anew, csrf: &csrf, ..page }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(pages: &Pages, guest: &Guest, visitor: &Visitor) -> Result<Recovery<'static>, ActorError> {
    let (frame, now) = (visitor.frame().of_user(), pages.clock.now());
    let all = under_way(pages, guest).await?;
    // the others are asked of the visitor as a guardian
    let own = all.iter().filter(|one| one.owner_email == guest.me.email);
    let ceremonies: Vec<OneCeremony> = own.map(|one| told(&frame, one, now)).collect();
    let asked = asked::last(pages, guest).await?.map(|one| asked::told(&frame, one, now));
    let circle = circle::of(pages, guest, &frame).await?;
    let frame = if ceremonies.is_empty() { frame } else { frame.running(Script::Recovery) };
    Ok(Recovery { frame, ceremonies, asked, circle, deal_anew: false, csrf: "" })
}

fn told(frame: &Frame, one: &CeremonyView, now: Timestamp) -> OneCeremony {
    OneCeremony {
        id: Digest32(one.id).to_string(),
        requester: one.requester_email.clone(),
        state: frame.say(state_of(one.state)).to_owned(),
        since: frame.at(one.opened_at),
        agreed: agreed(frame, one),
        opens: one
            .releasable_at
            .map_or_else(|| frame.say("request.not_yet").to_owned(), |time| frame.at(time)),
        ends: frame.at(one.expires_at),
        coming: coming(frame, one, now),
        acts: one.acts.iter().map(|act| said(frame, act)).collect(),
        lost: one.lost_mailbox.then(|| frame.put("recovery.lost", &one.requester_email)),
        unstopped: unstopped(one.state, over_a_stop(one)).map(|key| frame.say(key).to_owned()),
    }
}

/// Why no veto stops it, if none does: what to do instead has words of its own.
fn unstopped(state: CeremonyState, over_a_stop: Option<bool>) -> Option<&'static str> {
    match (state, over_a_stop) {
        (CeremonyState::Released, _) => Some("recovery.unstopped_released"),
        (_, Some(true)) => Some("recovery.unstopped_override"),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    ceremony: String,
    csrf: String,
}

/// Stops one.
pub(super) async fn veto(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let vetoed = async {
        let sender = pages.sender(&visitor, &one.csrf).await?;
        let id = HEXLOWER.decode(one.ceremony.as_bytes()).map_err(|_| ActorError::NotFound)?;
        let ceremony = Digest32::try_from(id.as_slice()).map_err(|_| ActorError::NotFound)?;
        let veto = VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() };
        pages.act(&sender, veto).await
    };
    match vetoed.await {
        Ok(vetoed) if vetoed.deal_anew => see_other(&format!("{HERE}?{DEAL_ANEW}"), []),
        Ok(_) => see_other(HERE, []),
        Err(error) => refused(&error, &visitor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_veto_is_offered_where_one_is_taken_and_nowhere_else() {
        for state in [CeremonyState::Open, CeremonyState::Ready] {
            assert_eq!(unstopped(state, Some(false)), None);
            assert_eq!(unstopped(state, Some(true)), Some("recovery.unstopped_override"));
        }
        assert_eq!(unstopped(CeremonyState::Released, Some(false)), Some("recovery.unstopped_released"));
        assert_eq!(unstopped(CeremonyState::Released, Some(true)), Some("recovery.unstopped_released"));
    }
}
