//! Requests for more than one has of an entry, and what another person makes of them.
//!
//! Who asks has to know of the entry by a share of theirs, so that asking tells nobody what there is. Whose entry it is
//! decides, and gives with all that is asked of whoever gives: what was asked or less. What comes of it is a share that
//! its taker has asked for, and it ends as shares do.
//!
//! Programs ask too, and what they are given ends with their token (`agent`).

mod agent;
mod ask;
mod decide;

use std::{collections::BTreeMap, time::Duration};

use ocmt_store::{
    Filter,
    tables::{Capability, CapabilityState, ProgramToken, Share},
};
use ocmt_types::{ProgramTokenId, Timestamp, UserId};

use super::{address, is_over};
use crate::{
    api::capabilities::{
        AskingProgram, CapabilityInfo, CapabilityPage, CapabilityState as State, ListCapabilities,
    },
    authorize::{Action, Allowed, Object},
    error::ActorError,
    work::{Handle, Work},
};

/// Of what is asked for and of what is given.
const SHORTEST_MS: i64 = 60_000;
/// How long one that is over is listed.
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
const MOST_LISTED: u32 = 100;

impl Handle for ListCapabilities {
    async fn handle(self, work: &mut Work) -> Result<CapabilityPage, ActorError> {
        let mine = mine(work)?;
        lapse(work).await?;
        let limit = if self.limit == 0 { MOST_LISTED } else { self.limit.min(MOST_LISTED) };
        let mut found = BTreeMap::new();
        for mine in mine {
            let mine = match self.waiting {
                true => mine.and(Capability::state.eq(CapabilityState::Requested)),
                false => mine,
            };
            let newest = mine.desc(Capability::requested_at);
            let behind = match &self.after {
                Some((at, id)) => newest.after(at, id),
                None => newest,
            };
            let rows = work.tx.find::<Capability>(behind.limit(limit)).await?.into_iter();
            found.extend(rows.map(|row| ((row.requested_at, row.capability_id), row)));
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows: Vec<Capability> = found.into_values().rev().take(most).collect();
        let next =
            rows.last().filter(|_| rows.len() >= most).map(|row| (row.requested_at, row.capability_id));
        let mut capabilities = Vec::with_capacity(rows.len());
        for row in rows {
            capabilities.push(info(work, row).await?);
        }
        Ok(CapabilityPage { capabilities, next })
    }
}

/// Of a person: what they and their programs asked for, and what they are asked for. Of a program: what it asked for.
fn mine(work: &Work) -> Result<Vec<Filter<Capability>>, ActorError> {
    if let Some(program) = work.standing.caller.program() {
        work.authorize(Action::ReadRequests, &Object::of(program.user))?;
        return Ok(vec![Capability::requester_program.eq(Some(program.token))]);
    }
    let who = work.user()?;
    work.authorize(Action::ReadRequests, &Object::of(who.user))?;
    Ok(vec![Capability::requester_user.eq(who.user), Capability::owner_user.eq(who.user)])
}

fn note(work: &mut Work, row: &Capability) {
    work.object = format!("capability/{}", row.capability_id);
    work.details = vec![
        ("vault".to_owned(), row.vault_id.to_string()),
        ("object".to_owned(), row.object_id.to_string()),
        ("requester".to_owned(), row.requester_user.to_string()),
        ("permissions".to_owned(), row.permissions.clone()),
    ];
    work.details.extend(row.requester_program.map(|program| ("for_program".to_owned(), program.to_string())));
    work.details.extend(row.share_id.map(|share| ("share".to_owned(), share.to_string())));
}

/// Says of requests, and of what was given, that their time is over.
pub(super) async fn lapse(work: &mut Work) -> Result<(), ActorError> {
    for state in [CapabilityState::Requested, CapabilityState::Approved] {
        loop {
            let over = Capability::state.eq(state).and(Capability::expires_at.le(work.now));
            let rows = work.tx.find::<Capability>(over.clone()).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let expired = Capability { state: CapabilityState::Expired, sealed_grant: None, ..row };
                if !work.tx.update_if(&expired, over.clone()).await? {
                    return Err(ActorError::Aborted("a request"));
                }
            }
        }
    }
    Ok(())
}

/// Forgets requests by a user and about a user's entries.
pub(super) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for theirs in [Capability::requester_user.eq(user), Capability::owner_user.eq(user)] {
        work.tx
            .delete_all::<Capability>(theirs.and(Capability::state.eq(CapabilityState::Requested)))
            .await?;
    }
    Ok(())
}

/// Forgets what a program asked for and was given.
pub(in crate::tenant) async fn forget_program(
    work: &mut Work,
    program: ProgramTokenId,
) -> Result<(), ActorError> {
    work.tx.delete_all::<Capability>(Capability::requester_program.eq(Some(program))).await?;
    Ok(())
}

/// Drops what has been over for long.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    lapse(work).await?;
    for state in [CapabilityState::Denied, CapabilityState::Expired] {
        // a program's go with its token: until then they tell which keys it was handed
        let of_people = Capability::requester_program.eq(None).and(Capability::state.eq(state));
        let over = of_people.and(Capability::expires_at.le(work.now - KEEP));
        work.tx.delete_all::<Capability>(over).await?;
    }
    Ok(())
}

async fn info(work: &mut Work, row: Capability) -> Result<CapabilityInfo, ActorError> {
    let program = match row.requester_program {
        Some(token) => work.tx.get::<ProgramToken>(token).await?.map(|token| AskingProgram {
            id: token.program_token_id,
            name: token.name,
            key: token.program_key.0,
        }),
        None => None,
    };
    // a program is not told whose it is
    let requester_email = match program {
        None => address(work, row.requester_user).await?,
        Some(_) => String::new(),
    };
    let (state, expires_at) = stands_at(work, &row).await?;
    Ok(CapabilityInfo {
        id: row.capability_id,
        state,
        requester: row.requester_user,
        requester_email,
        program,
        decided_by: row.decided_by,
        vault: row.vault_id,
        object: row.object_id.0,
        permissions: Allowed::stored(&row.permissions).list(),
        reason: row.reason,
        lifetime_ms: row.lifetime_ms,
        requested_at: row.requested_at,
        expires_at,
    })
}

/// Where it stands, and until when: what was given and taken back has run out.
async fn stands_at(work: &mut Work, row: &Capability) -> Result<(State, Timestamp), ActorError> {
    let state = match row.state {
        CapabilityState::Requested => State::Requested,
        CapabilityState::Denied => State::Denied,
        CapabilityState::Expired => State::Expired,
        CapabilityState::Approved => {
            let Some(share) = row.share_id else { return Ok((State::Approved, row.expires_at)) };
            let share = work.tx.get::<Share>(share).await?;
            return Ok(match share {
                Some(share) if !is_over(work, &share) => (State::Approved, row.expires_at),
                other => (State::Expired, other.and_then(|it| it.ended_at).unwrap_or(row.expires_at)),
            });
        }
    };
    Ok((state, row.expires_at))
}
