//! The number of a schedule is the time of the device that signed it.

use ocmt_crypto::snapshot_schedule::Schedule;
use ocmt_types::Clock as _;

use super::{DAY_MS, desk};
use crate::tests::factors::reason;

/// Its host takes no lower number afterwards: a clock that is far ahead would lock out what is dated right.
#[tokio::test]
async fn none_is_put_that_is_dated_more_than_a_day_ahead_but_what_follows_one_that_is() {
    let desk = desk().await;
    let put = async |number: i64| {
        let change = Schedule { number: u64::try_from(number).unwrap(), ..desk.schedule() };
        reason(desk.world.kit.call(&desk.ann.caller, desk.keys.put(&change)).await)
    };
    let ahead = desk.world.kit.clock.now().millis() + DAY_MS;
    for number in [ahead + 1, i64::MAX - 1, i64::MAX] {
        assert_eq!(put(number).await, "CLOCK_AHEAD", "{number}");
    }
    assert!(desk.shown().await.is_none());
    assert_eq!(put(ahead).await, "");
    // as a client numbers it that finds one there
    assert_eq!(put(ahead + 1).await, "");
    assert_eq!(put(ahead + 3).await, "CLOCK_AHEAD");
    // of before there was this bound
    let far = ahead + 400 * DAY_MS;
    desk.rows_say(|row| row.number = far).await;
    assert_eq!(put(far + 2).await, "CLOCK_AHEAD");
    assert_eq!(put(far + 1).await, "");
}
