//! What is waited for is not waited for while the tenant is suspended: nobody could refuse.

use super::*;
use crate::tests::suspension::{resume, suspend};

impl Paper {
    /// Nobody is served for so long, and the owner signs in again afterwards.
    async fn rests(&mut self, time: Duration) {
        suspend(&self.kit, self.ann.tenant).await;
        self.kit.clock.advance(time);
        resume(&self.kit, self.ann.tenant).await;
        self.passes(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn what_was_asked_for_waits_as_long_as_if_its_tenant_had_not_been_suspended() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let mut paper = Paper::of(kit, DELAY).await;
        assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
        let asked = paper.standing().await.unwrap();
        paper.passes(DELAY / 2).await;
        paper.rests(2 * DELAY).await;
        assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS", "a half of the delay is left");
        let moved = paper.standing().await.unwrap();
        let (ready_at, expires_at) = (asked.ready_at + 2 * DELAY, asked.expires_at + 2 * DELAY);
        assert_eq!(moved, SlotRequest { ready_at, expires_at, ..asked });
        paper.passes(DELAY / 2 - MILLI).await;
        assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
        assert_eq!(paper.kit.mailbox.count_of(&paper.ann.email, "slots.ready"), 0);
        paper.passes(MILLI).await;
        paper.told("slots.ready", 1).await;
        // what is ready can be collected for as long as ever
        paper.rests(COLLECTABLE).await;
        assert!(paper.backup(DEVICE).await.is_ok());
    }
}

#[tokio::test]
async fn what_was_refused_before_a_suspension_stays_refused_after_it() {
    let mut paper = Paper::of(Kit::sim().await, DELAY).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.refuse().await.unwrap();
    paper.rests(DELAY).await;
    assert!(paper.standing().await.unwrap().refused);
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS", "another request, with a delay of its own");
    let waits = paper.standing().await.unwrap();
    assert_eq!(waits.ready_at.since(waits.asked_at), DELAY);
}

#[tokio::test]
async fn a_shorter_delay_does_not_come_to_count_by_a_suspension() {
    let mut paper = Paper::of(Kit::sqlite().await, DELAY).await;
    paper.policy(Duration::ZERO).await;
    paper.rests(DELAY).await;
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    paper.counts_once_the_delay_has_passed().await;
}
