//! Watches: what was written down is told as it comes, from where the reader was.
//!
//! What is told is read from the store, so that nothing is missed whoever wrote it: a host of another node, or the
//! owner before this one. A [`Hint`] only says that it is worth looking now. A reader holds a bounded number of events
//! up and nothing else. The stream ends with the session, whatever still waits, and when the tenant moves or its log cannot be read:
//! then what waits, which was read while the session was good, comes first, and nobody watches the session any more.

mod told;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Notify, mpsc};

pub use self::told::Told;
use self::told::{Telling, told};
use crate::{
    call::{Call, CallMeta},
    caller::Caller,
    error::ActorError,
    supervisor,
    system::{StreamEnd, StreamGuard, System},
};

/// Events that wait for their reader.
const AHEAD: usize = 16;
/// A look without a hint: a host elsewhere gives none.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Watchers of one thing.
const MAX_WATCHERS: usize = 16;

/// Tells those who watch something at this node that it changed.
pub(crate) struct Hints<K>(Mutex<HashMap<K, Weak<Notify>>>);

impl<K> Default for Hints<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Held by a watcher.
pub(crate) struct Hint(Arc<Notify>);

impl<K: Eq + Hash + Copy> Hints<K> {
    /// Whoever watches this looks now.
    pub(crate) fn tell(&self, what: K) {
        let hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hint) = hints.get(&what).and_then(Weak::upgrade) {
            hint.notify_waiters();
        }
    }

    /// Whoever watches something of this kind looks now.
    pub(crate) fn tell_all(&self, of: impl Fn(&K) -> bool) {
        let hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for hint in hints.iter().filter(|(what, _)| of(what)).filter_map(|(_, hint)| hint.upgrade()) {
            hint.notify_waiters();
        }
    }

    /// One more watcher, if there is room.
    pub(crate) fn watch(&self, what: K) -> Result<Hint, ActorError> {
        one_more(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), what)
    }
}

/// Hints for several watchers of one thing, each with a bound of their own. Whoever changes the thing looks at its watchers alone,
/// however many watch others.
pub(crate) struct SharedHints<K, W>(Mutex<HashMap<K, HashMap<W, Weak<Notify>>>>);

impl<K, W> Default for SharedHints<K, W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Copy, W: Eq + Hash + Copy> SharedHints<K, W> {
    /// Whoever watches this looks now; how many different watchers were told.
    pub(crate) fn tell(&self, what: K) -> usize {
        let hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(watchers) = hints.get(&what) else { return 0 };
        watchers.values().filter_map(Weak::upgrade).inspect(|hint| hint.notify_waiters()).count()
    }

    /// One more stream of this watcher, if there is room.
    pub(crate) fn watch(&self, what: K, who: W) -> Result<Hint, ActorError> {
        let mut hints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hints.retain(|of, watchers| {
            watchers.retain(|_, hint| hint.strong_count() > 0);
            *of == what || !watchers.is_empty()
        });
        one_more(hints.entry(what).or_default(), who)
    }
}

fn one_more<K: Eq + Hash>(hints: &mut HashMap<K, Weak<Notify>>, what: K) -> Result<Hint, ActorError> {
    hints.retain(|_, hint| hint.strong_count() > 0);
    if let Some(hint) = hints.get(&what).and_then(Weak::upgrade) {
        // one is ours
        if Arc::strong_count(&hint) > MAX_WATCHERS {
            let why = format!("{MAX_WATCHERS} streams watch this already");
            return Err(ActorError::exhausted("TOO_MANY_WATCHERS", why));
        }
        return Ok(Hint(hint));
    }
    let hint = Arc::new(Notify::new());
    hints.insert(what, Arc::downgrade(&hint));
    Ok(Hint(hint))
}

/// What was written down, in order.
pub(crate) trait Log: Send + 'static {
    /// One piece of it.
    type Event: Send + 'static;
    /// What came behind that which was read before, a bounded piece at a time; empty if nothing did. An error ends the
    /// watch.
    fn read(&mut self) -> impl Future<Output = Result<Vec<Self::Event>, ActorError>> + Send;
}

/// The answer to whoever asks for what is not kept any more.
pub(crate) fn too_old() -> ActorError {
    ActorError::OutOfRange("what changed since is not kept any more: read it anew, then watch from now")
}

