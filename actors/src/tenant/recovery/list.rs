//! Guardianships as the two sides see them.

use ocmt_store::tables::{GuardianshipIn, GuardianshipOut, GuardianshipState as State, User};
use ocmt_types::GuardianshipId;

use super::{
    super::{
        ceremony::ground::{count, damaged},
        handlers::identity_of,
    },
    invite::{is_over, unpack},
};
use crate::{
    api::recovery::{
        DrillChallenge, GetGuardianship, Guardianship, GuardianshipPage, GuardianshipState,
        ListGuardianships, Side,
    },
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

impl Handle for GetGuardianship {
    async fn handle(self, work: &mut Work) -> Result<Guardianship, ActorError> {
        let who = work.user()?;
        work.object = format!("guardianship/{}", self.guardianship);
        let out = work.tx.get::<GuardianshipOut>(self.guardianship).await?;
        if let Some(row) = out.filter(|row| row.user_id == who.user) {
            work.authorize(Action::ReadGuardians, &Object::of(row.user_id))?;
            return outward(work, &row).await;
        }
        inward(&super::invite::inward_of(work, self.guardianship).await?)
    }
}

impl Handle for ListGuardianships {
    async fn handle(self, work: &mut Work) -> Result<GuardianshipPage, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadGuardians, &Object::of(who.user))?;
        let mut all = Vec::new();
        if self.side != Some(Side::Guardian) {
            for row in work.tx.find::<GuardianshipOut>(GuardianshipOut::user_id.eq(who.user)).await? {
                if self.include_ended || !is_over(row.state) {
                    all.push(outward(work, &row).await?);
                }
            }
        }
        // a recovery session is its owner's, not a guardian's
        if self.side != Some(Side::Owner) && !who.assurance.is_of_recovery() {
            for row in work.tx.find::<GuardianshipIn>(GuardianshipIn::user_id.eq(who.user)).await? {
                if self.include_ended || !is_over(row.state) {
                    all.push(inward(&row)?);
                }
            }
        }
        all.sort_by_key(|row| (std::cmp::Reverse(row.invited_at), row.side, row.id));
        Ok(page(all, self.after, self.limit))
    }
}

fn page(mut all: Vec<Guardianship>, after: Option<(Side, GuardianshipId)>, limit: u32) -> GuardianshipPage {
    if let Some(after) = after {
        let behind = all.iter().position(|row| (row.side, row.id) == after).map_or(all.len(), |at| at + 1);
        all.drain(..behind);
    }
    let limit = match usize::try_from(limit) {
        Ok(0) | Err(_) => PAGE,
        Ok(limit) => limit.min(LARGEST_PAGE),
    };
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|row| (row.side, row.id));
    GuardianshipPage { guardianships: all, next }
}

/// As the owner sees it.
pub(super) async fn outward(work: &mut Work, row: &GuardianshipOut) -> Result<Guardianship, ActorError> {
    let owner = work.tx.get::<User>(row.user_id).await?.ok_or(ActorError::NotFound)?;
    Ok(Guardianship {
        id: row.guardianship_id,
        side: Side::Owner,
        state: told(row.state),
        vault: row.vault_id,
        counterpart_email: row.guardian_email.clone(),
        units: count(row.units),
        guardian_keys: row.identity_public.as_deref().and_then(unpack),
        owner_signing_key: identity_of(&owner).map(|key| key.verify_key),
        set: row.set_id,
        signed_set: Vec::new(),
        sealed_units: Vec::new(),
        invited_at: row.created_at,
        expires_at: (row.state == State::Invited).then_some(row.expires_at),
        drilled_at: row.drilled_at,
        open_challenge: drill_of(row.drill.as_deref())?,
    })
}

/// As the guardian sees it.
pub(super) fn inward(row: &GuardianshipIn) -> Result<Guardianship, ActorError> {
    Ok(Guardianship {
        id: row.guardianship_id,
        side: Side::Guardian,
        state: told(row.state),
        vault: row.vault_id,
        counterpart_email: row.owner_email.clone(),
        units: count(row.units),
        guardian_keys: row.identity_public.as_deref().and_then(unpack),
        owner_signing_key: row.owner_identity.map(|key| key.0),
        set: row.set_id,
        signed_set: row.set_body.clone().unwrap_or_default(),
        sealed_units: row.sealed_units.clone().unwrap_or_default(),
        invited_at: row.created_at,
        expires_at: (row.state == State::Invited).then_some(row.expires_at),
        drilled_at: row.drilled_at,
        open_challenge: drill_of(row.drill.as_deref())?,
    })
}

pub(super) fn drill_of(stored: Option<&[u8]>) -> Result<Option<DrillChallenge>, ActorError> {
    stored.map(|stored| serde_json::from_slice(stored).map_err(|_| damaged())).transpose()
}

fn told(state: State) -> GuardianshipState {
    match state {
        State::Invited => GuardianshipState::Invited,
        State::Accepted => GuardianshipState::Accepted,
        State::Dealt => GuardianshipState::Dealt,
        State::Active => GuardianshipState::Active,
        State::Resigned => GuardianshipState::Resigned,
        State::Removed => GuardianshipState::Ended,
    }
}
