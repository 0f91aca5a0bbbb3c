//! The sim stands in for SQLite in the tests of everything above: so whatever is asked of both, in any
//! order, both must answer the same.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use ocmt_store::{
    FencedTx, Filter, Query, Store, StoreError,
    tables::{Timer, User},
    testing::{TestNode, id, user},
};
use ocmt_types::{Ownership, Timestamp, UserId};
use proptest::prelude::*;

/// One step on a small space of keys and values, so that steps meet each other.
#[derive(Debug, Clone)]
enum Step {
    Insert(Timer),
    Upsert(Timer),
    Update(Timer),
    UpdateIf(Timer, Cond),
    Delete(String),
    Take(String, Cond),
    DeleteAll(Cond),
    Find(Cond, Order, u32),
    Count(Cond),
    InsertUser(User),
    FindUsers(Option<i64>),
    DeleteUser(u64),
    Commit,
    Rollback,
}

#[derive(Debug, Clone)]
enum Cond {
    All,
    Subject(String),
    Due(i64),
    DueUntil(i64),
    DueAfter(i64),
    Both(i64, i64),
}

#[derive(Debug, Clone)]
enum Order {
    Key(Option<String>),
    Up(Option<(i64, String)>),
    Down(Option<(i64, String)>),
}

impl Cond {
    fn filter(&self) -> Filter<Timer> {
        match self {
            Self::All => Filter::all(),
            Self::Subject(subject) => Timer::subject.eq(subject),
            Self::Due(at) => Timer::due_at.eq(Timestamp(*at)),
            Self::DueUntil(at) => Timer::due_at.le(Timestamp(*at)),
            Self::DueAfter(at) => Timer::due_at.gt(Timestamp(*at)),
            Self::Both(low, high) => {
                Timer::due_at.gt(Timestamp(*low)).and(Timer::due_at.le(Timestamp(*high)))
            }
        }
    }
}

fn key(subject: &str) -> (String, String) {
    ("test".to_owned(), subject.to_owned())
}

fn query(cond: &Cond, order: &Order, limit: u32) -> Query<Timer> {
    let behind = |query: Query<Timer>, after: &Option<(i64, String)>| match after {
        Some((at, subject)) => query.after(&Timestamp(*at), &key(subject)),
        None => query,
    };
    match order {
        Order::Key(Some(after)) => cond.filter().after(&key(after)),
        Order::Key(None) => cond.filter().into(),
        Order::Up(after) => behind(cond.filter().asc(Timer::due_at), after),
        Order::Down(after) => behind(cond.filter().desc(Timer::due_at), after),
    }
    .limit(limit)
}

/// Takes one step and tells what came of it. After an error other than a refused insert the transaction
/// is given up, as the store's contract asks.
async fn take(store: &Store, own: Ownership, tx: &mut Option<FencedTx>, step: &Step) -> String {
    if tx.is_none() {
        *tx = Some(store.fenced(own).await.unwrap());
    }
    let open = tx.as_mut().unwrap();
    let answer = match step {
        Step::Insert(row) => open.insert(row).await.map(|()| String::new()),
        Step::Upsert(row) => open.upsert(row).await.map(|()| String::new()),
        Step::Update(row) => open.update(row).await.map(|done| done.to_string()),
        Step::UpdateIf(row, cond) => open.update_if(row, cond.filter()).await.map(|done| done.to_string()),
        Step::Delete(subject) => open.delete::<Timer>(key(subject)).await.map(|done| done.to_string()),
        Step::Take(subject, cond) => {
            open.take_if::<Timer>(key(subject), cond.filter()).await.map(|row| format!("{row:?}"))
        }
        Step::DeleteAll(cond) => open.delete_all(cond.filter()).await.map(|rows| rows.to_string()),
        Step::Find(cond, order, limit) => {
            open.find(query(cond, order, *limit)).await.map(|rows| format!("{rows:?}"))
        }
        Step::Count(cond) => open.count(cond.filter()).await.map(|rows| rows.to_string()),
        Step::InsertUser(row) => open.insert(row).await.map(|()| String::new()),
        Step::FindUsers(step) => {
            open.find(User::totp_last_step.eq(*step)).await.map(|rows| format!("{rows:?}"))
        }
        Step::DeleteUser(n) => open.delete::<User>(id::<UserId>(*n)).await.map(|done| done.to_string()),
        Step::Commit => tx.take().unwrap().commit().await.map(|()| String::new()),
        Step::Rollback => {
            drop(tx.take());
            Ok(String::new())
        }
    };
    match answer {
        Ok(answer) => answer,
        Err(error @ StoreError::AlreadyExists { .. }) => error.to_string(),
        Err(error) => panic!("{step:?}: {error}"),
    }
}

async fn run(store: Store, steps: &[Step]) -> Vec<String> {
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let (mut tx, mut answers) = (None, Vec::new());
    for step in steps {
        answers.push(take(&store, own, &mut tx, step).await);
    }
    answers
}

fn subject() -> impl Strategy<Value = String> + Clone {
    prop::sample::select(vec!["", "A", "a", "aa", "b", "\u{e4}", "\u{1f511}"]).prop_map(str::to_owned)
}

fn timer() -> impl Strategy<Value = Timer> {
    (subject(), -2_i64..3).prop_map(|(subject, due)| Timer {
        tenant_id: id(1),
        kind: "test".into(),
        subject,
        due_at: Timestamp(due),
        payload: vec![0xff; 3],
    })
}

fn cond() -> impl Strategy<Value = Cond> {
    let at = -3_i64..4;
    prop_oneof![
        Just(Cond::All),
        subject().prop_map(Cond::Subject),
        at.clone().prop_map(Cond::Due),
        at.clone().prop_map(Cond::DueUntil),
        at.clone().prop_map(Cond::DueAfter),
        (at.clone(), at).prop_map(|(low, high)| Cond::Both(low, high)),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let after = prop::option::of((-3_i64..4, subject()));
    prop_oneof![
        prop::option::of(subject()).prop_map(Order::Key),
        after.clone().prop_map(Order::Up),
        after.prop_map(Order::Down),
    ]
}

fn new_user() -> impl Strategy<Value = User> {
    (2_u64..6, 2_u64..6, prop::option::of(0_i64..2)).prop_map(|(n, mail, step)| User {
        email: format!("user{mail}@example.org"),
        totp_last_step: step,
        ..user(id(1), n)
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => timer().prop_map(Step::Insert),
        2 => timer().prop_map(Step::Upsert),
        1 => timer().prop_map(Step::Update),
        2 => (timer(), cond()).prop_map(|(row, cond)| Step::UpdateIf(row, cond)),
        1 => subject().prop_map(Step::Delete),
        1 => (subject(), cond()).prop_map(|(subject, cond)| Step::Take(subject, cond)),
        1 => cond().prop_map(Step::DeleteAll),
        6 => (cond(), order(), 1_u32..4).prop_map(|(cond, order, limit)| Step::Find(cond, order, limit)),
        1 => cond().prop_map(Step::Count),
        3 => new_user().prop_map(Step::InsertUser),
        2 => prop::option::of(0_i64..2).prop_map(Step::FindUsers),
        1 => (1_u64..6).prop_map(Step::DeleteUser),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sim_and_sqlite_answer_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sim, sqlite) = runtime.block_on(async {
            (run(Store::sim(), &steps).await, run(Store::sqlite(folder.path()).await.unwrap(), &steps).await)
        });
        prop_assert_eq!(sim, sqlite);
    }
}
