//! Where a user is reached, and was until lately. Whoever takes an account over changes its address first: so what could take the
//! vault is told to an address that was given up within the last lock period too, and only the hand-over to one that was
//! verified before it lets a delay begin.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::{
    StoreError,
    tables::{FormerAddress, GuardianSet, GuardianSetState, Invite, Link, User},
};
use ocmt_types::{Timestamp, UserId};

use super::email_change::hindrance;
use crate::{error::ActorError, tenant::vault::asked, work::Work};

/// One address that a user hears by.
pub(in crate::tenant) struct Channel {
    pub(in crate::tenant) address: String,
    /// It is not the account's any more.
    pub(in crate::tenant) is_former: bool,
    /// It was verified before the last lock period.
    pub(in crate::tenant) is_settled: bool,
    /// When that is so, or was first.
    pub(in crate::tenant) settles_at: Timestamp,
}

/// All of them, the account's own first.
pub(in crate::tenant) async fn of(
    work: &mut Work,
    user: &User,
    lock: Duration,
) -> Result<Vec<Channel>, ActorError> {
    let former = work.tx.find::<FormerAddress>(FormerAddress::user_id.eq(user.user_id)).await?;
    Ok(all(&user.email, &former, lock, work.now))
}

fn all(own: &str, former: &[FormerAddress], lock: Duration, now: Timestamp) -> Vec<Channel> {
    let channel = |address: &str, is_former, since: Option<Timestamp>| {
        let settles_at = since.map_or(Timestamp(0), |since| since + lock);
        Channel { address: address.to_owned(), is_former, is_settled: settles_at <= now, settles_at }
    };
    let mut all = vec![channel(own, false, counted_since(own, former, lock))];
    // it goes on ageing: whoever changes the address each day would else leave none that counts, and nothing would begin
    let late = former.iter().filter(|row| row.email != own && row.removed_at + lock > now);
    all.extend(late.map(|row| channel(&row.email, true, row.since)));
    all
}

/// Since when the account's own address counts: since it came. To one that came back within a lock period the time is added
/// that it was there before; not the time in between, in which whoever put it in may have been found out.
fn counted_since(own: &str, former: &[FormerAddress], lock: Duration) -> Option<Timestamp> {
    let came = former.iter().map(|row| row.removed_at).max()?;
    match former.iter().find(|row| row.email == own && row.removed_at + lock > came) {
        Some(before) => before.since.map(|since| came - before.removed_at.since(since)),
        None => Some(came),
    }
}

/// Makes `address` the user's in place of the one before: the row, the directory, and nothing left that opens by mail to either. Or says
/// why not, and moves nothing.
pub(in crate::tenant) async fn moved(
    work: &mut Work,
    user: User,
    address: &str,
) -> Result<Option<&'static str>, ActorError> {
    if let Some(why) = hindrance(work, address).await? {
        return Ok(Some(why));
    }
    match work.tx.list_address(address, user.user_id).await {
        Ok(()) => {}
        // another tenant's user took the last place since
        Err(StoreError::TooMany { .. }) => return Ok(Some("the new address is taken")),
        Err(error) => return Err(error.into()),
    }
    let (of, old) = (user.user_id, user.email.clone());
    let next = User { email: address.to_owned(), ..user };
    if !work.tx.update_if(&next, User::email.eq(&old)).await? {
        return Err(ActorError::Aborted("the user"));
    }
    work.tx.unlist_address(&old).await?;
    let former = work.tx.find::<FormerAddress>(FormerAddress::user_id.eq(of)).await?;
    let row = FormerAddress {
        tenant_id: work.ownership.tenant,
        user_id: of,
        since: counted_since(&old, &former, kept_for(work, of).await?),
        email: old.clone(),
        removed_at: work.now,
    };
    work.tx.upsert(&row).await?;
    // what went to the old address opens nothing any more, and nobody joins beside the user by the new one
    work.tx.delete_all::<Link>(Link::user_id.eq(of)).await?;
    for address in [old.as_str(), address] {
        work.tx.delete_all::<Invite>(Invite::email.eq(address)).await?;
    }
    Ok(None)
}

/// Of a user who is removed.
pub(super) async fn forget(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<FormerAddress>(FormerAddress::user_id.eq(user)).await?;
    Ok(())
}

