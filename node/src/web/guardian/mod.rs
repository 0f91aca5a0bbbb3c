//! A guardian's pages: what waits, whom one guards, an invitation, a request, a drill.
//!
//! They are written here, and decide nothing: what is sealed goes into the page as it is stored, and what a guardian says is
//! made and signed in the browser (`node/web/js/page`), which sends it by gRPC-Web. To resign takes no key, so it is a form.

mod request;
mod view;

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        recovery::{
            CeremonyPage, CeremonyView, Guardianship, GuardianshipPage, GuardianshipState, ListCeremonies,
            ListGuardianships, ResignGuardianship, Side,
        },
        vault::GetVault,
    },
};
use ocmt_types::{Digest32, GuardianshipId};
use serde::Deserialize;

pub(super) use self::request::{request, said, state_of};
use self::view::{Accept, Drill, Held, Overview, Waiting};
use super::{
    answer::{html, refused, see_other},
    assets::Script,
    frame::Frame,
    pages::{Guest, Pages, Visitor},
    sign_in::enter,
    view::at,
};

/// As many as one page shows.
const MOST: u32 = 100;

/// Everything that waits, and whom one guards.
pub(super) async fn overview(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    match gathered(&pages, &visitor, &guest).await {
        Ok(page) => {
            let (csrf, cookie) = visitor.own_csrf();
            html(StatusCode::OK, &Overview { csrf: &csrf, ..page }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(pages: &Pages, visitor: &Visitor, guest: &Guest) -> Result<Overview<'static>, ActorError> {
    let held = guarded(pages, guest).await?;
    let live = ListCeremonies { only_live: true, after: None, limit: MOST };
    let CeremonyPage { ceremonies, .. } = pages.ask(&guest.caller, live).await?;
    let frame = visitor.frame().of_user();
    let waiting = |one: &Guardianship| Waiting {
        id: one.id.to_string(),
        owner: one.counterpart_email.clone(),
        state: String::new(),
    };
    // one's own are not asked of oneself
    let asked = ceremonies.iter().filter(|one| one.owner_email != guest.me.email);
    let (undecided, decided): (Vec<_>, Vec<_>) =
        asked.partition(|one| request::waits_for(one, &guest.me.email));
    let told = |one: &CeremonyView| Waiting {
        id: Digest32(one.id).to_string(),
        owner: one.owner_email.clone(),
        state: frame.say(state_of(one.state)).to_owned(),
    };
    let keys = held.iter().find_map(|one| one.guardian_keys);
    Ok(Overview {
        frame: if keys.is_some() { frame.running(Script::Guardian) } else { frame },
        requests: undecided.into_iter().map(told).collect(),
        under_way: decided.into_iter().map(told).collect(),
        invitations: held.iter().filter(|one| one.state == GuardianshipState::Invited).map(waiting).collect(),
        drills: held.iter().filter(|one| one.open_challenge.is_some()).map(waiting).collect(),
        held: held
            .iter()
            .filter(|one| one.state != GuardianshipState::Invited)
            .map(|one| row(&frame, one))
            .collect(),
        keys: keys.map(|keys| (HEXLOWER.encode(&keys.signing), HEXLOWER.encode(&keys.sealing))),
        csrf: "",
    })
}

fn row(frame: &Frame, one: &Guardianship) -> Held {
    let state = match one.state {
        GuardianshipState::Invited => "state.invited",
        GuardianshipState::Accepted => "state.accepted",
        GuardianshipState::Dealt => "state.dealt",
        GuardianshipState::Active => "state.active",
        GuardianshipState::Resigned | GuardianshipState::Ended => "state.ended",
    };
    Held {
        id: one.id.to_string(),
        owner: one.counterpart_email.clone(),
        state: frame.say(state).to_owned(),
        units: one.units,
        drilled: one.drilled_at.map_or_else(|| frame.say("guardian.never").to_owned(), at),
    }
}

/// What the visitor guards, or is asked to.
async fn guarded(pages: &Pages, guest: &Guest) -> Result<Vec<Guardianship>, ActorError> {
    let ask =
        ListGuardianships { side: Some(Side::Guardian), include_ended: false, after: None, limit: MOST };
    let GuardianshipPage { guardianships, .. } = pages.ask(&guest.caller, ask).await?;
    Ok(guardianships)
}

async fn one_of(pages: &Pages, guest: &Guest, id: &str) -> Result<Guardianship, ActorError> {
    let id: GuardianshipId = id.parse().map_err(|_| ActorError::NotFound)?;
    guarded(pages, guest).await?.into_iter().find(|one| one.id == id).ok_or(ActorError::NotFound)
}

/// Somebody asks the visitor to be their guardian.
pub(super) async fn invitation(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    visitor: Visitor,
) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    let (csrf, cookie) = visitor.own_csrf();
    let page = async {
        let one = one_of(&pages, &guest, &id).await?;
        if one.state != GuardianshipState::Invited {
            return Ok(None);
        }
        let vault = pages.ask(&guest.caller, GetVault { vault: None }).await;
        let vault = match vault {
            Ok(vault) => vault.info.id.to_string(),
            Err(ActorError::NotFound) => String::new(),
            Err(error) => return Err(error),
        };
        Ok(Some(Accept {
            frame: visitor.frame().of_user().running(Script::Accept),
            id: one.id.to_string(),
            owner: one.counterpart_email,
            owner_key: one.owner_signing_key.map(|key| HEXLOWER.encode(&key)).unwrap_or_default(),
            email: guest.me.email.clone(),
            tenant: guest.me.tenant.to_string(),
            vault,
            until: one.expires_at.map(at).unwrap_or_default(),
            csrf: csrf.clone(),
        }))
    };
    match page.await {
        Ok(Some(page)) => html(StatusCode::OK, &page, [cookie]),
        // answered before
        Ok(None) => see_other("/guardian", [cookie]),
        Err(error) => refused(&error, &visitor),
    }
}

/// Somebody wants to know whether the visitor could still help.
pub(super) async fn drill(State(pages): State<Pages>, Path(id): Path<String>, visitor: Visitor) -> Response {
    let guest = match enter(&pages, &visitor).await {
        Ok(guest) => guest,
        Err(instead) => return *instead,
    };
    let one = match one_of(&pages, &guest, &id).await {
        Ok(one) => one,
        Err(error) => return refused(&error, &visitor),
    };
    let (_, cookie) = visitor.own_csrf();
    let Some(asked) = one.open_challenge else { return see_other("/guardian", [cookie]) };
    let page = Drill {
        frame: visitor.frame().of_user().running(Script::Drill),
        id: one.id.to_string(),
        owner: one.counterpart_email,
        tenant: guest.me.tenant.to_string(),
        challenge_id: asked.id.to_string(),
        challenge: HEXLOWER.encode(&asked.challenge),
        signed_set: HEXLOWER.encode(&one.signed_set),
        sealed_units: HEXLOWER.encode(&one.sealed_units),
        until: at(asked.expires_at),
    };
    html(StatusCode::OK, &page, [cookie])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leaving {
    guardianship: String,
    csrf: String,
}

/// Says no, or stops.
pub(super) async fn resign(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(leaving): Form<Leaving>,
) -> Response {
    let left = async {
        let caller = pages.sender(&visitor, &leaving.csrf).await?;
        let guardianship = leaving.guardianship.parse().map_err(|_| ActorError::NotFound)?;
        pages.ask(&caller, ResignGuardianship { guardianship }).await
    };
    match left.await {
        Ok(_) => see_other("/guardian", []),
        Err(error) => refused(&error, &visitor),
    }
}
