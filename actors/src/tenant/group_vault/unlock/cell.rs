//! Unlocks into the cell of a container: the vault has signed which, and no session has anything of what it opens.
//!
//! The rows of such an unlock are those of every unlock. That its parts are sealed to a cell is said by a row beside
//! ([`GroupCellUnlock`]), and `opened_by` names no session: so none is shown the vault by it, and none collects. However it
//! ends, the cell is locked, and no new keys are due: nobody had them.

mod appoint;
mod handover;

use ocmt_crypto::{
    cell::CellKeyStatement,
    ceremony::{Ceremony as Params, Purpose},
    group_cell::{Appointment, Order},
};
use ocmt_store::tables::{Container, GroupCell, GroupCellUnlock, GroupVault, GuardianSet, Vault};
use ocmt_types::{ContainerId, Digest32, Id as _, SessionId, UserId};

pub(in crate::tenant) use self::handover::{handed, place};
use super::{advance, live_of, noted};
use crate::{
    api::{
        group_cells::{CellAsked, CellEvidence},
        recovery::NodeStatement,
    },
    error::ActorError,
    tenant::{
        ceremony::{
            ground::{self, Loaded},
            state::Event,
        },
        container::lock_cell,
    },
    work::Work,
};

/// Nobody's.
pub(super) fn no_session() -> SessionId {
    SessionId::from_bytes([0; 16])
}

/// What an unlock into the cell goes by; none for one to a device.
pub(super) async fn of(work: &mut Work, ceremony: Digest32) -> Result<Option<GroupCellUnlock>, ActorError> {
    Ok(work.tx.get::<GroupCellUnlock>(ceremony).await?)
}

/// The appointment of a row, which was verified when it was taken.
pub(super) fn appointment(row: &GroupCell, set: &GuardianSet) -> Result<Appointment, ActorError> {
    let identity = ground::signed_set(set)?.owner().identity;
    Appointment::verify(&row.body, &identity).map_err(|_| ground::damaged())
}

/// Whether the vault's present keys have signed it. Whoever had them before the last rotation has the identity key still.
async fn in_force(work: &mut Work, appointment: &Appointment) -> Result<bool, ActorError> {
    let vault = work.tx.get::<Vault>(appointment.scope.vault).await?.ok_or(ActorError::NotFound)?;
    Ok(vault.verify_key.0 == appointment.verify_key.0)
}

/// An appointment of before a rotation is worth nothing any more.
async fn not_lapsed(work: &mut Work, appointment: &Appointment) -> Result<(), ActorError> {
    if in_force(work, appointment).await? {
        return Ok(());
    }
    let why = "the vault got new keys since its container was appointed: whoever has it open appoints it anew with `ocmt group \
               vault cell appoint`";
    Err(ActorError::precondition("CELL_LAPSED", why))
}

/// The cell that the vault has appointed.
async fn appointed(work: &mut Work, vault: &GroupVault) -> Result<GroupCell, ActorError> {
    work.tx.get::<GroupCell>(vault.vault_id).await?.ok_or_else(|| {
        let why = "no container of this group's is appointed: `ocmt group vault cell appoint` does it, with the vault open";
        ActorError::precondition("NO_GROUP_CELL", why)
    })
}

/// What is asked for fits what the vault has appointed. Everybody who approves checks the same and more: the signatures.
pub(super) async fn asked(
    work: &mut Work,
    vault: &GroupVault,
    set: &GuardianSet,
    params: &Params,
    cell: CellAsked,
) -> Result<GroupCellUnlock, ActorError> {
    let bad = |why: &str| ActorError::invalid("cell", why);
    if params.purpose != Purpose::Cell {
        return Err(bad("is of an unlock to a device"));
    }
    let row = appointed(work, vault).await?;
    let appointment = appointment(&row, set)?;
    not_lapsed(work, &appointment).await?;
    let order = Order::decode(&cell.order).map_err(|_| bad("has no order"))?;
    if params.nonce != order.nonce() || order.appointment != appointment.hash {
        return Err(bad("has an order of another unlock, or of another appointment than the one in force"));
    }
    if params.expires_at.since(params.opened_at).as_millis() > u128::from(appointment.longest_ms) {
        return Err(bad("lasts longer than the appointment allows"));
    }
    let (place, key) = CellKeyStatement::claimed(&cell.statement.statement)
        .map_err(|_| bad("has no statement of a cell's key"))?;
    if place.tenant != work.ownership.tenant || place.container != row.container_id || key != params.requester
    {
        return Err(bad("has a statement of another cell or another key"));
    }
    not_asked(work, vault).await?;
    let certificates =
        serde_json::to_vec(&cell.statement.certificate_chain).map_err(|_| bad("has no certificates"))?;
    Ok(GroupCellUnlock {
        tenant_id: vault.tenant_id,
        ceremony_id: params.hash(),
        vault_id: vault.vault_id,
        container_id: row.container_id,
        body: cell.order,
        statement: cell.statement.statement,
        certificates,
        handed_at: None,
    })
}

