//! Waiting on a level, with a bound, and what to say when it does not come.

use std::time::Duration;

use anyhow::bail;
use ocmt_types::{Clock as _, SystemClock};

/// Asks until `look` says yes.
///
/// # Errors
/// It does not within `patience`; the text says what was waited for.
pub async fn until(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let started = SystemClock.boottime();
    loop {
        if look().await? {
            return Ok(since(started));
        }
        if since(started) > patience {
            bail!("not within {patience:?}: {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // why: between two looks of a bounded wait
    }
}

/// Boot time now.
pub fn now() -> Duration {
    SystemClock.boottime()
}

/// Time since `earlier`.
pub fn since(earlier: Duration) -> Duration {
    now().saturating_sub(earlier)
}
