//! Many rows: filters, order and pages.

use ocmt_store::{
    Filter, MAX_LIMIT, Store,
    tables::{Timer, User},
    testing::user,
};
use ocmt_types::{Ownership, Timestamp};

use super::rows::{one_tenant, timer};

/// Timers with many equal times, so that the order behind them counts.
async fn seven_timers(store: &Store) -> Ownership {
    let own = one_tenant(store).await;
    let mut tx = store.fenced(own).await.unwrap();
    for (subject, due) in [("d", 2), ("a", 2), ("g", 1), ("c", 3), ("b", 2), ("f", -1), ("e", 3)] {
        tx.insert(&timer(own, subject, due)).await.unwrap();
    }
    tx.commit().await.unwrap();
    own
}

fn subjects(rows: &[Timer]) -> String {
    rows.iter().map(|row| row.subject.as_str()).collect()
}

pub async fn rows_come_in_the_order_asked_for(store: Store) {
    let own = seven_timers(&store).await;
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(subjects(&tx.find(Filter::all()).await.unwrap()), "abcdefg");
    assert_eq!(subjects(&tx.find(Filter::all().asc(Timer::due_at)).await.unwrap()), "fgabdce");
    assert_eq!(subjects(&tx.find(Filter::all().desc(Timer::due_at)).await.unwrap()), "ecdbagf");
}

pub async fn pages_cover_everything_once_in_both_directions(store: Store) {
    let own = seven_timers(&store).await;
    let mut tx = store.read(own).await.unwrap();
    let (mut by_key, mut up, mut down) = (String::new(), String::new(), String::new());
    let mut page = tx.find(Filter::<Timer>::all().limit(2)).await.unwrap();
    while let Some(last) = page.last() {
        by_key += &subjects(&page);
        let key = (last.kind.clone(), last.subject.clone());
        page = tx.find(Filter::all().after(&key).limit(2)).await.unwrap();
    }
    for (descending, seen) in [(false, &mut up), (true, &mut down)] {
        let query = || {
            if descending { Filter::all().desc(Timer::due_at) } else { Filter::all().asc(Timer::due_at) }
        };
        let mut page = tx.find(query().limit(2)).await.unwrap();
        while let Some(last) = page.last() {
            *seen += &subjects(&page);
            let key = (last.kind.clone(), last.subject.clone());
            page = tx.find(query().after(&last.due_at, &key).limit(2)).await.unwrap();
        }
    }
    assert_eq!((by_key.as_str(), up.as_str(), down.as_str()), ("abcdefg", "fgabdce", "ecdbagf"));
}

pub async fn ranges_and_missing_values_select_like_sql(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    for (n, step) in [(2, None), (3, Some(0)), (4, Some(7))] {
        tx.insert(&User { totp_last_step: step, ..user(own.tenant, n) }).await.unwrap();
    }
    let users = |filter: Filter<User>| filter.and(User::created_at.gt(Timestamp(1)));
    for (filter, expected) in [
        (User::totp_last_step.eq(None), vec![2]),
        (User::totp_last_step.eq(Some(7)), vec![4]),
        (User::totp_last_step.le(Some(7)), vec![3, 4]),
        (User::totp_last_step.gt(Some(-1)), vec![3, 4]),
        (User::totp_last_step.gt(Some(0)).and(User::totp_last_step.le(Some(6))), vec![]),
        (User::email.eq("user3@example.org"), vec![3]),
        (User::email.eq(""), vec![]),
    ] {
        let found: Vec<i64> =
            tx.find(users(filter)).await.unwrap().iter().map(|user| user.created_at.0).collect();
        assert_eq!(found, expected);
    }
}

pub async fn count_and_limit_are_kept(store: Store) {
    let own = one_tenant(&store).await;
    let rows = i64::from(MAX_LIMIT) + 5;
    let mut tx = store.fenced(own).await.unwrap();
    for n in 0..rows {
        tx.insert(&timer(own, &format!("{n:06}"), n)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(tx.count(Filter::<Timer>::all()).await.unwrap(), rows);
    assert_eq!(tx.count(Timer::due_at.le(Timestamp(9))).await.unwrap(), 10);
    assert_eq!(tx.find::<Timer>(Filter::all()).await.unwrap().len(), MAX_LIMIT as usize);
    assert_eq!(tx.find::<Timer>(Filter::all().limit(u32::MAX)).await.unwrap().len(), MAX_LIMIT as usize);
    assert_eq!(tx.find::<Timer>(Filter::all().limit(3)).await.unwrap().len(), 3);
    assert_eq!(tx.find::<Timer>(Filter::all().limit(0)).await.unwrap().len(), 1);
}
