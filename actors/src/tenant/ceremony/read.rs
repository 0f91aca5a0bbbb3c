//! Ceremonies as their parties see them: the owner and the requester here, guardians by what their own
//! tenant was told.

use ocmt_store::tables::{Ceremony, CeremonyPurpose, CeremonyRequest, GuardianshipIn};
use ocmt_types::{Digest32, UserId};

use super::{
    ground::{self, damaged},
    stop::own,
};
use crate::{
    api::recovery::{CeremonyDetail, CeremonyPage, CeremonyView, GetCeremony, ListCeremonies},
    authorize::{Action, Object},
    caller::Assurance,
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

impl Handle for GetCeremony {
    async fn handle(self, work: &mut Work) -> Result<CeremonyDetail, ActorError> {
        let who = work.user()?;
        work.object = format!("ceremony/{}", self.ceremony);
        let row = work.tx.get::<Ceremony>(self.ceremony).await?;
        if row.is_some_and(|row| row.user_id == who.user) {
            let loaded = own(work, Action::ReadCeremony, self.ceremony).await?;
            let ceremony = ground::shown(work, &loaded).await?;
            return Ok(CeremonyDetail {
                ceremony,
                guardianship: None,
                signed_set: Vec::new(),
                sealed_units: Vec::new(),
            });
        }
        if who.assurance == Assurance::Inert {
            return Err(ActorError::NotFound);
        }
        let found = asked(work, who.user, self.ceremony).await?;
        let row = work.authorize_found(Action::ActAsGuardian, found, |row| Object::of(row.user_id))?;
        let guardianship =
            work.tx.get::<GuardianshipIn>(row.guardianship_id).await?.ok_or(ActorError::NotFound)?;
        Ok(CeremonyDetail {
            ceremony: parse(&row)?,
            guardianship: Some(row.guardianship_id),
            signed_set: guardianship.set_body.unwrap_or_default(),
            sealed_units: guardianship.sealed_units.unwrap_or_default(),
        })
    }
}

/// What a guardian of this tenant was asked.
pub(in crate::tenant) async fn asked(
    work: &mut Work,
    user: UserId,
    ceremony: Digest32,
) -> Result<Option<CeremonyRequest>, ActorError> {
    let of = CeremonyRequest::ceremony_id.eq(ceremony).and(CeremonyRequest::user_id.eq(user));
    Ok(work.tx.first::<CeremonyRequest>(of).await?)
}

fn parse(row: &CeremonyRequest) -> Result<CeremonyView, ActorError> {
    serde_json::from_slice(&row.view).map_err(|_| damaged())
}

impl Handle for ListCeremonies {
    async fn handle(self, work: &mut Work) -> Result<CeremonyPage, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadCeremony, &Object::of(who.user))?;
        let mut own = Vec::new();
        // not their unlocks of groups' vaults, which would leave no room in what one query returns
        for purpose in [CeremonyPurpose::Recover, CeremonyPurpose::Override] {
            let of = Ceremony::user_id.eq(who.user).and(Ceremony::purpose.eq(purpose));
            own.extend(work.tx.find::<Ceremony>(of.desc(Ceremony::opened_at)).await?);
        }
        let mut views = Vec::new();
        for row in own {
            // an inert session sees what it proposed itself, and nothing else
            if who.assurance == Assurance::Inert && row.opened_by != who.session {
                continue;
            }
            if let Some(loaded) = ground::load(work, row.ceremony_id).await? {
                views.push(ground::shown(work, &loaded).await?);
            }
        }
        // a recovery session is its owner's, not a guardian's
        if !who.assurance.is_of_recovery() {
            let asked = CeremonyRequest::user_id.eq(who.user).desc(CeremonyRequest::opened_at);
            for row in work.tx.find::<CeremonyRequest>(asked).await? {
                views.push(parse(&row)?);
            }
        }
        views.retain(|view| !self.only_live || view.state.is_live());
        views.sort_by_key(|view| (std::cmp::Reverse(view.opened_at), view.id));
        Ok(page(views, self.after, self.limit))
    }
}

fn page(mut views: Vec<CeremonyView>, after: Option<Digest32>, limit: u32) -> CeremonyPage {
    if let Some(after) = after {
        let behind = views.iter().position(|view| view.id == after.0).map_or(views.len(), |at| at + 1);
        views.drain(..behind);
    }
    let limit = match usize::try_from(limit) {
        Ok(0) | Err(_) => PAGE,
        Ok(limit) => limit.min(LARGEST_PAGE),
    };
    let more = views.len() > limit;
    views.truncate(limit);
    let next = views.last().filter(|_| more).map(|view| Digest32(view.id));
    CeremonyPage { ceremonies: views, next }
}
