//! Asking: who may, for what, and how often.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::{
    Filter,
    tables::{Capability, CapabilityState, Share, ShareGrant, VaultObject},
};
use ocmt_types::{Digest32, UserId, VaultId};

use super::{
    super::{give, in_force, names, of_taker, together},
    SHORTEST_MS, agent, info, lapse, note,
};
use crate::{
    api::{
        capabilities::{CapabilityInfo, RequestCapability},
        shares::Permission,
    },
    authorize::{Action, Allowed, Object},
    error::ActorError,
    work::{Handle, Work},
};

/// Requests of one person that wait.
const MOST_WAITING: i64 = 10;
/// Requests of one person in a day.
const MOST_A_DAY: i64 = 30;
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a request waits for somebody.
const WAITS: Duration = Duration::from_secs(7 * 24 * 3600);
const LONGEST_MS: i64 = 30 * 24 * 3_600_000;
const LONGEST_REASON: usize = 500;

impl Handle for RequestCapability {
    async fn handle(self, work: &mut Work) -> Result<CapabilityInfo, ActorError> {
        let object = self.object()?;
        if !(SHORTEST_MS..=LONGEST_MS).contains(&self.lifetime_ms) {
            return Err(ActorError::invalid("lifetime", "is not between 1 min and 30 days"));
        }
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > LONGEST_REASON || reason.chars().any(char::is_control) {
            return Err(ActorError::invalid("reason", "must be one line of 1 to 500 bytes"));
        }
        lapse(work).await?;
        let row = match work.standing.caller.program() {
            Some(program) => agent::asked(work, program, &self, object).await?,
            None => asked(work, &self, object).await?,
        };
        work.tx.insert(&row).await?;
        note(work, &row);
        info(work, row).await
    }
}

/// A person's request, if they may make one.
async fn asked(work: &mut Work, ask: &RequestCapability, object: Digest32) -> Result<Capability, ActorError> {
    let who = work.user()?;
    work.authorize(Action::RequestCapability, &Object::of(who.user))?;
    let asks = give::gives(&ask.permissions)?;
    if ask.sign_key.is_some() {
        return Err(ActorError::invalid("sign_key", "is given exactly by a program that asks to write"));
    }
    let (vault, owner, has) = known(work, who.user, ask.vault, object).await?;
    if has.covers(asks) {
        return Err(ActorError::precondition("HELD_ALREADY", "you have all of this: see `ocmt share list`"));
    }
    room(work, who.user).await?;
    let row = ask.row(work, who.user, (vault, owner, object));
    Ok(Capability { permissions: asks.to_stored(), ..row })
}

impl RequestCapability {
    /// A request that waits: by or for a user, of an entry of this vault, whose owner that is.
    pub(super) fn row(
        &self,
        work: &Work,
        requester_user: UserId,
        (vault_id, owner_user, object_id): (VaultId, UserId, Digest32),
    ) -> Capability {
        Capability {
            tenant_id: work.ownership.tenant,
            capability_id: work.env.id(),
            requester_user,
            requester_program: None,
            vault_id,
            owner_user,
            object_id,
            permissions: String::new(),
            lifetime_ms: self.lifetime_ms,
            reason: self.reason.trim().to_owned(),
            state: CapabilityState::Requested,
            requested_at: work.now,
            expires_at: work.now + WAITS,
            decided_by: None,
            share_id: None,
            version: None,
            sealed_grant: None,
            sign_key: None,
        }
    }

    fn object(&self) -> Result<Digest32, ActorError> {
        let hex = self
            .object
            .strip_prefix("entry:")
            .filter(|hex| !hex.bytes().any(|byte| byte.is_ascii_uppercase()));
        let bytes = hex.and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok());
        let object = bytes.and_then(|bytes| bytes.try_into().ok().map(Digest32));
        object.ok_or_else(|| ActorError::invalid("object", "must be `entry:` and 64 hexadecimal digits"))
    }
}

/// The vault of an entry that the caller knows by a share, its owner, and what the caller has of it as it is now.
async fn known(
    work: &mut Work,
    user: UserId,
    vault: Option<VaultId>,
    object: Digest32,
) -> Result<(VaultId, UserId, Allowed), ActorError> {
    let of = vault.map_or_else(Filter::all, |vault| Share::vault_id.eq(vault));
    let vaults: BTreeSet<_> =
        of_taker(work, user, of).await?.into_iter().map(|share| share.vault_id).collect();
    let mut found = None;
    for vault in vaults {
        let shares = in_force(work, vault).await?;
        let Some(has) = together(&shares, |grants| names(grants, object)) else { continue };
        let owner = shares.first().map(|(share, _)| share.owner_user).ok_or(ActorError::NotFound)?;
        let head = work.tx.get::<VaultObject>((vault, object)).await?.ok_or(ActorError::NotFound)?;
        // who has the key of an older version alone does not read what is there now
        let is_head = |grant: &ShareGrant| grant.object_id == object && grant.version == head.version;
        let present = together(&shares, |grants| grants.iter().any(is_head)).unwrap_or_default();
        let has = if present.has(Permission::Read) { has } else { has.without(Permission::Read) };
        // ids of entries are made by devices: two people's may be the same
        if found.replace((vault, owner, has)).is_some() {
            return Err(ActorError::invalid(
                "vault_id",
                "must say which: two vaults have an entry of this id",
            ));
        }
    }
    found.ok_or(ActorError::NotFound)
}

async fn room(work: &mut Work, requester: UserId) -> Result<(), ActorError> {
    let theirs = Capability::requester_user.eq(requester).and(Capability::requester_program.eq(None));
    let waiting = theirs.clone().and(Capability::state.eq(CapabilityState::Requested));
    let of_late = theirs.and(Capability::requested_at.gt(work.now - DAY));
    if work.tx.count::<Capability>(waiting).await? >= MOST_WAITING
        || work.tx.count::<Capability>(of_late).await? >= MOST_A_DAY
    {
        let why = "10 requests of one person wait at a time, and one person makes 30 in a day";
        return Err(ActorError::exhausted("TOO_MANY_REQUESTS", why));
    }
    Ok(())
}
