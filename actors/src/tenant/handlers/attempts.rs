//! Wrong codes, counted by account and kind until a right one comes.
//!
//! The count is written in the transaction that refuses the code, so that a caller who hears that a code was wrong
//! has been counted, on whichever node, and whoever crashes in between has told nobody anything. After the first few
//! each wrong code doubles the time in which no further one is looked at, right or wrong. Digits can be guessed, so
//! there the time grows to a day, and a year has no more tries than some hundred; a backup code has 120 bits, so
//! there it stays short, and whoever is kept out by somebody else's guessing has a way in.

use std::time::Duration;

use ocmt_store::tables::{Factor, FactorAttempts, User};
use ocmt_types::UserId;

use super::notices::{self, NoticeText};
use crate::{error::ActorError, work::Work};

/// So many wrong codes cost nothing.
const FREE: i64 = 4;
const FIRST: Duration = Duration::from_secs(30);
const LONGEST_TOTP: Duration = Duration::from_secs(24 * 3600);
const LONGEST_BACKUP_CODE: Duration = Duration::from_secs(60);

/// Wrong codes so far, if one may be shown now.
pub(super) async fn admit(work: &mut Work, user: UserId, factor: Factor) -> Result<i64, ActorError> {
    let Some(row) = work.tx.get::<FactorAttempts>((user, factor)).await? else { return Ok(0) };
    if row.not_before > work.now {
        return Err(ActorError::ResourceExhausted {
            reason: "TOO_MANY_CODES",
            why: "too many wrong codes: wait before you try the next one".to_owned(),
            retry_after: Some(row.not_before.since(work.now)),
        });
    }
    Ok(row.failures)
}

/// A code was wrong: that stays although the call is refused.
pub(super) async fn wrong(
    work: &mut Work,
    user: &User,
    factor: Factor,
    before: i64,
) -> Result<ActorError, ActorError> {
    let failures = before.saturating_add(1);
    let row = FactorAttempts {
        tenant_id: work.ownership.tenant,
        user_id: user.user_id,
        factor,
        failures,
        failed_at: work.now,
        not_before: work.now + back_off(factor, failures),
    };
    work.tx.upsert(&row).await?;
    if failures == FREE + 1 {
        tell(work, user).await?;
    }
    work.keeps_refusal = true;
    Ok(ActorError::precondition("WRONG_CODE", "the code is wrong, too old, or was used already"))
}

/// A code was right.
pub(super) async fn right(work: &mut Work, user: UserId, factor: Factor) -> Result<(), ActorError> {
    work.tx.delete::<FactorAttempts>((user, factor)).await?;
    Ok(())
}

/// The account's own address hears of it once: whoever got so far reads its mail.
async fn tell(work: &mut Work, user: &User) -> Result<(), ActorError> {
    let what = "wrong codes of your second factor were entered after a sign-in link of yours was used; if that was \
                not you, somebody can read your mail";
    let facts = [("what".to_owned(), what.to_owned())];
    let subject = user.user_id.to_string();
    let text = NoticeText {
        user: Some(user.user_id),
        address: &user.email,
        kind: "factor.guessed",
        subject: &subject,
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}

fn back_off(factor: Factor, failures: i64) -> Duration {
    if failures <= FREE {
        return Duration::ZERO;
    }
    let beyond = u32::try_from(failures - FREE - 1).unwrap_or(u32::MAX);
    let longest = match factor {
        Factor::Totp => LONGEST_TOTP,
        Factor::BackupCode => LONGEST_BACKUP_CODE,
    };
    FIRST.saturating_mul(2_u32.saturating_pow(beyond)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_some_hundred_tries_of_digits_and_paper_waits_a_minute() {
        assert_eq!(back_off(Factor::Totp, FREE), Duration::ZERO);
        assert_eq!(back_off(Factor::Totp, FREE + 1), FIRST);
        assert_eq!(back_off(Factor::Totp, FREE + 3), FIRST * 4);
        assert_eq!(back_off(Factor::Totp, i64::MAX), LONGEST_TOTP);
        assert_eq!(back_off(Factor::BackupCode, i64::MAX), LONGEST_BACKUP_CODE);
        let (mut spent, mut tries) = (Duration::ZERO, 0);
        while spent < Duration::from_secs(365 * 24 * 3600) {
            tries += 1;
            spent += back_off(Factor::Totp, tries);
        }
        assert!((300..400).contains(&tries), "{tries}");
    }
}
