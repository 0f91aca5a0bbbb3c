//! The inbox: what cells sealed to the vault, until a client of its owner files or drops it.
//!
//! The node cannot open an item, nor tell a forged one from a good one; the client can. Here it is bounded,
//! kept in the order it came, taken once however often a cell sends it, and taken out once however many
//! clients file it.

use std::{collections::BTreeSet, time::Duration};

use ocmt_crypto::{audit::Outcome as AuditOutcome, unlock::InboxPlace};
use ocmt_store::tables::{Container, InboxState, Vault, VaultChangeKind, VaultInboxItem};
use ocmt_types::{ContainerId, MessageId, VaultId};

use super::{
    changes,
    ground::{self, unsigned},
    write::write,
};
use crate::{
    api::vault::{FileInboxItems, InboxItem, InboxPage, InboxPosition, ListInboxItems, Written},
    audit,
    authorize::Action,
    error::ActorError,
    ports::{CellInboxItem, CellInboxSettled},
    tenant::connections,
    work::{Handle, SystemWork, Work},
};

/// Items of one answer and of one filing: with their bytes it stays below 4 MiB.
const BATCH: usize = 48;
const PAGE: u32 = 20;
/// Items of a vault that wait.
const MAX_WAITING: i64 = 256;
/// Those of one container: the others have room beside it.
const MAX_OF_CONTAINER: i64 = 128;
/// Items of one unlock, filed ones included.
const MAX_OF_UNLOCK: i64 = 1024;
/// Bytes of an item: a value of 64 KiB with its name, place, seal and MAC.
const MAX_SEALED: usize = 69_632;
/// A cell repeats what was not confirmed to it within moments; after this long it does not.
const REMEMBERED: Duration = Duration::from_secs(8 * 24 * 3600);

/// How many items wait.
pub(super) async fn waiting(work: &mut Work, vault: VaultId) -> Result<i64, ActorError> {
    Ok(work.tx.count::<VaultInboxItem>(of(vault, InboxState::Waiting)).await?)
}

fn of(vault: VaultId, state: InboxState) -> ocmt_store::Filter<VaultInboxItem> {
    VaultInboxItem::vault_id.eq(vault).and(VaultInboxItem::state.eq(state))
}

impl Handle for ListInboxItems {
    async fn handle(self, work: &mut Work) -> Result<InboxPage, ActorError> {
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?.vault_id;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(u32::try_from(BATCH).unwrap_or(PAGE)) };
        let in_order = of(vault, InboxState::Waiting).asc(VaultInboxItem::position).limit(limit);
        let in_order = match self.after {
            Some(after) => in_order.after(&after.position, &(vault, after.item)),
            None => in_order,
        };
        let rows = work.tx.find(in_order).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full);
        Ok(InboxPage {
            next: next.map(|row| InboxPosition { position: row.position, item: row.item_id }),
            items: rows.into_iter().map(item).collect(),
        })
    }
}

fn item(row: VaultInboxItem) -> InboxItem {
    InboxItem {
        item: row.item_id,
        container: row.container_id,
        sealed: row.sealed,
        received_at: row.created_at,
    }
}

impl Handle for FileInboxItems {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let vault = ground::load(work, Action::WriteVault, Some(self.change.vault)).await?;
        let items: BTreeSet<MessageId> = self.items.iter().copied().collect();
        if items.is_empty() || items.len() != self.items.len() || items.len() > BATCH {
            return Err(ActorError::invalid("item_ids", "are not 1 to 48 different ones"));
        }
        for item in items {
            let row = work.tx.get::<VaultInboxItem>((vault.vault_id, item)).await?;
            let row = row.ok_or(ActorError::NotFound)?;
            if row.state != InboxState::Waiting {
                // another client was faster
                return Err(ActorError::Aborted("the vault's inbox"));
            }
            let done = VaultInboxItem { state: InboxState::Done, sealed: Vec::new(), ..row };
            work.tx.update(&done).await?;
        }
        work.details.push(("items".to_owned(), self.items.len().to_string()));
        if !self.change.puts.is_empty() {
            return write(work, self.change).await;
        }
        if !self.change.manifest.is_empty() {
            return Err(ActorError::invalid("manifest", "must be empty where nothing is written"));
        }
        Ok(Written { counter: unsigned(vault.manifest_counter) })
    }
}

/// What a container's host took from its cell.
pub(crate) struct TakeIn {
    pub(crate) container: ContainerId,
    pub(crate) items: Vec<CellInboxItem>,
}

impl SystemWork for TakeIn {
    type Output = CellInboxSettled;
    async fn perform(self, work: &mut Work) -> Result<CellInboxSettled, ActorError> {
        let row = work.tx.get::<Container>(self.container).await?.ok_or(ActorError::NotFound)?;
        let vault = work.tx.first::<Vault>(Vault::owner_user.eq(Some(row.user_id))).await?;
        let mut settled = CellInboxSettled::default();
        let Some(vault) = vault else {
            let why = "the user has no vault any more";
            settled.refused.extend(self.items.iter().map(|item| (item.item, why.to_owned())));
            return Ok(settled);
        };
        let forgotten = of(vault.vault_id, InboxState::Done);
        let forgotten = forgotten.and(VaultInboxItem::created_at.le(work.now - REMEMBERED));
        work.tx.delete_all::<VaultInboxItem>(forgotten).await?;
        let mut taken = 0_usize;
        for item in self.items {
            let id = item.item;
            match take_in(work, &vault, self.container, item).await? {
                Taken::New => {
                    taken += 1;
                    settled.stored.push(id);
                }
                Taken::Known => settled.stored.push(id),
                Taken::Refused(why) => settled.refused.push((id, why)),
            }
        }
        // nothing of what is refused is written: a workload that goes on sending must not fill the audit
        if taken > 0 {
            received(work, &vault, self.container, (taken, settled.refused.len())).await?;
        }
        Ok(settled)
    }
}

