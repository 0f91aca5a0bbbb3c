//! Containers: in what state, why awake, and bringing one back or to sleep.

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_actors::{
    ActorError, HostStanding,
    api::container::{
        AwakeKind, AwakeReason, ContainerExit, ContainerInfo, ContainerState, ExplainIdle, GetContainer,
        IdleExplained, ListContainers, PauseContainer, Unsealed, VolumeFault, WakeContainer,
    },
};
use ocmt_types::{ContainerId, Timestamp};
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    MOST, act, behind, then,
    view::{Awake, Containers, OneContainer, Shown},
};

#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
}

/// One page of one's own.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(wanted): Query<Wanted>,
    Entered { visitor, guest }: Entered,
) -> Response {
    let page = async {
        let after = behind(wanted.after.as_deref())?;
        pages.ask(&guest.caller, ListContainers { user: Some(guest.me.user), after, limit: MOST }).await
    };
    match page.await {
        Ok(page) => {
            let frame = visitor.frame().of_user();
            let containers = page.containers.iter().map(|one| row(&frame, one)).collect();
            let (further, next) = (wanted.after.is_some(), page.next.map(|next| next.to_string()));
            html(StatusCode::OK, &Containers { frame, containers, further, next }, [visitor.own_csrf().1])
        }
        Err(error) => refused(&error, &visitor),
    }
}

/// One that the visitor may see, with what holds it awake.
pub(super) async fn show(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match looked_at(&pages, &guest, &id).await {
        Ok((info, idle)) => shown(&visitor, &guest, &info, idle.as_ref()),
        Err(error) => refused(&error, &visitor),
    }
}

async fn looked_at(
    pages: &Pages,
    guest: &Guest,
    id: &str,
) -> Result<(ContainerInfo, Option<IdleExplained>), ActorError> {
    let container: ContainerId = id.parse().map_err(|_| ActorError::NotFound)?;
    let info = pages.ask(&guest.caller, GetContainer { container }).await?;
    match pages.ask(&guest.caller, ExplainIdle { container }).await {
        Ok(idle) => Ok((info, Some(idle))),
        // a host that does not answer explains nothing, and what is known is shown all the same
        Err(
            ActorError::Unavailable { .. }
            | ActorError::FailedPrecondition { .. }
            | ActorError::DeadlineExceeded,
        ) => Ok((info, None)),
        Err(error) => Err(error),
    }
}

fn shown(visitor: &Visitor, guest: &Guest, info: &ContainerInfo, idle: Option<&IdleExplained>) -> Response {
    let frame = visitor.frame().of_user();
    let answers = info.host_is == HostStanding::Answers;
    let some = |time: Option<Timestamp>| time.map(|time| frame.at(time)).unwrap_or_default();
    let (csrf, cookie) = visitor.own_csrf();
    let page = Shown {
        frame,
        one: row(&frame, info),
        own: info.user == guest.me.user,
        command: info.spec.argv.join(" "),
        cell: info.unlocked_until.map_or_else(
            || frame.say("container.locked").to_owned(),
            |until| frame.put("container.unlocked", frame.at(until)),
        ),
        active: frame.at(info.active_at),
        exit: info.exit.map(|exit| ended(&frame, exit)).unwrap_or_default(),
        failure: info.failure.clone().unwrap_or_default(),
        unsealed: info.unsealed.map(|unsealed| not_sealed(&frame, unsealed)).unwrap_or_default(),
        answers,
        awake: idle.map(|idle| Awake {
            now: info.state == ContainerState::Running,
            reasons: idle.reasons.iter().map(|reason| held_by(&frame, reason)).collect(),
            pause: some(idle.pause_due_at),
            stop: some(idle.stop_due_at),
            wake: some(idle.next_wake_at),
        }),
        can_wake: answers && !matches!(info.state, ContainerState::Running | ContainerState::Held),
        can_pause: answers && info.state == ContainerState::Running,
        csrf: &csrf,
    };
    html(StatusCode::OK, &page, [cookie])
}

fn row(frame: &Frame, info: &ContainerInfo) -> OneContainer {
    OneContainer {
        id: info.id.to_string(),
        state: frame.say(state_of(info.state)).to_owned(),
        since: frame.at(info.state_since),
        image: info.spec.image.clone(),
        made: frame.at(info.created_at),
    }
}

