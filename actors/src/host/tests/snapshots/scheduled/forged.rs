//! What the host of a container believes of a schedule: nothing that the rows alone say.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_crypto::{
    datakey::DataKey,
    sign::{SigningKey, VerifyKey},
    snapshot_schedule::{Schedule, ScheduleKey, Taken, sealed_key_hash},
};
use ocmt_store::tables::{SnapshotSchedule, SnapshotState};
use ocmt_types::{Digest32, IdGen, RandomIds};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        super::World,
        listed, passes, stop,
        world::{Memory, Pins, snapshots},
    },
    Desk, HALF, Keys, MINUTE, desk, desk_in,
};
use crate::{
    Snapshots,
    api::container::{ContainerState, HoldContainer, WakeKind},
    tests::{
        factors::by_mail,
        kit::{START, until},
    },
};

impl Desk {
    /// Whoever writes to the database writes this.
    pub(super) async fn rows_say(&self, change: impl FnOnce(&mut SnapshotSchedule)) {
        let ownership = self.world.ownership(&self.ann).await;
        let mut tx = self.world.kit.store.fenced(ownership).await.unwrap();
        let mut row = tx.get::<SnapshotSchedule>(self.container).await.unwrap().unwrap();
        change(&mut row);
        tx.update(&row).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The container comes to rest, and one is due by its row.
    async fn rests_and_is_due(&mut self, change: impl FnOnce(&mut SnapshotSchedule)) {
        self.ann = by_mail(&self.world.kit, &self.ann).await;
        self.world.wake(&self.ann, self.container).await.unwrap();
        self.rows_say(|row| {
            row.due_at = Some(START);
            change(row);
        })
        .await;
        stop(&self.world, &self.ann, self.container).await;
    }

    /// It was refused so many times by now, and why; nothing is left of it.
    async fn is_refused(&self, times: usize, why: &str) {
        self.recorded("snapshot.schedule_refused", times).await;
        let rests = self.shown().await.unwrap().rests.unwrap();
        assert!(rests.contains(why), "{rests}");
        let all = listed(&self.world, &self.ann, self.container).await;
        assert!(all.iter().all(|one| one.state == SnapshotState::Taken));
    }
}

#[tokio::test]
async fn whoever_writes_to_the_database_puts_no_key_of_their_own_in_a_users_place() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    let first = desk.next_one().await;
    let (eve, key) = (SigningKey::generate(&mut rand::rng()), DataKey::from_bytes([6; 32]));
    let pair = ScheduleKey::of((1, &key), desk.keys.open.scope(), desk.container).unwrap();
    let forged = Schedule { number: 90, key: pair.public(), ..desk.schedule() };
    let by_eve = forged.sign(&eve).unwrap();
    desk.rests_and_is_due(|row| {
        (row.signed, row.signer, row.number) = (by_eve.clone(), Digest32(eve.verify_key().0), 90);
    })
    .await;
    desk.is_refused(1, "another vault").await;
    // with the name of the right one, and for what they did not sign
    let right = desk.keys.open.keyring().identity_signing.verify_key();
    desk.rests_and_is_due(|row| (row.signer, row.rests) = (Digest32(right.0), None)).await;
    desk.is_refused(2, "not signed").await;
    let ids: &dyn IdGen = &RandomIds;
    let elsewhere = Schedule { container: ids.id(), number: 91, ..desk.schedule() };
    let elsewhere = elsewhere.sign(&desk.keys.open.keyring().identity_signing).unwrap();
    desk.rests_and_is_due(|row| (row.signed, row.rests) = (elsewhere.clone(), None)).await;
    desk.is_refused(3, "another container").await;
    assert_eq!(desk.store.objects.lock().unwrap().len(), 1, "nothing was taken by any of them");
    // what its user signs next is taken
    desk.put(&Schedule { number: 92, ..desk.schedule() }).await;
    let next = desk.next_one().await;
    assert_ne!(next.id, first.id);
    desk.keys.opens(&next);
}

