//! A guardian's pages: what waits, whom one guards, an invitation, a request, a drill.
//!
//! They are written here, and decide nothing: what is sealed goes into the page as it is stored, and what a guardian says is
//! made and signed in the browser (`node/web/js/page`), which sends it by gRPC-Web. To resign takes no key, nor to say that an owner has
//! lost the mailbox, so these are forms.

mod coming;
mod request;
mod view;

use axum::{
    Form,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        recovery::{
            CeremonyView, GetGuardianship, GuardianKeys, Guardianship, GuardianshipState, ListCeremonies,
            ListGuardianships, ReportLostMailbox, ResignGuardianship, Side,
        },
        vault::GetVault,
    },
};
use ocmt_types::{Digest32, GuardianshipId};
use serde::Deserialize;

use self::view::{Accept, Drill, Held, Overview, Waiting};
pub(super) use self::{
    coming::{agreed, coming},
    request::{over_a_stop, request, said, state_of},
};
use super::{
    answer::{html, refused, see_other},
    assets::Script,
    frame::Frame,
    pages::{Entered, Guest, Pages, Visitor},
};

/// Asked for after a link was sent.
const LOST_SENT: &str = "lost-sent";
/// As many as one call answers.
const MOST: u32 = 100;

/// Everything that waits, and whom one guards.
pub(super) async fn overview(
    State(pages): State<Pages>,
    RawQuery(query): RawQuery,
    Entered { visitor, guest }: Entered,
) -> Response {
    match gathered(&pages, &visitor, &guest).await {
        Ok(page) => {
            let (csrf, cookie) = visitor.own_csrf();
            let lost_sent = query.is_some_and(|query| query.split('&').any(|one| one == LOST_SENT));
            html(StatusCode::OK, &Overview { csrf: &csrf, lost_sent, ..page }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(pages: &Pages, visitor: &Visitor, guest: &Guest) -> Result<Overview<'static>, ActorError> {
    let held = guarded(pages, guest).await?;
    let ceremonies = under_way(pages, guest).await?;
    let frame = visitor.frame().of_user();
    let waiting = |one: &Guardianship| Waiting {
        id: one.id.to_string(),
        owner: one.counterpart_email.clone(),
        state: String::new(),
    };
    // one's own are not asked of oneself
    let asked = ceremonies.iter().filter(|one| one.owner_email != guest.me.email);
    let (undecided, decided): (Vec<_>, Vec<_>) = asked.partition(|one| request::waits_for(one, &held));
    let told = |one: &CeremonyView| Waiting {
        id: Digest32(one.id).to_string(),
        owner: one.owner_email.clone(),
        state: frame.say(state_of(one.state)).to_owned(),
    };
    let keys: Vec<String> = held.iter().filter_map(|one| one.guardian_keys.as_ref().map(in_hex)).collect();
    Ok(Overview {
        frame: if keys.is_empty() { frame } else { frame.running(Script::Guardian) },
        requests: undecided.into_iter().map(told).collect(),
        under_way: decided.into_iter().map(told).collect(),
        invitations: held.iter().filter(|one| one.state == GuardianshipState::Invited).map(waiting).collect(),
        drills: held.iter().filter(|one| one.open_challenge.is_some()).map(waiting).collect(),
        held: held
            .iter()
            .filter(|one| one.state != GuardianshipState::Invited)
            .map(|one| row(&frame, one))
            .collect(),
        user: guest.me.user.to_string(),
        keys: keys.join(" "),
        csrf: "",
        lost_sent: false,
    })
}

fn in_hex(keys: &GuardianKeys) -> String {
    format!("{}{}", HEXLOWER.encode(&keys.signing), HEXLOWER.encode(&keys.sealing))
}

/// Every request that is under way, asked of the visitor or for their own vault: whoever opens many hides none.
pub(super) async fn under_way(pages: &Pages, guest: &Guest) -> Result<Vec<CeremonyView>, ActorError> {
    let page = move |after| async move {
        let live = ListCeremonies { only_live: true, after, limit: MOST };
        pages.ask(&guest.caller, live).await.map(|page| (page.ceremonies, page.next))
    };
    Pages::all(page).await
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
        holds: matches!(one.state, GuardianshipState::Dealt | GuardianshipState::Active),
        drilled: one.drilled_at.map_or_else(|| frame.say("guardian.never").to_owned(), |time| frame.at(time)),
    }
}

/// What the visitor guards, or is asked to.
async fn guarded(pages: &Pages, guest: &Guest) -> Result<Vec<Guardianship>, ActorError> {
    let page = move |after| async move {
        let side = Some(Side::Guardian);
        let ask = ListGuardianships { side, include_ended: false, after, limit: MOST };
        pages.ask(&guest.caller, ask).await.map(|page| (page.guardianships, page.next))
    };
    Pages::all(page).await
}

async fn one_of(pages: &Pages, guest: &Guest, id: &str) -> Result<Guardianship, ActorError> {
    let id: GuardianshipId = id.parse().map_err(|_| ActorError::NotFound)?;
    let one = pages.ask(&guest.caller, GetGuardianship { guardianship: id }).await?;
    let ended = matches!(one.state, GuardianshipState::Resigned | GuardianshipState::Ended);
    if one.side == Side::Guardian && !ended { Ok(one) } else { Err(ActorError::NotFound) }
}

/// Somebody asks the visitor to be their guardian.
pub(super) async fn invitation(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
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
            user: guest.me.user.to_string(),
            vault,
            until: one.expires_at.map(|time| visitor.words.at(time)).unwrap_or_default(),
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
pub(super) async fn drill(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Entered { visitor, guest }: Entered,
) -> Response {
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
        user: guest.me.user.to_string(),
        challenge_id: asked.id.to_string(),
        challenge: HEXLOWER.encode(&asked.challenge),
        signed_set: HEXLOWER.encode(&one.signed_set),
        sealed_units: HEXLOWER.encode(&one.sealed_units),
        until: visitor.words.at(asked.expires_at),
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
        let sender = pages.sender(&visitor, &leaving.csrf).await?;
        let guardianship = leaving.guardianship.parse().map_err(|_| ActorError::NotFound)?;
        pages.act(&sender, ResignGuardianship { guardianship, only_change: false }).await
    };
    match left.await {
        Ok(_) => see_other("/guardian", []),
        Err(error) => refused(&error, &visitor),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    guardianship: String,
    new_address: String,
    csrf: String,
}

/// Says that somebody whom the visitor guards has lost the mailbox too, and where they are reached.
pub(super) async fn lost_mailbox(
    State(pages): State<Pages>,
    visitor: Visitor,
    Form(lost): Form<Lost>,
) -> Response {
    let sent = async {
        let sender = pages.sender(&visitor, &lost.csrf).await?;
        let guardianship = lost.guardianship.parse().map_err(|_| ActorError::NotFound)?;
        pages.act(&sender, ReportLostMailbox { guardianship, new_email: lost.new_address }).await
    };
    match sent.await {
        Ok(_) => see_other(&format!("/guardian?{LOST_SENT}"), []),
        Err(error) => refused(&error, &visitor),
    }
}