/// One item that comes with something else of the same transaction: why it is not taken, if it is not.
pub(in crate::tenant) async fn take_one(
    work: &mut Work,
    vault: &Vault,
    container: ContainerId,
    item: CellInboxItem,
) -> Result<Option<String>, ActorError> {
    match take_in(work, vault, container, item).await? {
        Taken::New => received(work, vault, container, (1, 0)).await.map(|()| None),
        Taken::Known => Ok(None),
        Taken::Refused(why) => Ok(Some(why)),
    }
}

/// Tells whoever watches the vault, and the audit, of items that were taken.
async fn received(
    work: &mut Work,
    vault: &Vault,
    container: ContainerId,
    (taken, refused): (usize, usize),
) -> Result<(), ActorError> {
    let counts = [("items", taken), ("refused", refused)];
    let mut details = vec![("container".to_owned(), container.to_string())];
    details.extend(counts.map(|(name, count)| (name.to_owned(), count.to_string())));
    let (kind, counter) = (VaultChangeKind::Inbox, vault.manifest_counter);
    changes::note(work, vault.vault_id, counter, kind, &[]).await?;
    let (object, outcome) = (format!("vault/{}", vault.vault_id), AuditOutcome::Allowed);
    audit::note(work, "vault.inbox_received", object, outcome, details).await
}

enum Taken {
    New,
    /// A cell that got no confirmation sent it again.
    Known,
    Refused(String),
}

async fn take_in(
    work: &mut Work,
    vault: &Vault,
    container: ContainerId,
    item: CellInboxItem,
) -> Result<Taken, ActorError> {
    let refused = |why: String| Ok(Taken::Refused(why));
    let place = InboxPlace::claimed(&item.sealed).ok();
    let Some(place) = place.filter(|place| (place.tenant, place.vault) == (vault.tenant_id, vault.vault_id))
    else {
        return refused("it is not sealed to the vault of the container's user".to_owned());
    };
    if item.sealed.len() > MAX_SEALED {
        return refused(format!("it is longer than {MAX_SEALED} bytes"));
    }
    if work.tx.get::<VaultInboxItem>((vault.vault_id, item.item)).await?.is_some() {
        return Ok(Taken::Known);
    }
    let connection = match item.connection {
        Some(it) if connections::admits(work, container, &it).await? => Some(it),
        _ => None,
    };
    match &connection {
        Some(it) => {
            if !connections::supersedes(work, vault.vault_id, container, (it, &place)).await? {
                return Ok(Taken::Known);
            }
        }
        None => {
            if let Some(why) = full(work, vault.vault_id, container, &place).await? {
                return refused(why);
            }
        }
    }
    let last = VaultInboxItem::vault_id.eq(vault.vault_id).desc(VaultInboxItem::position).limit(1);
    let last = work.tx.first::<VaultInboxItem>(last).await?.map_or(0, |last| last.position);
    let row = VaultInboxItem {
        tenant_id: vault.tenant_id,
        vault_id: vault.vault_id,
        item_id: item.item,
        container_id: container,
        sealed: item.sealed,
        created_at: work.now,
        unlock_id: Some(place.unlock),
        state: InboxState::Waiting,
        position: last + 1,
    };
    work.tx.insert(&row).await?;
    if let (Some(connection), Some(user)) = (connection, vault.owner_user) {
        connections::got(work, (container, user), row.item_id, connection).await?;
    }
    Ok(Taken::New)
}

/// Why the workload's next item has no room; none if it has.
async fn full(
    work: &mut Work,
    vault: VaultId,
    container: ContainerId,
    place: &InboxPlace,
) -> Result<Option<String>, ActorError> {
    if waiting(work, vault).await? >= MAX_WAITING {
        return Ok(Some(format!(
            "the vault's inbox is full ({MAX_WAITING} items): its owner files or drops some with `ocmt vault inbox`"
        )));
    }
    let of_container = VaultInboxItem::container_id.eq(container);
    if work.tx.count(of(vault, InboxState::Waiting).and(of_container)).await? >= MAX_OF_CONTAINER {
        return Ok(Some(format!(
            "{MAX_OF_CONTAINER} items of this container wait in the vault's inbox: its owner files or drops some with `ocmt vault inbox`"
        )));
    }
    let of_unlock = VaultInboxItem::unlock_id.eq(Some(place.unlock));
    let of_unlock = VaultInboxItem::vault_id.eq(vault).and(of_unlock);
    if work.tx.count::<VaultInboxItem>(of_unlock).await? >= MAX_OF_UNLOCK {
        return Ok(Some(format!("this unlock has sent {MAX_OF_UNLOCK} items: unlock the container anew")));
    }
    Ok(None)
}
