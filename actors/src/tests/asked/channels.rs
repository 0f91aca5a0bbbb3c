//! Whoever takes an account over changes its address first: the one before hears of what opens the vault all the same.

use super::*;
use crate::tests::email_change::{asked, confirm, pass};

const SECOND: &str = "ann@second.example";
const FIVE_DAYS: Duration = Duration::from_secs(5 * 24 * 3600);

impl Paper {
    /// The account has another address, since now.
    async fn moves(&mut self, new: &str) {
        let token = asked(&self.kit, &self.ann, new).await;
        confirm(&self.kit, &self.ann, &token).await.unwrap();
        let policy = self.kit.call(&self.ann.caller, GetTenant).await.unwrap().policy;
        let delay = Duration::from_millis(policy.email_change_delay_ms.unsigned_abs());
        pass(&self.kit, &self.ann, delay).await;
        until("the address has changed", async || {
            self.kit.store.directory().addresses(new).await.unwrap().len() == 1
        })
        .await;
        self.ann.email = new.to_owned();
        self.passes(Duration::ZERO).await;
    }

    /// Every delay of guardians as short as it may be in production.
    async fn hurries(&self) {
        let info = self.kit.call(&self.ann.caller, GetTenant).await.unwrap();
        let hour = 3_600_000;
        let policy = TenantPolicy {
            lock_ms: 2 * hour,
            recovery_delay_ms: 2 * hour,
            change_delay_ms: hour,
            change_window_ms: hour,
            ..info.policy
        };
        let ask = UpdateTenantPolicy { policy, version: info.version };
        self.kit.call(&self.ann.caller, ask).await.unwrap();
    }

    fn heard(&self, who: &str, kind: &str) -> usize {
        self.kit.mailbox.count_of(who, kind)
    }
}

#[tokio::test]
async fn the_address_before_hears_of_slots_and_of_shorter_delays_whatever_the_policy_says_by_then() {
    let mut paper = Paper::of(Kit::sqlite().await, DELAY).await;
    let first = paper.ann.email.clone();
    paper.moves(SECOND).await;
    paper.hurries().await;
    // far over the lock period of now; what has lapsed is dropped meanwhile
    paper.passes(3 * HOUR).await;
    paper.policy(Duration::ZERO).await;
    for who in [SECOND, &first] {
        until("of both kinds", async || paper.heard(who, "slots.delay_lowered") == 2).await;
    }
    assert_eq!(paper.refused(DEVICE).await, "WAY_WAITS");
    for who in [SECOND, &first] {
        until("that it was asked for", async || paper.heard(who, "slots.asked") == 1).await;
    }
    paper.refuse().await.unwrap();
    // not for ever
    paper.passes(FIVE_DAYS).await;
    assert!(paper.backup(OTHER).await.is_ok());
    paper.told("slots.handed_out", 1).await;
    assert_eq!(paper.heard(&first, "slots.handed_out"), 0);
}
