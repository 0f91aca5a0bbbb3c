//! To administer entries that were shared: to see who else has them by a share, and to take that back.
//!
//! It lets nobody in. So who is no administrator any more has left nobody behind, and nothing signed has to say whom they
//! let in. What they take back stops at the node at once; fresh keys are the owner's to make, who is told.

use std::collections::BTreeSet;

use ocmt_store::tables::{Share, ShareGrant, ShareState, User};
use ocmt_types::{Digest32, ShareId, Timestamp, VaultId};

use super::{LIVE, address, allowed, grants_of, in_force, of_taker};
use crate::{
    api::shares::{Permission, ShareInfo},
    authorize::{Action, Allowed, Object},
    error::ActorError,
    tenant::handlers::notices::{self, NoticeText},
    work::Work,
};

/// Entries that the caller administers, of one vault.
pub(super) struct Ground {
    vault: VaultId,
    entries: BTreeSet<Digest32>,
}

/// What the caller administers by shares in force, of this vault.
async fn ground(work: &mut Work, vault: VaultId) -> Result<Ground, ActorError> {
    let held = in_force(work, vault).await?;
    let held = held.into_iter().filter(|(share, _)| allowed(share).has(Permission::Admin));
    Ok(Ground { vault, entries: held.flat_map(|(_, grants)| grants).map(|grant| grant.object_id).collect() })
}

/// The same of all vaults.
pub(super) async fn grounds(work: &mut Work) -> Result<Vec<Ground>, ActorError> {
    let user = work.user()?.user;
    let taken = of_taker(work, user, ocmt_store::Filter::all()).await?;
    let administers = taken.iter().filter(|share| allowed(share).has(Permission::Admin));
    let vaults: BTreeSet<VaultId> = administers.map(|share| share.vault_id).collect();
    let mut grounds = Vec::with_capacity(vaults.len());
    for vault in vaults {
        grounds.push(ground(work, vault).await?);
    }
    grounds.retain(|ground| !ground.entries.is_empty());
    Ok(grounds)
}

/// Shares in these states of entries that the caller administers, behind one: found by the entries, of which each has an
/// index, and no query for each share of others.
pub(super) async fn shares(
    work: &mut Work,
    ground: &Ground,
    states: &[ShareState],
    after: Option<&(Timestamp, ShareId)>,
) -> Result<Vec<Share>, ActorError> {
    // what is over is the business of whose vault it is
    let asked = |state: &ShareState| LIVE.contains(state) && states.contains(state);
    if !states.iter().any(asked) {
        return Ok(Vec::new());
    }
    let mut named = BTreeSet::new();
    for entry in &ground.entries {
        let of_entry = ShareGrant::object_id.eq(*entry);
        let mut page = work.tx.find(of_entry.clone()).await?;
        while let Some(last) = page.last().map(|grant| (grant.share_id, grant.object_id)) {
            named.extend(page.into_iter().map(|grant| grant.share_id));
            page = work.tx.find(of_entry.clone().after(&last)).await?;
        }
    }
    let mut found = Vec::new();
    for share in named {
        let row = work.tx.get::<Share>(share).await?;
        let behind = |row: &Share| after.is_none_or(|after| (row.created_at, row.share_id) < *after);
        found.extend(row.filter(|row| row.vault_id == ground.vault && asked(&row.state) && behind(row)));
    }
    Ok(found)
}

/// Leaves of a share that is others' what the caller administers of it.
pub(super) fn only(grounds: &[Ground], info: &mut ShareInfo) {
    let ground = grounds.iter().find(|ground| ground.vault == info.vault);
    let known = |object: [u8; 32]| ground.is_some_and(|ground| ground.entries.contains(&Digest32(object)));
    info.grants.retain(|entry| known(entry.object));
    info.rights.retain(|right| known(right.object));
}

/// Decides about taking back what others have by a share: all of its entries are the caller's to administer, and it makes
/// nobody an administrator.
pub(super) async fn may_end(work: &mut Work, share: Share) -> Result<Share, ActorError> {
    let ground = ground(work, share.vault_id).await?;
    let grants = grants_of(work, share.share_id).await?;
    let mine = grants.iter().filter(|grant| ground.entries.contains(&grant.object_id)).count();
    let shared = (mine > 0).then(|| Allowed::exactly(&[Permission::Admin]));
    let share = work.authorize_found(Action::EndShared, Some(share), |share| Object {
        shared,
        ..Object::of(share.owner_user)
    })?;
    if mine < grants.len() {
        let more = "the share has entries that you do not administer: whose vault it is takes it back";
        return Err(ActorError::PermissionDenied(more));
    }
    if allowed(&share).has(Permission::Admin) {
        let equal = "it makes somebody an administrator of these entries: whose vault it is takes that back";
        return Err(ActorError::PermissionDenied(equal));
    }
    Ok(share)
}

/// Tells whose vault it is what was taken back in their stead, since the keys that were given are theirs to replace.
pub(super) async fn tell(work: &mut Work, share: &Share) -> Result<(), ActorError> {
    let Some(owner) = work.tx.get::<User>(share.owner_user).await? else {
        return Ok(());
    };
    let administrator = work.user()?.user;
    let facts = [
        ("share".to_owned(), share.share_id.to_string()),
        ("taker".to_owned(), address(work, share.taker_user).await?),
        ("taken_back_by".to_owned(), address(work, administrator).await?),
    ];
    let text = NoticeText {
        user: Some(owner.user_id),
        address: &owner.email,
        kind: "share.taken_back",
        subject: &format!("share/{}", share.share_id),
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}
