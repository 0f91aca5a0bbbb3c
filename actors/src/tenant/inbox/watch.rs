//! WatchInbox: what comes, as it comes. What changes again is told again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ocmt_types::{Timestamp, UserId};

use super::waiting;
use crate::{
    api::inbox::{InboxEvent, InboxKind, InboxPlace, WatchInbox},
    authorize::{Action, Object, authorize},
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    system::System,
    tenant::today,
    watch::{Following, Log, Told},
    work::{Handle, Work},
};

/// What came so shortly before the last one that was told is told again to whoever goes on behind that.
const OVERLAP: Duration = Duration::from_secs(10);

/// What waits for one reader.
pub struct Items {
    scope: Scope,
    user: UserId,
    /// What was there at the beginning, or was told since.
    known: BTreeSet<InboxPlace>,
}

impl Handle for WatchInbox {
    async fn handle(self, work: &mut Work) -> Result<Following<Items, InboxEvent>, ActorError> {
        let user = work.user()?.user;
        work.authorize(Action::ReadInbox, &Object::of(user))?;
        let now = work.now;
        let there = waiting(&mut work.tx, user, now).await?;
        let nothing = InboxPlace { at: Timestamp(0), id: [0; 16], kind: InboxKind::GuardianInvite };
        let newest = there.first().map_or(nothing, |item| item.place);
        let places = there.iter().map(|item| item.place);
        let known = match self.from {
            None => places.collect(),
            // what came at the time of the last one, or shortly before it and was committed later, is told again rather than never
            Some(from) => places.filter(|place| *place == from || place.at + OVERLAP < from.at).collect(),
        };
        let begun = self.from.is_none().then_some(InboxEvent { item: None, place: newest });
        let scope = Scope::new(Arc::clone(&work.env), work.ownership);
        let hint = work.env.inbox_hints.watch((work.ownership.tenant, user))?;
        Ok(Following { log: Items { scope, user, known }, begun, hint })
    }
}

impl Log for Items {
    type Event = InboxEvent;
    async fn read(&mut self) -> Result<Vec<InboxEvent>, ActorError> {
        let mut tx = self.scope.read().await?;
        let env = &self.scope.env;
        let tenant = self.scope.ownership.tenant;
        let standing = today::standing(&mut tx, tenant, self.user, env.request_id(), env.now()).await?;
        let own = Object::of(self.user);
        if standing.is_none_or(|who| authorize(&who, Action::ReadInbox, &own).is_err()) {
            return Err(ActorError::PermissionDenied("the inbox is not yours to read any more"));
        }
        let there = waiting(&mut tx, self.user, env.now()).await?;
        // what is gone may come again, and is forgotten: no more is kept than what waits
        let now: BTreeSet<InboxPlace> = there.iter().map(|item| item.place).collect();
        let known = std::mem::replace(&mut self.known, now);
        let fresh = there.into_iter().rev().filter(|item| !known.contains(&item.place));
        Ok(fresh.map(|item| InboxEvent { place: item.place, item: Some(item) }).collect())
    }
}

impl System {
    /// Watches what waits for the caller. The events end with the session, with an error when the tenant moves (watch again
    /// behind the last one), and when the receiver is dropped.
    ///
    /// # Errors
    /// What listing the inbox says.
    pub async fn watch_inbox(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchInbox,
    ) -> Result<Told<InboxEvent>, ActorError> {
        self.follow(caller, meta, ask).await
    }
}