const fn state_of(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Absent => "container.is_absent",
        ContainerState::Creating => "container.is_creating",
        ContainerState::Running => "container.is_running",
        ContainerState::Pausing => "container.is_pausing",
        ContainerState::Paused => "container.is_paused",
        ContainerState::Stopping => "container.is_stopping",
        ContainerState::Stopped => "container.is_stopped",
        ContainerState::Waking => "container.is_waking",
        ContainerState::Failed => "container.is_failed",
        ContainerState::Held => "container.is_held",
    }
}

fn held_by(frame: &Frame, reason: &AwakeReason) -> String {
    let key = match reason.kind {
        AwakeKind::Channel => "awake.channel",
        AwakeKind::Exec => "awake.exec",
        AwakeKind::Logs => "awake.logs",
        AwakeKind::Work => "awake.work",
        AwakeKind::JustWoken => "awake.just_woken",
    };
    let what = frame.count(key, reason.count);
    match reason.until {
        Some(until) => format!("{what}, {}", frame.put("own.until", frame.at(until))),
        None => what,
    }
}

fn ended(frame: &Frame, exit: ContainerExit) -> String {
    let how = match (exit.out_of_memory, exit.code) {
        (true, _) => frame.say("container.out_of_memory").to_owned(),
        (false, Some(code)) => frame.put("container.code", code),
        (false, None) => frame.say("container.unseen").to_owned(),
    };
    format!("{}, {how}", frame.at(exit.at))
}

/// Since when its volume is not sealed, what that means, and what helps.
fn not_sealed(frame: &Frame, unsealed: Unsealed) -> String {
    let since = frame.at(unsealed.since);
    let what = if unsealed.lost {
        frame.put("container.volume_lost", since)
    } else {
        frame.put("container.volume_not_sealed", since)
    };
    let helps = match unsealed.why {
        VolumeFault::HostFull => frame.say("container.volume_host_full"),
        VolumeFault::Names => frame.say("container.volume_names"),
        VolumeFault::Restless => frame.say("container.volume_restless"),
        VolumeFault::File => frame.say("container.volume_file"),
        VolumeFault::Unknown => frame.say("container.volume_unknown"),
    };
    format!("{what} {helps}")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    container: String,
    csrf: String,
}

/// Brings it back from wherever it is.
pub(super) async fn wake(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(WakeContainer { container: one.container.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|woken| there(woken.container.id)), &visitor)
}

/// Puts it to sleep; what it has in memory is kept.
pub(super) async fn pause(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(PauseContainer { container: one.container.parse().ok()? });
    then(act(&pages, &visitor, &one.csrf, asks).await.map(|info| there(info.id)), &visitor)
}

fn there(container: ContainerId) -> String {
    format!("/app/containers/{container}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use askama::Template as _;

    use super::{super::super::words::Words, *};

    const FAULTS: &[VolumeFault] = VolumeFault::ALL;

    #[test]
    fn a_volume_that_is_not_sealed_is_told_with_when_and_why_and_whether_something_is_lost() {
        for uri in ["/?language=en", "/?language=de"] {
            let frame = Frame::new(Words::wanted(&uri.parse().unwrap(), &http::HeaderMap::new()), true);
            let mut said = HashSet::new();
            for (why, lost) in FAULTS.iter().flat_map(|why| [(*why, false), (*why, true)]) {
                let since = Timestamp(1_795_000_000_000);
                let text = not_sealed(&frame, Unsealed { since, why, lost });
                assert!(text.contains(&frame.at(since)), "{text}");
                assert!(!text.contains("volume_") && !text.contains("{}"), "a word is missing: {text}");
                let page = page(frame, text.clone()).render().unwrap();
                let there = format!("<p class=\"alert\">{}</p>", text.replace('\'', "&#39;"));
                assert!(page.contains(&there), "{page}");
                said.insert(text);
            }
            assert_eq!(said.len(), 2 * FAULTS.len(), "two of them say the same");
            assert!(!page(frame, String::new()).render().unwrap().contains("class=\"alert\""));
        }
    }

    fn page(frame: Frame, unsealed: String) -> Shown<'static> {
        let text = || "x".to_owned();
        let one = OneContainer { id: text(), state: text(), since: text(), image: text(), made: text() };
        Shown {
            frame,
            one,
            own: true,
            command: String::new(),
            cell: text(),
            active: text(),
            exit: String::new(),
            failure: String::new(),
            unsealed,
            answers: true,
            awake: None,
            can_wake: false,
            can_pause: false,
            csrf: "x",
        }
    }
}
