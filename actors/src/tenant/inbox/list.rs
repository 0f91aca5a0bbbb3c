//! ListInbox.

use super::waiting;
use crate::{
    api::inbox::{InboxPage, ListInbox},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;

impl Handle for ListInbox {
    async fn handle(self, work: &mut Work) -> Result<InboxPage, ActorError> {
        let user = work.user()?.user;
        work.authorize(Action::ReadInbox, &Object::of(user))?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let now = work.now;
        let mut items = waiting(&mut work.tx, user, now).await?;
        items.retain(|item| {
            self.after.is_none_or(|after| item.place < after)
                && (self.kinds.is_empty() || self.kinds.contains(&item.place.kind))
        });
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.place);
        Ok(InboxPage { items, next })
    }
}
