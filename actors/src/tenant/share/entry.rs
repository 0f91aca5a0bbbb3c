//! What an entry's end ends.

use ocmt_store::tables::{Capability, CapabilityState, ProgramGrant, ProgramToken, Share, ShareGrant};
use ocmt_types::{Digest32, VaultId};

use super::{capability, rights};
use crate::{error::ActorError, work::Work};

/// Takes a deleted entry out of every share, token and request. Written again it begins at version 1, and what was
/// granted of the version 1 of before must not be taken for it. Ids are the choice of clients, so another vault may
/// have the same: only this one's go.
pub(in crate::tenant) async fn end_of_entry(
    work: &mut Work,
    vault: VaultId,
    object: Digest32,
) -> Result<(), ActorError> {
    let given = ShareGrant::object_id.eq(object);
    let mut page = work.tx.find(given.clone()).await?;
    while let Some(last) = page.last().map(|grant| (grant.share_id, grant.object_id)) {
        for grant in page {
            let share = work.tx.get::<Share>(grant.share_id).await?;
            if share.is_some_and(|share| share.vault_id == vault) {
                work.tx.delete::<ShareGrant>((grant.share_id, object)).await?;
                rights::end_of_entry(work, grant.share_id, object).await?;
            }
        }
        page = work.tx.find(given.clone().after(&last)).await?;
    }
    let handed = ProgramGrant::object_id.eq(object);
    let mut page = work.tx.find(handed.clone()).await?;
    while let Some(last) = page.last().map(|grant| (grant.program_token_id, grant.object_id)) {
        for grant in page {
            let token = work.tx.get::<ProgramToken>(grant.program_token_id).await?;
            if token.is_some_and(|token| token.vault_id == vault) {
                work.tx.delete::<ProgramGrant>((grant.program_token_id, object)).await?;
            }
        }
        page = work.tx.find(handed.clone().after(&last)).await?;
    }
    for state in [CapabilityState::Requested, CapabilityState::Approved] {
        let live = Capability::vault_id.eq(vault).and(Capability::object_id.eq(object));
        let live = live.and(Capability::state.eq(state));
        loop {
            let rows = work.tx.find(live.clone()).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let over = Capability { state: CapabilityState::Expired, sealed_grant: None, ..row };
                capability::end_writing(work, &over).await?;
                work.tx.update(&over).await?;
            }
        }
    }
    Ok(())
}
