//! Rights to write: what a share's taker may do to an entry beside reading it, as its giver has signed it.
//!
//! A right is of one version, as a grant is: what the taker sends follows that one. Filing a version renews the right and
//! the grants of every share of that entry in the same transaction ([`renew`]).

use std::collections::BTreeSet;

use ocmt_crypto::{
    datakey::{ObjectPlace, VaultScope},
    seal::SealPublicKey,
    shared::{Acts, Basis, WriteGrant},
    sign::VerifyKey,
};
use ocmt_store::tables::{Share, ShareGrant, ShareRight, SharedWrite, User, VaultObject};
use ocmt_types::{Digest32, ShareId, UserId, VaultId};

use super::{LIVE, allowed, is_over};
use crate::{
    api::{
        programs::EntryGrant,
        shares::{CreateShare, Permission, SharedRight},
        users::IdentityKey,
        vault::Renewal,
    },
    authorize::Allowed,
    error::ActorError,
    tenant::{grants, handlers::identity_of},
    work::Work,
};

/// Renewals of one filing. Whose share is beyond that has it offered again.
pub(in crate::tenant) const MOST_RENEWED: usize = 200;

/// What is given beside reading, if anything is.
pub(super) fn acts(allowed: Allowed) -> Option<Acts> {
    let acts = Acts { write: allowed.has(Permission::Write), delete: allowed.has(Permission::Delete) };
    (acts.write || acts.delete).then_some(acts)
}

fn wrong(why: &str) -> ActorError {
    ActorError::invalid("write_grants", why)
}

/// The id under which the vault's ledger knows a share that may write: its giver's device chose it.
pub(super) async fn chosen_id(
    work: &mut Work,
    ask: &CreateShare,
    gives: Allowed,
) -> Result<ShareId, ActorError> {
    let Some(share) = ask.share.filter(|_| acts(gives).is_some()) else {
        if ask.share.is_some() || acts(gives).is_some() {
            let why = "is given exactly for a share that may write or delete";
            return Err(ActorError::invalid("share_id", why));
        }
        return Ok(work.env.id());
    };
    // programs are given rights without a share: theirs are known by ids of the same kind
    let rights = work.tx.first::<ShareRight>(ShareRight::share_id.eq(share)).await?;
    if rights.is_some() || work.tx.get::<Share>(share).await?.is_some() {
        return Err(ActorError::invalid("share_id", "is in use: choose another"));
    }
    Ok(share)
}

/// The rights of a new share: one of each entry, signed by the giver for this taker.
pub(super) async fn checked(
    work: &mut Work,
    ask: &CreateShare,
    share: ShareId,
    gives: Allowed,
    (giver, taker): (UserId, VerifyKey),
) -> Result<Vec<ShareRight>, ActorError> {
    let Some(acts) = acts(gives) else {
        return if ask.write_grants.is_empty() {
            Ok(Vec::new())
        } else {
            Err(wrong("must be none: nothing is to be written"))
        };
    };
    if ask.write_grants.len() != ask.grants.len() {
        return Err(wrong("must be one of each entry"));
    }
    let giver = signs(work, giver).await?;
    let mut rights: Vec<ShareRight> = Vec::with_capacity(ask.write_grants.len());
    for bytes in &ask.write_grants {
        let right = WriteGrant::open(bytes, &giver)
            .map_err(|_| wrong("has one that your identity key did not sign"))?;
        let object = right.basis.place.object;
        let named = ask.grants.iter().any(|grant| grant.object == object);
        let again = rights.iter().any(|known| known.object_id == object);
        let head = work.tx.get::<VaultObject>((ask.vault, object)).await?.filter(|_| named && !again);
        let head = head.ok_or_else(|| wrong("must be one of each entry"))?;
        let scope = VaultScope { tenant: work.ownership.tenant, vault: ask.vault };
        if (right.share, right.acts, right.taker) != (share, acts, taker)
            || right.basis != basis(scope, &head)
        {
            return Err(wrong("has one for another share, taker, version or act"));
        }
        rights.push(row(work, &head, share, bytes.clone(), 0));
    }
    Ok(rights)
}

