//! How many containers of this host start at once, and whose turn is next.
//!
//! A start costs the engine far more than a thaw, so starts wait in a queue of bounded length. Turns go round by tenant:
//! whoever wakes a hundred containers waits for their own, and others do not wait behind them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ocmt_types::TenantId;
use tokio::sync::oneshot;

use crate::error::ActorError;

/// Starts that wait for their turn.
const MOST_WAITING: usize = 512;
/// Those of one tenant.
const MOST_OF_ONE: usize = 128;
/// Whoever finds the queue full comes back after this.
const COME_BACK: Duration = Duration::from_secs(5);

/// The starts of this host.
pub(crate) struct Starts(Mutex<Queue>);

struct Queue {
    /// Starts that may begin at once.
    free: usize,
    waiting: usize,
    /// Whose turn it is, in this order; each tenant that waits stands here once.
    turns: VecDeque<TenantId>,
    of: HashMap<TenantId, VecDeque<oneshot::Sender<Turn>>>,
}

/// A start is under way; dropping it lets the next one begin.
pub(crate) struct Turn(Arc<Starts>);

impl Starts {
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        let queue = Queue { free: at_once.max(1), waiting: 0, turns: VecDeque::new(), of: HashMap::new() };
        Arc::new(Self(Mutex::new(queue)))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `START_QUEUE_FULL` if too many wait already.
    pub(crate) async fn turn(self: &Arc<Self>, tenant: TenantId) -> Result<Turn, ActorError> {
        let comes = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn(Arc::clone(self)));
            }
            queue.wait(tenant)?
        };
        // whoever has a turn gives it on: it is never lost
        comes.await.map_err(|_| full())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn wait(&mut self, tenant: TenantId) -> Result<oneshot::Receiver<Turn>, ActorError> {
        let waiting = self.waiting;
        let own = self.of.entry(tenant).or_default();
        let before = own.len();
        // who gave up waiting takes no room
        own.retain(|turn| !turn.is_closed());
        self.waiting = waiting - (before - own.len());
        let has = own.len();
        if has >= MOST_OF_ONE || (self.waiting >= MOST_WAITING && !self.make_room(has)) {
            if before == 0 {
                self.of.remove(&tenant);
            }
            return Err(full());
        }
        let own = self.of.entry(tenant).or_default();
        if before == 0 {
            self.turns.push_back(tenant);
        }
        let (turn, comes) = oneshot::channel();
        own.push_back(turn);
        self.waiting += 1;
        Ok(comes)
    }

    /// Takes the last place of whoever has most, if that is more than `has` and the one more.
    fn make_room(&mut self, has: usize) -> bool {
        let Some(most) = self.of.values_mut().max_by_key(|waiting| waiting.len()) else { return false };
        if most.len() <= has + 1 {
            return false;
        }
        // dropped: whoever waits there is refused
        self.waiting -= usize::from(most.pop_back().is_some());
        true
    }

    /// The next in turn; none if nobody waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let tenant = self.turns.pop_front()?;
        let own = self.of.get_mut(&tenant)?;
        let next = own.pop_front();
        if own.is_empty() {
            self.of.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        loop {
            let mut queue = self.0.queue();
            if queue.turns.is_empty() {
                queue.free += 1;
                return;
            }
            let next = queue.next().filter(|next| !next.is_closed());
            drop(queue);
            // one that gives up in this very moment drops the turn, and so gives it on
            if let Some(next) = next {
                let _ = next.send(Self(Arc::clone(&self.0)));
                return;
            }
        }
    }
}

fn full() -> ActorError {
    ActorError::ResourceExhausted {
        reason: "START_QUEUE_FULL",
        why: "too many containers wait to start on this host: repeat later".to_owned(),
        retry_after: Some(COME_BACK),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::{FutureExt as _, future::BoxFuture};
    use ocmt_store::testing::id;

    use super::*;

    type Waits = BoxFuture<'static, Result<Turn, ActorError>>;

    /// Waits in the queue from now on.
    fn waits(starts: &Arc<Starts>, tenant: u64) -> Waits {
        let starts = Arc::clone(starts);
        let mut turn = async move { starts.turn(id(tenant)).await }.boxed();
        assert!((&mut turn).now_or_never().is_none(), "it has its turn at once");
        turn
    }

    #[tokio::test]
    async fn turns_go_round_by_tenant() {
        let starts = Starts::new(1);
        let first = starts.turn(id(1)).await.unwrap();
        let mut crowd: Vec<_> = (0..5).map(|_| waits(&starts, 1)).collect();
        let mut other = waits(&starts, 2);
        drop(first);
        let one = crowd.remove(0).await.unwrap();
        assert!((&mut other).now_or_never().is_none());
        drop(one);
        // the second turn is the other's, though four stood before
        let others = (&mut other).now_or_never().unwrap().unwrap();
        assert!(crowd.iter_mut().all(|turn| turn.now_or_never().is_none()));
        drop(others);
        for turn in crowd {
            turn.await.unwrap();
        }
        let queue = starts.queue();
        assert_eq!((queue.free, queue.waiting, queue.of.len()), (1, 0, 0));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_for_all_and_for_one() {
        let starts = Starts::new(1);
        let first = starts.turn(id(1)).await.unwrap();
        let own: Vec<_> = (0..MOST_OF_ONE).map(|_| waits(&starts, 1)).collect();
        assert_eq!(starts.turn(id(1)).await.err().unwrap().reason(), "START_QUEUE_FULL");
        let others: Vec<_> = (0..MOST_WAITING - MOST_OF_ONE).map(|n| waits(&starts, 10 + n as u64)).collect();
        // whoever comes to a full queue gets the last place of the one who has most
        let mut own = own;
        let newcomer = waits(&starts, 2);
        let last = own.pop().unwrap().now_or_never().expect("it waits still");
        assert_eq!(last.err().unwrap().reason(), "START_QUEUE_FULL");
        assert_eq!(starts.queue().waiting, MOST_WAITING);
        drop(newcomer);
        // who gave up makes room, and takes no turn
        drop(own);
        let late = waits(&starts, 1);
        drop(others);
        drop(first);
        late.await.unwrap();
        assert_eq!(starts.queue().free, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn never_more_at_once_than_may_and_no_turn_is_lost() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (starts, now, most) =
            (Starts::new(3), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = tokio::task::JoinSet::new();
        for n in 0..200 {
            let (starts, now, most) = (Arc::clone(&starts), Arc::clone(&now), Arc::clone(&most));
            all.spawn(async move {
                let turn = starts.turn(id(n % 7));
                // every tenth gives up
                let patience = Duration::from_millis(if n % 10 == 0 { 1 } else { 10_000 });
                if let Ok(Ok(_turn)) = tokio::time::timeout(patience, turn).await {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        all.join_all().await;
        assert!(most.load(Ordering::SeqCst) <= 3);
        let again: Vec<_> = futures_util::future::join_all((0..3).map(|_| starts.turn(id(1)))).await;
        assert!(again.iter().all(Result::is_ok), "a turn was lost");
    }
}
