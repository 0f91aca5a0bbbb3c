//! Single rows: written, read back, guarded, taken, undone.

use ocmt_store::{
    Filter, Store, StoreError,
    tables::{Timer, User, UserRole, UserState},
    testing::{TestNode, id, user},
};
use ocmt_types::{Ownership, Timestamp, UserId};

/// A store with one tenant.
pub async fn one_tenant(store: &Store) -> Ownership {
    TestNode::start(store, 1).await.unwrap().found(1).await.unwrap()
}

pub fn timer(own: Ownership, subject: &str, due: i64) -> Timer {
    Timer {
        tenant_id: own.tenant,
        kind: "test".into(),
        subject: subject.into(),
        due_at: Timestamp(due),
        payload: vec![],
    }
}

pub async fn a_row_comes_back_as_it_was_written(store: Store) {
    let own = one_tenant(&store).await;
    let written = User {
        identity_public: Some(vec![0, 255, 7]),
        totp_last_step: Some(i64::MIN),
        display_name: "Zoë \u{1f511} 'quoted'; DROP TABLE users; --".into(),
        role: UserRole::Admin,
        state: UserState::Suspended,
        created_at: Timestamp(i64::MAX),
        ..user(own.tenant, 2)
    };
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&written).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(tx.get::<User>(written.user_id).await.unwrap(), Some(written));
    assert_eq!(tx.get::<User>(id(99)).await.unwrap(), None);
}

pub async fn a_taken_key_is_refused_and_the_transaction_goes_on(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    let error = tx.insert(&timer(own, "a", 2)).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { table: "timers" }), "{error:?}");
    assert!(!error.is_retryable() && !error.outcome_unknown());
    tx.insert(&timer(own, "b", 3)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    let due: Vec<i64> =
        tx.find::<Timer>(Filter::all()).await.unwrap().iter().map(|row| row.due_at.0).collect();
    assert_eq!(due, [1, 3]);
}

pub async fn a_taken_unique_value_is_refused(store: Store) {
    let own = one_tenant(&store).await;
    let (second, third) = (user(own.tenant, 2), user(own.tenant, 3));
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&second).await.unwrap();
    let same_email = User { email: second.email.clone(), ..third.clone() };
    assert!(matches!(tx.insert(&same_email).await, Err(StoreError::AlreadyExists { table: "users" })));
    tx.insert(&third).await.unwrap();
    tx.commit().await.unwrap();
    for upsert in [false, true] {
        let mut tx = store.fenced(own).await.unwrap();
        let refused =
            if upsert { tx.upsert(&same_email).await.err() } else { tx.update(&same_email).await.err() };
        assert!(matches!(refused, Some(StoreError::AlreadyExists { table: "users" })), "{refused:?}");
    }
}

pub async fn an_update_replaces_only_what_exists(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    assert!(!tx.update(&timer(own, "a", 1)).await.unwrap());
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    assert!(tx.update(&timer(own, "a", 2)).await.unwrap());
    assert_eq!(tx.find::<Timer>(Filter::all()).await.unwrap(), [timer(own, "a", 2)]);
}

pub async fn a_guarded_update_needs_its_guard(store: Store) {
    let own = one_tenant(&store).await;
    let before = user(own.tenant, 2);
    let after = User { totp_last_step: Some(5), ..before.clone() };
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&before).await.unwrap();
    assert!(!tx.update_if(&after, User::totp_last_step.eq(Some(4))).await.unwrap());
    assert!(
        !tx.update_if(&after, User::totp_last_step.eq(None).and(User::role.eq(UserRole::Owner)))
            .await
            .unwrap()
    );
    assert_eq!(tx.get::<User>(before.user_id).await.unwrap(), Some(before.clone()));
    assert!(
        tx.update_if(&after, User::totp_last_step.eq(None).and(User::role.eq(UserRole::Member)))
            .await
            .unwrap()
    );
    assert!(!tx.update_if(&before, User::totp_last_step.eq(None)).await.unwrap());
    assert_eq!(tx.get::<User>(before.user_id).await.unwrap(), Some(after));
}

pub async fn upsert_writes_new_and_old(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.upsert(&timer(own, "a", 1)).await.unwrap();
    tx.upsert(&timer(own, "a", 2)).await.unwrap();
    assert_eq!(tx.find::<Timer>(Filter::all()).await.unwrap(), [timer(own, "a", 2)]);
}

pub async fn take_returns_and_deletes(store: Store) {
    let own = one_tenant(&store).await;
    let key = || ("test".to_owned(), "a".to_owned());
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 10)).await.unwrap();
    assert_eq!(tx.take_if::<Timer>(key(), Timer::due_at.gt(Timestamp(10))).await.unwrap(), None);
    assert_eq!(tx.take::<Timer>(key()).await.unwrap(), Some(timer(own, "a", 10)));
    assert_eq!(tx.take::<Timer>(key()).await.unwrap(), None);
    assert!(!tx.delete::<Timer>(key()).await.unwrap());
}

pub async fn delete_all_counts_what_it_deleted(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    for (subject, due) in [("a", 1), ("b", 2), ("c", 3)] {
        tx.insert(&timer(own, subject, due)).await.unwrap();
    }
    assert_eq!(tx.delete_all(Timer::due_at.le(Timestamp(2))).await.unwrap(), 2);
    assert_eq!(tx.count(Filter::<Timer>::all()).await.unwrap(), 1);
    assert!(tx.delete::<Timer>(("test".into(), "c".into())).await.unwrap());
    assert_eq!(tx.count(Filter::<Timer>::all()).await.unwrap(), 0);
}

pub async fn a_dropped_transaction_leaves_nothing(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    tx.delete::<User>(id::<UserId>(1)).await.unwrap();
    drop(tx);
    // the next writer gets its turn, and sees nothing of it
    let mut tx = store.fenced(own).await.unwrap();
    assert_eq!(tx.count(Filter::<Timer>::all()).await.unwrap(), 0);
    assert_eq!(tx.count(Filter::<User>::all()).await.unwrap(), 1);
}

pub async fn a_rolled_back_transaction_leaves_nothing(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(store.read(own).await.unwrap().count(Filter::<Timer>::all()).await.unwrap(), 0);
}

pub async fn a_transaction_reads_its_own_writes(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    assert_eq!(tx.first(Timer::subject.eq("a")).await.unwrap(), Some(timer(own, "a", 1)));
    let mut outside = store.read(own).await.unwrap();
    assert_eq!(outside.first(Timer::subject.eq("a")).await.unwrap(), None);
}

pub async fn a_strict_read_is_one_snapshot(store: Store) {
    let own = one_tenant(&store).await;
    let mut reader = store.read(own).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(reader.count(Filter::<Timer>::all()).await.unwrap(), 0);
    assert_eq!(store.read(own).await.unwrap().count(Filter::<Timer>::all()).await.unwrap(), 1);
}
