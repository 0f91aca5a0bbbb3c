//! The taker's side: taking an offer, and what is read and seen by it.

use std::collections::BTreeMap;

use ocmt_store::tables::{Share, ShareState, Vault, VaultObject};
use ocmt_types::{Digest32, ShareId, VaultId};

use super::{allowed, in_force, info, is_over, names, together};
use crate::{
    api::{
        shares::{AcceptShare, Permission, ShareInfo},
        vault::ListEntries,
    },
    authorize::{Action, Allowed, Object},
    error::ActorError,
    tenant::{grants, vault::ground},
    work::{Handle, Work},
};

impl Handle for AcceptShare {
    async fn handle(self, work: &mut Work) -> Result<ShareInfo, ActorError> {
        let found = work.tx.get::<Share>(self.share).await?;
        let share = work.authorize_found(Action::TakeShare, found, |share| Object::of(share.taker_user))?;
        work.object = format!("share/{}", self.share);
        if share.state != ShareState::Offered || is_over(work, &share) {
            let why = "the offer was taken back, has run out, or was answered before";
            return Err(ActorError::precondition("NOT_OFFERED", why));
        }
        let share = Share { state: ShareState::Accepted, ..share };
        if !work.tx.update_if(&share, Share::state.eq(ShareState::Offered)).await? {
            return Err(ActorError::Aborted("the share"));
        }
        info(work, share).await
    }
}

/// What the caller reads by a share.
pub(in crate::tenant) struct Taken {
    /// Which.
    pub(in crate::tenant) share: ShareId,
    /// The version that was given.
    pub(in crate::tenant) version: i64,
    /// Its sealed key.
    pub(in crate::tenant) sealed: Vec<u8>,
}

/// The grant by which the calling user reads an entry of somebody else; none if none of the caller's shares names it.
pub(in crate::tenant) async fn taken(
    work: &mut Work,
    vault: VaultId,
    object: Digest32,
) -> Result<Option<Taken>, ActorError> {
    let shares = in_force(work, vault).await?;
    let Some(held) = together(&shares, |grants| names(grants, object)) else {
        return Ok(None);
    };
    shared(work, Action::ReadShared, vault, held).await?;
    let readable = shares.into_iter().filter(|(share, _)| allowed(share).has(Permission::Read));
    let of_object = readable.flat_map(|(share, grants)| {
        let grants = grants.into_iter().filter(|grant| grant.object_id == object);
        grants.map(move |grant| (share.share_id, grant))
    });
    // the newest: an older one is the answer to nothing that the newer one does not answer
    let newest = of_object.max_by_key(|(_, grant)| grant.version);
    Ok(newest.map(|(share, grant)| Taken { share, version: grant.version, sealed: grant.sealed_grant }))
}

/// Whether the calling user has taken a share of a vault that is in force.
pub(in crate::tenant) async fn is_taken(work: &mut Work, vault: VaultId) -> Result<bool, ActorError> {
    Ok(!in_force(work, vault).await?.is_empty())
}

/// Heads of the entries that the calling user sees by shares, in the versions that were given; none if there is no share
/// of that vault.
pub(in crate::tenant) async fn listed(
    work: &mut Work,
    ask: &ListEntries,
    limit: usize,
) -> Result<Option<Vec<VaultObject>>, ActorError> {
    let shares = in_force(work, ask.vault).await?;
    let Some(held) = together(&shares, |_| true) else {
        return Ok(None);
    };
    shared(work, Action::ListShared, ask.vault, held).await?;
    let mut given: BTreeMap<Digest32, Vec<i64>> = BTreeMap::new();
    for (_, grants) in shares.into_iter().filter(|(share, _)| allowed(share).has(Permission::List)) {
        for grant in grants.into_iter().filter(|grant| ask.after.is_none_or(|after| grant.object_id > after))
        {
            given.entry(grant.object_id).or_default().push(grant.version);
        }
    }
    grants::heads(work, ask.vault, given, limit).await.map(Some)
}

/// Decides about a vault of somebody else of which shares give the caller this.
async fn shared(work: &mut Work, action: Action, vault: VaultId, held: Allowed) -> Result<(), ActorError> {
    let found = work.tx.get::<Vault>(vault).await?;
    work.authorize_found(action, found, |vault| Object { shared: Some(held), ..ground::owned(vault) })?;
    work.object = format!("vault/{vault}");
    Ok(())
}
