//! The store in memory: ordered maps, one writer at a time, snapshots for readers. The same as SQLite to
//! whoever looks at it, and deterministic.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::faults::{Faults, Link, Point};
use crate::{
    StoreError,
    kernel::{
        row::Table,
        statement::{Action, Cond, Merge, Outcome, Select, Statement, What},
        value::Value,
    },
};

type Key = Vec<Value>;
type Rows = BTreeMap<Key, Arc<Vec<Value>>>;
/// Tables are shared between the committed state and snapshots, and copied when first written.
type State = BTreeMap<&'static str, Arc<Rows>>;

/// What [`Sim::save`] saved.
#[cfg(feature = "testing")]
#[derive(Clone)]
pub struct SavedState(State);

/// A database in memory.
#[derive(Clone, Default)]
pub(crate) struct Sim {
    committed: Arc<Mutex<State>>,
    writer: Arc<AsyncMutex<()>>,
    faults: Faults,
    /// This client's way to the database; none: at once and always.
    link: Option<Arc<dyn Link>>,
}

impl Sim {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same database over a link.
    pub(crate) fn linked(&self, link: Arc<dyn Link>) -> Self {
        Self { link: Some(link), ..self.clone() }
    }

    /// Every committed row, to be put back.
    #[cfg(feature = "testing")]
    pub(crate) fn save(&self) -> SavedState {
        SavedState(self.snapshot())
    }

    /// The database as it was when it was saved: a backup restored.
    #[cfg(feature = "testing")]
    pub(crate) fn put_back(&self, saved: &SavedState) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = saved.0.clone();
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) async fn begin(&self) -> Result<SimTx, StoreError> {
        self.play(Point::Begin).await?;
        let turn = Arc::clone(&self.writer).lock_owned().await;
        let tx = SimTx { sim: self.clone(), state: self.snapshot(), turn: Some(turn) };
        self.answer(Point::Begin).await;
        Ok(tx)
    }

    pub(crate) async fn begin_read(&self) -> Result<SimTx, StoreError> {
        self.play(Point::BeginRead).await?;
        let tx = SimTx { sim: self.clone(), state: self.snapshot(), turn: None };
        self.answer(Point::BeginRead).await;
        Ok(tx)
    }

    async fn play(&self, point: Point) -> Result<bool, StoreError> {
        self.faults.play(point, self.link.as_deref()).await
    }

    async fn answer(&self, point: Point) {
        if let Some(link) = &self.link {
            link.answer(point).await;
        }
    }

    fn snapshot(&self) -> State {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A transaction on a snapshot; a writer's replaces the committed state.
pub(crate) struct SimTx {
    sim: Sim,
    state: State,
    /// The writer's turn; none for a reader.
    turn: Option<OwnedMutexGuard<()>>,
}

impl SimTx {
    pub(crate) async fn run(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        self.sim.play(Point::Statement).await?;
        let outcome = self.apply(statement);
        self.sim.answer(Point::Statement).await;
        outcome
    }

    /// Which life of the database this is.
    pub(crate) fn life(&self) -> String {
        self.sim.faults.life()
    }

    fn apply(&mut self, statement: &Statement) -> Result<Outcome, StoreError> {
        let table = statement.table;
        match &statement.action {
            Action::Select(query) => Ok(select(&self.rows(table), query)),
            Action::Insert(values) => Ok(touched(self.insert(table, values))),
            Action::InsertAll(rows) => {
                Ok(touched(rows.iter().map(|values| self.insert(table, values)).sum()))
            }
            Action::Upsert(values) => self.replace(table, values),
            Action::Update { values, guards } => {
                let found = self
                    .rows(table)
                    .get(key(table, values))
                    .is_some_and(|row| guards.iter().all(|guard| guard.holds(row)));
                if found { self.replace(table, values) } else { Ok(Outcome::default()) }
            }
            Action::Add { column, by, conds } => Ok(touched(self.add(table, *column, by, conds))),
            Action::Merge(merge) => Ok(touched(self.merge(table, merge))),
            Action::Delete(conds) => Ok(touched(self.remove(table, conds).len())),
            Action::Take(conds) => {
                let rows = self.remove(table, conds);
                Ok(Outcome { affected: rows.len() as u64, rows })
            }
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let unknown = self.sim.play(Point::Commit).await?;
        if let Some(turn) = self.turn {
            *self.sim.committed.lock().unwrap_or_else(PoisonError::into_inner) = self.state;
            // committed: the next writer does not wait for the answer's way back
            drop(turn);
        }
        self.sim.answer(Point::Commit).await;
        if unknown { Err(StoreError::OutcomeUnknown("injected fault".to_owned())) } else { Ok(()) }
    }

    fn rows(&self, table: &'static Table) -> Arc<Rows> {
        self.state.get(table.name).cloned().unwrap_or_default()
    }

    fn rows_mut(&mut self, table: &'static Table) -> &mut Rows {
        Arc::make_mut(self.state.entry(table.name).or_default())
    }

    fn insert(&mut self, table: &'static Table, values: &[Value]) -> usize {
        let rows = self.rows_mut(table);
        if rows.contains_key(key(table, values)) || collides(table, rows, values) {
            return 0;
        }
        rows.insert(key(table, values).to_vec(), Arc::new(values.to_vec()));
        1
    }

    fn replace(&mut self, table: &'static Table, values: &[Value]) -> Result<Outcome, StoreError> {
        let rows = self.rows_mut(table);
        if collides(table, rows, values) {
            return Err(StoreError::AlreadyExists { table: table.name });
        }
        rows.insert(key(table, values).to_vec(), Arc::new(values.to_vec()));
        Ok(touched(1))
    }

    fn add(&mut self, table: &'static Table, column: usize, by: &Value, conds: &[Cond]) -> usize {
        let keys: Vec<Key> = matching(&self.rows(table), conds).map(|(key, _)| key.clone()).collect();
        let rows = self.rows_mut(table);
        let mut done = 0;
        for key in keys {
            let row = rows.get_mut(&key).map(Arc::make_mut).and_then(|row| row.get_mut(column));
            if let (Some(Value::Int(there)), Value::Int(by)) = (row, by) {
                *there += by;
                done += 1;
            }
        }
        done
    }

    fn merge(&mut self, table: &'static Table, merge: &Merge) -> usize {
        let from = self.rows(merge.from);
        let keys: Vec<Key> = matching(&self.rows(table), &merge.conds).map(|(key, _)| key.clone()).collect();
        let rows = self.rows_mut(table);
        let mut done = 0;
        for key in keys {
            let other = from.get(&key);
            let other = other.filter(|row| merge.given.is_none_or(|given| row[given] != Value::Null));
            if let (Some(other), Some(row)) = (other, rows.get_mut(&key).map(Arc::make_mut)) {
                for (column, source) in &merge.set {
                    if let Some(new) = source.of(other) {
                        row[*column] = new;
                    }
                }
                done += 1;
            }
        }
        done
    }

    fn remove(&mut self, table: &'static Table, conds: &[Cond]) -> Vec<Vec<Value>> {
        let keys: Vec<Key> = matching(&self.rows(table), conds).map(|(key, _)| key.clone()).collect();
        let rows = self.rows_mut(table);
        keys.iter().filter_map(|key| rows.remove(key)).map(Arc::unwrap_or_clone).collect()
    }
}

fn key<'v>(table: &Table, values: &'v [Value]) -> &'v [Value] {
    &values[..table.key_len]
}

