//! Delays of a recovery that a test can wait for.

use std::time::Duration;

use ocmt_client::tenant::PolicyChange;
use ocmt_crypto::guardian::Delays;
use ocmt_testkit::Person;

/// Of a set of guardians.
pub(crate) const SHORT: Delays =
    Delays { lock_ms: 3000, recovery_ms: 2000, change_ms: 1000, change_window_ms: 1000 };

/// The policy of the owner's tenant allows them.
pub(crate) async fn are_short(owner: &Person) {
    let of = |millis| Some(Duration::from_millis(millis));
    let policy = PolicyChange {
        recovery_delay: of(SHORT.recovery_ms),
        lock_period: of(SHORT.lock_ms),
        change_delay: of(SHORT.change_ms),
        change_window: of(SHORT.change_window_ms),
        ..PolicyChange::default()
    };
    owner.client.change_policy(&policy).await.unwrap();
}