/// The key that somebody signs with.
pub(super) async fn signs(work: &mut Work, user: UserId) -> Result<VerifyKey, ActorError> {
    let found = work.tx.get::<User>(user).await?.and_then(|user| identity_of(&user));
    found.map(|identity| VerifyKey(identity.verify_key)).ok_or_else(|| {
        ActorError::precondition("NO_IDENTITY_KEY", "publish identity keys first: unlock your vault once")
    })
}

fn basis(scope: VaultScope, head: &VaultObject) -> Basis {
    let version = u64::try_from(head.version).unwrap_or(0);
    let place = ObjectPlace { scope, object: head.object_id, version };
    Basis { place, body_hash: head.body_hash }
}

/// The version that a right is of.
pub(super) fn basis_of(scope: VaultScope, right: &ShareRight) -> Basis {
    let version = u64::try_from(right.version).unwrap_or(0);
    let place = ObjectPlace { scope, object: right.object_id, version };
    Basis { place, body_hash: right.body_hash }
}

fn row(
    work: &Work,
    head: &VaultObject,
    share: ShareId,
    write_grant: Vec<u8>,
    next_sequence: i64,
) -> ShareRight {
    ShareRight {
        tenant_id: work.ownership.tenant,
        share_id: share,
        object_id: head.object_id,
        version: head.version,
        body_hash: head.body_hash,
        write_grant,
        next_sequence,
    }
}

/// The rights of a share, as somebody sees them whom it is about; the taker with what was signed, while it is in force.
pub(super) async fn of(work: &mut Work, share: &Share, opens: bool) -> Result<Vec<SharedRight>, ActorError> {
    let rows = work.tx.find::<ShareRight>(ShareRight::share_id.eq(share.share_id)).await?;
    let mut rights = Vec::with_capacity(rows.len());
    for row in rows {
        rights.push(shown(work, row, opens).await?);
    }
    Ok(rights)
}

