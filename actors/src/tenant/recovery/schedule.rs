//! Drills by themselves: every quarter each guardian of a set is asked whether the units are still there, and the owner is
//! told who has not answered, early: while the vault could still be given back without them.

use std::time::Duration;

use ocmt_crypto::guardian::DrillChallenge as Challenge;
use ocmt_store::tables::{
    GuardianSet, GuardianSetState as SetState, GuardianshipOut, GuardianshipState as State, User,
};
use ocmt_types::{GuardianSetId, Timestamp};

use super::{
    super::handlers::notices::{self, NoticeText},
    drill::ask,
    list::drill_of,
};
use crate::{error::ActorError, work::Work};

/// Timer of a set's next drill; its subject is the set.
pub(in crate::tenant) const ASK: &str = "recovery.drill";
/// Timer of the look at who has answered.
pub(in crate::tenant) const LOOK: &str = "recovery.drill_look";

const EVERY: Duration = Duration::from_secs(90 * 24 * 3600);
/// From asking to the look.
const ANSWER_WITHIN: Duration = Duration::from_secs(14 * 24 * 3600);

/// A set is in force: its first drill is a quarter from now.
pub(super) async fn begin(work: &mut Work, set: GuardianSetId) -> Result<(), ActorError> {
    let at = work.now + EVERY;
    work.set_timer(ASK, &set.to_string(), at, &[]).await
}

/// Asks every guardian who holds units of the set, and has nothing to answer yet.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some((set, guardians)) = in_force(work, subject).await? else { return Ok(()) };
    let expires = work.now + ANSWER_WITHIN;
    for row in guardians {
        let open = drill_of(row.drill.as_deref())?.is_some_and(|open| open.expires_at > work.now);
        if row.state == State::Active && !open {
            let challenge = Challenge { set: set.set_id, nonce: rand::random(), expires };
            ask(work, row, challenge.encode(), expires).await?;
        }
    }
    let again = work.now + EVERY;
    work.set_timer(LOOK, subject, expires, &[]).await?;
    work.set_timer(ASK, subject, again, &[]).await
}

/// Who has answered, counted in units; the owner hears it if somebody has not.
pub(in crate::tenant) async fn look(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some((set, guardians)) = in_force(work, subject).await? else { return Ok(()) };
    // since the drill before, however late this look is
    let since = work.now - EVERY;
    let (well, silent): (Vec<_>, Vec<_>) =
        guardians.iter().partition(|row| is_live(row, set.created_at, since));
    // who has resigned is in neither
    let live = well.iter().map(|row| row.units).sum::<i64>();
    if live >= set.units {
        return Ok(());
    }
    let kind = match live - set.threshold {
        ..=-1 => "recovery.guardians_lost",
        // with one or two more lost it is too late
        0..=1 => "recovery.guardians_few",
        _ => "recovery.guardians_silent",
    };
    let Some(owner) = work.tx.get::<User>(set.user_id).await? else { return Ok(()) };
    let names: Vec<&str> = silent.iter().map(|row| row.guardian_email.as_str()).collect();
    let facts = [
        ("silent".to_owned(), names.join(", ")),
        ("units_that_answered".to_owned(), live.to_string()),
        ("units_needed".to_owned(), set.threshold.to_string()),
    ];
    let text = NoticeText { user: Some(owner.user_id), address: &owner.email, kind, subject, facts: &facts };
    notices::write(work, text).await.map(drop)
}

/// A guardian who has shown the units lately, or got them only then.
fn is_live(row: &GuardianshipOut, dealt: Timestamp, since: Timestamp) -> bool {
    row.state == State::Active && (row.drilled_at.is_some_and(|at| at >= since) || dealt >= since)
}

/// The set, if it counts, and everybody who holds units of it.
async fn in_force(
    work: &mut Work,
    subject: &str,
) -> Result<Option<(GuardianSet, Vec<GuardianshipOut>)>, ActorError> {
    let Ok(id) = subject.parse::<GuardianSetId>() else { return Ok(None) };
    let Some(set) = work.tx.get::<GuardianSet>(id).await? else { return Ok(None) };
    if set.state == SetState::Retired {
        return Ok(None);
    }
    let guardians = work.tx.find::<GuardianshipOut>(GuardianshipOut::set_id.eq(Some(id))).await?;
    Ok(Some((set, guardians)))
}
