//! Transactions of one tenant: strict reads, and the only writer.

use std::ops::{Deref, DerefMut};

use ocmt_types::{Ownership, TenantId, UserId};

use crate::{
    Filter, MOST_TENANTS_OF_ADDRESS, Query, StoreError,
    backend::{Named, Tx},
    gather::Gathered,
    kernel::{
        row::{Row, Table, TenantRow},
        statement::{Action, Cond, Outcome, Select, Statement, What},
        value::{Field as _, Value},
    },
    tables::{Address, TenantOwner},
};

/// Refuses unless the ownership is the current one. `hold` keeps the claim from changing until the
/// transaction ends; without it an old owner's commit could follow a new owner's load (measured on
/// PostgreSQL, architecture, "State and ownership"). It also makes the tenant's writers come one after the
/// other, so that what they read is what they write upon (ADR 0007).
pub(crate) async fn check_fence(tx: &mut Tx, ownership: Ownership, hold: bool) -> Result<(), StoreError> {
    let fence = TenantOwner::tenant_id
        .eq(ownership.tenant)
        .and(TenantOwner::incarnation.eq(Some(ownership.incarnation)))
        .and(TenantOwner::epoch.eq(ownership.epoch));
    let select = Select { lock: hold, ..Query::from(fence).limit(1).into_select() };
    let outcome = tx.run(&Statement { table: TenantOwner::table(), action: Action::Select(select) }).await?;
    if outcome.rows.is_empty() { Err(StoreError::Fenced) } else { Ok(()) }
}

/// A strict read: one snapshot of one tenant. Dropped when done.
#[must_use = "a transaction that is not used reads nothing"]
pub struct ReadTx {
    tx: Tx,
    ownership: Ownership,
    /// Tables that were written to.
    written: Vec<&'static str>,
    /// See [`FencedTx::gather`].
    pub(crate) gathered: Option<Gathered>,
}

impl ReadTx {
    pub(crate) fn new(tx: Tx, ownership: Ownership) -> Self {
        Self { tx, ownership, written: Vec::new(), gathered: None }
    }

    /// Whose state this is.
    pub fn tenant(&self) -> TenantId {
        self.ownership.tenant
    }

    /// Under which ownership.
    pub fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// The row with this key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn get<R: TenantRow>(&mut self, key: R::Key) -> Result<Option<R>, StoreError> {
        let conds = self.conds_of_key::<R>(&key);
        let select = Select {
            conds,
            order: Vec::new(),
            descending: false,
            after: None,
            limit: 1,
            what: What::Rows,
            lock: false,
        };
        self.rows::<R>(Action::Select(select)).await.map(|mut rows| rows.pop())
    }

    /// The rows that a filter or query names, at most [`MAX_LIMIT`](crate::MAX_LIMIT) of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn find<R: TenantRow>(&mut self, query: impl Into<Query<R>>) -> Result<Vec<R>, StoreError> {
        let mut select = query.into().into_select();
        self.confine(&mut select.conds);
        self.rows::<R>(Action::Select(select)).await
    }

    /// The first row that a filter or query names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn first<R: TenantRow>(&mut self, query: impl Into<Query<R>>) -> Result<Option<R>, StoreError> {
        self.find(query.into().limit(1)).await.map(|mut rows| rows.pop())
    }

    /// How many rows the filter names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count<R: TenantRow>(&mut self, filter: Filter<R>) -> Result<i64, StoreError> {
        let mut select = Select { what: What::Count, ..Query::from(filter).into_select() };
        self.confine(&mut select.conds);
        let outcome = self.run(R::table(), Action::Select(select)).await?;
        match outcome.rows.first().and_then(|row| row.first()) {
            Some(Value::Int(count)) => Ok(*count),
            _ => Err(StoreError::Corrupt { table: R::table().name, what: "a count is no number".to_owned() }),
        }
    }

    /// Users behind an address (normalised by the caller), one per tenant, in the order of the tenants' ids. Read
    /// here and not through [`DirectoryStore::addresses`](crate::DirectoryStore::addresses): that takes a second
    /// connection, which a claim may hold that waits for this transaction.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn addresses(&mut self, email: &str) -> Result<Vec<Address>, StoreError> {
        self.tx.name(Named::Address, email).await?;
        let listed = Query::from(Address::email.eq(email)).into_select();
        self.rows(Action::Select(listed)).await
    }

    async fn rows<R: Row>(&mut self, action: Action) -> Result<Vec<R>, StoreError> {
        self.run(R::table(), action).await?.rows.into_iter().map(R::from_values).collect()
    }

    pub(crate) async fn run(&mut self, table: &'static Table, action: Action) -> Result<Outcome, StoreError> {
        let reads = matches!(action, Action::Select(_));
        if !reads && !self.written.contains(&table.name) {
            self.written.push(table.name);
        }
        if let Some(seen) = self.gathered.as_ref().and_then(|gathered| gathered.seen(table, &action)) {
            return Ok(seen);
        }
        let statement = Statement { table, action };
        let outcome = self.tx.run(&statement).await?;
        if let Some(gathered) = &mut self.gathered {
            gathered.ran(table, statement.action, &outcome);
        }
        Ok(outcome)
    }

    /// The tenant's condition, which every statement on rows of a tenant begins with.
    pub(crate) fn own(&self) -> Cond {
        Cond::eq(0, self.ownership.tenant.to_value())
    }

    fn confine(&self, conds: &mut Vec<Cond>) {
        conds.insert(0, self.own());
    }

    fn conds_of_key<R: TenantRow>(&self, key: &R::Key) -> Vec<Cond> {
        let key = R::key_values(key).into_iter().zip(1..).map(|(value, column)| Cond::eq(column, value));
        std::iter::once(self.own()).chain(key).collect()
    }
}

