//! How unlocks end: by time, with whoever leaves, and with new keys.

use ocmt_store::tables::{
    Approval, Ceremony, CeremonyPurpose, CeremonyState as Stored, GroupCellUnlock, GroupPart, GroupVault,
    GuardianSet, Verdict,
};
use ocmt_types::{Digest32, UserId, VaultId};

use super::{TIMER, advance, cell, live_of, load, named, noted};
use crate::{
    api::recovery::CeremonyState,
    error::ActorError,
    tenant::ceremony::{state::Event, stop::parse_hex},
    work::Work,
};

/// The timer of an unlock.
pub(in crate::tenant) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some(ceremony) = parse_hex(subject) else { return Ok(()) };
    let row = work.tx.get::<Ceremony>(ceremony).await?;
    let Some(row) = row.filter(|row| row.purpose == CeremonyPurpose::Unlock) else { return Ok(()) };
    let Some(vault) = work.tx.get::<GroupVault>(row.vault_id).await? else { return Ok(()) };
    let Some(mut loaded) = load(work, &vault, ceremony).await? else { return Ok(()) };
    if !loaded.progress.stage.is_live() {
        return Ok(());
    }
    let entered = advance(work, &vault, &mut loaded, Event::Look).await?;
    noted(work, &loaded, entered).await
}

/// Somebody takes part no more, or administers the group no more: what they approved and denied is void, what they asked
/// for ends, what is open with their part too, and where too few are left to open the vault an unlock ends too.
pub(in crate::tenant) async fn member_out(
    work: &mut Work,
    vault: &GroupVault,
    user: UserId,
) -> Result<(), ActorError> {
    for loaded in live_of(work, vault).await? {
        let ceremony = loaded.row.ceremony_id;
        for verdict in [Verdict::Approve, Verdict::Deny] {
            work.tx.delete::<Approval>((ceremony, named(user), verdict)).await?;
        }
        // read again: without what was just said to be void
        let Some(mut loaded) = load(work, vault, ceremony).await? else { continue };
        let asked = loaded.row.user_id == user;
        let progress = &loaded.progress;
        let void = progress.stage == CeremonyState::Released && progress.approved_units() < progress.needed;
        let lasts = loaded.row.expires_at > work.now;
        let event = if lasts && (asked || void) { Event::Cancelled } else { Event::Look };
        let entered = advance(work, vault, &mut loaded, event).await?;
        noted(work, &loaded, entered).await?;
    }
    cell::owner_out(work, vault, user).await
}

/// The vault has new keys: the unlock by which they were made is completed, and every other ends.
pub(in crate::tenant) async fn rotated(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    let row = work.tx.get::<GroupVault>(vault).await?.ok_or(ActorError::NotFound)?;
    let session = work.user()?.session;
    for mut loaded in live_of(work, &row).await? {
        let own = loaded.row.opened_by == session && loaded.progress.stage == CeremonyState::Released;
        let event = match loaded.row.expires_at > work.now {
            true if own => Event::Completed,
            true => Event::Retired,
            // by its own deadline, which nobody has noticed yet
            false => Event::Look,
        };
        let entered = advance(work, &row, &mut loaded, event).await?;
        noted(work, &loaded, entered).await?;
    }
    Ok(())
}

/// The vault goes, and with it at once what was not over: no release key of it stays.
pub(in crate::tenant) async fn erase(work: &mut Work, vault: &GroupVault) -> Result<(), ActorError> {
    for state in Stored::LIVE {
        let live = Ceremony::vault_id.eq(vault.vault_id).and(Ceremony::state.eq(state));
        for row in work.tx.find::<Ceremony>(live).await? {
            forget(work, row.ceremony_id).await?;
        }
    }
    cell::erase(work, vault).await
}

/// Takes at most so many of the unlocks that a vault has left which has ended, and of its sets with their parts; whether there
/// were none.
pub(in crate::tenant) async fn take_ended(
    work: &mut Work,
    vault: VaultId,
    most: u32,
) -> Result<bool, ActorError> {
    let unlocks = work.tx.find::<Ceremony>(Ceremony::vault_id.eq(vault).limit(most)).await?;
    for row in &unlocks {
        forget(work, row.ceremony_id).await?;
    }
    let sets = work.tx.find::<GuardianSet>(GuardianSet::vault_id.eq(vault).limit(most)).await?;
    for set in &sets {
        work.tx.delete_all::<GroupPart>(GroupPart::set_id.eq(set.set_id)).await?;
        work.tx.delete::<GuardianSet>(set.set_id).await?;
    }
    Ok(unlocks.is_empty() && sets.is_empty())
}

async fn forget(work: &mut Work, unlock: Digest32) -> Result<(), ActorError> {
    work.tx.delete_all::<Approval>(Approval::ceremony_id.eq(unlock)).await?;
    work.tx.delete::<GroupCellUnlock>(unlock).await?;
    work.tx.clear_timer(TIMER, &unlock.to_string()).await?;
    work.tx.delete::<Ceremony>(unlock).await?;
    Ok(())
}
