//! WatchVault: the changes of a vault as they come, from where the reader was.
//!
//! How changes are told: [`crate::watch`]. A reader that falls behind what is kept is told to read the vault anew.

use std::sync::Arc;

use ocmt_store::tables::{VaultChange, VaultChangeKind};
use ocmt_types::{Timestamp, VaultId};

use super::{
    changes::{self, ChangedObject, decode},
    ground::{self, unsigned},
};
use crate::{
    api::vault::{ChangeAt, VaultEvent, VaultEventKind, WatchVault},
    authorize::Action,
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    system::System,
    watch::{Following, Log, Told, too_old},
    work::{Handle, Work},
};

/// Changes read at once.
const AT_ONCE: u32 = 32;

impl Handle for WatchVault {
    async fn handle(self, work: &mut Work) -> Result<Following<Changes, VaultEvent>, ActorError> {
        // a stream ends with its session; a key has none
        work.user()?;
        let vault = ground::load(work, Action::ReadVault, Some(self.vault)).await?;
        let (from, begun) = match self.from {
            Some(from) => (behind(work, vault.vault_id, from).await?, None),
            None => {
                let last = changes::last(work, vault.vault_id).await?;
                let (change, at) = last.map_or((0, Timestamp(0)), |last| (last.seq, last.at));
                let begun = VaultEvent {
                    kind: VaultEventKind::Begun,
                    counter: unsigned(vault.manifest_counter),
                    object: None,
                    at: ChangeAt { change, object: u32::MAX, at },
                };
                (Position { change: change + 1, object: 0 }, Some(begun))
            }
        };
        let (vault, scope) = (vault.vault_id, Scope::new(Arc::clone(&work.env), work.ownership));
        Ok(Following { log: Changes { scope, vault, next: from }, begun, hint: work.env.hints.watch(vault)? })
    }
}

/// Behind an event that was told before, by this node or another.
async fn behind(work: &mut Work, vault: VaultId, event: ChangeAt) -> Result<Position, ActorError> {
    if event.change == 0 {
        return Ok(Position { change: 1, object: 0 });
    }
    let change = work.tx.get::<VaultChange>((vault, event.change)).await?;
    // another change of that number: the vault was restored from a copy of before
    if change.is_none_or(|change| change.at != event.at) {
        return Err(too_old());
    }
    Ok(Position { change: event.change, object: event.object.saturating_add(1) })
}

/// The next event: which change, and which object of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    change: i64,
    object: u32,
}

impl System {
    /// Watches a vault of the caller's. The events end with the session, with an error when the tenant moves (watch
    /// again from the last event), and when the receiver is dropped.
    ///
    /// # Errors
    /// [`ActorError::OutOfRange`] for a place that is not kept any more; what reading the vault says.
    pub async fn watch_vault(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchVault,
    ) -> Result<Told<VaultEvent>, ActorError> {
        self.follow(caller, meta, ask).await
    }
}

/// The changes of a vault, behind those that were read.
pub struct Changes {
    scope: Scope,
    vault: VaultId,
    next: Position,
}

impl Log for Changes {
    type Event = VaultEvent;
    async fn read(&mut self) -> Result<Vec<VaultEvent>, ActorError> {
        let mut told = Vec::new();
        for change in read(&self.scope, self.vault, self.next.change).await? {
            if change.seq != self.next.change {
                return Err(too_old());
            }
            let events = events_of(&change)?;
            told.extend(events.into_iter().skip(usize::try_from(self.next.object).unwrap_or(usize::MAX)));
            self.next = Position { change: change.seq + 1, object: 0 };
        }
        Ok(told)
    }
}

/// Changes from this one on; the last that are kept, if that is not.
async fn read(scope: &Scope, vault: VaultId, from: i64) -> Result<Vec<VaultChange>, ActorError> {
    let behind = VaultChange::vault_id.eq(vault).after(&(vault, from - 1)).limit(AT_ONCE);
    Ok(scope.read().await?.find(behind).await?)
}

fn events_of(change: &VaultChange) -> Result<Vec<VaultEvent>, ActorError> {
    let event = |kind, object: Option<ChangedObject>, at: usize| VaultEvent {
        kind,
        counter: unsigned(change.counter),
        object: object.map(|object| (object.object, object.version)),
        at: ChangeAt { change: change.seq, object: u32::try_from(at).unwrap_or(u32::MAX), at: change.at },
    };
    let kind = match change.kind {
        VaultChangeKind::Slots => VaultEventKind::SlotsChanged,
        VaultChangeKind::RotationStarted => VaultEventKind::RotationStarted,
        VaultChangeKind::Rotated => VaultEventKind::Rotated,
        VaultChangeKind::Inbox => VaultEventKind::Inbox,
        VaultChangeKind::Objects => {
            let objects = decode(&change.objects)?.into_iter().enumerate();
            return Ok(objects
                .map(|(at, object)| {
                    let kind = if object.deleted {
                        VaultEventKind::ObjectDeleted
                    } else {
                        VaultEventKind::ObjectWritten
                    };
                    event(kind, Some(object), at)
                })
                .collect());
        }
    };
    Ok(vec![event(kind, None, 0)])
}