#[tokio::test]
async fn a_schedule_that_was_replaced_does_not_come_back() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    let first = desk.schedule().sign(&desk.keys.open.keyring().identity_signing).unwrap();
    desk.next_one().await;
    // as after a re-keying: whoever was shut out has the first key
    let open = desk.keys.open;
    desk.keys = Keys { open, volume_key: DataKey::from_bytes([5; 32]) };
    desk.put(&Schedule { number: 2, ..desk.schedule() }).await;
    desk.next_one().await;
    desk.rests_and_is_due(|row| (row.signed, row.number) = (first.clone(), 1)).await;
    desk.is_refused(1, "a later schedule").await;
    let other = Schedule { keep: 1, number: 2, ..desk.schedule() };
    let other = other.sign(&desk.keys.open.keyring().identity_signing).unwrap();
    desk.rests_and_is_due(|row| (row.signed, row.number, row.rests) = (other.clone(), 2, None)).await;
    desk.is_refused(2, "the same number").await;
    assert_eq!(desk.store.objects.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_host_that_does_not_remember_takes_nothing_and_tries_again() {
    let (store, pins) = (Arc::<Memory>::default(), Arc::<Pins>::default());
    let (kept, remembered) = (Arc::clone(&store), Arc::clone(&pins));
    let world = World::sim_with(move |config| {
        config.snapshots = Some(Snapshots { per_user: 6, pins: remembered, ..snapshots(&kept) });
    })
    .await;
    let desk = desk_in(world, store).await;
    desk.put(&desk.schedule()).await;
    pins.away.store(true, Ordering::SeqCst);
    desk.pass(HALF + MINUTE).await;
    desk.recorded("snapshot.failed", 1).await;
    assert!(desk.store.objects.lock().unwrap().is_empty() && desk.shown().await.unwrap().rests.is_none());
    pins.away.store(false, Ordering::SeqCst);
    desk.pass(MINUTE * 11).await;
    desk.comes_to(1).await;
}

/// To the public key anybody can seal. What a client restores is what the host says that its cell has taken.
#[tokio::test]
async fn the_host_says_what_was_taken_and_of_nothing_else() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    let taken = desk.next_one().await;
    let said = taken.by_schedule.clone().unwrap();
    let env = &desk.world.kit.system.env;
    let stated = Taken::verify(&said.statement, &env.signer.verify_key()).unwrap();
    let object = desk.store.objects.lock().unwrap()[&taken.id].clone();
    let expected = Taken {
        tenant: desk.ann.tenant,
        container: desk.container,
        generation: 1,
        snapshot: taken.id,
        size: object.len() as u64,
        content_hash: Digest32(Sha256::digest(&object).into()),
        sealed_key_hash: sealed_key_hash(&said.sealed_key),
        taken_at: stated.taken_at,
        node: env.node,
    };
    assert_eq!(stated, expected);
    assert_eq!(said.chain, env.signer.certificate_chain());
    let forged = desk.schedule().seal_key(taken.id, &DataKey::from_bytes([1; 32]), &mut rand::rng()).unwrap();
    assert_ne!(sealed_key_hash(&forged), stated.sealed_key_hash);
    assert!(Taken::verify(&said.statement, &VerifyKey([9; 32])).is_err());
}

#[tokio::test]
async fn what_was_begun_by_schedule_is_not_cut_off_by_a_wake_but_by_quarantine() {
    let mut desk = desk().await;
    desk.put(&desk.schedule()).await;
    desk.disk.hold();
    let begins = async |desk: &Desk, time: Duration| {
        passes(&desk.world, &desk.ann, time).await;
        until("it is under way", async || {
            let all = listed(&desk.world, &desk.ann, desk.container).await;
            all.iter().any(|one| one.state == SnapshotState::Taking)
        })
        .await;
    };
    begins(&desk, HALF + MINUTE).await;
    let (woken, ()) = futures_util::join!(desk.world.wake(&desk.ann, desk.container), async {
        until("a wake waits", async || desk.world.admitted(&desk.ann, "WakeContainer").await == 1).await;
        desk.disk.goes_on.add_permits(1);
    });
    assert_eq!(woken.unwrap().kind, WakeKind::Create);
    desk.comes_to(1).await;

    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    stop(&desk.world, &desk.ann, desk.container).await;
    begins(&desk, HALF).await;
    desk.ann = by_mail(&desk.world.kit, &desk.ann).await;
    let hold = HoldContainer { container: desk.container, reason: "odd".to_owned() };
    let held = desk.world.kit.call(&desk.ann.caller, hold).await.unwrap();
    assert_eq!(held.state, ContainerState::Held);
    desk.recorded("snapshot.failed", 1).await;
    assert_eq!(desk.taken().await.len(), 1);
}
