//! Who guards one's own vault, as the owner sees it. Naming others takes the vault's key, and is done in a terminal.

use ocmt_actors::{
    ActorError,
    api::recovery::{
        GetGuardianSet, GuardianSetInfo, Guardianship, GuardianshipState, ListGuardianships, Side,
    },
};

use super::{
    frame::Frame,
    pages::{Guest, Pages},
    view::{Circle, OneGuard},
};

/// As many as one call answers.
const PAGE: u32 = 100;

/// All who guard it or are asked to; nobody where the visitor's role has no vault.
pub(super) async fn of(pages: &Pages, guest: &Guest, frame: &Frame) -> Result<Circle, ActorError> {
    let page = move |after| async move {
        let side = Some(Side::Owner);
        let ask = ListGuardianships { side, include_ended: false, after, limit: PAGE };
        pages.ask(&guest.caller, ask).await.map(|page| (page.guardianships, page.next))
    };
    let all = match Pages::all(page).await {
        Ok(all) => all,
        Err(ActorError::PermissionDenied(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let set = if all.is_empty() { None } else { in_force(pages, guest).await? };
    let locked = set.as_ref().and_then(|set| set.locked_until).filter(|until| *until > pages.clock.now());
    Ok(Circle {
        guards: all.iter().map(|one| row(frame, one)).collect(),
        need: set.map(|set| need(frame, &set)).unwrap_or_default(),
        locked: locked.map(|until| frame.put("guards.locked", frame.at(until))).unwrap_or_default(),
    })
}

async fn in_force(pages: &Pages, guest: &Guest) -> Result<Option<GuardianSetInfo>, ActorError> {
    match pages.ask(&guest.caller, GetGuardianSet { vault: None }).await {
        Ok(set) => Ok(Some(set)),
        // asked and not dealt yet
        Err(ActorError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn need(frame: &Frame, set: &GuardianSetInfo) -> String {
    // the second place is for the second number
    frame.put("guards.need", set.threshold).replacen("{}", &set.units.to_string(), 1)
}

fn row(frame: &Frame, one: &Guardianship) -> OneGuard {
    let state = match one.state {
        GuardianshipState::Invited => frame.say("guards.invited"),
        GuardianshipState::Accepted => frame.say("guards.accepted"),
        GuardianshipState::Dealt | GuardianshipState::Active => frame.say("guards.dealt"),
        GuardianshipState::Resigned | GuardianshipState::Ended => frame.say("state.ended"),
    };
    let never = || frame.say("guardian.never").to_owned();
    OneGuard {
        email: one.counterpart_email.clone(),
        state: state.to_owned(),
        units: one.units,
        drilled: one.drilled_at.map_or_else(never, |time| frame.at(time)),
    }
}
