//! Naming the group's cell, and ending that.

use std::time::Duration;

use ocmt_crypto::group_cell::Appointment;
use ocmt_store::tables::{Container, GroupCell, GroupVault, GuardianSet, User, Vault, VaultObject};

use super::{
    super::{admin_of, set_in_force, view},
    container_of, end_all, in_force,
};
use crate::{
    api::{
        group_cells::{AppointGroupCell, DismissGroupCell, GetGroupCell, GroupCellView},
        users::Done,
    },
    authorize::Action,
    error::ActorError,
    host::container::row::spec_of,
    tenant::{ceremony::ground, container::lock_cell, vault::ground as vaults},
    work::{Handle, Work},
};

/// How old a signature may be: one that was dismissed long ago does not come back.
const SIGNED_LATELY: Duration = Duration::from_secs(15 * 60);
/// By how much a number may be above the time of its signature, in milliseconds.
const AHEAD: u128 = 1_000_000;

impl Handle for AppointGroupCell {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let vault = admin_of(work, Action::RequestUnlock, self.group).await?;
        let set = set_in_force(work, vault.vault_id).await?.ok_or_else(|| {
            let why = "this vault opens for each who takes part: several have to open it together before it has a cell";
            ActorError::precondition("NOT_SHARED", why)
        })?;
        let appointment = signed(work, &vault, &set, &self.appointment)?;
        if !in_force(work, &appointment).await? {
            return Err(bad("is not signed by the vault's present key: it got new ones since"));
        }
        let before = work.tx.get::<GroupCell>(vault.vault_id).await?;
        let container = adopted(work, &vault, before.as_ref(), &appointment).await?;
        let number = i64::try_from(appointment.number).map_err(|_| bad("has a number that is too large"))?;
        if before.as_ref().is_some_and(|row| number <= row.number) {
            let why = "another appointment was made since: read it, then sign again";
            return Err(ActorError::precondition("APPOINTED_SINCE", why));
        }
        end_all(work, &vault).await?;
        let row = GroupCell {
            tenant_id: vault.tenant_id,
            vault_id: vault.vault_id,
            container_id: container.container_id,
            user_id: container.user_id,
            number,
            body: self.appointment,
            appointed_at: work.now,
        };
        if before.is_some() {
            work.tx.update(&row).await?;
        } else {
            work.tx.insert(&row).await?;
        }
        // whatever its user has open in it
        lock_cell(work, &container.container_id.to_string()).await?;
        work.details.push(("container".to_owned(), container.container_id.to_string()));
        work.details.push(("entries".to_owned(), appointment.objects.len().to_string()));
        view::tell_of_cell(work, &vault, &set, "group_vault.cell_appointed", container.container_id).await?;
        Ok(Done)
    }
}

fn bad(why: &str) -> ActorError {
    ActorError::invalid("appointment", why)
}

/// The appointment, if the vault has signed it just now.
fn signed(
    work: &Work,
    vault: &GroupVault,
    set: &GuardianSet,
    bytes: &[u8],
) -> Result<Appointment, ActorError> {
    let identity = ground::signed_set(set)?.owner().identity;
    let appointment = Appointment::verify(bytes, &identity)
        .map_err(|_| bad("is not signed by the vault's own identity key"))?;
    let scope = appointment.scope;
    let ours = scope.tenant == vault.tenant_id && scope.vault == vault.vault_id;
    if !ours || appointment.group != vault.group_id {
        return Err(bad("is of another vault"));
    }
    let apart = appointment.appointed_at.since(work.now).max(work.now.since(appointment.appointed_at));
    if apart > SIGNED_LATELY {
        return Err(bad("was signed at another time than now: set the clock"));
    }
    // numbers are clocks': nobody uses all of them up
    if u128::from(appointment.number) > u128::try_from(appointment.appointed_at.millis()).unwrap_or(0) + AHEAD
    {
        return Err(bad("has a number that is too far ahead"));
    }
    Ok(appointment)
}

/// The container, if it is the caller's, and fit for it. After a rotation whoever made the new keys signs anew for the one that
/// is appointed already.
async fn adopted(
    work: &mut Work,
    vault: &GroupVault,
    before: Option<&GroupCell>,
    appointment: &Appointment,
) -> Result<Container, ActorError> {
    let row = container_of(work, appointment.container).await?;
    let is_again = before.is_some_and(|before| before.container_id == row.container_id);
    if row.user_id != work.user()?.user && !is_again {
        return Err(ActorError::NotFound);
    }
    if appointment.node != row.host_node {
        return Err(bad("names another host than the container's"));
    }
    if spec_of(&row)?.sealed_volume_bytes.is_some() {
        let why = "a sealed volume opens by its own user's key: appoint a container without one";
        return Err(ActorError::precondition("SEALED_VOLUME", why));
    }
    for object in &appointment.objects {
        let there = work.tx.get::<VaultObject>((vault.vault_id, *object)).await?;
        there.ok_or_else(|| bad("names an entry that is not in the vault"))?;
    }
    let of_container = GroupCell::container_id.eq(row.container_id);
    if work.tx.first::<GroupCell>(of_container).await?.is_some_and(|cell| cell.vault_id != vault.vault_id) {
        return Err(ActorError::precondition("GROUP_CELL", "this container is the cell of another group"));
    }
    Ok(row)
}

impl Handle for DismissGroupCell {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let Some(row) = work.tx.get::<GroupCell>(vault.vault_id).await? else { return Ok(Done) };
        end_all(work, &vault).await?;
        work.tx.delete::<GroupCell>(vault.vault_id).await?;
        work.details.push(("container".to_owned(), row.container_id.to_string()));
        if let Some(set) = set_in_force(work, vault.vault_id).await? {
            view::tell_of_cell(work, &vault, &set, "group_vault.cell_dismissed", row.container_id).await?;
        }
        Ok(Done)
    }
}

impl Handle for GetGroupCell {
    async fn handle(self, work: &mut Work) -> Result<GroupCellView, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let row = super::appointed(work, &vault).await?;
        let owner = work.tx.get::<User>(row.user_id).await?;
        let shown = work.tx.get::<Vault>(vault.vault_id).await?.ok_or(ActorError::NotFound)?;
        let container = work.tx.get::<Container>(row.container_id).await?;
        let unlocked_until = container.and_then(|container| container.unlocked_until);
        Ok(GroupCellView {
            appointment: row.body,
            owner_email: owner.map(|user| user.email).unwrap_or_default(),
            appointed_at: row.appointed_at,
            manifest: shown.manifest,
            successions: vaults::split(&shown.successions)?,
            unlocked_until: unlocked_until.filter(|until| *until > work.now),
        })
    }
}
