//! What the cell's host is asked for: a key that waits for those who approve, and to have opened what they released.

use std::time::Duration;

use ocmt_crypto::{
    group_cell::{Handover, LONGEST_MS, SHORTEST_MS, unlock_id},
    object::keyring_id,
    seal::SealSecretKey,
};
use ocmt_store::tables::{Approval, Container, GroupCell, GroupCellUnlock, GroupPart, Slot, Vault, Verdict};

use super::{
    super::{admin_of, decide::found, in_words, set_in_force},
    appointed, appointment, container_of, not_asked, not_lapsed, of,
};
use crate::{
    api::group_cells::{GetGroupCellKey, OpenGroupCell},
    authorize::Action,
    error::ActorError,
    ports::CellUnlock,
    tenant::{
        ceremony::{
            ground::{self, Loaded},
            state::Event,
        },
        vault::{ground as vaults, read},
    },
    work::Work,
};

/// The key is asked for before the unlock is, and the node's clock may be another than the requester's.
const SLACK: Duration = Duration::from_secs(15 * 60);

/// Which container is asked for a key, and how long that is kept.
pub(in crate::tenant) struct Place {
    pub(in crate::tenant) container: Container,
    pub(in crate::tenant) keep: Duration,
}

/// Whether an unlock into the cell may be asked for, and of whom its key is to be had.
pub(in crate::tenant) async fn place(work: &mut Work, asked: &GetGroupCellKey) -> Result<Place, ActorError> {
    let vault = admin_of(work, Action::RequestUnlock, asked.group).await?;
    let row = appointed(work, &vault).await?;
    let set = set_in_force(work, vault.vault_id).await?.ok_or(ActorError::NotFound)?;
    let signed = appointment(&row, &set)?;
    not_lapsed(work, &signed).await?;
    let longest = signed.longest_ms.min(LONGEST_MS);
    let lasts = u64::try_from(asked.lasts.as_millis()).unwrap_or(u64::MAX);
    if !(SHORTEST_MS..=longest).contains(&lasts) {
        return Err(ActorError::invalid(
            "lasts_ms",
            "is under 5 minutes, or longer than the appointment allows",
        ));
    }
    not_asked(work, &vault).await?;
    let container = container_of(work, row.container_id).await?;
    Ok(Place { container, keep: asked.lasts + SLACK })
}

/// What the cell opens, if it was released.
pub(in crate::tenant) async fn handed(
    work: &mut Work,
    asked: &OpenGroupCell,
) -> Result<(Container, CellUnlock), ActorError> {
    let vault = admin_of(work, Action::SeeToUnlock, asked.group).await?;
    let mut loaded = found(work, &vault, asked.ceremony).await?;
    let row = of(work, asked.ceremony).await?.ok_or_else(|| {
        ActorError::precondition("TO_A_DEVICE", "this unlock is to the device that asked: no cell opens it")
    })?;
    // the parts are sealed to the cell: whoever of them says so gets nothing by it
    let part = (loaded.set_row.set_id, work.user()?.user);
    if work.tx.get::<GroupPart>(part).await?.is_none() {
        return Err(ActorError::PermissionDenied("only who holds a part of this vault's key has it opened"));
    }
    loaded.progress.step(Event::Collect, work.now).map_err(|refused| in_words(refused.into()))?;
    // somebody who approved may have been taken out since
    if loaded.progress.approved_units() < loaded.progress.needed {
        return Err(ActorError::precondition(
            "APPROVALS_VOID",
            "somebody who approved administers the group no more: ask for another unlock",
        ));
    }
    let cell = appointed(work, &vault).await?;
    let container = container_of(work, row.container_id).await?;
    let handover = handover(work, &loaded, &row, &cell).await?;
    work.details.push(("container".to_owned(), row.container_id.to_string()));
    work.details.push(("approvals".to_owned(), handover.approvals.len().to_string()));
    let unlock = unlock_id(&loaded.params);
    work.details.push(("unlock".to_owned(), unlock.to_string()));
    // before it goes: however it ends, the cell is locked from here on
    work.tx.update(&GroupCellUnlock { handed_at: Some(work.now), ..row }).await?;
    let sealed_payload = handover.encode().to_vec();
    Ok((container, CellUnlock { unlock, sealed_payload, together: true, objects: Vec::new() }))
}

async fn handover(
    work: &mut Work,
    loaded: &Loaded,
    row: &GroupCellUnlock,
    cell: &GroupCell,
) -> Result<Handover, ActorError> {
    let release = SealSecretKey::from_bytes(ground::release_key(work, loaded)?);
    let said = Approval::ceremony_id.eq(row.ceremony_id).and(Approval::verdict.eq(Verdict::Approve));
    let approvals = work.tx.find::<Approval>(said).await?.into_iter().map(|row| row.body).collect();
    let vault = work.tx.get::<Vault>(row.vault_id).await?.ok_or(ActorError::NotFound)?;
    let slots = work.tx.find::<Slot>(Slot::vault_id.eq(row.vault_id)).await?;
    let keyring = read::object(work, row.vault_id, keyring_id()).await?.ok_or_else(ground::damaged)?;
    let mut objects = Vec::new();
    for id in appointment(cell, &loaded.set_row)?.objects {
        let object = read::object(work, row.vault_id, id).await?.ok_or_else(|| {
            let why = "an appointed entry is not in the vault any more: appoint the cell anew";
            ActorError::precondition("ENTRY_GONE", why)
        })?;
        objects.push(object);
    }
    Ok(Handover {
        params: loaded.params.encode(),
        order: row.body.clone(),
        appointment: cell.body.clone(),
        signed_set: loaded.set_row.body.clone(),
        release,
        approvals,
        slots: slots.into_iter().map(|slot| slot.body).collect(),
        successions: vaults::split(&vault.successions)?,
        manifest: vault.manifest,
        leaves: vaults::leaves(work, row.vault_id).await?,
        keyring,
        objects,
    })
}
