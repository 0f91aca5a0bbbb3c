//! Waiting for a level, with a bound.

use std::time::Duration;

use super::kit::PATIENCE;

/// What comes due in [`until_passing`] has so long of real time.
const EACH: Duration = Duration::from_millis(500);

/// Asks again and again until it holds: a wait on a level, with a bound. The longer it lasts, the more of the machine is left to
/// those who are to bring it about.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    until_passing(what, || {}, holds).await;
}

/// The same while time passes: now, and each time that what came due by it had [`EACH`] of real time to be done. A clock that
/// runs ahead of the work outruns its deadlines, again and again.
pub(crate) async fn until_passing<F: Future<Output = bool>>(
    what: &str,
    mut passes: impl FnMut(),
    mut holds: impl FnMut() -> F,
) {
    let (mut pause, mut slept) = (Duration::from_millis(5), EACH);
    let wait = async {
        loop {
            if slept >= EACH {
                slept = Duration::ZERO;
                passes();
            }
            if holds().await {
                return;
            }
            tokio::time::sleep(pause).await; // why: the pause between two looks at a level, bounded by the timeout below
            slept += pause;
            pause = (pause * 5 / 4).min(Duration::from_millis(100));
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}