/// The only writer of a tenant's state; reads see its own writes. Nothing is kept unless
/// [`FencedTx::commit`] succeeds: dropped, it rolls back.
#[must_use = "nothing is written unless the transaction is committed"]
pub struct FencedTx(ReadTx);

impl Deref for FencedTx {
    type Target = ReadTx;
    fn deref(&self) -> &ReadTx {
        &self.0
    }
}

impl DerefMut for FencedTx {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.0
    }
}

impl FencedTx {
    pub(crate) fn new(tx: Tx, ownership: Ownership) -> Self {
        Self(ReadTx::new(tx, ownership))
    }

    /// From here on it is for several calls: what they read alike is read once, and their records are written at the commit,
    /// in their order. For calls that read, and do not read the audit itself.
    pub fn gather(&mut self) {
        self.0.gathered.get_or_insert_default();
    }

    /// Whether rows of this kind were written, or deleted, so far: what it reads of them may never be there for others.
    pub fn has_written<R: TenantRow>(&self) -> bool {
        self.0.written.contains(&R::table().name)
    }

    /// Writes a new row.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if its key or a unique value is taken; the transaction may go on.
    /// [`StoreError::ForeignTenant`] if the row is another tenant's.
    pub async fn insert<R: TenantRow>(&mut self, row: &R) -> Result<(), StoreError> {
        self.check(row)?;
        let outcome = self.run(R::table(), Action::Insert(row.to_values())).await?;
        if outcome.affected == 0 { Err(StoreError::AlreadyExists { table: R::table().name }) } else { Ok(()) }
    }

    /// Writes the row, new or not.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if another row has a value that must be unique (the transaction is of no
    /// more use then), [`StoreError::ForeignTenant`].
    pub async fn upsert<R: TenantRow>(&mut self, row: &R) -> Result<(), StoreError> {
        self.check(row)?;
        self.run(R::table(), Action::Upsert(row.to_values())).await.map(drop)
    }

    /// Replaces the row of the same key; `false` if there is none.
    ///
    /// # Errors
    /// As [`FencedTx::upsert`].
    pub async fn update<R: TenantRow>(&mut self, row: &R) -> Result<bool, StoreError> {
        self.update_if(row, Filter::all()).await
    }

    /// Replaces the row of the same key if `guard` holds for what is there: compare-and-set in one
    /// statement, as in `update_if(&vault, Vault::manifest_counter.eq(7))`. `false` if there is no such row
    /// or the guard does not hold.
    ///
    /// # Errors
    /// As [`FencedTx::upsert`].
    pub async fn update_if<R: TenantRow>(&mut self, row: &R, guard: Filter<R>) -> Result<bool, StoreError> {
        self.check(row)?;
        let outcome =
            self.run(R::table(), Action::Update { values: row.to_values(), guards: guard.conds }).await?;
        Ok(outcome.affected > 0)
    }

