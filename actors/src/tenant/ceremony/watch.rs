//! WatchCeremonies: the ceremonies that somebody has to do with, as they move. How changes are told: [`crate::watch`].

use std::sync::Arc;

use ocmt_store::tables::CeremonyEvent;
use ocmt_types::{Timestamp, UserId};

use super::{events, ground::damaged};
use crate::{
    api::recovery::{CeremonyChange, CeremonyEventAt, WatchCeremonies},
    authorize::{Action, Object},
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    system::System,
    watch::{Following, Log, Told, too_old},
    work::{Handle, Work},
};

/// Events read at once.
const AT_ONCE: u32 = 32;

/// The events of one reader.
pub struct Changes {
    scope: Scope,
    user: UserId,
    /// A recovery session is its owner's, not a guardian's.
    own_alone: bool,
    next: i64,
}

impl Handle for WatchCeremonies {
    async fn handle(self, work: &mut Work) -> Result<Following<Changes, CeremonyChange>, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadCeremony, &Object::of(who.user))?;
        let (next, begun) = match self.from {
            Some(from) => (behind(work, who.user, from).await?, None),
            None => {
                let last = events::last(work, who.user).await?;
                let at = last.map_or(CeremonyEventAt { seq: 0, at: Timestamp(0) }, |last| CeremonyEventAt {
                    seq: last.seq,
                    at: last.at,
                });
                (at.seq + 1, Some(CeremonyChange { ceremony: None, at }))
            }
        };
        let scope = Scope::new(Arc::clone(&work.env), work.ownership);
        let own_alone = who.assurance.is_of_recovery();
        let hint = work.env.ceremony_hints.watch((work.ownership.tenant, who.user))?;
        Ok(Following { log: Changes { scope, user: who.user, own_alone, next }, begun, hint })
    }
}

impl Changes {
    /// Old events go, and with the last of a user their numbers begin anew: whoever waits behind one that went would wait for ever.
    async fn is_there_still(&self) -> Result<(), ActorError> {
        let newest = CeremonyEvent::user_id.eq(self.user).desc(CeremonyEvent::seq).limit(1);
        let last = self.scope.read().await?.first::<CeremonyEvent>(newest).await?;
        let last = last.map_or(0, |last| last.seq);
        if last >= self.next - 1 { Ok(()) } else { Err(too_old()) }
    }
}

/// Behind an event that was told before, by this node or another.
async fn behind(work: &mut Work, user: UserId, event: CeremonyEventAt) -> Result<i64, ActorError> {
    if event.seq == 0 {
        return Ok(1);
    }
    let row = work.tx.get::<CeremonyEvent>((user, event.seq)).await?;
    // another event of that number: the store was restored from a copy of before
    if row.is_none_or(|row| row.at != event.at) {
        return Err(too_old());
    }
    Ok(event.seq.saturating_add(1))
}

impl Log for Changes {
    type Event = CeremonyChange;
    async fn read(&mut self) -> Result<Vec<CeremonyChange>, ActorError> {
        loop {
            let own = CeremonyEvent::user_id.eq(self.user);
            let behind = own.after(&(self.user, self.next - 1)).limit(AT_ONCE);
            let rows = self.scope.read().await?.find::<CeremonyEvent>(behind).await?;
            if rows.is_empty() {
                return self.is_there_still().await.map(|()| Vec::new());
            }
            let mut told = Vec::new();
            for row in rows {
                if row.seq != self.next {
                    return Err(too_old());
                }
                self.next += 1;
                if !(self.own_alone && row.guardianship_id.is_some()) {
                    let ceremony = Some(serde_json::from_slice(&row.view).map_err(|_| damaged())?);
                    let at = CeremonyEventAt { seq: row.seq, at: row.at };
                    told.push(CeremonyChange { ceremony, at });
                }
            }
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }
}

impl System {
    /// Watches the ceremonies that the caller has to do with. The events end with the session, with an error when the
    /// tenant moves (watch again from the last event), and when the receiver is dropped.
    ///
    /// # Errors
    /// [`ActorError::OutOfRange`] for a place that is not kept any more; what reading ceremonies says.
    pub async fn watch_ceremonies(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchCeremonies,
    ) -> Result<Told<CeremonyChange>, ActorError> {
        self.follow(caller, meta, ask).await
    }
}
