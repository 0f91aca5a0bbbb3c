//! Who wants to open one's vault with a backup key or a hardware token, and refusing it: session and a fresh sign-in are enough,
//! no key is needed.

use axum::{Form, extract::State, response::Response};
use ocmt_actors::{
    ActorError,
    api::vault::{GetVault, RefuseSlotRequest, SlotRequest},
};
use ocmt_crypto::slot::SlotKind;
use ocmt_types::Timestamp;
use serde::Deserialize;

use super::{
    answer::{refused, see_other},
    frame::Frame,
    pages::{Guest, Pages, Visitor},
    recovery::HERE,
    view::OneAsked,
};

/// What was asked for last; none without a vault, or in a session that is not shown it.
pub(super) async fn last(pages: &Pages, guest: &Guest) -> Result<Option<SlotRequest>, ActorError> {
    match pages.ask(&guest.caller, GetVault { vault: None }).await {
        Ok(vault) => Ok(vault.request),
        Err(ActorError::NotFound | ActorError::PermissionDenied(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn told(frame: &Frame, one: SlotRequest, now: Timestamp) -> OneAsked {
    OneAsked {
        id: one.id.to_string(),
        with: frame.say(with(one.kind)).to_owned(),
        state: frame.say(state(&one, now)).to_owned(),
        client: one.client,
        since: frame.at(one.asked_at),
        opens: frame.at(one.ready_at),
        ends: frame.at(one.expires_at),
        refused: one.refused,
        handed_out: one.handed_out,
    }
}

fn with(kind: Option<SlotKind>) -> &'static str {
    match kind {
        Some(SlotKind::Backup) => "slots.with_backup",
        Some(SlotKind::Hardware) => "slots.with_hardware",
        _ => "slots.with_any",
    }
}

fn state(one: &SlotRequest, now: Timestamp) -> &'static str {
    match one {
        SlotRequest { refused: true, .. } => "slots.is_refused",
        SlotRequest { handed_out: true, .. } => "slots.is_handed_out",
        SlotRequest { ready_at, .. } if now < *ready_at => "slots.is_waiting",
        _ => "slots.is_ready",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    request: String,
    csrf: String,
}

/// Refuses the one that the page showed, and no other that came since.
pub(super) async fn refuse(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let done = async {
        let sender = pages.sender(&visitor, &one.csrf).await?;
        let request = Some(one.request.parse().map_err(|_| ActorError::NotFound)?);
        pages.act(&sender, RefuseSlotRequest { vault: None, request }).await
    };
    match done.await {
        Ok(_) => see_other(HERE, []),
        Err(error) => refused(&error, &visitor),
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::{HandoutId, Id as _};

    use super::*;

    #[test]
    fn where_it_stands_is_said() {
        let asked = SlotRequest {
            id: HandoutId::from_bytes([1; 16]),
            kind: Some(SlotKind::Backup),
            asked_at: Timestamp(1_000),
            ready_at: Timestamp(5_000),
            expires_at: Timestamp(9_000),
            refused: false,
            handed_out: false,
            client: "ocmt".to_owned(),
        };
        assert_eq!(state(&asked, Timestamp(4_999)), "slots.is_waiting");
        assert_eq!(state(&asked, Timestamp(5_000)), "slots.is_ready");
        let out = SlotRequest { handed_out: true, ..asked };
        assert_eq!(state(&out, Timestamp(5_000)), "slots.is_handed_out");
        assert_eq!(state(&SlotRequest { refused: true, ..out }, Timestamp(5_000)), "slots.is_refused");
    }
}