fn touched(rows: usize) -> Outcome {
    Outcome { rows: Vec::new(), affected: rows as u64 }
}

/// Whether another row has the same values where they must be unique. As in SQL, NULL equals nothing.
fn collides(table: &'static Table, rows: &Rows, values: &[Value]) -> bool {
    table.unique.iter().any(|columns| {
        let places: Vec<usize> = columns.iter().filter_map(|name| table.position(name)).collect();
        !places.iter().any(|&i| values[i] == Value::Null)
            && rows.iter().any(|(other, row)| {
                other.as_slice() != key(table, values) && places.iter().all(|&i| row[i] == values[i])
            })
    })
}

fn matching<'r>(rows: &'r Rows, conds: &'r [Cond]) -> impl Iterator<Item = (&'r Key, &'r Arc<Vec<Value>>)> {
    // keys begin with the tenant or the id asked for: go to the first that can match, stop at the last
    let first = conds
        .iter()
        .find(|cond| cond.column == 0 && cond.op == crate::kernel::statement::Op::Eq)
        .map(|cond| &cond.value);
    let from = first.map(|value| vec![value.clone()]).unwrap_or_default();
    rows.range(from..)
        .take_while(move |(key, _)| first.is_none_or(|value| key.first() == Some(value)))
        .filter(|(_, row)| conds.iter().all(|cond| cond.holds(row)))
}

fn select(rows: &Rows, query: &Select) -> Outcome {
    let mut found: Vec<&Arc<Vec<Value>>> = matching(rows, &query.conds).map(|(_, row)| row).collect();
    match query.what {
        What::Count => {
            let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
            return Outcome { rows: vec![vec![Value::Int(count)]], affected: 0 };
        }
        What::Distinct(column) => {
            let values: std::collections::BTreeSet<Value> =
                found.iter().map(|row| row[column].clone()).collect();
            let rows = values.into_iter().take(query.limit as usize).map(|value| vec![value]).collect();
            return Outcome { rows, affected: 0 };
        }
        What::Rows => {}
    }
    let place = |row: &Vec<Value>| query.order.iter().map(|&i| row[i].clone()).collect::<Vec<_>>();
    found.sort_by_cached_key(|row| place(row));
    if query.descending {
        found.reverse();
    }
    let behind = |row: &&Arc<Vec<Value>>| match &query.after {
        None => true,
        Some(after) if query.descending => place(row) < *after,
        Some(after) => place(row) > *after,
    };
    let rows =
        found.into_iter().filter(behind).take(query.limit as usize).map(|row| row.as_ref().clone()).collect();
    Outcome { rows, affected: 0 }
}
