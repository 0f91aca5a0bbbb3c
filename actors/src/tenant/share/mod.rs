//! Shares between people of one tenant: offered, taken, and over for good.
//!
//! A share gives exactly the permissions it names, of entries in the versions it names. To read is enforced twice: the
//! node hands out the entry, and what opens it is a data key sealed to the taker, which the node cannot make. So are to
//! write and to delete: the node takes what the taker signed, and the owner's device files it if its ledger says so. To
//! list, to give on and to administer are the node's word alone. To administer is to see who else has an entry, and to take
//! it back; it lets nobody in, which takes keys.
//!
//! What is given on hangs on the giver's own share and ends with it. The whole life of a share is one row, changed by
//! statements that name the state they change.

mod administer;
mod capability;
mod ends;
mod entry;
mod give;
mod list;
mod rights;
mod send;
mod take;

use ocmt_store::{
    Filter,
    tables::{Share, ShareGrant, ShareState, User, UserState},
};
use ocmt_types::{Digest32, ShareId, UserId, VaultId};
use ractor::ActorRef;

pub(super) use self::{
    capability::{forget_program, used_up},
    ends::{end_given, end_in_vault, end_of_user, end_of_vault, sweep},
    entry::end_of_entry,
    rights::{MOST_RENEWED, renew},
    take::{is_taken, listed, taken},
};
use super::{TenantMessage, TenantState as ActorState, handlers::roles};
use crate::{
    api::{
        capabilities::CapabilitiesCall,
        shares::{Permission, ShareInfo, ShareState as State, SharedEntry, SharesCall},
    },
    authorize::{Action, Allowed},
    error::ActorError,
    work::Work,
};

/// Nobody reads by what was given on so often.
const LONGEST_CHAIN: usize = 16;
/// The states of a share that is not over.
const LIVE: [ShareState; 2] = [ShareState::Offered, ShareState::Accepted];

impl ActorState {
    /// One line per method.
    pub(super) fn shares(&mut self, myself: &ActorRef<TenantMessage>, call: SharesCall) {
        match call {
            SharesCall::CreateShare(call) => self.work(myself, call),
            SharesCall::AcceptShare(call) => self.work(myself, call),
            SharesCall::ListShares(call) => self.work(myself, call),
            SharesCall::RevokeShare(call) => self.work(myself, call),
            SharesCall::SendSharedWrite(call) => self.work(myself, call),
        }
    }

    /// One line per method.
    pub(super) fn capabilities(&mut self, myself: &ActorRef<TenantMessage>, call: CapabilitiesCall) {
        match call {
            CapabilitiesCall::RequestCapability(call) => self.work(myself, call),
            CapabilitiesCall::ListCapabilities(call) => self.work(myself, call),
            CapabilitiesCall::ApproveCapability(call) => self.work(myself, call),
            CapabilitiesCall::DenyCapability(call) => self.work(myself, call),
        }
    }
}

/// What is allowed by it.
fn allowed(share: &Share) -> Allowed {
    Allowed::stored(&share.permissions)
}

/// Whether it is over by now, whatever the row says.
fn is_over(work: &Work, share: &Share) -> bool {
    !LIVE.contains(&share.state) || share.expires_at.is_some_and(|at| at <= work.now)
}

/// The entries of a share.
async fn grants_of(work: &mut Work, share: ShareId) -> Result<Vec<ShareGrant>, ActorError> {
    Ok(work.tx.find::<ShareGrant>(ShareGrant::share_id.eq(share)).await?)
}

/// An active user who may read vaults: nobody reads by the word of somebody who may not.
async fn stands(work: &mut Work, user: UserId) -> Result<bool, ActorError> {
    let Some(user) = work.tx.get::<User>(user).await?.filter(|user| user.state == UserState::Active) else {
        return Ok(false);
    };
    let may = roles::authority(&mut work.tx, user.role, user.custom_role.as_deref()).await?;
    Ok(may.allows(Action::ReadVault))
}

/// Shares of a vault that the calling user has taken and that are in force now, each with its entries.
async fn in_force(work: &mut Work, vault: VaultId) -> Result<Vec<(Share, Vec<ShareGrant>)>, ActorError> {
    let Some(who) = work.standing.caller.user() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for share in of_taker(work, who.user, Share::vault_id.eq(vault)).await? {
        if !is_over(work, &share) && is_given(work, &share).await? {
            let grants = grants_of(work, share.share_id).await?;
            found.push((share, grants));
        }
    }
    Ok(found)
}

/// Whether everybody stands from whom it comes: its giver, whoever gave it to them, and so on to whose vault it is.
async fn is_given(work: &mut Work, share: &Share) -> Result<bool, ActorError> {
    let mut link = share.clone();
    for _ in 0..LONGEST_CHAIN {
        if !stands(work, link.giver_user).await? {
            return Ok(false);
        }
        let Some(parent) = link.parent_share else {
            return Ok(link.giver_user == link.owner_user);
        };
        let parent = work.tx.get::<Share>(parent).await?;
        let Some(parent) = parent.filter(|it| it.state == ShareState::Accepted && !is_over(work, it)) else {
            return Ok(false);
        };
        link = parent;
    }
    Ok(false)
}

/// What a user has taken, of those shares.
async fn of_taker(work: &mut Work, taker: UserId, of: Filter<Share>) -> Result<Vec<Share>, ActorError> {
    let taken = Share::taker_user.eq(taker).and(Share::state.eq(ShareState::Accepted));
    Ok(work.tx.find::<Share>(taken.and(of)).await?)
}

/// A share as one of those sees it whom it is about.
async fn info(work: &mut Work, share: Share) -> Result<ShareInfo, ActorError> {
    let caller = work.user()?.user;
    let permissions = allowed(&share);
    // the keys are the taker's, from the moment the offer was taken until it is over
    let holds = caller == share.taker_user && share.state == ShareState::Accepted && !is_over(work, &share);
    let opens = holds && permissions.has(Permission::Read);
    let rights = match rights::acts(permissions) {
        Some(_) => rights::of(work, &share, holds).await?,
        None => Vec::new(),
    };
    let grants = grants_of(work, share.share_id).await?.into_iter().map(|row| SharedEntry {
        object: row.object_id.0,
        version: u64::try_from(row.version).unwrap_or(0),
        sealed: if opens { row.sealed_grant } else { Vec::new() },
    });
    Ok(ShareInfo {
        id: share.share_id,
        state: match share.state {
            ShareState::Offered => State::Offered,
            ShareState::Accepted => State::Accepted,
            ShareState::Revoked => State::Revoked,
            ShareState::Expired => State::Expired,
        },
        vault: share.vault_id,
        giver_email: address(work, share.giver_user).await?,
        taker_email: address(work, share.taker_user).await?,
        permissions: permissions.list(),
        grants: grants.collect(),
        rights,
        created_at: share.created_at,
        expires_at: share.expires_at,
    })
}

async fn address(work: &mut Work, user: UserId) -> Result<String, ActorError> {
    Ok(work.tx.get::<User>(user).await?.map(|user| user.email).unwrap_or_default())
}

/// All that the shares allow of what `of` names, together; none if no share names it.
fn together<'s>(
    shares: &'s [(Share, Vec<ShareGrant>)],
    of: impl Fn(&[ShareGrant]) -> bool + 's,
) -> Option<Allowed> {
    let naming = shares.iter().filter(|(_, grants)| of(grants));
    naming.map(|(share, _)| allowed(share)).reduce(Allowed::with)
}

fn names(grants: &[ShareGrant], object: Digest32) -> bool {
    grants.iter().any(|grant| grant.object_id == object)
}
