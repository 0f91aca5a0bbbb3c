//! A sealed volume that its cell could not seal: in the container's answer until the next sealing, and told the tenant once.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::sim::{Fault, Op};
use ocmt_types::{ContainerId, Timestamp, VaultId};

use super::{World, spec};
use crate::{
    SystemConfig,
    api::{
        alert::{AlertKind, PutChannel, Severity},
        audit::QueryAudit,
        auth::LinkPurpose,
        container::*,
    },
    tests::{
        kit::{Person, until},
        vault,
    },
};

const SINCE: Timestamp = Timestamp(1_795_000_000_000);
const FULL: Unsealed = Unsealed { since: SINCE, why: VolumeFault::HostFull, lost: false };

struct Sealed {
    world: World,
    ann: Person,
    vault: VaultId,
    container: ContainerId,
}

impl Sealed {
    /// A running container with a sealed volume, looked at again and again.
    async fn new() -> Self {
        let world = World::sim_with(|config: &mut SystemConfig| {
            config.limits.profile_every = Duration::from_millis(30);
        })
        .await;
        let ann = world.kit.founder("ann@example.com").await;
        let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
        let spec = ContainerSpec { sealed_volume_bytes: Some(8 << 20), ..spec() };
        let create = CreateContainer { user: None, spec, start: true };
        let container = world.kit.call(&ann.caller, create).await.unwrap().container.id;
        Self { world, ann, vault, container }
    }

    async fn unlock(&self) {
        self.world.unlock(&self.ann, self.container, self.vault).await;
    }

    /// Its cell says this of its volume from now on.
    fn says(&self, unsealed: Option<Unsealed>) {
        *self.world.cells.volume_unsealed.lock().unwrap() = unsealed;
    }

    async fn shown(&self) -> Option<Unsealed> {
        self.world.info(&self.ann, self.container).await.unsealed
    }

    async fn comes_to_show(&self, unsealed: Option<Unsealed>) {
        until(&format!("{unsealed:?}"), async || self.shown().await == unsealed).await;
    }

    async fn looked_at(&self) {
        let asks = || self.world.cells.status_asks.load(Ordering::SeqCst);
        let before = asks();
        until("it was looked at again", async || asks() > before + 4).await;
    }

    async fn noted(&self, what: &str) -> usize {
        let query = QueryAudit { method: Some(what.to_owned()), limit: 100, ..QueryAudit::default() };
        self.world.kit.call(&self.ann.caller, query).await.unwrap().records.len()
    }
}

#[tokio::test]
async fn a_sealing_that_fails_is_shown_and_told_once_until_the_next_one_succeeds() {
    let it = Sealed::new().await;
    let channel = PutChannel {
        channel: None,
        kind: AlertKind::Slack,
        name: "ours".to_owned(),
        target: Some(ocmt_types::Secret::new("https://hooks.example.org/".to_owned())),
        secret: None,
        min_severity: Severity::Warning,
        actions: vec![],
    };
    let owner = it.world.kit.sign_in(&it.ann, LinkPurpose::SignIn).await;
    it.world.kit.call(&owner.caller, channel).await.unwrap();
    it.unlock().await;
    it.looked_at().await;
    assert_eq!((it.shown().await, it.noted("container.not_sealed").await), (None, 0));
    it.says(Some(FULL));
    it.comes_to_show(Some(FULL)).await;
    // why the latest failed is shown as it changes, and told once
    let other = Unsealed { why: VolumeFault::Restless, ..FULL };
    it.says(Some(other));
    it.comes_to_show(Some(other)).await;
    it.looked_at().await;
    assert_eq!(it.noted("container.not_sealed").await, 1);
    let told = || it.world.kit.mailbox.count_of("https://hooks.example.org/", "alert.container.not_sealed");
    until("the tenant's channel is told", async || told() == 1).await;
    it.says(None);
    it.comes_to_show(None).await;
    assert_eq!(it.noted("container.sealed").await, 1);
    // and again, when it happens again
    let later = Unsealed { since: SINCE + Duration::from_secs(3600), ..FULL };
    it.says(Some(later));
    it.comes_to_show(Some(later)).await;
    assert_eq!(it.noted("container.not_sealed").await, 2);
}

