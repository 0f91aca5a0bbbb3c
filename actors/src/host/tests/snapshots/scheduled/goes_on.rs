//! Backups go on: where a user has used all that is left to them, and without a host's places where they fail. What was opened
//! goes too, but for the newest.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_crypto::snapshot_schedule::Schedule;

use super::{
    super::{
        super::World,
        Errand, open,
        world::{Memory, snapshots},
    },
    DAILY, Desk, HALF, MINUTE, desk, desk_in,
};
use crate::{
    Snapshots,
    api::snapshot::{ArchiveErrand, SnapshotInfo},
    tests::{
        factors::by_mail,
        kit::{START, until},
    },
};

/// A user has so many, and has asked for these.
async fn desk_of(per_user: u32, asked_for: u32) -> Desk {
    let store = Arc::<Memory>::default();
    let all = Arc::clone(&store);
    let world = World::sim_with(move |config| {
        config.snapshots = Some(Snapshots { per_user, ..snapshots(&all) });
    })
    .await;
    let desk = desk_in(world, store).await;
    for _ in 0..asked_for {
        desk.world.take(&desk.ann, desk.container, &desk.world).await.unwrap();
    }
    desk
}

impl Desk {
    /// Its user has it opened by a cell.
    pub(super) async fn open_to_its_end(&self, one: &SnapshotInfo) {
        let (ann, container) = (&self.ann, self.container);
        let cell = self.world.archive_cell(ann, container, ArchiveErrand::Verify, &self.world).await.unwrap();
        let opens = open(&self.keys.opens(one), container, Errand::Verify, &cell);
        assert!(self.world.kit.call(&ann.caller, opens).await.unwrap().snapshot.opened);
    }
}

#[tokio::test]
async fn what_goes_for_it_and_the_opened_one_take_no_room_of_the_next() {
    let mut desk = desk_of(4, 2).await;
    desk.put(&desk.schedule()).await;
    let first = desk.next_one().await;
    desk.open_to_its_end(&first).await;
    for there in [4, 5, 5] {
        desk.next_one().await;
        let taken = desk.taken().await;
        assert!(taken.len() == there && taken.iter().any(|one| one.id == first.id), "{}", taken.len());
    }
    assert_eq!(desk.records("snapshot.refused").await, 0);
    let more = desk.world.take(&desk.ann, desk.container, &desk.world).await.err().unwrap();
    assert_eq!(more.reason(), "TOO_MANY_SNAPSHOTS");
}

#[tokio::test]
async fn of_those_that_were_opened_the_newest_stays_and_an_older_one_goes() {
    let mut desk = desk().await;
    desk.put(&Schedule { keep: 1, ..desk.schedule() }).await;
    let first = desk.next_one().await;
    desk.open_to_its_end(&first).await;
    let second = desk.next_one().await;
    desk.open_to_its_end(&second).await;
    // until another is there, both stay
    assert!(desk.store.has(first.id) && desk.store.has(second.id));
    let third = desk.next_one().await;
    let there: Vec<_> = desk.taken().await.into_iter().map(|one| (one.id, one.opened)).collect();
    assert_eq!(there, [(second.id, true), (third.id, false)]);
    until("the older one's object goes", async || {
        desk.pass(Duration::ZERO).await;
        !desk.store.has(first.id)
    })
    .await;
    assert!(desk.store.has(second.id) && desk.store.has(third.id));
}

#[tokio::test]
async fn that_there_is_no_room_is_told_again_the_next_day() {
    let mut desk = desk_of(3, 3).await;
    desk.put(&Schedule { cron: DAILY.to_owned(), keep: 1, ..desk.schedule() }).await;
    desk.pass(HALF + MINUTE).await;
    desk.recorded("snapshot.refused", 1).await;
    desk.pass(Duration::from_secs(24 * 3600)).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.recorded("snapshot.refused", 2).await;
    assert_eq!(desk.taken().await.len(), 3);
}

#[tokio::test]
async fn what_fails_is_begun_ever_later_however_many_times_pass() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    desk.store.away.store(true, Ordering::SeqCst);
    desk.pass(MINUTE * 31).await;
    desk.recorded("snapshot.failed", 1).await;
    desk.pass(MINUTE * 11).await;
    desk.recorded("snapshot.failed", 2).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    // at 9:01, and it is begun again at 9:02
    for (time, later, next) in [(19, 2, 3), (28, 3, 4)] {
        desk.pass(MINUTE * time).await;
        let before = desk.records("snapshot.failed").await;
        until("a time passes", async || {
            desk.pass(Duration::ZERO).await;
            desk.shown().await.unwrap().next_at == Some(START + HALF * next)
        })
        .await;
        assert_eq!(desk.records("snapshot.failed").await, before, "a time of its own begins nothing");
        desk.pass(MINUTE * later).await;
        desk.recorded("snapshot.failed", before + 1).await;
    }
    // given up at 9:34: not at ten, nor at half past
    desk.recorded("snapshot.given_up", 1).await;
    let shown = desk.shown().await.unwrap();
    assert_eq!((shown.due_at, shown.next_at), (None, Some(START + HALF * 6)));
    desk.pass(MINUTE * 87).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.recorded("snapshot.given_up", 2).await;
    assert_eq!(desk.records("snapshot.failed").await, 5);
    assert_eq!(desk.shown().await.unwrap().next_at, Some(START + HALF * 11));
    desk.store.away.store(false, Ordering::SeqCst);
    desk.pass(MINUTE * 150).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    desk.comes_to(1).await;
    let shown = desk.shown().await.unwrap();
    assert_eq!((shown.failure, shown.next_at), (None, Some(START + HALF * 12)));
}
