//! Deciding: by whose entry it is, once, and never for more than was asked.

use ocmt_store::tables::{Capability, CapabilityState, ShareState, User, VaultObject};
use ocmt_types::CapabilityId;

use super::{super::give, SHORTEST_MS, agent, info, lapse, note};
use crate::{
    api::{
        capabilities::{ApproveCapability, CapabilityInfo, DenyCapability},
        programs::EntryGrant,
        shares::{CreateShare, Permission},
    },
    authorize::{Action, Allowed, Object},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for ApproveCapability {
    async fn handle(self, work: &mut Work) -> Result<CapabilityInfo, ActorError> {
        lapse(work).await?;
        let row = decided(work, Action::GrantEntries, self.capability).await?;
        let gives = match row.requester_program {
            Some(_) => agent::within(&self.permissions)?,
            None => give::gives(&self.permissions)?,
        };
        if !Allowed::stored(&row.permissions).covers(gives) {
            return Err(ActorError::invalid("permissions", "must be a part of what was asked"));
        }
        if !(SHORTEST_MS..=row.lifetime_ms).contains(&self.lifetime_ms) {
            return Err(ActorError::invalid("lifetime", "is not between 1 min and what was asked"));
        }
        let row = match row.requester_program {
            Some(_) => agent::given(work, self, row, gives).await?,
            None => given(work, self, row, gives).await?,
        };
        decide(work, row).await
    }
}

/// What is given to a person: a share that they have taken by asking for it.
async fn given(
    work: &mut Work,
    ask: ApproveCapability,
    row: Capability,
    gives: Allowed,
) -> Result<Capability, ActorError> {
    if ask.share.is_some() || !ask.write_grants.is_empty() {
        return Err(ActorError::invalid(
            "share_id",
            "is given to a program that may write, and to nobody else",
        ));
    }
    let grants = grants(work, ask.grants, &row, gives.has(Permission::Read)).await?;
    let requester = work.tx.get::<User>(row.requester_user).await?.ok_or(ActorError::NotFound)?;
    let share = CreateShare {
        vault: row.vault_id,
        taker_email: requester.email,
        permissions: ask.permissions,
        grants,
        lifetime_ms: Some(ask.lifetime_ms),
        share: None,
        write_grants: Vec::new(),
    };
    let share = give::give(work, share, ShareState::Accepted).await?;
    let approver = work.user()?.user;
    Ok(Capability {
        state: CapabilityState::Approved,
        permissions: gives.to_stored(),
        expires_at: share.expires_at.unwrap_or(row.expires_at),
        decided_by: Some(approver),
        share_id: Some(share.share_id),
        ..row
    })
}

/// The one grant of the entry that was asked for: sealed, exactly if it is given to read.
pub(super) async fn grants(
    work: &mut Work,
    grants: Vec<EntryGrant>,
    row: &Capability,
    reads: bool,
) -> Result<Vec<EntryGrant>, ActorError> {
    match grants.as_slice() {
        [one] if reads && one.object == row.object_id => Ok(grants),
        [] if !reads => Ok(vec![unsealed(work, row).await?]),
        _ => Err(ActorError::invalid("grants", "must be of the entry, and only to read it")),
    }
}

/// What stands for an entry that is not given to read.
async fn unsealed(work: &mut Work, row: &Capability) -> Result<EntryGrant, ActorError> {
    let head =
        work.tx.get::<VaultObject>((row.vault_id, row.object_id)).await?.ok_or(ActorError::NotFound)?;
    let version = u64::try_from(head.version).unwrap_or(0);
    Ok(EntryGrant { object: row.object_id, version, sealed: Vec::new() })
}

impl Handle for DenyCapability {
    async fn handle(self, work: &mut Work) -> Result<CapabilityInfo, ActorError> {
        lapse(work).await?;
        let row = decided(work, Action::DenyCapability, self.capability).await?;
        let decided_by = Some(work.user()?.user);
        decide(work, Capability { state: CapabilityState::Denied, decided_by, ..row }).await
    }
}

/// A request that waits, if the caller may decide on it: whose entry it is of, and nobody else. Others do not learn that
/// there is one.
async fn decided(work: &mut Work, action: Action, which: CapabilityId) -> Result<Capability, ActorError> {
    let who = work.user()?;
    let found = work.tx.get::<Capability>(which).await?;
    let own =
        found.as_ref().is_some_and(|row| row.requester_program.is_none() && row.requester_user == who.user);
    if own {
        return Err(ActorError::PermissionDenied("somebody else decides what you asked for"));
    }
    let row = work.authorize_found(action, found, |row| Object::of(row.owner_user))?;
    if row.state != CapabilityState::Requested {
        return Err(ActorError::precondition(
            "NOT_REQUESTED",
            "the request has lapsed or was decided before",
        ));
    }
    Ok(row)
}

async fn decide(work: &mut Work, row: Capability) -> Result<CapabilityInfo, ActorError> {
    if !work.tx.update_if(&row, Capability::state.eq(CapabilityState::Requested)).await? {
        return Err(ActorError::Aborted("the request"));
    }
    note(work, &row);
    info(work, row).await
}
