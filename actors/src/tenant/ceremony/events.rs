//! What happens in ceremonies is written down in the transaction in which it does, for those who watch: on the owner's side
//! for owner and requester, on a guardian's side as the owner's tenant told it.

use std::time::Duration;

use ocmt_store::tables::CeremonyEvent;
use ocmt_types::{Digest32, GuardianshipId, UserId};

use crate::{api::recovery::CeremonyView, effect::Effect, error::ActorError, work::Work};

/// Events of a user that are kept, and for how long.
pub(crate) const KEPT: i64 = 256;
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// A ceremony that this user has to do with is another than before.
pub(in crate::tenant) async fn note(
    work: &mut Work,
    user: UserId,
    guardianship: Option<GuardianshipId>,
    view: &CeremonyView,
) -> Result<(), ActorError> {
    let seq = last(work, user).await?.map_or(0, |last| last.seq) + 1;
    let event = CeremonyEvent {
        tenant_id: work.ownership.tenant,
        seq,
        user_id: user,
        ceremony_id: Digest32(view.id),
        guardianship_id: guardianship,
        view: serde_json::to_vec(view).unwrap_or_default(),
        at: work.now,
    };
    work.tx.insert(&event).await?;
    let of_user = CeremonyEvent::user_id.eq(user);
    work.tx.delete_all::<CeremonyEvent>(of_user.and(CeremonyEvent::seq.le(seq - KEPT))).await?;
    work.then(Effect::CeremonyMoved(user));
    Ok(())
}

/// The last event of a user, if there was any.
pub(super) async fn last(work: &mut Work, user: UserId) -> Result<Option<CeremonyEvent>, ActorError> {
    let newest = CeremonyEvent::user_id.eq(user).desc(CeremonyEvent::seq).limit(1);
    Ok(work.tx.first::<CeremonyEvent>(newest).await?)
}

/// Of a user who is removed: there are addresses in them.
pub(in crate::tenant) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<CeremonyEvent>(CeremonyEvent::user_id.eq(user)).await?;
    Ok(())
}

/// Drops those of long ago.
pub(in crate::tenant) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    work.tx.delete_all::<CeremonyEvent>(CeremonyEvent::at.le(work.now - KEPT_FOR)).await?;
    Ok(())
}
