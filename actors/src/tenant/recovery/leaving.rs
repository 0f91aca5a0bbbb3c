//! Leaving: a guardian stops, an owner takes one back or a change that waits, and a tenant ends.

use ocmt_store::tables::{GuardianshipIn, GuardianshipOut, GuardianshipState as State, Vault};
use ocmt_types::TenantId;

use super::{
    super::{ceremony, pages::pages},
    change,
    invite::{inward_of, is_over},
    letters::{self, Left},
    list,
};
use crate::{
    api::recovery::{Guardianship, ResignGuardianship},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for ResignGuardianship {
    async fn handle(self, work: &mut Work) -> Result<Guardianship, ActorError> {
        let who = work.user()?;
        let out = work.tx.get::<GuardianshipOut>(self.guardianship).await?;
        if let Some(row) = out.filter(|row| row.user_id == who.user) {
            work.authorize(Action::ChangeGuardians, &Object::of(row.user_id))?;
            if self.only_change {
                work.object = format!("vault/{}", row.vault_id);
                change::withdrawn(work, row.vault_id).await?;
                return list::outward(work, &row).await;
            }
            return taken_back(work, row).await;
        }
        if self.only_change {
            return Err(ActorError::NotFound);
        }
        let row = inward_of(work, self.guardianship).await?;
        if is_over(row.state) {
            return list::inward(&row);
        }
        list::inward(&resigned(work, row).await?)
    }
}

/// The tenant ends: whoever guards for its people, and whoever they guard for, is told, and what was opened is over.
pub(in crate::tenant) async fn end_all(work: &mut Work) -> Result<(), ActorError> {
    let own = work.ownership.tenant;
    pages!(work, Vault, vault_id, page => {
        for vault in page {
            ceremony::stop::retire_all(work, vault.vault_id, None).await?;
        }
    });
    pages!(work, GuardianshipOut, guardianship_id, page => {
        for row in page.into_iter().filter(|row| !is_over(row.state)) {
            // a guardian of this tenant ends with it
            if row.guardian_tenant == Some(own) {
                continue;
            }
            taken_back(work, row).await?;
        }
    });
    pages!(work, GuardianshipIn, guardianship_id, page => {
        for row in page.into_iter().filter(|row| !is_over(row.state) && row.owner_tenant != own) {
            resigned(work, row).await?;
        }
    });
    Ok(())
}

/// By the guardian.
async fn resigned(work: &mut Work, row: GuardianshipIn) -> Result<GuardianshipIn, ActorError> {
    let row = GuardianshipIn { state: State::Resigned, updated_at: work.now, drill: None, ..row };
    work.tx.update(&row).await?;
    letters::send(work, row.owner_tenant, letters::LEFT, &Left { guardianship: row.guardianship_id }).await?;
    Ok(row)
}

/// By the owner.
async fn taken_back(work: &mut Work, row: GuardianshipOut) -> Result<Guardianship, ActorError> {
    work.object = format!("guardianship/{}", row.guardianship_id);
    if is_over(row.state) {
        return list::outward(work, &row).await;
    }
    let row = GuardianshipOut { state: State::Removed, updated_at: work.now, drill: None, ..row };
    work.tx.update(&row).await?;
    if let Some(tenant) = row.guardian_tenant {
        letters::send(work, tenant, letters::LEFT, &Left { guardianship: row.guardianship_id }).await?;
    }
    change::taken_back(work, &row).await?;
    list::outward(work, &row).await
}

/// At the other side of either.
pub(super) async fn left(work: &mut Work, from: TenantId, letter: Left) -> Result<Vec<u8>, ActorError> {
    let out = work.tx.get::<GuardianshipOut>(letter.guardianship).await?;
    // owner and guardian may be of one tenant: then the side that is not over yet is the one to tell
    if let Some(row) = out
        && !is_over(row.state)
        && (row.guardian_tenant == Some(from) || row.guardian_tenant.is_none())
        && came_from_guardian(work, from, &row).await?
    {
        work.tx.update(&GuardianshipOut { state: State::Resigned, updated_at: work.now, ..row }).await?;
        return Ok(Vec::new());
    }
    let found = work.tx.get::<GuardianshipIn>(letter.guardianship).await?;
    let row = found.filter(|row| row.owner_tenant == from).ok_or(ActorError::NotFound)?;
    if !is_over(row.state) {
        work.tx.update(&GuardianshipIn { state: State::Removed, updated_at: work.now, ..row }).await?;
    }
    Ok(Vec::new())
}

/// Whoever was invited may say no before accepting, from a tenant that knows the address.
async fn came_from_guardian(
    work: &mut Work,
    from: TenantId,
    row: &GuardianshipOut,
) -> Result<bool, ActorError> {
    if row.guardian_tenant == Some(from) {
        return Ok(true);
    }
    let behind = work.tx.addresses(&row.guardian_email).await?;
    Ok(behind.iter().any(|entry| entry.tenant_id == from))
}