/// A cell holds one key for an unlock: another one would take it from who is approved already.
async fn not_asked(work: &mut Work, vault: &GroupVault) -> Result<(), ActorError> {
    for loaded in live_of(work, vault).await? {
        if of(work, loaded.row.ceremony_id).await?.is_some() {
            let why =
                "an unlock into this cell is not over: wait for its end, or whoever asked for it cancels it";
            return Err(ActorError::precondition("CELL_ASKED", why));
        }
    }
    Ok(())
}

/// For the devices of those who approve.
pub(super) async fn evidence(
    work: &mut Work,
    ceremony: Digest32,
) -> Result<Option<CellEvidence>, ActorError> {
    let Some(row) = of(work, ceremony).await? else { return Ok(None) };
    let appointed = work.tx.get::<GroupCell>(row.vault_id).await?;
    let statement = NodeStatement {
        statement: row.statement,
        certificate_chain: serde_json::from_slice(&row.certificates).map_err(|_| ground::damaged())?,
    };
    Ok(Some(CellEvidence {
        asked: CellAsked { order: row.body, statement },
        appointment: appointed.map(|row| row.body).unwrap_or_default(),
    }))
}

/// An unlock is over: if it was into a cell, that is locked now or at the next try. Whether it was.
pub(super) async fn ended(work: &mut Work, loaded: &Loaded) -> Result<bool, ActorError> {
    if loaded.params.purpose != Purpose::Cell {
        return Ok(false);
    }
    // handed over or not: the cell is to hold no key for it any more either. An end is not stopped by what is missing
    if let Some(row) = of(work, loaded.row.ceremony_id).await? {
        lock_cell(work, &row.container_id.to_string()).await?;
    }
    Ok(true)
}

/// Whatever is asked for into the cell of this vault, or is open in it, ends.
async fn end_all(work: &mut Work, vault: &GroupVault) -> Result<(), ActorError> {
    for mut loaded in live_of(work, vault).await? {
        if of(work, loaded.row.ceremony_id).await?.is_none() {
            continue;
        }
        let lasts = loaded.row.expires_at > work.now;
        let event = if lasts { Event::Retired } else { Event::Look };
        let entered = advance(work, vault, &mut loaded, event).await?;
        noted(work, &loaded, entered).await?;
    }
    Ok(())
}

/// Somebody takes part no more: a container of theirs is the group's cell no more.
pub(super) async fn owner_out(work: &mut Work, vault: &GroupVault, user: UserId) -> Result<(), ActorError> {
    let row = work.tx.get::<GroupCell>(vault.vault_id).await?;
    if row.is_some_and(|row| row.user_id == user) {
        end_all(work, vault).await?;
        work.tx.delete::<GroupCell>(vault.vault_id).await?;
    }
    Ok(())
}

/// A container is gone, and with it what it was to a group.
pub(in crate::tenant) async fn container_gone(
    work: &mut Work,
    container: ContainerId,
) -> Result<(), ActorError> {
    let of_container = GroupCell::container_id.eq(container);
    let Some(row) = work.tx.first::<GroupCell>(of_container).await? else { return Ok(()) };
    if let Some(vault) = work.tx.get::<GroupVault>(row.vault_id).await? {
        end_all(work, &vault).await?;
    }
    work.tx.delete::<GroupCell>(row.vault_id).await?;
    Ok(())
}

/// The vault goes: its cell is locked, and nothing of it stays.
pub(super) async fn erase(work: &mut Work, vault: &GroupVault) -> Result<(), ActorError> {
    if let Some(row) = work.tx.take::<GroupCell>(vault.vault_id).await? {
        lock_cell(work, &row.container_id.to_string()).await?;
    }
    Ok(())
}

/// What a group's cell refuses its own user: whoever enters could leave something behind that waits for the group's secrets.
pub(in crate::tenant) async fn refuse_entry(
    work: &mut Work,
    container: ContainerId,
) -> Result<(), ActorError> {
    if work.tx.first::<GroupCell>(GroupCell::container_id.eq(container)).await?.is_none() {
        return Ok(());
    }
    let why = "this container is the cell of a group: `ocmt group vault unlock --into-cell` unlocks it, and `ocmt group vault \
               cell dismiss` ends that";
    Err(ActorError::precondition("GROUP_CELL", why))
}

/// The container of a cell, if it can be worked with.
pub(super) async fn container_of(work: &mut Work, container: ContainerId) -> Result<Container, ActorError> {
    let row = work.tx.get::<Container>(container).await?.ok_or(ActorError::NotFound)?;
    crate::tenant::container::free(row)
}
