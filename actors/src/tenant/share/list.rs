//! The list: what the caller gave, took, what others gave on of the caller's vault, and what others have of entries that
//! the caller administers.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_store::tables::{Share, ShareState};
use ocmt_types::ShareId;

use super::{administer, ends::lapse, info};
use crate::{
    api::shares::{ListShares, SharePage, ShareState as State},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const MOST: usize = 100;

impl Handle for ListShares {
    async fn handle(self, work: &mut Work) -> Result<SharePage, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadShares, &Object::of(who.user))?;
        lapse(work).await?;
        let limit = usize::try_from(self.limit).unwrap_or(MOST).clamp(1, MOST);
        let mut found: BTreeMap<ShareId, Share> = BTreeMap::new();
        let mine =
            [Share::giver_user.eq(who.user), Share::taker_user.eq(who.user), Share::owner_user.eq(who.user)];
        for mine in mine {
            for state in stored(&self.states) {
                let of_state = mine.clone().and(Share::state.eq(state)).desc(Share::created_at);
                let behind = match &self.after {
                    Some((at, id)) => of_state.after(at, id),
                    None => of_state,
                };
                let rows = work.tx.find::<Share>(behind.limit(self.limit.clamp(1, 100))).await?;
                found.extend(rows.into_iter().map(|row| (row.share_id, row)));
            }
        }
        let grounds = administer::grounds(work).await?;
        let mut others: BTreeMap<ShareId, Share> = BTreeMap::new();
        for ground in &grounds {
            let rows = administer::shares(work, ground, &stored(&self.states), self.after.as_ref()).await?;
            others.extend(rows.into_iter().map(|row| (row.share_id, row)));
        }
        // of what is about the caller too, all is seen
        others.retain(|share, _| !found.contains_key(share));
        let is_others: BTreeSet<ShareId> = others.keys().copied().collect();
        found.extend(others);
        let mut rows: Vec<Share> = found.into_values().collect();
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.created_at, row.share_id)));
        rows.truncate(limit);
        let next = rows.last().filter(|_| rows.len() >= limit).map(|row| (row.created_at, row.share_id));
        let mut shares = Vec::with_capacity(rows.len());
        for row in rows {
            let mut shown = info(work, row).await?;
            if is_others.contains(&shown.id) {
                administer::only(&grounds, &mut shown);
            }
            shares.push(shown);
        }
        Ok(SharePage { shares, next })
    }
}

/// The states as they are stored, each once.
fn stored(asked: &[State]) -> Vec<ShareState> {
    let of = |state: &ShareState| match state {
        ShareState::Offered => State::Offered,
        ShareState::Accepted => State::Accepted,
        ShareState::Revoked => State::Revoked,
        ShareState::Expired => State::Expired,
    };
    ShareState::ALL.iter().copied().filter(|state| asked.is_empty() || asked.contains(&of(state))).collect()
}
