//! Entry grants as the node can check them: of which entries, of which version, and by whom. What is in them, only the
//! taker sees.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_crypto::{
    datakey::{ObjectPlace, VaultScope},
    grant,
    seal::SealPublicKey,
    sign::VerifyKey,
};
use ocmt_store::tables::{User, VaultObject};
use ocmt_types::{Digest32, UserId, VaultId};

use super::handlers::identity_of;
use crate::{api::programs::EntryGrant, error::ActorError, work::Work};

const MOST: usize = 48;

fn wrong(why: &str) -> ActorError {
    ActorError::invalid("grants", why)
}

/// Entries that are there in a version that was granted: a page of them, in the order of their ids.
pub(super) async fn heads(
    work: &mut Work,
    vault: VaultId,
    granted: BTreeMap<Digest32, Vec<i64>>,
    limit: usize,
) -> Result<Vec<VaultObject>, ActorError> {
    let mut heads = Vec::new();
    for (object, versions) in granted {
        let head = work.tx.get::<VaultObject>((vault, object)).await?;
        heads.extend(head.filter(|head| versions.contains(&head.version)));
        if heads.len() >= limit {
            break;
        }
    }
    Ok(heads)
}

/// Each is of another entry of the vault, in the version that is there now.
pub(super) async fn check_present(
    work: &mut Work,
    vault: VaultId,
    grants: &[EntryGrant],
) -> Result<(), ActorError> {
    if grants.is_empty() || grants.len() > MOST {
        return Err(wrong("must be 1 to 48"));
    }
    let objects: BTreeSet<Digest32> = grants.iter().map(|grant| grant.object).collect();
    if objects.len() != grants.len() || objects.contains(&ocmt_crypto::object::keyring_id()) {
        return Err(wrong("must each be of another entry"));
    }
    for granted in grants {
        let head = work.tx.get::<VaultObject>((vault, granted.object)).await?.ok_or(ActorError::NotFound)?;
        if u64::try_from(head.version) != Ok(granted.version) {
            return Err(ActorError::Aborted("an entry"));
        }
    }
    Ok(())
}

/// Each is made by the giver's own published key, for this taker.
pub(super) async fn check_signed(
    work: &mut Work,
    vault: VaultId,
    giver: UserId,
    taker: SealPublicKey,
    grants: &[EntryGrant],
) -> Result<(), ActorError> {
    let giver = work.tx.get::<User>(giver).await?.ok_or(ActorError::NotFound)?;
    let identity = identity_of(&giver).ok_or_else(|| {
        ActorError::precondition("NO_IDENTITY_KEY", "publish identity keys first: unlock your vault once")
    })?;
    let scope = VaultScope { tenant: work.ownership.tenant, vault };
    for granted in grants {
        let place = ObjectPlace { scope, object: granted.object, version: granted.version };
        grant::verify(&place, &granted.sealed, &taker, &VerifyKey(identity.verify_key))
            .map_err(|_| wrong("has one that your identity key did not sign for this taker"))?;
    }
    Ok(())
}
