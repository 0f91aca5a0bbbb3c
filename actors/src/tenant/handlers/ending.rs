//! What a program signs in with and ends soon is told to its user while there is time to make another.

use std::time::Duration;

use ocmt_store::tables::{ApiKeyRow, Notice, ProgramToken, User, UserState};
use ocmt_types::{Timestamp, UserId};

use super::{
    super::pages::pages,
    notices::{self, NoticeText},
};
use crate::{error::ActorError, work::Work};

/// What the letters are called.
pub(crate) const API_KEY: &str = "api_key.ends";
pub(crate) const PROGRAM: &str = "program.ends";
/// So long before the end.
const BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What was made for less than this ends without a word: who makes it knows.
const LONG: Duration = Duration::from_secs(14 * 24 * 3600);

/// Something that ends.
struct Ending {
    kind: &'static str,
    id: String,
    user: UserId,
    name: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

/// Looks through what there is; each is told of once. Letters are kept for longer than [`BEFORE`].
pub(super) async fn remind(work: &mut Work) -> Result<(), ActorError> {
    let now = work.now;
    let soon = |one: &Ending| {
        now < one.expires_at
            && one.expires_at.since(now) <= BEFORE
            && one.expires_at.since(one.created_at) >= LONG
    };
    let mut ending = Vec::new();
    pages!(work, ApiKeyRow, api_key_id, page => {
        ending.extend(page.into_iter().map(Ending::from).filter(soon));
    });
    pages!(work, ProgramToken, program_token_id, page => {
        ending.extend(page.into_iter().map(Ending::from).filter(soon));
    });
    for one in ending {
        tell(work, one).await?;
    }
    Ok(())
}

async fn tell(work: &mut Work, one: Ending) -> Result<(), ActorError> {
    let told = Notice::subject.eq(&one.id).and(Notice::kind.eq(one.kind));
    if work.tx.first::<Notice>(told).await?.is_some() {
        return Ok(());
    }
    let user = work.tx.get::<User>(one.user).await?.filter(|user| user.state == UserState::Active);
    let Some(user) = user else { return Ok(()) };
    let ends_at = one.expires_at.millis().to_string();
    let facts = [("name", one.name), ("id", one.id.clone()), ("ends_at", ends_at)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let text = NoticeText {
        user: Some(user.user_id),
        address: &user.email,
        kind: one.kind,
        subject: &one.id,
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}

impl From<ApiKeyRow> for Ending {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            kind: API_KEY,
            id: row.api_key_id.to_string(),
            user: row.user_id,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

impl From<ProgramToken> for Ending {
    fn from(row: ProgramToken) -> Self {
        Self {
            kind: PROGRAM,
            id: row.program_token_id.to_string(),
            user: row.user_id,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}
