//! What takers of shares sent to the vault, until a client of its owner files or drops it.

use std::collections::BTreeSet;

use ocmt_store::tables::{Share, SharedWrite, User, Vault, VaultChangeKind, VaultObject};
use ocmt_types::{MessageId, VaultId};

use super::{
    changes,
    ground::{self, unsigned},
    write::write,
};
use crate::{
    api::vault::{FileSharedWrites, ListSharedWrites, SharedWriteItem, SharedWritePage, Written},
    authorize::Action,
    error::ActorError,
    tenant::share::{MOST_RENEWED, renew, used_up},
    work::{Handle, Work},
};

/// Writes of one answer and of one filing: with their bytes it stays below 4 MiB.
const BATCH: usize = 48;
const PAGE: u32 = 20;

/// How many wait.
pub(super) async fn waiting(work: &mut Work, vault: VaultId) -> Result<i64, ActorError> {
    Ok(work.tx.count::<SharedWrite>(SharedWrite::vault_id.eq(vault)).await?)
}

/// Tells those who watch the vault that something came.
pub(in crate::tenant) async fn arrived(work: &mut Work, vault: &Vault) -> Result<(), ActorError> {
    changes::note(work, vault.vault_id, vault.manifest_counter, VaultChangeKind::Inbox, &[]).await
}

impl Handle for ListSharedWrites {
    async fn handle(self, work: &mut Work) -> Result<SharedWritePage, ActorError> {
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?.vault_id;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(u32::try_from(BATCH).unwrap_or(PAGE)) };
        let of_vault = SharedWrite::vault_id.eq(vault).asc(SharedWrite::created_at).limit(limit);
        let of_vault = match self.after {
            Some((at, write)) => of_vault.after(&at, &write),
            None => of_vault,
        };
        let rows = work.tx.find::<SharedWrite>(of_vault).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| (row.created_at, row.write_id));
        let mut writes = Vec::with_capacity(rows.len());
        for row in rows {
            writes.push(item(work, row).await?);
        }
        Ok(SharedWritePage { writes, next })
    }
}

async fn item(work: &mut Work, row: SharedWrite) -> Result<SharedWriteItem, ActorError> {
    let taker = match work.tx.get::<Share>(row.share_id).await? {
        Some(share) => work.tx.get::<User>(share.taker_user).await?,
        None => None,
    };
    Ok(SharedWriteItem {
        id: row.write_id,
        share: row.share_id,
        taker_email: taker.map(|taker| taker.email).unwrap_or_default(),
        sealed: row.sealed,
        received_at: row.created_at,
    })
}

impl Handle for FileSharedWrites {
    async fn handle(self, work: &mut Work) -> Result<Written, ActorError> {
        let vault = ground::load(work, Action::WriteVault, Some(self.change.vault)).await?;
        let ids: BTreeSet<MessageId> = self.writes.iter().copied().collect();
        if ids.is_empty() || ids.len() != self.writes.len() || ids.len() > BATCH {
            return Err(ActorError::invalid("write_ids", "are not 1 to 48 different ones"));
        }
        if self.renewals.len() > MOST_RENEWED {
            return Err(ActorError::invalid("renewals", format!("are more than {MOST_RENEWED}")));
        }
        let (mut filed, mut shares) = (BTreeSet::new(), BTreeSet::new());
        for id in ids {
            let of_vault = SharedWrite::vault_id.eq(vault.vault_id);
            let row = work.tx.take_if::<SharedWrite>(id, of_vault).await?;
            // another device was faster, a newer one came, or the share has ended
            let row = row.ok_or(ActorError::Aborted("the vault's inbox"))?;
            filed.insert(row.object_id);
            shares.insert(row.share_id);
        }
        used_up(work, vault.owner_user, shares).await?;
        let counts = [("writes", self.writes.len()), ("renewed", self.renewals.len())];
        let details = counts.map(|(name, count)| (name.to_owned(), count.to_string()));
        if self.change.puts.is_empty() && self.change.deletes.is_empty() {
            if !self.change.manifest.is_empty() || !self.renewals.is_empty() {
                return Err(ActorError::invalid("manifest", "must be empty where nothing is written"));
            }
            work.details.extend(details);
            return Ok(Written { counter: unsigned(vault.manifest_counter) });
        }
        filed.retain(|object| self.change.puts.iter().any(|put| put.object_id == *object));
        let written = write(work, self.change).await?;
        for renewal in self.renewals {
            let head = work.tx.get::<VaultObject>((vault.vault_id, renewal.object)).await?;
            let head =
                head.ok_or_else(|| ActorError::invalid("renewals", "has one of an entry that is not there"))?;
            renew(work, renewal, &filed, &head).await?;
        }
        work.details.extend(details);
        Ok(written)
    }
}
