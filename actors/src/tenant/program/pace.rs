//! How fast a program reads secrets. One that reads far more than it ever did is stopped, and its user told: a program that was
//! taken over takes what it can get at once.
//!
//! Counted in windows, in the transaction of the read that is counted. What is usual is the busiest window there was, so a program
//! that reads much and always has is left alone. A stopped one may do nothing until its user, who has just shown who they
//! are, lets it go on.

use std::time::Duration;

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{ProgramPace, ProgramToken, User};
use ocmt_types::{ProgramTokenId, Timestamp};

use crate::{
    api::{programs::ReleaseProgramToken, users::Done},
    audit,
    authorize::{Action, Object},
    error::ActorError,
    tenant::{
        handlers::notices::{self, NoticeText},
        vault::ground,
    },
    work::{Handle, Work},
};

/// Reads are counted in windows of so long.
pub(super) const WINDOW: Duration = Duration::from_secs(600);
/// So many in one are never unusual.
pub(super) const ALWAYS: i64 = 300;
/// So many times what is usual are.
const TIMES: i64 = 4;
/// What counts as reading a secret.
const READS: &str = "VaultService/GetEntry";
const STOPPED: ActorError = ActorError::PermissionDenied(
    "the program read unusually much and was stopped: its user lets it go on with `ocmt share program release`",
);

/// Counts what the program is about to do, if it is a read; refuses one that is stopped.
pub(super) async fn count(work: &mut Work, row: &ProgramToken, method: &str) -> Result<(), ActorError> {
    let found = work.tx.get::<ProgramPace>(row.program_token_id).await?;
    if found.as_ref().is_some_and(|pace| pace.locked_at.is_some()) {
        return Err(STOPPED);
    }
    if method != READS {
        return Ok(());
    }
    let pace = step(&found.unwrap_or_else(|| fresh(row, work.now)), work.now);
    work.tx.upsert(&pace).await?;
    if pace.locked_at.is_none() {
        return Ok(());
    }
    tell(work, row, &pace).await?;
    // the lock stays, though the read is refused
    work.keeps_refusal = true;
    Err(STOPPED)
}

fn fresh(row: &ProgramToken, now: Timestamp) -> ProgramPace {
    ProgramPace {
        tenant_id: row.tenant_id,
        program_token_id: row.program_token_id,
        since: now,
        reads: 0,
        usual: 0,
        locked_at: None,
    }
}

/// One read more.
fn step(pace: &ProgramPace, now: Timestamp) -> ProgramPace {
    let mut next = pace.clone();
    if now >= pace.since + WINDOW {
        (next.since, next.reads, next.usual) = (now, 1, pace.usual.max(pace.reads));
    } else {
        next.reads = pace.reads.saturating_add(1);
    }
    if next.reads > ALWAYS.max(next.usual.saturating_mul(TIMES)) {
        next.locked_at = Some(now);
    }
    next
}

/// The user hears of it, and the audit has it.
async fn tell(work: &mut Work, row: &ProgramToken, pace: &ProgramPace) -> Result<(), ActorError> {
    let facts = vec![
        ("program".to_owned(), row.name.clone()),
        ("token".to_owned(), row.program_token_id.to_string()),
        ("reads".to_owned(), pace.reads.to_string()),
        ("since_at".to_owned(), pace.since.millis().to_string()),
    ];
    let object = format!("program/{}", row.program_token_id);
    if let Some(user) = work.tx.get::<User>(row.user_id).await? {
        let text = NoticeText {
            user: Some(user.user_id),
            address: &user.email,
            kind: "program.stopped",
            subject: &object,
            facts: &facts,
        };
        notices::write(work, text).await?;
    }
    // the name is its user's own word: the audit has ids
    let details = facts.into_iter().skip(2).collect();
    audit::note(work, "program.stopped", object, Outcome::Denied, details).await
}

impl Handle for ReleaseProgramToken {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<ProgramToken>(self.token).await?;
        let row = work.authorize_found(Action::EndGrants, found, |row| Object::of(row.user_id))?;
        // what it is given back is what giving it took
        ground::load(work, Action::GrantEntries, Some(row.vault_id)).await?;
        work.object = format!("program/{}", self.token);
        let pace = work.tx.get::<ProgramPace>(self.token).await?.filter(|pace| pace.locked_at.is_some());
        if let Some(pace) = pace {
            // what was looked at and let go on is usual from now on
            let usual = pace.usual.max(pace.reads);
            work.tx
                .update(&ProgramPace { since: work.now, reads: 0, usual, locked_at: None, ..pace })
                .await?;
        }
        Ok(Done)
    }
}

/// Nothing is remembered of a token that has ended.
pub(super) async fn forget(work: &mut Work, token: ProgramTokenId) -> Result<(), ActorError> {
    work.tx.delete::<ProgramPace>(token).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> ProgramPace {
        ProgramPace {
            tenant_id: ocmt_store::testing::id(1),
            program_token_id: ocmt_store::testing::id(2),
            since: Timestamp(0),
            reads: 0,
            usual: 0,
            locked_at: None,
        }
    }

    fn read(mut pace: ProgramPace, times: i64, at: Timestamp) -> ProgramPace {
        for _ in 0..times {
            pace = step(&pace, at);
        }
        pace
    }

    #[test]
    fn a_burst_is_stopped_and_what_was_always_so_is_not() {
        let now = Timestamp(0) + WINDOW;
        assert_eq!(read(pace(), ALWAYS, now).locked_at, None);
        assert_eq!(read(pace(), ALWAYS + 1, now).locked_at, Some(now));
        // a window that is over counts no more, and is what is usual
        let later = read(read(pace(), ALWAYS, now), 1, now + WINDOW);
        assert_eq!((later.reads, later.usual, later.locked_at), (1, ALWAYS, None));
        let used_to_it = read(later, ALWAYS * TIMES - 1, now + WINDOW);
        assert_eq!(used_to_it.locked_at, None);
        assert!(step(&used_to_it, now + WINDOW).locked_at.is_some());
    }
}
