//! After a suspension: the time in which no owner could refuse counts for nothing.

use ocmt_store::tables::Timer;
use ocmt_types::Timestamp;

use super::{
    Request, TIMER,
    delay::{self, LOWERED},
    encoded, read,
};
use crate::{error::ActorError, work::Work};

/// Moves the times of what is waited for. The timers themselves were let go before, and are as late.
pub(in crate::tenant) async fn put_off(work: &mut Work, held_since: Timestamp) -> Result<(), ActorError> {
    for kind in [TIMER, LOWERED] {
        let mut last = None;
        loop {
            let timers = Timer::kind.eq(kind);
            let page = match &last {
                Some(last) => work.tx.find::<Timer>(timers.after(last)).await?,
                None => work.tx.find::<Timer>(timers).await?,
            };
            let Some(end) = page.last() else { break };
            last = Some((end.kind.clone(), end.subject.clone()));
            for timer in page {
                let payload = match kind {
                    TIMER => request(work, &timer, held_since),
                    _ => delay::put_off(work, &timer, held_since),
                };
                if let Some(payload) = payload {
                    work.tx.upsert(&Timer { payload, ..timer }).await?;
                }
            }
        }
    }
    Ok(())
}

fn request(work: &Work, timer: &Timer, held_since: Timestamp) -> Option<Vec<u8>> {
    // one that cannot be read keeps nobody from being served
    let request = read(&timer.payload).ok()?;
    if request.handed_out || request.refused_at.is_some() {
        return None;
    }
    let off = work.now.since(request.asked_at.max(held_since));
    let (ready_at, until) = (request.ready_at + off, request.until + off);
    Some(encoded(&Request { ready_at, until, ..request }))
}
