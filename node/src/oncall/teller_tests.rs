#![allow(clippy::unwrap_used)]
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use ocmt_actors::api::alert::Severity;
use ocmt_store::{ClusterAct, testing::id};
use ocmt_types::ManualClock;
use tokio::sync::Notify;

use super::*;
use crate::oncall::Wanted;

/// A channel that keeps what it was given.
#[derive(Default)]
struct Kept {
    taken: Mutex<Vec<(NoticeId, String)>>,
    /// What comes instead of taking it, first to last.
    answers: Mutex<Vec<MailError>>,
    /// Takes it, and does not answer until it is told to.
    hangs: AtomicBool,
    hung: Notify,
    go_on: Notify,
}

impl Carry for Kept {
    fn carry<'a>(&'a self, _: &'a Channel, alert: &'a Alert) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let refused = self.answers.lock().unwrap().pop();
            if let Some(error) = refused {
                return Err(error);
            }
            self.taken.lock().unwrap().push((alert.id, alert.action.clone()));
            if self.hangs.load(Ordering::SeqCst) {
                self.hung.notify_one();
                self.go_on.notified().await;
            }
            Ok(())
        })
    }
}

impl Kept {
    fn actions(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, action)| action.clone()).collect()
    }
}

struct World {
    store: Store,
    clock: ManualClock,
    kept: Arc<Kept>,
}

impl World {
    /// A cluster whose audit has a record already, and a channel that was looked at since.
    async fn new() -> Self {
        let (store, clock) = (Store::sim(), ManualClock::at(Timestamp(1_000_000)));
        store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
        let world = Self { store, clock, kept: Arc::default() };
        world.record("operator.revoke").await;
        assert_eq!(
            world.teller(1).round(&channel()).await.unwrap(),
            0,
            "a new channel is told of what comes"
        );
        world
    }

    fn teller(&self, node: u64) -> Teller {
        Teller {
            store: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
            node: id(node),
            cluster: id(1_000),
            carry: self.kept.clone(),
        }
    }

    async fn record(&self, action: &'static str) {
        let object = "node/7".to_owned();
        let act = ClusterAct::of_node(id(9), self.clock.now(), id(5), action, object, Vec::new());
        self.store.operators().record(&act).await.unwrap();
    }
}

fn channel() -> Channel {
    Channel::test("ops", Wanted { min_severity: Severity::Warning, actions: Vec::new() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_that_tell_at_once_each_alert_is_told_once() {
    let world = World::new().await;
    for action in ["node.dead", "cluster.join", "certificate.ends", "cluster.resume"] {
        world.record(action).await;
    }
    for _ in 0..50 {
        let (one, two) = (world.teller(1), world.teller(2));
        let (here, there) = (channel(), channel());
        let (a, b) = tokio::join!(one.round(&here), two.round(&there));
        // one that another overtook has told nothing
        let _ = (a, b);
    }
    assert_eq!(world.kept.actions(), ["node.dead", "cluster.join", "certificate.ends"]);
    // and a storm is told as a number, by whichever node is there
    for _ in 0..40 {
        world.record("node.dead").await;
        world.teller(2).round(&channel()).await.unwrap();
    }
    assert_eq!(world.kept.actions().len(), 3);
    world.clock.advance(crate::oncall::plan::COOLDOWN);
    assert_eq!(world.teller(1).round(&channel()).await.unwrap(), 1);
    assert_eq!(world.teller(2).round(&channel()).await.unwrap(), 0);
}

/// A node that stands still with an alert in its hand: nobody tells beside it, another goes on when its time is over, and what it
/// writes late counts for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_hangs_is_followed_and_writes_nothing_any_more() {
    let world = World::new().await;
    world.record("node.dead").await;
    world.kept.hangs.store(true, Ordering::SeqCst);
    let hanging = world.teller(1);
    let hangs = crate::tasks::spawn(async move { hanging.round(&channel()).await.unwrap() });
    world.kept.hung.notified().await;
    world.kept.hangs.store(false, Ordering::SeqCst);
    world.record("cluster.join").await;
    assert_eq!(world.teller(2).round(&channel()).await.unwrap(), 0, "another has it");
    world.clock.advance(HOLD);
    assert_eq!(world.teller(2).round(&channel()).await.unwrap(), 2);
    let before = world.store.operators().channel("ops").await.unwrap();
    world.kept.go_on.notify_one();
    assert_eq!(hangs.await.unwrap(), 1);
    assert_eq!(world.store.operators().channel("ops").await.unwrap(), before, "it has written nothing");
    // what was in its hand may have arrived: it came again under the same id
    let taken = world.kept.taken.lock().unwrap().clone();
    assert_eq!(
        taken.iter().map(|(_, action)| action.as_str()).collect::<Vec<_>>(),
        ["node.dead", "node.dead", "cluster.join"]
    );
    assert_eq!(taken[0].0, taken[1].0);
    assert_ne!(taken[0].0, taken[2].0);
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_ever_later_and_what_never_will_be_is_given_up() {
    let world = World::new().await;
    world.record("node.dead").await;
    let later = || MailError::Later("the channel answers 503".to_owned());
    *world.kept.answers.lock().unwrap() = vec![later(), later()];
    let teller = world.teller(1);
    assert_eq!(teller.round(&channel()).await.unwrap(), 0);
    assert_eq!(teller.round(&channel()).await.unwrap(), 0, "not at once");
    assert_eq!(world.kept.answers.lock().unwrap().len(), 1);
    world.clock.advance(FIRST_WAIT);
    // by another node: how long to wait is written down
    assert_eq!(world.teller(2).round(&channel()).await.unwrap(), 0);
    world.clock.advance(FIRST_WAIT);
    assert_eq!(teller.round(&channel()).await.unwrap(), 0, "twice as long");
    world.clock.advance(FIRST_WAIT);
    assert_eq!(teller.round(&channel()).await.unwrap(), 1);
    assert_eq!(world.store.operators().channel("ops").await.unwrap().failed, 0);
    world.record("cluster.join").await;
    world.record("operator.create").await;
    *world.kept.answers.lock().unwrap() = vec![MailError::Refused("the channel answers 410".to_owned())];
    teller.round(&channel()).await.unwrap();
    assert_eq!(world.kept.actions(), ["node.dead", "operator.create"]);
    assert_eq!((wait(1), wait(2), wait(100)), (FIRST_WAIT, FIRST_WAIT * 2, LONGEST_WAIT));
}
