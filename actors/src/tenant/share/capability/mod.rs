//! Requests for more than one has of an entry, and what another person makes of them.
//!
//! Who asks has to know of the entry by a share of theirs, so that asking tells nobody what there is. Whose entry it is
//! decides, and gives with all that is asked of whoever gives: what was asked or less. What comes of it is a share that
//! its taker has asked for, and it ends as shares do.
//!
//! Programs ask too, and what they are given ends with their token (`agent`); what they may write with its approval.

mod agent;
mod ask;
mod decide;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ocmt_store::{
    Filter,
    tables::{Capability, CapabilityState, ProgramToken, Share, VaultObject},
};
use ocmt_types::{ProgramTokenId, ShareId, Timestamp, UserId, VaultId};

use super::{address, is_over, rights};
use crate::{
    api::{
        capabilities::{
            AskingProgram, CapabilityInfo, CapabilityPage, CapabilityState as State, ListCapabilities,
        },
        shares::Permission,
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
                end_writing(work, &expired).await?;
                if !work.tx.update_if(&expired, over.clone()).await? {
                    return Err(ActorError::Aborted("a request"));
                }
            }
        }
    }
    Ok(())
}

/// Ends what a program may write by an approval, with what it sent. What a person was given ends as a share.
pub(super) async fn end_writing(work: &mut Work, row: &Capability) -> Result<(), ActorError> {
    match row.share_id.filter(|_| row.requester_program.is_some()) {
        Some(share) => rights::end_of_share(work, share).await,
        None => Ok(()),
    }
}

/// Ends what programs may write by those approvals of which something was filed or dropped: each is good once, as the
/// ledger of the vault has it. An approval of nothing else is over with it.
pub(in crate::tenant) async fn used_up(
    work: &mut Work,
    owner: Option<UserId>,
    shares: BTreeSet<ShareId>,
) -> Result<(), ActorError> {
    // of a group's vault nothing is approved to write
    let Some(owner) = owner else { return Ok(()) };
    for share in shares {
        let in_force = Capability::owner_user
            .eq(owner)
            .and(Capability::share_id.eq(Some(share)))
            .and(Capability::state.eq(CapabilityState::Approved));
        let found = work.tx.first::<Capability>(in_force).await?;
        if let Some(row) = found.filter(|row| row.requester_program.is_some()) {
            no_more_writing(work, row).await?;
        }
    }
    Ok(())
}

/// Ends what programs may write into a vault: it has another inbox key.
pub(super) async fn end_of_vault(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    let in_force = Capability::vault_id.eq(vault).and(Capability::state.eq(CapabilityState::Approved));
    let mut page = work.tx.find::<Capability>(in_force.clone()).await?;
    while let Some(last) = page.last().map(|row| row.capability_id) {
        for row in page {
            if row.requester_program.is_some() && row.share_id.is_some() {
                no_more_writing(work, row).await?;
            }
        }
        page = work.tx.find::<Capability>(in_force.clone().after(&last)).await?;
    }
    Ok(())
}

/// What else was approved stays, until its time.
async fn no_more_writing(work: &mut Work, row: Capability) -> Result<(), ActorError> {
    end_writing(work, &row).await?;
    let left = Allowed::stored(&row.permissions).without(Permission::Write);
    let row = if left == Allowed::default() {
        Capability { state: CapabilityState::Expired, sealed_grant: None, ..row }
    } else {
        Capability { permissions: left.to_stored(), ..row }
    };
    if !work.tx.update_if(&row, Capability::state.eq(CapabilityState::Approved)).await? {
        return Err(ActorError::Aborted("a request"));
    }
    Ok(())
}

/// Takes back what a program may write, with all else that the same approval gave: by whose vault it is. What is to be
/// written under fresh keys; none if there is no such approval of the caller's.
pub(super) async fn take_back(work: &mut Work, share: ShareId) -> Result<Option<Vec<[u8; 32]>>, ActorError> {
    let who = work.user()?.user;
    let own = Capability::share_id.eq(Some(share)).and(Capability::owner_user.eq(who));
    let found = work.tx.first::<Capability>(own).await?.filter(|row| row.requester_program.is_some());
    let Some(row) = found else { return Ok(None) };
    work.authorize(Action::EndGrants, &Object::of(who))?;
    end_writing(work, &row).await?;
    let head = work.tx.get::<VaultObject>((row.vault_id, row.object_id)).await?;
    let reads = Allowed::stored(&row.permissions).has(Permission::Read);
    let rekey = head.filter(|head| reads && Some(head.version) == row.version).map(|head| head.object_id.0);
    note(work, &row);
    if row.state == CapabilityState::Approved {
        let over = Capability { state: CapabilityState::Expired, sealed_grant: None, ..row };
        if !work.tx.update_if(&over, Capability::state.eq(CapabilityState::Approved)).await? {
            return Err(ActorError::Aborted("a request"));
        }
    }
    Ok(Some(rekey.into_iter().collect()))
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
    let theirs = Capability::requester_program.eq(Some(program));
    // what is over has no rights any more, and so many are in force at a time at the most
    for row in work
        .tx
        .find::<Capability>(theirs.clone().and(Capability::state.eq(CapabilityState::Approved)))
        .await?
    {
        end_writing(work, &row).await?;
    }
    work.tx.delete_all::<Capability>(theirs).await?;
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
            sign_key: row.sign_key.map(|key| key.0),
        }),
        None => None,
    };
    // a program is not told whose it is
    let requester_email = match program {
        None => address(work, row.requester_user).await?,
        Some(_) => String::new(),
    };
    let (state, expires_at) = stands_at(work, &row).await?;
    // to nobody but the program, and to it while it holds
    let holds = state == State::Approved && row.expires_at > work.now;
    let right = match row.share_id.filter(|_| holds && work.standing.caller.program().is_some()) {
        Some(share) => rights::of_program(work, share, (row.vault_id, row.object_id)).await?,
        None => None,
    };
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
        share: row.share_id,
        right,
    })
}

/// Where it stands, and until when: what was given and taken back has run out.
async fn stands_at(work: &mut Work, row: &Capability) -> Result<(State, Timestamp), ActorError> {
    let state = match row.state {
        CapabilityState::Requested => State::Requested,
        CapabilityState::Denied => State::Denied,
        CapabilityState::Expired => State::Expired,
        CapabilityState::Approved => {
            let of_person = row.share_id.filter(|_| row.requester_program.is_none());
            let Some(share) = of_person else { return Ok((State::Approved, row.expires_at)) };
            let share = work.tx.get::<Share>(share).await?;
            return Ok(match share {
                Some(share) if !is_over(work, &share) => (State::Approved, row.expires_at),
                other => (State::Expired, other.and_then(|it| it.ended_at).unwrap_or(row.expires_at)),
            });
        }
    };
    Ok((state, row.expires_at))
}
