//! What a busy machine takes of a bound in real time.

use std::{pin::pin, time::Duration};

use ocmt_types::{Clock as _, SystemClock};

/// Between two calls of the control: it is no load.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for `measured` while `control` is done again and again: what came of it, and the longest that the control took meanwhile,
/// which does not wait for what is measured. A bound of what is measured begins behind that.
pub async fn beside<T>(control: impl AsyncFn(), measured: impl Future<Output = T>) -> (T, Duration) {
    let (mut measured, mut longest) = (pin!(measured), Duration::ZERO);
    loop {
        let began = SystemClock.boottime();
        let once = async {
            control().await;
            tokio::time::sleep(PAUSE).await; // why: between two calls of the control
        };
        let done = tokio::select! {
            biased;
            done = &mut measured => Some(done),
            () = once => None,
        };
        longest = longest.max(SystemClock.boottime().saturating_sub(began));
        if let Some(done) = done {
            return (done, longest);
        }
    }
}