#[tokio::test]
async fn what_a_cell_lost_when_it_locked_by_itself_is_shown_until_an_unlock_seals_again() {
    let it = Sealed::new().await;
    it.unlock().await;
    it.says(Some(FULL));
    it.comes_to_show(Some(FULL)).await;
    let lost = Unsealed { lost: true, ..FULL };
    it.says(Some(lost));
    it.world.kit.clock.advance(super::cells::LEASE);
    it.comes_to_show(Some(lost)).await;
    assert_eq!(it.noted("container.not_sealed").await, 2, "that it is lost is told too");
    // nor is it forgotten with the cell that knew of it
    let stop = StopContainer { container: it.container, grace: Duration::ZERO };
    it.world.kit.call(&it.ann.caller, stop).await.unwrap();
    it.says(None);
    it.world.wake(&it.ann, it.container).await.unwrap();
    it.looked_at().await;
    assert_eq!(it.shown().await, Some(lost));
    it.unlock().await;
    assert_eq!(it.shown().await, None);
}

#[tokio::test]
async fn a_stop_hears_of_a_cell_that_locked_by_itself_a_moment_before() {
    let it = Sealed::new().await;
    it.unlock().await;
    it.looked_at().await;
    let lost = Unsealed { lost: true, ..FULL };
    // no look hears it: each of them waits
    *it.world.cells.late_exit.lock().unwrap() = Some(0);
    until("a look to wait", async || it.world.cells.answers_late.load(Ordering::SeqCst)).await;
    it.says(Some(lost));
    let stop = StopContainer { container: it.container, grace: Duration::ZERO };
    it.world.kit.call(&it.ann.caller, stop).await.unwrap();
    assert_eq!(it.shown().await, Some(lost));
    it.world.cells.answers_late.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn a_lock_that_seals_takes_back_what_failed_before_it_and_one_that_does_not_says_so_at_once() {
    let it = Sealed::new().await;
    it.unlock().await;
    it.says(Some(FULL));
    it.comes_to_show(Some(FULL)).await;
    it.says(None);
    it.world.kit.call(&it.ann.caller, LockCell { container: it.container }).await.unwrap();
    assert_eq!(it.shown().await, None);
    it.unlock().await;
    // an earlier program: it refuses, and has no word of it in its status
    it.world.cells.unsealed.store(true, Ordering::SeqCst);
    let refused = it.world.kit.call(&it.ann.caller, LockCell { container: it.container }).await.unwrap_err();
    assert_eq!(refused.reason(), "VOLUME_NOT_SEALED");
    let shown = it.shown().await.expect("whoever looks is told");
    assert!(shown.lost && shown.why == VolumeFault::Unknown, "{shown:?}");
    it.looked_at().await;
    assert_eq!(it.shown().await, Some(shown), "a look at a locked cell takes nothing back");
}

#[tokio::test]
async fn what_was_seen_during_a_stop_that_came_to_nothing_is_shown_after_it() {
    let it = Sealed::new().await;
    it.unlock().await;
    it.looked_at().await;
    let cells = &it.world.cells;
    cells.slow_to_lock.store(true, Ordering::SeqCst);
    it.world.runtime.fault(Op::Stop, Fault::EngineDown);
    let stop = StopContainer { container: it.container, grace: Duration::ZERO };
    let seen = async {
        until("it is being locked", async || !cells.locks.lock().unwrap().is_empty()).await;
        it.says(Some(FULL));
        it.looked_at().await;
        cells.slow_to_lock.store(false, Ordering::SeqCst);
    };
    let (stopped, ()) = tokio::join!(it.world.kit.call(&it.ann.caller, stop), seen);
    assert!(stopped.is_err(), "the engine did not stop it");
    it.comes_to_show(Some(FULL)).await;
}
