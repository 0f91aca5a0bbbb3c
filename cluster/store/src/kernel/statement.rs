//! A statement as a value: what a database renders as SQL and the sim interprets.

use super::{
    row::Table,
    value::{Kind, Value},
};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Equal; with NULL: is NULL.
    Eq,
    /// At most.
    Le,
    /// More than.
    Gt,
}

/// One condition on one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cond {
    pub(crate) column: usize,
    pub(crate) op: Op,
    pub(crate) value: Value,
}

impl Cond {
    pub(crate) fn eq(column: usize, value: Value) -> Self {
        Self { column, op: Op::Eq, value }
    }

    /// Whether `row` meets it. As in SQL, NULL is neither less nor more than anything.
    pub(crate) fn holds(&self, row: &[Value]) -> bool {
        let Some(found) = row.get(self.column) else {
            return false;
        };
        match self.op {
            Op::Eq => *found == self.value,
            Op::Le => *found != Value::Null && *found <= self.value,
            Op::Gt => *found != Value::Null && *found > self.value,
        }
    }
}

/// What a select returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Whole rows.
    Rows,
    /// One integer: how many there are. Order and limit are ignored.
    Count,
    /// The different values of one column, in their order.
    Distinct(usize),
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Select {
    pub(crate) conds: Vec<Cond>,
    /// Columns to order by, all in one direction.
    pub(crate) order: Vec<usize>,
    pub(crate) descending: bool,
    /// Only rows behind these values of the ordered columns.
    pub(crate) after: Option<Vec<Value>>,
    pub(crate) limit: u32,
    pub(crate) what: What,
    /// Keep others from locking or changing the rows until the transaction ends. SQLite has one writer and
    /// needs nothing for it; PostgreSQL takes `FOR UPDATE`.
    pub(crate) lock: bool,
}

/// What a column becomes where rows of another table take the place of what is there.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Value(Value),
    /// What the other row has in this column.
    Other(usize),
    /// The same; where the other row has NULL, what is there stays.
    OtherOrKept(usize),
    /// How many bytes the other row has in this column; where it has NULL, what is there stays.
    LengthOrKept(usize),
}

impl Source {
    /// The new value; none if what is there stays.
    pub(crate) fn of(&self, other: &[Value]) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Other(column) => other.get(*column).cloned(),
            Self::OtherOrKept(column) => other.get(*column).filter(|value| **value != Value::Null).cloned(),
            Self::LengthOrKept(column) => match other.get(*column) {
                Some(Value::Blob(bytes)) => i64::try_from(bytes.len()).ok().map(Value::Int),
                _ => None,
            },
        }
    }
}

/// Rows take values of the rows of the same key in another table, inside the database.
#[derive(Debug, Clone)]
pub(crate) struct Merge {
    /// The other table; its key has the columns of this one's key.
    pub(crate) from: &'static Table,
    /// What becomes of which column.
    pub(crate) set: Vec<(usize, Source)>,
    /// Only from rows that have something in this column.
    pub(crate) given: Option<usize>,
    /// On columns of the key.
    pub(crate) conds: Vec<Cond>,
}

/// What to do with a table.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Select(Select),
    /// Affects no row if the key or a unique value is taken.
    Insert(Vec<Value>),
    /// The same of several rows in one statement; affects as many as there was room for.
    InsertAll(Vec<Vec<Value>>),
    /// Writes the row whether or not its key exists.
    Upsert(Vec<Value>),
    /// Replaces the row of the same key if the guards hold for what is there.
    Update {
        values: Vec<Value>,
        guards: Vec<Cond>,
    },
    /// Adds to a column of numbers wherever the conditions hold. One statement: of parallel ones each sees
    /// what the one before has left, so a guard among the conditions is kept (PostgreSQL reads the row again
    /// after it has waited for its lock).
    Add {
        column: usize,
        by: Value,
        conds: Vec<Cond>,
    },
    Merge(Merge),
    Delete(Vec<Cond>),
    /// Deletes and returns what was deleted, in no order.
    Take(Vec<Cond>),
}

/// One statement on one table.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) table: &'static Table,
    pub(crate) action: Action,
}

impl Statement {
    /// The types of the columns that it returns; none if it returns no rows.
    pub(crate) fn columns(&self) -> Option<Vec<Kind>> {
        let whole = || self.table.columns.iter().map(|column| column.kind).collect();
        match &self.action {
            Action::Select(select) => Some(match select.what {
                What::Rows => whole(),
                What::Count => vec![Kind::Int],
                What::Distinct(column) => vec![self.table.columns[column].kind],
            }),
            Action::Take(_) => Some(whole()),
            Action::Insert(_)
            | Action::InsertAll(_)
            | Action::Upsert(_)
            | Action::Update { .. }
            | Action::Add { .. }
            | Action::Merge(_)
            | Action::Delete(_) => None,
        }
    }
}

/// What a statement did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows read or taken.
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many rows a write touched.
    pub(crate) affected: u64,
}
