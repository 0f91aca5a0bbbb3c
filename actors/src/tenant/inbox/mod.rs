//! What waits for a person: invitations, units, ceremonies, drills, offers, notices. A view of the rows of each area, so that what was
//! answered is gone from it, and nothing is told here that the area itself would not tell.

mod list;
mod watch;

use ocmt_store::{
    ReadTx,
    tables::{
        CeremonyRequest, CeremonyState, GuardianshipIn, GuardianshipState, Notice, Share, ShareState, User,
    },
};
use ocmt_types::{Id, Timestamp, UserId};
use ractor::ActorRef;

pub(crate) use self::watch::Items;
use super::{TenantMessage, TenantState, alert::raise::KIND};
use crate::{
    api::inbox::{InboxCall, InboxEntry, InboxKind, InboxPlace},
    error::ActorError,
};

/// The newest of each kind that are shown.
const MOST: u32 = 200;
/// Kind of the notice that a guardian has answered.
const ANSWERED: &str = "guardian.accepted";

impl TenantState {
    /// One line per method.
    pub(super) fn inbox(&mut self, myself: &ActorRef<TenantMessage>, call: InboxCall) {
        match call {
            InboxCall::ListInbox(call) => self.work(myself, call),
            InboxCall::WatchInbox(call) => self.work(myself, call),
        }
    }
}

/// All that waits for somebody now, newest first.
async fn waiting(tx: &mut ReadTx, user: UserId, now: Timestamp) -> Result<Vec<InboxEntry>, ActorError> {
    let mut items = guardianships(tx, user, now).await?;
    items.extend(ceremonies(tx, user, now).await?);
    items.extend(shares(tx, user, now).await?);
    items.extend(notices(tx, user).await?);
    items.sort_unstable_by_key(|item| std::cmp::Reverse(item.place));
    Ok(items)
}

fn item(kind: InboxKind, id: impl Id, at: Timestamp, from: &str, subject: String) -> InboxEntry {
    let place = InboxPlace { at, id: id.into_bytes(), kind };
    InboxEntry { place, from: from.to_owned(), subject, body: Vec::new() }
}

async fn guardianships(tx: &mut ReadTx, user: UserId, now: Timestamp) -> Result<Vec<InboxEntry>, ActorError> {
    let mut items = Vec::new();
    let mut rows = Vec::new();
    for state in [GuardianshipState::Invited, GuardianshipState::Active] {
        let of = GuardianshipIn::user_id.eq(user).and(GuardianshipIn::state.eq(state));
        rows.extend(tx.find::<GuardianshipIn>(of.desc(GuardianshipIn::updated_at).limit(MOST)).await?);
    }
    for row in rows {
        let (id, subject) = (row.guardianship_id, row.guardianship_id.to_string());
        let make = |kind, at| item(kind, id, at, &row.owner_email, subject.clone());
        match row.state {
            GuardianshipState::Invited if row.expires_at > now => {
                items.push(make(InboxKind::GuardianInvite, row.created_at));
            }
            GuardianshipState::Active => {
                let at = row.dealt_at.unwrap_or(row.updated_at);
                let body = row.set_body.clone().unwrap_or_default();
                items.push(InboxEntry { body, ..make(InboxKind::UnitsDealt, at) });
                if row.drill.is_some() {
                    items.push(make(InboxKind::Drill, row.updated_at));
                }
            }
            GuardianshipState::Invited
            | GuardianshipState::Accepted
            | GuardianshipState::Dealt
            | GuardianshipState::Resigned
            | GuardianshipState::Removed => {}
        }
    }
    Ok(items)
}

async fn ceremonies(tx: &mut ReadTx, user: UserId, now: Timestamp) -> Result<Vec<InboxEntry>, ActorError> {
    let (mut items, mut rows) = (Vec::new(), Vec::new());
    for state in [CeremonyState::Open, CeremonyState::Ready] {
        let live = CeremonyRequest::user_id.eq(user).and(CeremonyRequest::expires_at.gt(now));
        let live = live.and(CeremonyRequest::state.eq(state)).desc(CeremonyRequest::updated_at);
        rows.extend(tx.find::<CeremonyRequest>(live.limit(MOST)).await?);
    }
    for row in rows {
        let from = tx.get::<GuardianshipIn>(row.guardianship_id).await?.map(|row| row.owner_email);
        let mut id = [0; 16];
        id.copy_from_slice(&row.ceremony_id.0[..16]);
        let place = InboxPlace { at: row.updated_at, id, kind: InboxKind::Ceremony };
        let (from, subject) = (from.unwrap_or_default(), row.ceremony_id.to_string());
        items.push(InboxEntry { place, from, subject, body: Vec::new() });
    }
    Ok(items)
}

async fn shares(tx: &mut ReadTx, user: UserId, now: Timestamp) -> Result<Vec<InboxEntry>, ActorError> {
    let offered = Share::taker_user.eq(user).and(Share::state.eq(ShareState::Offered));
    let mut items = Vec::new();
    let offered = offered.and(Share::ended_at.eq(None)).desc(Share::created_at).limit(MOST);
    for row in tx.find::<Share>(offered).await? {
        if row.expires_at.is_some_and(|until| until <= now) {
            continue;
        }
        let from = tx.get::<User>(row.giver_user).await?.map(|user| user.email).unwrap_or_default();
        items.push(item(
            InboxKind::ShareOffer,
            row.share_id,
            row.created_at,
            &from,
            row.share_id.to_string(),
        ));
    }
    Ok(items)
}

async fn notices(tx: &mut ReadTx, user: UserId) -> Result<Vec<InboxEntry>, ActorError> {
    let mut items = Vec::new();
    let newest = Notice::user_id.eq(Some(user)).desc(Notice::created_at).limit(MOST);
    for row in tx.find::<Notice>(newest).await? {
        if row.kind.starts_with(KIND) {
            continue;
        }
        let kind = if row.kind == ANSWERED { InboxKind::GuardianAnswer } else { InboxKind::Notice };
        let facts: Vec<(String, String)> = serde_json::from_slice(&row.body).unwrap_or_default();
        let facts: serde_json::Map<_, _> =
            facts.into_iter().map(|(name, value)| (name, serde_json::Value::String(value))).collect();
        let body = serde_json::json!({ "kind": row.kind, "facts": facts }).to_string().into_bytes();
        let made = item(kind, row.notice_id, row.created_at, "", row.subject);
        items.push(InboxEntry { body, ..made });
    }
    Ok(items)
}