/// What a watch begins with: the log from where its reader was, and what is told first.
pub struct Following<L, E> {
    pub(crate) log: L,
    pub(crate) begun: Option<E>,
    pub(crate) hint: Hint,
}

impl System {
    /// Begins a watch at the tenant's actor, and follows it.
    pub(crate) async fn follow<L: Log, C: Call<Answer = Following<L, L::Event>>>(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: C,
    ) -> Result<Told<L::Event>, ActorError> {
        let tenant = self.tenant(caller.tenant());
        // before what it begins with is read: a session that ends meanwhile ends it too
        let guard = tenant.open_stream(&caller, meta.deadline).await?;
        let Following { log, begun, hint } = tenant.call(caller, meta, ask).await?;
        Ok(start(log, begun, guard, hint))
    }
}

/// Follows a log until its reader goes, the session ends or the tenant moves. `begun` is told first.
fn start<L: Log>(log: L, begun: Option<L::Event>, guard: StreamGuard, hint: Hint) -> Told<L::Event> {
    let (telling, to_reader) = told();
    supervisor::detach(tell(log, begun, guard, hint, telling));
    to_reader
}

async fn tell<L: Log>(
    log: L,
    begun: Option<L::Event>,
    mut guard: StreamGuard,
    hint: Hint,
    telling: Telling<L::Event>,
) {
    let ended = tokio::select! {
        biased;
        end = guard.over() => Err(end),
        error = follow(log, begun, &hint, &telling.events) => Ok(error),
    };
    match ended {
        Err(StreamEnd::SessionOver) => {
            telling.revoke(ActorError::Unauthenticated("the session has ended"));
        }
        Err(StreamEnd::Moved | StreamEnd::LeaseLost) => telling.end(ActorError::unavailable(
            "MOVED",
            "the tenant is worked on elsewhere: watch again from the last event",
        )),
        Ok(Some(error)) => telling.end(error),
        Ok(None) => {}
    }
}

/// Tells event after event; ends with an error, or when nobody reads.
async fn follow<L: Log>(
    mut log: L,
    begun: Option<L::Event>,
    hint: &Hint,
    events: &mpsc::Sender<Result<L::Event, ActorError>>,
) -> Option<ActorError> {
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
        let told = match log.read().await {
            Ok(told) => told,
            Err(error) => return Some(error),
        };
        let more = !told.is_empty();
        for event in told {
            if events.send(Ok(event)).await.is_err() {
                return None;
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::pin::Pin;

    use futures_util::FutureExt;
    use tokio::sync::futures::Notified;

    use super::*;

    fn woken(waits: Vec<Pin<Box<Notified<'_>>>>) -> usize {
        waits.into_iter().filter_map(FutureExt::now_or_never).count()
    }

    #[tokio::test]
    async fn who_watches_another_tenant_is_not_woken_nor_looked_at() {
        let hints: SharedHints<u32, u32> = SharedHints::default();
        let ours: Vec<Hint> = (0..3).map(|who| hints.watch(1, who).unwrap()).collect();
        let theirs: Vec<Hint> = (0..200).map(|of| hints.watch(2 + of, 0).unwrap()).collect();
        let mut ours: Vec<_> = ours.iter().map(|hint| Box::pin(hint.0.notified())).collect();
        let mut theirs: Vec<_> = theirs.iter().map(|hint| Box::pin(hint.0.notified())).collect();
        for waits in ours.iter_mut().chain(&mut theirs) {
            waits.as_mut().enable();
        }
        assert_eq!(hints.tell(1), 3);
        assert_eq!((woken(ours), woken(theirs)), (3, 0));
        assert_eq!(hints.tell(1_000), 0);
    }

    #[test]
    fn each_watcher_has_a_bound_and_who_has_gone_leaves_nothing() {
        let hints: SharedHints<u32, u32> = SharedHints::default();
        let all: Vec<Hint> = (0..MAX_WATCHERS).map(|_| hints.watch(1, 1).unwrap()).collect();
        assert!(hints.watch(1, 1).is_err(), "one too many");
        assert!(hints.watch(1, 2).is_ok(), "another has room of their own");
        drop(all);
        let _left = hints.watch(2, 1).unwrap();
        assert_eq!((hints.tell(1), hints.0.lock().unwrap().len()), (0, 1));
    }
}
