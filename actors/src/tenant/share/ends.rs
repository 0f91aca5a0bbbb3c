//! How shares end: taken back, run out, or with what they stood on.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::tables::{Share, ShareGrant, ShareState, VaultObject};
use ocmt_types::{UserId, VaultId};

use super::{LIVE, administer, allowed, capability, grants_of, rights};
use crate::{
    api::shares::{Permission, RevokeShare, ShareRevoked},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

/// How long one that is over is listed, and tells what is to be re-keyed.
const KEEP_ENDED: Duration = Duration::from_secs(90 * 24 * 3600);

impl Handle for RevokeShare {
    async fn handle(self, work: &mut Work) -> Result<ShareRevoked, ActorError> {
        let who = work.user()?;
        let found = work.tx.get::<Share>(self.share).await?;
        if found.is_none()
            && let Some(rekey) = capability::take_back(work, self.share).await?
        {
            return Ok(ShareRevoked { rekey });
        }
        let is_about =
            |share: &Share| [share.giver_user, share.taker_user, share.owner_user].contains(&who.user);
        let share = match found {
            Some(others) if !is_about(&others) => administer::may_end(work, others).await?,
            // whoever gave it ends it, so does whose vault it is of, and whom it was offered to declines it or gives it back
            found => work.authorize_found(Action::EndGrants, found, |_| Object::of(who.user))?,
        };
        work.object = format!("share/{}", self.share);
        lapse(work).await?;
        let owner = share.owner_user;
        let live = work.tx.get::<Share>(self.share).await?.filter(|it| LIVE.contains(&it.state));
        if let Some(live) = live.filter(|_| !is_about(&share)) {
            administer::tell(work, &live).await?;
        }
        let all = end(work, share).await?;
        // what was given on is a part of what was given
        let first = all.first().filter(|_| owner == who.user);
        let rekey = match first {
            Some(first) => rekey(work, first).await?,
            None => Vec::new(),
        };
        work.details.push(("given_on".to_owned(), (all.len() - 1).to_string()));
        work.details.push(("rekey".to_owned(), rekey.len().to_string()));
        Ok(ShareRevoked { rekey })
    }
}

/// Ends a share with all that was given on of it; all of them, the first one first. What is over stays as it is.
async fn end(work: &mut Work, first: Share) -> Result<Vec<Share>, ActorError> {
    let (mut all, mut at) = (vec![first], 0);
    while let Some(share) = all.get(at).cloned() {
        at += 1;
        if let Some(live) = work.tx.get::<Share>(share.share_id).await?.filter(|it| LIVE.contains(&it.state))
        {
            over(work, live).await?;
        }
        // a page at a time, and each page is over before the next: however many there are, none is left
        for state in LIVE {
            let given_on = Share::parent_share.eq(Some(share.share_id)).and(Share::state.eq(state));
            loop {
                let page = work.tx.find::<Share>(given_on.clone()).await?;
                if page.is_empty() {
                    break;
                }
                for child in page {
                    over(work, child.clone()).await?;
                    all.push(child);
                }
            }
        }
    }
    Ok(all)
}

async fn over(work: &mut Work, live: Share) -> Result<(), ActorError> {
    let guard = Share::state.eq(live.state);
    let over = Share { state: ShareState::Revoked, ended_at: Some(work.now), ..live };
    rights::end_of_share(work, over.share_id).await?;
    if work.tx.update_if(&over, guard).await? { Ok(()) } else { Err(ActorError::Aborted("the share")) }
}

/// Entries whose present version has a data key that this share handed out. That an offer was not taken is the node's
/// word, and re-keying is what does not rest on it.
async fn rekey(work: &mut Work, share: &Share) -> Result<Vec<[u8; 32]>, ActorError> {
    let mut objects = BTreeSet::new();
    if allowed(share).has(Permission::Read) {
        for grant in grants_of(work, share.share_id).await? {
            let head = work.tx.get::<VaultObject>((share.vault_id, grant.object_id)).await?;
            objects.extend(head.filter(|head| head.version == grant.version).map(|head| head.object_id.0));
        }
    }
    Ok(objects.into_iter().collect())
}

/// Says of shares whose time is over that it is.
pub(super) async fn lapse(work: &mut Work) -> Result<(), ActorError> {
    for state in LIVE {
        loop {
            let over = Share::state.eq(state).and(Share::expires_at.le(Some(work.now)));
            let rows = work.tx.find::<Share>(over.clone()).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let ended_at = row.expires_at;
                let expired = Share { state: ShareState::Expired, ended_at, ..row };
                rights::end_of_share(work, expired.share_id).await?;
                if !work.tx.update_if(&expired, over.clone()).await? {
                    return Err(ActorError::Aborted("a share"));
                }
            }
        }
    }
    Ok(())
}

/// Ends all that a user gave and took. Keys of theirs that others hold, and that they hold, are no more theirs.
pub(in crate::tenant) async fn end_of_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    capability::forget_user(work, user).await?;
    for theirs in [Share::giver_user.eq(user), Share::taker_user.eq(user), Share::owner_user.eq(user)] {
        for state in LIVE {
            end_all(work, &theirs.clone().and(Share::state.eq(state))).await?;
        }
    }
    Ok(())
}

/// Ends all that a user gave of a group's vault, with all that was given on of it.
pub(in crate::tenant) async fn end_given(
    work: &mut Work,
    vault: VaultId,
    user: UserId,
) -> Result<(), ActorError> {
    for state in LIVE {
        let given = Share::vault_id.eq(vault).and(Share::giver_user.eq(user));
        end_all(work, &given.and(Share::state.eq(state))).await?;
    }
    Ok(())
}

/// Ends all that a user gave and took of one vault.
pub(in crate::tenant) async fn end_in_vault(
    work: &mut Work,
    vault: VaultId,
    user: UserId,
) -> Result<(), ActorError> {
    end_given(work, vault, user).await?;
    for state in LIVE {
        let taken = Share::vault_id.eq(vault).and(Share::taker_user.eq(user));
        end_all(work, &taken.and(Share::state.eq(state))).await?;
    }
    Ok(())
}

/// Ends all shares of a vault: every entry was written anew.
pub(in crate::tenant) async fn end_of_vault(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    for state in LIVE {
        end_all(work, &Share::vault_id.eq(vault).and(Share::state.eq(state))).await?;
    }
    capability::end_of_vault(work, vault).await
}

async fn end_all(work: &mut Work, live: &ocmt_store::Filter<Share>) -> Result<(), ActorError> {
    loop {
        let rows = work.tx.find::<Share>(live.clone()).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            end(work, row).await?;
        }
    }
}

/// Says of shares that their time is over, and drops those that have been over for long.
pub(in crate::tenant) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    capability::sweep(work).await?;
    lapse(work).await?;
    for row in work.tx.find::<Share>(Share::ended_at.le(Some(work.now - KEEP_ENDED))).await? {
        work.tx.delete_all::<ShareGrant>(ShareGrant::share_id.eq(row.share_id)).await?;
        work.tx.delete::<Share>(row.share_id).await?;
    }
    Ok(())
}
