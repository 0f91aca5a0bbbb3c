//! The giver's side: the offer, and what it may be an offer of.

use std::time::Duration;

use ocmt_crypto::{seal::SealPublicKey, sign::VerifyKey};
use ocmt_store::tables::{Share, ShareGrant, ShareState, User, UserState, Vault};
use ocmt_types::{ShareId, Timestamp, UserId, VaultId};

use super::{LIVE, allowed, ends::lapse, in_force, info, names, rights, together};
use crate::{
    api::{
        shares::{CreateShare, Permission, ShareInfo},
        users::IdentityKey,
    },
    authorize::{Action, Allowed, Object},
    email,
    error::ActorError,
    tenant::{grants, handlers::identity_of, vault::ground},
    work::{Handle, Work},
};

/// Shares of one vault that one person gives at a time.
const MOST_GIVEN: i64 = 100;
/// Shares of one vault at a time, whoever gives them.
const MOST_OF_VAULT: i64 = 1_000;
/// Offers of one person that wait for one taker.
const MOST_WAITING: i64 = 20;
const SHORTEST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;
/// What can be asked for, and given on.
const GIVEN_ON: [Permission; 3] = [Permission::Read, Permission::List, Permission::Share];

impl Handle for CreateShare {
    async fn handle(self, work: &mut Work) -> Result<ShareInfo, ActorError> {
        let share = give(work, self, ShareState::Offered).await?;
        info(work, share).await
    }
}

/// Gives what is asked, if the caller may: as an offer, or as taken where its taker has asked for it.
pub(super) async fn give(work: &mut Work, ask: CreateShare, state: ShareState) -> Result<Share, ActorError> {
    let who = work.user()?;
    let source = source(work, &ask).await?;
    let gives = source.gives(&ask.permissions)?;
    let share_id = rights::chosen_id(work, &ask, gives).await?;
    let expires_at = ask.expires_at(work.now)?;
    let basis = source.basis(&ask, gives, expires_at)?;
    grants::check_present(work, ask.vault, &ask.grants).await?;
    let (taker, identity) = taker(work, &ask.taker_email).await?;
    if taker.user_id == who.user || taker.user_id == source.owner {
        return Err(ActorError::invalid("taker_email", "is yours, or of whose entries these are"));
    }
    if gives.has(Permission::Read) {
        let key = SealPublicKey(identity.seal_key);
        grants::check_signed(work, ask.vault, who.user, key, &ask.grants).await?;
    } else if ask.grants.iter().any(|grant| !grant.sealed.is_empty()) {
        let why = "must have no sealed keys: the share is not for reading";
        return Err(ActorError::invalid("grants", why));
    }
    let signs = (who.user, VerifyKey(identity.verify_key));
    let rights = rights::checked(work, &ask, share_id, gives, signs).await?;
    lapse(work).await?;
    room(work, ask.vault, who.user, taker.user_id).await?;
    let share = Share {
        tenant_id: work.ownership.tenant,
        share_id,
        vault_id: ask.vault,
        owner_user: source.owner,
        giver_user: who.user,
        taker_user: taker.user_id,
        parent_share: basis,
        permissions: gives.to_stored(),
        state,
        created_at: work.now,
        expires_at,
        ended_at: None,
    };
    work.tx.insert(&share).await?;
    work.object = format!("share/{}", share.share_id);
    work.details = vec![
        ("vault".to_owned(), ask.vault.to_string()),
        ("taker".to_owned(), taker.user_id.to_string()),
        ("permissions".to_owned(), share.permissions.clone()),
        ("grants".to_owned(), ask.grants.len().to_string()),
    ];
    for right in rights {
        work.tx.insert(&right).await?;
    }
    for grant in ask.grants {
        let row = ShareGrant {
            tenant_id: share.tenant_id,
            share_id: share.share_id,
            object_id: grant.object,
            version: i64::try_from(grant.version).unwrap_or(i64::MAX),
            sealed_grant: grant.sealed,
        };
        work.tx.insert(&row).await?;
    }
    Ok(share)
}

impl CreateShare {
    fn expires_at(&self, now: Timestamp) -> Result<Option<Timestamp>, ActorError> {
        let Some(lifetime) = self.lifetime_ms else { return Ok(None) };
        if !(SHORTEST_MS..=LONGEST_MS).contains(&lifetime) {
            return Err(ActorError::invalid("lifetime", "is not between 1 min and 366 days"));
        }
        Ok(Some(now + Duration::from_millis(u64::try_from(lifetime).unwrap_or(0))))
    }
}

/// Exactly what is named, if all of it can be asked for.
pub(super) fn gives(permissions: &[Permission]) -> Result<Allowed, ActorError> {
    if permissions.is_empty() {
        return Err(ActorError::invalid("permissions", "must be 1 to 6"));
    }
    if permissions.iter().any(|one| !GIVEN_ON.contains(one)) {
        return Err(ActorError::precondition(
            "NOT_SHAREABLE",
            "write, delete and admin are given by whose vault it is alone, as a share that they offer, and not of a \
                 group's vault. Ask for read, list or share",
        ));
    }
    Ok(Allowed::exactly(permissions))
}