    /// Deletes the row with this key; `false` if there was none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn delete<R: TenantRow>(&mut self, key: R::Key) -> Result<bool, StoreError> {
        let conds = self.conds_of_key::<R>(&key);
        Ok(self.run(R::table(), Action::Delete(conds)).await?.affected > 0)
    }

    /// Deletes all rows that the filter names and tells how many there were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn delete_all<R: TenantRow>(&mut self, filter: Filter<R>) -> Result<u64, StoreError> {
        let mut conds = filter.conds;
        self.confine(&mut conds);
        Ok(self.run(R::table(), Action::Delete(conds)).await?.affected)
    }

    /// Deletes the row with this key and returns it: of many callers exactly one gets it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn take<R: TenantRow>(&mut self, key: R::Key) -> Result<Option<R>, StoreError> {
        self.take_if(key, Filter::all()).await
    }

    /// [`FencedTx::take`], if `guard` holds for the row: `take_if(hash, Link::expires_at.gt(now))`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn take_if<R: TenantRow>(
        &mut self,
        key: R::Key,
        guard: Filter<R>,
    ) -> Result<Option<R>, StoreError> {
        let mut conds = self.conds_of_key::<R>(&key);
        conds.extend(guard.conds);
        self.rows::<R>(Action::Take(conds)).await.map(|mut rows| rows.pop())
    }

    /// Lists the user in the directory under `email` (normalised by the caller), with the change that makes
    /// it theirs.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the address is listed for another user of this tenant;
    /// [`StoreError::TooMany`] if it is listed in [`MOST_TENANTS_OF_ADDRESS`] tenants.
    pub async fn list_address(&mut self, email: &str, user: UserId) -> Result<(), StoreError> {
        let (table, most) = (Address::table(), MOST_TENANTS_OF_ADDRESS);
        // counted across tenants, which the fence of one tenant does not serialise
        self.0.tx.serialise(&format!("tenants of {email}")).await?;
        self.0.tx.name(Named::Address, email).await?;
        let of = Select { what: What::Count, ..Query::from(Address::email.eq(email)).into_select() };
        let listed = self.run(table, Action::Select(of)).await?;
        let room = match listed.rows.first().and_then(|row| row.first()) {
            Some(Value::Int(count)) => usize::try_from(*count).is_ok_and(|count| count < most),
            _ => false,
        };
        if !room {
            return Err(StoreError::TooMany { table: table.name, most });
        }
        let address = Address { email: email.to_owned(), tenant_id: self.tenant(), user_id: user };
        let outcome = self.run(table, Action::Insert(address.to_values())).await?;
        if outcome.affected == 0 { Err(StoreError::AlreadyExists { table: table.name }) } else { Ok(()) }
    }

    /// Takes this tenant's entry for `email` out of the directory; `false` if there was none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn unlist_address(&mut self, email: &str) -> Result<bool, StoreError> {
        let entry = Address::email.eq(email).and(Address::tenant_id.eq(self.tenant()));
        Ok(self.run(Address::table(), Action::Delete(entry.conds)).await?.affected > 0)
    }

    /// Makes the writes durable.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] if it cannot be known whether they are; [`StoreError::Full`] and
    /// [`StoreError::Unavailable`] if they are not.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if let Some(gathered) = self.0.gathered.take() {
            gathered.settle(&mut self.0.tx).await?;
        }
        self.0.tx.commit().await
    }

    /// Undoes the writes and waits for it, where dropping only begins it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the writes are undone all the same.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.0.tx.rollback().await
    }

    /// What is beneath the fence, for what is not the tenant's.
    pub(crate) fn beneath(&mut self) -> &mut Tx {
        &mut self.0.tx
    }

    /// The transaction without its fence, for work on all tenants.
    pub(crate) fn into_tx(self) -> Tx {
        self.0.tx
    }

    fn check<R: TenantRow>(&self, row: &R) -> Result<(), StoreError> {
        if row.tenant() == self.tenant() {
            Ok(())
        } else {
            Err(StoreError::ForeignTenant { table: R::table().name })
        }
    }
}