/// To a program, what it may write of an entry by an approval, if that is of the version that is there.
pub(super) async fn of_program(
    work: &mut Work,
    share: ShareId,
    (vault, object): (VaultId, Digest32),
) -> Result<Option<SharedRight>, ActorError> {
    let Some(row) = work.tx.get::<ShareRight>((share, object)).await? else { return Ok(None) };
    match work.tx.get::<VaultObject>((vault, object)).await? {
        Some(head) if (head.version, head.body_hash) == (row.version, row.body_hash) => {
            shown(work, row, true).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn shown(work: &mut Work, row: ShareRight, opens: bool) -> Result<SharedRight, ActorError> {
    let waiting = SharedWrite::share_id.eq(row.share_id).and(SharedWrite::object_id.eq(row.object_id));
    Ok(SharedRight {
        object: row.object_id.0,
        write_grant: if opens { row.write_grant } else { Vec::new() },
        next_sequence: u64::try_from(row.next_sequence).unwrap_or(0),
        waits: work.tx.count::<SharedWrite>(waiting).await? > 0,
    })
}

/// What ends with a share: its rights, and what waits by it.
pub(super) async fn end_of_share(work: &mut Work, share: ShareId) -> Result<(), ActorError> {
    work.tx.delete_all::<ShareRight>(ShareRight::share_id.eq(share)).await?;
    work.tx.delete_all::<SharedWrite>(SharedWrite::share_id.eq(share)).await?;
    Ok(())
}

/// What ends with one entry of it.
pub(super) async fn end_of_entry(
    work: &mut Work,
    share: ShareId,
    object: Digest32,
) -> Result<(), ActorError> {
    work.tx.delete::<ShareRight>((share, object)).await?;
    let waiting = SharedWrite::share_id.eq(share).and(SharedWrite::object_id.eq(object));
    work.tx.delete_all::<SharedWrite>(waiting).await?;
    Ok(())
}

/// Whether a share is still of the keys that its giver and its taker have published: else nothing that its giver's device
/// makes for it fits, and nobody else's writes wait for that.
async fn has_same_keys(
    work: &mut Work,
    share: &Share,
    grant: &ShareGrant,
    taker: &IdentityKey,
) -> Result<bool, ActorError> {
    let giver = signs(work, share.giver_user).await?;
    if allowed(share).has(Permission::Read) {
        let scope = VaultScope { tenant: work.ownership.tenant, vault: share.vault_id };
        let version = u64::try_from(grant.version).unwrap_or(0);
        let place = ObjectPlace { scope, object: grant.object_id, version };
        let to = SealPublicKey(taker.seal_key);
        if ocmt_crypto::grant::verify(&place, &grant.sealed_grant, &to, &giver).is_err() {
            return Ok(false);
        }
    }
    let right = work.tx.get::<ShareRight>((share.share_id, grant.object_id)).await?;
    let signed = right.map(|right| WriteGrant::open(&right.write_grant, &giver));
    Ok(signed.is_none_or(|signed| signed.is_ok_and(|signed| signed.taker.0 == taker.verify_key)))
}

/// Brings a share of the caller's own vault to the version that was just filed. It gives nobody anything new: the same
/// taker, the same permissions, and the version after the one that they had.
pub(in crate::tenant) async fn renew(
    work: &mut Work,
    renewal: Renewal,
    filed: &BTreeSet<Digest32>,
    head: &VaultObject,
) -> Result<(), ActorError> {
    let wrong = |why: &str| ActorError::invalid("renewals", why);
    let who = work.user()?;
    let share = work.tx.get::<Share>(renewal.share).await?;
    let share = share.filter(|share| LIVE.contains(&share.state) && !is_over(work, share));
    // it may have ended since the caller looked
    let share = share.ok_or(ActorError::Aborted("a share"))?;
    if share.vault_id != head.vault_id || (share.giver_user, share.owner_user) != (who.user, who.user) {
        return Err(wrong("has one of a share that you did not give of this vault"));
    }
    let object = head.object_id;
    let grant = work.tx.get::<ShareGrant>((renewal.share, object)).await?.filter(|_| filed.contains(&object));
    let grant = grant.ok_or_else(|| wrong("has one of an entry that is not filed, or not of its share"))?;
    if grant.version.checked_add(1) != Some(head.version) {
        return Err(ActorError::Aborted("a share"));
    }
    let taker = work.tx.get::<User>(share.taker_user).await?.and_then(|taker| identity_of(&taker));
    let taker = taker.ok_or(ActorError::Aborted("a share"))?;
    if !has_same_keys(work, &share, &grant, &taker).await? {
        // it stays at the version before, and is offered again
        return Ok(());
    }
    let version = u64::try_from(head.version).unwrap_or(0);
    if allowed(&share).has(Permission::Read) {
        let signed = [EntryGrant { object, version, sealed: renewal.sealed.clone() }];
        let key = SealPublicKey(taker.seal_key);
        grants::check_signed(work, share.vault_id, who.user, key, &signed).await?;
    } else if !renewal.sealed.is_empty() {
        return Err(wrong("has a sealed key for a share that is not for reading"));
    }
    match acts(allowed(&share)) {
        Some(acts) => {
            let giver = signs(work, who.user).await?;
            let signed = WriteGrant::open(&renewal.write_grant, &giver)
                .map_err(|_| wrong("has one that your identity key did not sign"))?;
            let scope = VaultScope { tenant: work.ownership.tenant, vault: share.vault_id };
            let expected = (renewal.share, basis(scope, head), acts, VerifyKey(taker.verify_key));
            if (signed.share, signed.basis, signed.acts, signed.taker) != expected {
                return Err(wrong("has one for another share, taker, version or act"));
            }
            let right = work.tx.get::<ShareRight>((renewal.share, object)).await?;
            let next = right.map_or(0, |right| right.next_sequence);
            let renewed = row(work, head, renewal.share, renewal.write_grant, next);
            work.tx.update(&renewed).await?;
        }
        None if renewal.write_grant.is_empty() => {}
        None => return Err(wrong("has a right to write for a share that does not write")),
    }
    let renewed = ShareGrant { version: head.version, sealed_grant: renewal.sealed, ..grant };
    work.tx.update(&renewed).await?;
    Ok(())
}