/// What the caller gives from.
struct Source {
    owner: UserId,
    /// Whether the vault is the caller's own: only its ledger says who may write, and nobody else makes administrators.
    is_own: bool,
    /// Of somebody else's vault: shares by which the caller may give on, with their entries.
    given_on: Option<Vec<(Share, Vec<ShareGrant>)>>,
}

/// The vault, the caller's own or one that the caller has a share of, if the caller may give of it.
async fn source(work: &mut Work, ask: &CreateShare) -> Result<Source, ActorError> {
    match ground::load(work, Action::GrantEntries, Some(ask.vault)).await {
        Err(refused) if ground::is_asked_by_share(work, ask.vault, &refused).await? => {}
        own => {
            // an administrator gives of a group's vault in their own name
            let own = own?.owner_user;
            let owner = own.unwrap_or(work.user()?.user);
            return Ok(Source { owner, is_own: own.is_some(), given_on: None });
        }
    }
    let shares = in_force(work, ask.vault).await?;
    let asked = |grants: &[ShareGrant]| ask.grants.iter().all(|grant| names(grants, grant.object));
    let shared = together(&shares, asked).ok_or(ActorError::NotFound)?;
    let found = work.tx.get::<Vault>(ask.vault).await?;
    let vault = work.authorize_found(Action::GrantEntries, found, |vault| Object {
        shared: Some(shared),
        ..ground::owned(vault)
    })?;
    let owner = vault.owner_user.or(shares.first().map(|(share, _)| share.owner_user));
    Ok(Source { owner: owner.ok_or(ActorError::NotFound)?, is_own: false, given_on: Some(shares) })
}

impl Source {
    /// Exactly what is named, if all of it can be given from here.
    fn gives(&self, permissions: &[Permission]) -> Result<Allowed, ActorError> {
        if self.is_own && !permissions.is_empty() {
            return Ok(Allowed::exactly(permissions));
        }
        gives(permissions)
    }

    /// Of what is given on: one share of the caller's that has all of it, to give on too, and lasts as long.
    fn basis(
        &self,
        ask: &CreateShare,
        gives: Allowed,
        expires_at: Option<Timestamp>,
    ) -> Result<Option<ShareId>, ActorError> {
        let Some(shares) = &self.given_on else { return Ok(None) };
        let same = |given: &[ShareGrant]| {
            ask.grants.iter().all(|grant| {
                given.iter().any(|row| {
                    row.object_id == grant.object && u64::try_from(row.version) == Ok(grant.version)
                })
            })
        };
        let lasts = |share: &Share| match (share.expires_at, expires_at) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(asked)) => asked <= own,
        };
        let basis = shares.iter().find(|(share, given)| {
            let has = allowed(share);
            has.has(Permission::Share) && has.covers(gives) && lasts(share) && same(given)
        });
        let more = "nobody gives on more, or for longer, than was given to them";
        basis.map(|(share, _)| Some(share.share_id)).ok_or(ActorError::PermissionDenied(more))
    }
}

/// Whoever can take a share by this address. Of addresses elsewhere nothing is said: nobody looks there.
async fn taker(work: &mut Work, address: &str) -> Result<(User, IdentityKey), ActorError> {
    let address = email::normalised(address)?;
    let found = work.tx.first::<User>(User::email.eq(&address)).await?;
    let found = found.filter(|user| user.state == UserState::Active);
    let found = found.and_then(|user| identity_of(&user).map(|keys| (user, keys)));
    found.ok_or_else(|| {
        ActorError::precondition(
            "NO_TAKER",
            "nobody of this tenant has this address and a vault that was unlocked once: shares stay inside a tenant",
        )
    })
}

/// Whether there is room for one more, counted under the fence.
async fn room(work: &mut Work, vault: VaultId, giver: UserId, taker: UserId) -> Result<(), ActorError> {
    let (mut of_vault, mut given) = (0, 0);
    for state in LIVE {
        let live = Share::vault_id.eq(vault).and(Share::state.eq(state));
        of_vault += work.tx.count::<Share>(live.clone()).await?;
        given += work.tx.count::<Share>(live.and(Share::giver_user.eq(giver))).await?;
    }
    let offers = Share::giver_user.eq(giver).and(Share::taker_user.eq(taker));
    let waiting = work.tx.count::<Share>(offers.and(Share::state.eq(ShareState::Offered))).await?;
    if of_vault >= MOST_OF_VAULT || given >= MOST_GIVEN || waiting >= MOST_WAITING {
        let why = "a vault has at most 1,000 shares, 100 of them given by one person, and 20 offers of one person wait \
                   for another: take some back";
        return Err(ActorError::exhausted("TOO_MANY_SHARES", why));
    }
    Ok(())
}