/// Drops those that nothing has to be told to any more: all of a user's at once, since each says how old another is.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    let rows = work.tx.find::<FormerAddress>(FormerAddress::removed_at.le(work.now)).await?;
    let users: BTreeSet<UserId> = rows.into_iter().map(|row| row.user_id).collect();
    for user in users {
        let kept_for = kept_for(work, user).await?;
        let rows = work.tx.find::<FormerAddress>(FormerAddress::user_id.eq(user)).await?;
        if rows.iter().all(|row| row.removed_at + kept_for <= work.now) {
            forget(work, user).await?;
        }
    }
    Ok(())
}

/// The longest time that any of this user's former addresses may have to hear of something.
async fn kept_for(work: &mut Work, user: UserId) -> Result<Duration, ActorError> {
    let least = asked::former_hears(work).await?;
    let sets = work.tx.find::<GuardianSet>(GuardianSet::user_id.eq(user)).await?;
    let in_force = sets.iter().filter(|set| set.state != GuardianSetState::Retired);
    let locks = in_force.filter_map(|set| super::super::ceremony::ground::signed_set(set).ok());
    Ok(locks.map(|set| Duration::from_millis(set.delays().lock_ms)).fold(least, Duration::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: Duration = Duration::from_secs(100);

    fn former(email: &str, since: Option<i64>, removed: i64) -> FormerAddress {
        FormerAddress {
            tenant_id: ocmt_store::testing::id(1),
            user_id: ocmt_store::testing::id(2),
            email: email.to_owned(),
            since: since.map(|at| Timestamp(at * 1_000)),
            removed_at: Timestamp(removed * 1_000),
        }
    }

    fn told(own: &str, former: &[FormerAddress], now: i64) -> Vec<(String, bool)> {
        let all = all(own, former, LOCK, Timestamp(now * 1_000));
        all.into_iter().map(|one| (one.address, one.is_settled)).collect()
    }

    fn one(address: &str, settled: bool) -> (String, bool) {
        (address.to_owned(), settled)
    }

    #[test]
    fn the_first_address_of_an_account_counts_from_the_beginning() {
        assert_eq!(told("a", &[], 0), [one("a", true)]);
    }

    #[test]
    fn a_new_address_counts_after_a_lock_period_and_the_old_one_until_then() {
        let rows = [former("a", None, 1_000)];
        assert_eq!(told("b", &rows, 1_000), [one("b", false), one("a", true)]);
        assert_eq!(told("b", &rows, 1_099), [one("b", false), one("a", true)]);
        assert_eq!(told("b", &rows, 1_100), [one("b", true)]);
    }

    /// However often whoever has the account changes it: one that was its own before is always there.
    #[test]
    fn there_is_always_one_that_counts() {
        let rows = [former("a", None, 1_000), former("b", Some(1_000), 1_050)];
        assert_eq!(told("c", &rows, 1_060), [one("c", false), one("a", true), one("b", false)]);
        // when the first one's time is over, the second is old enough: it is not the account's, and not lately put in
        assert_eq!(told("c", &rows, 1_120), [one("c", false), one("b", true)]);
        // back to the first
        let rows = [former("a", None, 1_000), former("b", Some(1_000), 1_050)];
        assert_eq!(told("a", &rows, 1_060), [one("a", true), one("b", false)]);
        // and its own time as a former one is over, the other's is not
        assert_eq!(told("a", &rows, 1_120), [one("a", true), one("b", true)]);
    }

    /// Put in again by whoever had been found out: it was there for 50 s before.
    #[test]
    fn one_that_comes_back_counts_by_the_time_that_it_was_there() {
        let rows = [former("a", None, 1_090), former("b", Some(1_000), 1_050)];
        assert_eq!(told("b", &rows, 1_139), [one("b", false), one("a", true)]);
        assert_eq!(told("b", &rows, 1_140), [one("b", true), one("a", true)]);
        let since = counted_since("b", &rows, LOCK);
        assert_eq!(since, Some(Timestamp(1_040_000)), "and is kept so when it is given up again");
    }

    #[test]
    fn one_that_comes_back_later_than_a_lock_period_counts_from_then() {
        let rows =
            [former("a", None, 1_000), former("b", Some(1_000), 1_090), former("c", Some(1_090), 1_180)];
        assert_eq!(told("a", &rows, 1_279)[0], one("a", false));
        assert_eq!(told("a", &rows, 1_280)[0], one("a", true));
    }
}
