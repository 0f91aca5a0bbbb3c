//! WatchVault: the changes of a vault as they come, from where the reader was.
//!
//! What is told is read from the store, so that nothing is missed whoever wrote it: a host of another node, or the
//! owner before this one. A [`Hint`] only says that it is worth looking now. A reader holds a bounded number of events
//! up and nothing else; one that falls behind what is kept is told to read the vault anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ocmt_store::tables::{VaultChange, VaultChangeKind};
use ocmt_types::{Timestamp, VaultId};
use tokio::sync::{Notify, mpsc};

use super::{
    changes::{self, ChangedObject, decode},
    ground::{self, unsigned},
};
use crate::{
    api::vault::{ChangeAt, VaultEvent, VaultEventKind, WatchVault, Watching},
    authorize::Action,
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    supervisor,
    system::{StreamEnd, StreamGuard, System},
    work::{Handle, Work},
};

/// Events that wait for their reader.
const AHEAD: usize = 16;
/// Changes read at once.
const AT_ONCE: u32 = 32;
/// A look without a hint: a host elsewhere gives none.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Watchers of one vault.
const MAX_WATCHERS: usize = 16;

/// Tells those who watch a vault at this node that it changed.
#[derive(Default)]
pub(crate) struct Hints(Mutex<HashMap<VaultId, Weak<Notify>>>);

/// Held by a watcher.
pub(crate) struct Hint(Arc<Notify>);

impl Hints {
    /// Whoever watches this vault looks now.
    pub(crate) fn tell(&self, vault: VaultId) {
        let hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hint) = hints.get(&vault).and_then(Weak::upgrade) {
            hint.notify_waiters();
        }
    }

    /// One more watcher, if there is room.
    fn watch(&self, vault: VaultId) -> Result<Hint, ActorError> {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hints.retain(|_, hint| hint.strong_count() > 0);
        if let Some(hint) = hints.get(&vault).and_then(Weak::upgrade) {
            // one is ours
            if Arc::strong_count(&hint) > MAX_WATCHERS {
                let why = format!("{MAX_WATCHERS} streams watch this vault already");
                return Err(ActorError::exhausted("TOO_MANY_WATCHERS", why));
            }
            return Ok(Hint(hint));
        }
        let hint = Arc::new(Notify::new());
        hints.insert(vault, Arc::downgrade(&hint));
        Ok(Hint(hint))
    }
}

impl Handle for WatchVault {
    async fn handle(self, work: &mut Work) -> Result<Watching, ActorError> {
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
        Ok(Watching { scope, vault, from, begun, hint: work.env.hints.watch(vault)? })
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
pub(crate) struct Position {
    change: i64,
    object: u32,
}

fn too_old() -> ActorError {
    ActorError::OutOfRange(
        "what changed since is not kept any more: read the vault anew, then watch from now",
    )
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
    ) -> Result<mpsc::Receiver<Result<VaultEvent, ActorError>>, ActorError> {
        let tenant = self.tenant(caller.tenant());
        let deadline = meta.deadline;
        let watching = tenant.call(caller.clone(), meta, ask).await?;
        let guard = tenant.open_stream(&caller, deadline).await?;
        let (events, to_reader) = mpsc::channel(AHEAD);
        supervisor::detach(tell(watching, guard, events));
        Ok(to_reader)
    }
}

async fn tell(
    watching: Watching,
    mut guard: StreamGuard,
    events: mpsc::Sender<Result<VaultEvent, ActorError>>,
) {
    let ended = tokio::select! {
        biased;
        end = guard.over() => Some(match end {
            StreamEnd::SessionOver => ActorError::Unauthenticated("the session has ended"),
            StreamEnd::Moved | StreamEnd::LeaseLost => {
                ActorError::unavailable("MOVED", "the tenant is worked on elsewhere: watch again from the last event")
            }
        }),
        error = follow(watching, &events) => error,
    };
    if let Some(error) = ended {
        // a reader that is behind finds the stream at its end
        let _ = events.try_send(Err(error));
    }
}

/// Tells event after event; ends with an error, or when nobody reads.
async fn follow(
    watching: Watching,
    events: &mpsc::Sender<Result<VaultEvent, ActorError>>,
) -> Option<ActorError> {
    let Watching { scope, vault, from: mut next, begun, hint } = watching;
    if let Some(begun) = begun
        && events.send(Ok(begun)).await.is_err()
    {
        return None;
    }
    loop {
        let hinted = hint.0.notified();
        tokio::pin!(hinted);
        // before the look: what comes in between is told too
        hinted.as_mut().enable();
        let changes = match read(&scope, vault, next.change).await {
            Ok(changes) => changes,
            Err(error) => return Some(error),
        };
        let more = changes.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
        for change in changes {
            if change.seq != next.change {
                return Some(too_old());
            }
            let told = match events_of(&change) {
                Ok(told) => told,
                Err(error) => return Some(error),
            };
            for event in told.into_iter().skip(usize::try_from(next.object).unwrap_or(usize::MAX)) {
                if events.send(Ok(event)).await.is_err() {
                    return None;
                }
            }
            next = Position { change: change.seq + 1, object: 0 };
        }
        if more {
            continue;
        }
        tokio::select! {
            biased;
            () = events.closed() => return None,
            () = &mut hinted => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
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
