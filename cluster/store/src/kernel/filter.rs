//! Which rows: typed conditions, order and pages.
//!
//! `Session::user_id.eq(user).and(Session::ended_at.eq(None)).desc(Session::created_at).limit(50)`

use std::marker::PhantomData;

use super::{
    row::Row,
    statement::{Cond, Op, Select, What},
    value::{Field, Value},
};

/// Most rows that one query returns.
pub const MAX_LIMIT: u32 = 1_000;

/// A column of the rows `R`, holding a `T`. Made by the declaration of the row: `User::email`.
pub struct Col<R, T> {
    pub(super) index: usize,
    pub(super) row: PhantomData<fn() -> (R, T)>,
}

impl<R, T> Clone for Col<R, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, T> Copy for Col<R, T> {}

impl<R: Row, T: Field> Col<R, T> {
    /// Rows where the column equals `value`; for an optional column `None` means "is NULL".
    pub fn eq(self, value: impl Matches<T>) -> Filter<R> {
        self.cond(Op::Eq, value.into_value())
    }

    /// Rows where the column is at most `value`. NULL never is.
    pub fn le(self, value: impl Matches<T>) -> Filter<R> {
        self.cond(Op::Le, value.into_value())
    }

    /// Rows where the column is more than `value`. NULL never is.
    pub fn gt(self, value: impl Matches<T>) -> Filter<R> {
        self.cond(Op::Gt, value.into_value())
    }

    fn cond(self, op: Op, value: Value) -> Filter<R> {
        Filter { conds: vec![Cond { column: self.index, op, value }], row: PhantomData }
    }
}

/// What can be compared with a column of type `T`: a `T`, a reference to one, or its borrowed form.
pub trait Matches<T> {
    /// The value to compare with.
    fn into_value(self) -> Value;
}

impl<T: Field> Matches<T> for T {
    fn into_value(self) -> Value {
        self.to_value()
    }
}

impl<T: Field> Matches<T> for &T {
    fn into_value(self) -> Value {
        self.to_value()
    }
}

impl Matches<String> for &str {
    fn into_value(self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl Matches<Vec<u8>> for &[u8] {
    fn into_value(self) -> Value {
        Value::Blob(self.to_vec())
    }
}

/// Conditions that all must hold.
pub struct Filter<R> {
    pub(crate) conds: Vec<Cond>,
    row: PhantomData<fn() -> R>,
}

impl<R> Clone for Filter<R> {
    fn clone(&self) -> Self {
        Self { conds: self.conds.clone(), row: PhantomData }
    }
}

impl<R: Row> Filter<R> {
    /// Every row (of the tenant, for rows of a tenant).
    pub fn all() -> Self {
        Self { conds: Vec::new(), row: PhantomData }
    }

    /// Rows for which both hold.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conds.extend(other.conds);
        self
    }

    /// These rows, smallest `column` first; rows that are equal there by their key.
    pub fn asc<T: Field>(self, column: Col<R, T>) -> Query<R> {
        Query { order: Some(column.index), ..self.into() }
    }

    /// These rows, largest `column` first; rows that are equal there by their key, largest first.
    pub fn desc<T: Field>(self, column: Col<R, T>) -> Query<R> {
        Query { order: Some(column.index), descending: true, ..self.into() }
    }

    /// At most `limit` of these rows, in the order of their key.
    pub fn limit(self, limit: u32) -> Query<R> {
        Query::from(self).limit(limit)
    }

    /// These rows behind `key`, in the order of their key: the next page.
    pub fn after(self, key: &R::Key) -> Query<R> {
        Query { after: Some(R::key_values(key)), ..self.into() }
    }
}

/// A filter with order and page. Without more it means: in the order of the key, the first [`MAX_LIMIT`].
pub struct Query<R> {
    conds: Vec<Cond>,
    order: Option<usize>,
    descending: bool,
    after: Option<Vec<Value>>,
    limit: u32,
    row: PhantomData<fn() -> R>,
}

impl<R> From<Filter<R>> for Query<R> {
    fn from(filter: Filter<R>) -> Self {
        Self {
            conds: filter.conds,
            order: None,
            descending: false,
            after: None,
            limit: MAX_LIMIT,
            row: PhantomData,
        }
    }
}

impl<R: Row> Query<R> {
    /// At most `limit` rows, 1 to [`MAX_LIMIT`]; more is cut to that.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit: limit.clamp(1, MAX_LIMIT), ..self }
    }

    /// The next page of an ordered query: only rows behind the one with `value` in the ordered column and
    /// `key`. The column must not be optional.
    #[must_use]
    pub fn after(self, value: &impl Field, key: &R::Key) -> Self {
        let cursor = std::iter::once(value.to_value()).chain(R::key_values(key)).collect();
        Self { after: Some(cursor), ..self }
    }

    /// The statement for it. Rows of a tenant are ordered within it, so the tenant is no part of the order.
    pub(crate) fn into_select(self) -> Select {
        let table = R::table();
        let order = self.order.into_iter().chain(usize::from(table.of_tenant)..table.key_len).collect();
        Select {
            conds: self.conds,
            order,
            descending: self.descending,
            after: self.after,
            limit: self.limit,
            what: What::Rows,
            lock: false,
        }
    }
}
