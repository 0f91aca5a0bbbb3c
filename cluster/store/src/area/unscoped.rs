//! Statements that are not confined to a tenant, for the cluster and the directory. Private to the areas:
//! nothing outside can reach a tenant's rows through them.

use ocmt_types::TenantId;

use crate::{
    Filter, Query, Row, StoreError,
    backend::Tx,
    kernel::{
        statement::{Action, Outcome, Select, Statement, What},
        value::{Field as _, Value},
    },
};

impl Tx {
    /// The rows of a query. `hold` keeps others from changing them until the transaction ends.
    pub(super) async fn find<R: Row>(
        &mut self,
        query: impl Into<Query<R>>,
        hold: bool,
    ) -> Result<Vec<R>, StoreError> {
        let select = Select { lock: hold, ..query.into().into_select() };
        self.act::<R>(Action::Select(select)).await?.rows.into_iter().map(R::from_values).collect()
    }

    /// The first row of a query.
    pub(crate) async fn first<R: Row>(
        &mut self,
        query: impl Into<Query<R>>,
        hold: bool,
    ) -> Result<Option<R>, StoreError> {
        self.find(query.into().limit(1), hold).await.map(|mut rows| rows.pop())
    }

    /// How many rows the filter names.
    pub(super) async fn count<R: Row>(&mut self, filter: Filter<R>) -> Result<i64, StoreError> {
        let select = Select { what: What::Count, ..Query::from(filter).into_select() };
        let outcome = self.act::<R>(Action::Select(select)).await?;
        match outcome.rows.first().and_then(|row| row.first()) {
            Some(Value::Int(count)) => Ok(*count),
            _ => Err(StoreError::Corrupt { table: R::table().name, what: "a count is no number".to_owned() }),
        }
    }

    /// The different values of one column among the rows that the filter names, in their order.
    pub(super) async fn distinct<R: Row>(
        &mut self,
        filter: Filter<R>,
        column: usize,
        limit: u32,
    ) -> Result<Outcome, StoreError> {
        let select =
            Select { what: What::Distinct(column), order: vec![column], ..filter.limit(limit).into_select() };
        self.act::<R>(Action::Select(select)).await
    }

    /// The tenants of the rows that the filter names, in the order of their ids: the first column of every
    /// tenant's table.
    pub(super) async fn tenants_of<R: Row>(
        &mut self,
        rows: Filter<R>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let outcome = self.distinct(rows, 0, limit).await?;
        let tenant = |row: Vec<_>| row.into_iter().next().and_then(TenantId::from_value);
        let corrupt = || StoreError::Corrupt {
            table: R::table().name,
            what: "column tenant_id holds no id".to_owned(),
        };
        outcome.rows.into_iter().map(|row| tenant(row).ok_or_else(corrupt)).collect()
    }

    /// Writes a new row; `false` if its key or a unique value is taken.
    pub(crate) async fn insert<R: Row>(&mut self, row: &R) -> Result<bool, StoreError> {
        Ok(self.act::<R>(Action::Insert(row.to_values())).await?.affected > 0)
    }

    /// Replaces the row of the same key if the guard holds for what is there.
    pub(crate) async fn update_if<R: Row>(&mut self, row: &R, guard: Filter<R>) -> Result<bool, StoreError> {
        Ok(self.act::<R>(Action::Update { values: row.to_values(), guards: guard.conds }).await?.affected > 0)
    }

    /// Deletes what the filter names and tells how many rows that were.
    pub(super) async fn delete<R: Row>(&mut self, filter: Filter<R>) -> Result<u64, StoreError> {
        Ok(self.act::<R>(Action::Delete(filter.conds)).await?.affected)
    }

    /// Deletes what the filter names and returns it.
    pub(super) async fn take<R: Row>(&mut self, filter: Filter<R>) -> Result<Vec<R>, StoreError> {
        self.act::<R>(Action::Take(filter.conds)).await?.rows.into_iter().map(R::from_values).collect()
    }

    async fn act<R: Row>(&mut self, action: Action) -> Result<Outcome, StoreError> {
        self.run(&Statement { table: R::table(), action }).await
    }
}
