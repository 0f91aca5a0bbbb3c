//! Where the tenant's alerts go. Only a channel that takes no secret is made here, an address of somebody of the tenant: URLs and keys
//! that work for whoever has them go from a file into `ocmt alert put`, and not through a browser's form and its memory.

use axum::{Form, extract::State, http::StatusCode, response::Response};
use ocmt_actors::{
    ActorError,
    api::alert::{
        AlertKind, ChannelInfo, DeleteChannel, ListChannels, PutChannel, SendTestAlert, Severity, Tried,
    },
};
use ocmt_proto::{bounds, v1 as pb};
use ocmt_types::{AlertChannelId, Secret};
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    act, then,
    view::{Alerts, OneChannel, Trial},
};

const HERE: &str = "/app/alerts";

/// All of them: they are few.
pub(super) async fn list(State(pages): State<Pages>, Entered { visitor, guest }: Entered) -> Response {
    listed(&pages, &visitor, &guest, None).await
}

async fn listed(pages: &Pages, visitor: &Visitor, guest: &Guest, trial: Option<Trial>) -> Response {
    match pages.ask(&guest.caller, ListChannels).await {
        Ok(all) => {
            let frame = visitor.frame().of_user();
            let (csrf, cookie) = visitor.own_csrf();
            let channels = all.into_iter().map(|one| row(&frame, one)).collect();
            let page = Alerts { frame, email: &guest.me.email, channels, trial, csrf: &csrf };
            html(StatusCode::OK, &page, [cookie])
        }
        Err(error) => refused(&error, visitor),
    }
}

fn row(frame: &Frame, one: ChannelInfo) -> OneChannel {
    let least = match one.min_severity {
        Severity::Info => "severity.info",
        Severity::Warning => "severity.warning",
        Severity::Critical => "severity.critical",
    };
    OneChannel {
        id: one.id.to_string(),
        name: one.name,
        kind: kind(frame, &one.kind).to_owned(),
        hint: one.hint,
        least: frame.say(least).to_owned(),
        actions: one.actions.join(" "),
        tried: one.verified_at.map_or_else(|| frame.say("alert.untried").to_owned(), |time| frame.at(time)),
    }
}

/// As its maker calls it.
fn kind<'a>(frame: &Frame, kind: &'a str) -> &'a str {
    match kind {
        "email" => frame.say("alert.letters"),
        "slack" => "Slack",
        "discord" => "Discord",
        "pagerduty" => "PagerDuty",
        "webhook" => "Webhook",
        other => other,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    name: String,
    email: String,
    least: String,
    csrf: String,
}

/// Makes a channel of letters.
pub(super) async fn add(State(pages): State<Pages>, visitor: Visitor, Form(wish): Form<Wish>) -> Response {
    let made = async {
        let sender = pages.sender(&visitor, &wish.csrf).await?;
        pages.act(&sender, wanted(&wish)?).await
    };
    then(made.await.map(|_| HERE), &visitor)
}

/// What is asked for, within the bounds that the wire has for it.
fn wanted(wish: &Wish) -> Result<PutChannel, ActorError> {
    let (name, target) = (wish.name.trim().to_owned(), wish.email.trim().to_owned());
    let min_severity = match wish.least.as_str() {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "critical" => Severity::Critical,
        _ => return Err(ActorError::invalid("least", "is none of info, warning and critical")),
    };
    let as_sent = pb::PutChannelRequest {
        kind: pb::AlertChannelKind::Email.into(),
        name: name.clone(),
        target: target.clone(),
        // a form has none
        idempotency_key: vec![0; 16].into(),
        ..pb::PutChannelRequest::default()
    };
    if let Err(wrong) = bounds::check_message(&as_sent) {
        let field = if wrong.iter().any(|wrong| wrong.field == "target") { "email" } else { "name" };
        let why = wrong.into_iter().next().map(|wrong| wrong.description).unwrap_or_default();
        return Err(ActorError::invalid(field, why));
    }
    if target.is_empty() {
        return Err(ActorError::invalid("email", "is missing"));
    }
    let (channel, kind, target) = (None, AlertKind::Email, Some(Secret::new(target)));
    Ok(PutChannel { channel, kind, name, target, secret: None, min_severity, actions: Vec::new() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    channel: String,
    csrf: String,
}

/// Sends one a trial, and says on the same page whether it was taken.
pub(super) async fn test(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    match tried(&pages, &visitor, &one).await {
        Ok((guest, trial)) => listed(&pages, &visitor, &guest, Some(trial)).await,
        Err(error) => refused(&error, &visitor),
    }
}

async fn tried(pages: &Pages, visitor: &Visitor, one: &One) -> Result<(Guest, Trial), ActorError> {
    let sender = pages.sender(visitor, &one.csrf).await?;
    let channel: AlertChannelId = one.channel.parse().map_err(|_| ActorError::NotFound)?;
    let meta = pages.meta_of::<SendTestAlert>(&sender);
    let Tried { taken, why } = pages.system.try_channel(&sender.caller, meta, channel).await?;
    let said = Trial { taken, why };
    let guest = pages.guest(visitor).await?;
    guest.map(|guest| (guest, said)).ok_or(ActorError::Unauthenticated("the session is unknown or has ended"))
}

/// Takes one away.
pub(super) async fn remove(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(DeleteChannel { channel: one.channel.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|_| HERE), &visitor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wish(name: &str, email: &str, least: &str) -> Result<PutChannel, ActorError> {
        let text = str::to_owned;
        wanted(&Wish { name: text(name), email: text(email), least: text(least), csrf: String::new() })
    }

    #[test]
    fn what_a_form_asks_for_is_within_the_bounds_of_the_wire() {
        let made = wish(" me ", " ada@example.org ", "critical").unwrap();
        assert_eq!((made.name.as_str(), made.min_severity), ("me", Severity::Critical));
        assert_eq!(made.target.unwrap().expose(), "ada@example.org");
        let long = "x".repeat(101);
        for (name, email, least) in [
            ("", "ada@example.org", "info"),
            (long.as_str(), "ada@example.org", "info"),
            ("a\u{7}b", "ada@example.org", "info"),
            ("me", "", "info"),
            ("me", "a b@example.org", "info"),
            ("me", "ada@example.org", "loud"),
        ] {
            assert!(
                matches!(wish(name, email, least), Err(ActorError::InvalidArgument { .. })),
                "{name:?} {email:?}"
            );
        }
    }
}
