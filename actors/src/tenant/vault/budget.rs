//! How often an account may try: hand-outs of its key slots, counted until an unlock is proved.
//!
//! What is handed out can be guessed at by whoever has it, at the price of an Argon2id each, and no node sees
//! that; but somebody at a stolen session has to come for it again, and every unlock of ours proves itself at
//! once. So each hand-out that led to nothing doubles the wait for the next, and only a signature by the vault
//! signing key ends the count. It is written in the transaction of the hand-out: whoever has slots in hand was
//! counted, on whichever node. A thief who comes again and again keeps the owner waiting, up to 5 minutes each
//! time, until the owner ends the session of the thief; a recovery that was released does not wait.

use std::time::Duration;

use ocmt_store::tables::UnlockBudget;
use ocmt_types::UserId;

use crate::{
    caller::{Assurance, SignedIn},
    error::ActorError,
    work::Work,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Counts a hand-out to this account, if one may be now.
pub(super) async fn spend(work: &mut Work, who: SignedIn) -> Result<(), ActorError> {
    // after a release its slots open by 256 random bits: nothing to guess, and no thief at another session of the
    // account may hold it up
    if who.assurance == Assurance::Recovery {
        return Ok(());
    }
    let user = who.user;
    let before = work.tx.get::<UnlockBudget>(user).await?;
    // longer than the longest is what a clock wrote that ran ahead: that keeps nobody out
    let waits = |row: &&UnlockBudget| row.not_before > work.now && row.not_before <= work.now + LONGEST;
    if let Some(row) = before.as_ref().filter(waits) {
        let wait = row.not_before.since(work.now);
        let times = if row.handouts == 1 { "once".to_owned() } else { format!("{} times", row.handouts) };
        return Err(ActorError::ResourceExhausted {
            reason: "TOO_MANY_UNLOCKS",
            why: format!(
                "the vault was tried {times} and not opened: the next try can be made in {} s",
                wait.as_millis().div_ceil(1000)
            ),
            retry_after: Some(wait),
        });
    }
    let handouts = before.map_or(0, |row| row.handouts).saturating_add(1);
    let row = UnlockBudget {
        tenant_id: work.ownership.tenant,
        user_id: user,
        handouts,
        handed_out_at: work.now,
        not_before: work.now + back_off(handouts),
    };
    Ok(work.tx.upsert(&row).await?)
}

/// An unlock was proved: the count begins anew.
pub(super) async fn reset(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete::<UnlockBudget>(user).await?;
    Ok(())
}

fn back_off(handouts: i64) -> Duration {
    let doublings = u32::try_from(handouts.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_from_a_second_to_five_minutes() {
        let waits: Vec<u64> = (1..=11).map(|n| back_off(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(back_off(i64::MAX), LONGEST);
    }
}
