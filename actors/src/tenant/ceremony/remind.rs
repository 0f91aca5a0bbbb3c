//! Reminders while a ceremony goes on: guardians who have said nothing are asked again, and its owner hears that it is still
//! there, so that one lost letter does not decide it. Fewer as time goes by, and none once it is over.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::tables::Timer;
use ocmt_types::GuardianshipId;

use super::{
    ground::{self, Loaded},
    state::{Event, Progress},
    stop::by_subject,
    tell::{tell_guardian, tell_owner},
};
use crate::{api::recovery::CeremonyState, error::ActorError, work::Work};

/// Timer of a ceremony's next reminder; its subject is the ceremony, its payload how many there were.
pub(in crate::tenant) const TIMER: &str = "ceremony.remind";

/// What guardians are reminded by.
const SIGN: &str = "ceremony.sign_reminder";
const DECIDE: &str = "ceremony.reminder";
pub(in crate::tenant) const KINDS: [&str; 2] = [SIGN, DECIDE];

/// The first comes after half the delay, within these; each further one after twice as long as the one before.
const FIRST: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// From its opening.
pub(super) async fn begin(work: &mut Work, loaded: &Loaded) -> Result<(), ActorError> {
    again(work, loaded, 0).await
}

async fn again(work: &mut Work, loaded: &Loaded, count: u8) -> Result<(), ActorError> {
    let at = work.now + pause(loaded.progress.delay, count);
    if at >= loaded.row.expires_at {
        return Ok(());
    }
    work.set_timer(TIMER, &loaded.row.ceremony_id.to_string(), at, &[count]).await
}

fn pause(delay: Duration, count: u8) -> Duration {
    let first = (delay / 2).clamp(FIRST.0, FIRST.1);
    first.saturating_mul(1 << u32::from(count).min(8)).min(LONGEST)
}

/// The timer.
pub(in crate::tenant) async fn fire(work: &mut Work, timer: &Timer) -> Result<(), ActorError> {
    let Some(loaded) = by_subject(work, &timer.subject).await? else { return Ok(()) };
    // by the clock it may be over, or released, before anybody has looked
    let mut today = loaded.progress.clone();
    if !today.stage.is_live() || today.step(Event::Look, work.now).is_err() || !today.stage.is_live() {
        return Ok(());
    }
    let view = ground::view(work, &loaded).await?;
    let (to_owner, to_silent) = words(today.stage);
    tell_owner(work, &loaded, &view, to_owner).await?;
    if let Some(news) = to_silent {
        for guardian in loaded.set.guardians().iter().filter(|one| is_silent(&today, one.guardianship)) {
            let to = guardian.guardianship;
            tell_guardian(work, &loaded, to, (&view, Some(news)), &mut BTreeSet::new()).await?;
        }
    }
    let count = timer.payload.first().copied().unwrap_or(0).saturating_add(1);
    again(work, &loaded, count).await
}

/// What the owner hears, and guardians who have said nothing.
fn words(stage: CeremonyState) -> (&'static str, Option<&'static str>) {
    match stage {
        CeremonyState::Proposed => ("ceremony.goes_on", Some(SIGN)),
        CeremonyState::Open => ("ceremony.goes_on", Some(DECIDE)),
        CeremonyState::Released => ("ceremony.collect_reminder", None),
        _ => ("ceremony.goes_on", None),
    }
}

fn is_silent(today: &Progress, guardian: GuardianshipId) -> bool {
    let said = match today.stage {
        CeremonyState::Proposed => {
            today.agreed.contains_key(&guardian) || today.denied.contains_key(&guardian)
        }
        _ => today.approved.contains_key(&guardian) || today.denied.contains_key(&guardian),
    };
    !said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_become_fewer_and_never_come_at_once() {
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
        assert_eq!(pause(2 * day, 0), day);
        assert_eq!([1, 2, 3, 255].map(|count| pause(2 * day, count)), [2 * day, 4 * day, 7 * day, 7 * day]);
        assert_eq!(pause(Duration::from_millis(2), 0), hour);
        assert_eq!(pause(30 * day, 0), day);
    }
}
