//! How far a request is, and what comes next and when: said to guardians and to the owner, as the command line says it.

use ocmt_actors::api::recovery::{CeremonyState, CeremonyView};
use ocmt_types::Timestamp;

use super::{super::frame::Frame, request::over_a_stop};

/// How many units have agreed, of how many that are needed.
pub(in crate::web) fn agreed(frame: &Frame, view: &CeremonyView) -> String {
    let approved = frame.put("request.of", view.units_approved);
    // the second place is for the second number
    approved.replacen("{}", &view.units_needed.to_string(), 1)
}

/// What comes next, and when; of one that is over its state says it all, and this is empty.
pub(in crate::web) fn coming(frame: &Frame, view: &CeremonyView, now: Timestamp) -> String {
    let missing = view.units_needed.saturating_sub(view.units_approved);
    match (view.state, view.releasable_at) {
        (CeremonyState::Proposed, _) => frame.put("coming.proposed", frame.at(view.expires_at)),
        (CeremonyState::Open, None) => frame.count("coming.untold", missing),
        (CeremonyState::Open, Some(time)) if time <= now => frame.count("coming.waited", missing),
        (CeremonyState::Open, Some(time)) => {
            frame.count("coming.open", missing).replacen("{}", &frame.at(time), 1)
        }
        (CeremonyState::Ready, Some(time)) if time > now && over_a_stop(view) == Some(true) => {
            frame.put("coming.ready_over", frame.at(time))
        }
        (CeremonyState::Ready, Some(time)) if time > now => frame.put("coming.ready", frame.at(time)),
        (CeremonyState::Ready, _) => frame.say("coming.at_once").to_owned(),
        (CeremonyState::Released, _) => frame.put("coming.released", frame.at(view.expires_at)),
        (
            CeremonyState::Completed
            | CeremonyState::Denied
            | CeremonyState::Vetoed
            | CeremonyState::Locked
            | CeremonyState::Expired
            | CeremonyState::Cancelled,
            _,
        ) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_actors::api::recovery::CeremonyPurpose;

    use super::{super::super::words::Words, *};

    const HOUR: i64 = 3_600_000;

    fn view(state: CeremonyState, releasable_at: Option<i64>, units_approved: u32) -> CeremonyView {
        CeremonyView {
            id: [0; 32],
            params: Vec::new(),
            purpose: CeremonyPurpose::Recover,
            state,
            vault: "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11".parse().unwrap(),
            owner_email: String::new(),
            requester_email: String::new(),
            opened_at: Timestamp(0),
            delay_started_at: None,
            releasable_at: releasable_at.map(Timestamp),
            expires_at: Timestamp(9 * HOUR),
            units_needed: 3,
            units_approved,
            acts: Vec::new(),
            release_statement: None,
            locked_until: None,
            lost_mailbox: false,
        }
    }

    #[test]
    fn each_state_that_goes_on_says_what_comes_next_and_when_and_none_that_is_over() {
        use CeremonyState as S;
        let frame = Frame::new(Words::wanted(&"/".parse().unwrap(), &http::HeaderMap::new()), true);
        let said = |state, at: Option<i64>, agreed| coming(&frame, &view(state, at, agreed), Timestamp(HOUR));
        let (later, past) = (Some(2 * HOUR), Some(HOUR));
        for (text, parts) in [
            (said(S::Proposed, None, 0), vec!["1 January 1970, 09:00"]),
            (said(S::Open, None, 1), vec!["2 more parts are"]),
            (said(S::Open, later, 2), vec!["1 more part is", "1 January 1970, 02:00"]),
            (said(S::Open, past, 2), vec!["1 more part is", "the waiting time is over"]),
            (said(S::Ready, later, 3), vec!["1 January 1970, 02:00", "stops it"]),
            (said(S::Ready, past, 3), vec!["any moment"]),
            (said(S::Released, past, 3), vec!["1 January 1970, 09:00"]),
        ] {
            assert!(text.starts_with("Next: ") && !text.contains("{}"), "{text}");
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        for over in [S::Completed, S::Denied, S::Vetoed, S::Locked, S::Expired, S::Cancelled] {
            assert_eq!(said(over, past, 3), "", "{over:?}");
        }
        assert_eq!(agreed(&frame, &view(S::Open, None, 1)), "1 of 3 parts");
    }
}
