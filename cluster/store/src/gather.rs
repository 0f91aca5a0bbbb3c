//! A transaction for several calls: what they read alike is read once, and their records go down together.
//!
//! What is read twice in a fenced transaction is the same both times but for its own writes, since its tenant has no other
//! writer (see [`Store::fenced`](crate::Store::fenced)). So a small row that was read is kept until the transaction ends, or
//! writes anything but an audit. Records are chained in memory, each upon the one before, and the head takes one step at the commit.

use std::collections::HashMap;

use ocmt_types::TenantId;

use crate::{
    StoreError,
    backend::Tx,
    kernel::{
        row::{Row, Table},
        statement::{Action, Outcome, Select, Statement},
        value::Value,
    },
    tables::{AuditHead, AuditNodes, AuditRow},
};

/// The largest answer that is kept, in bytes of text and of bytes.
const KEPT: usize = 16 * 1024;
/// Rows of one statement, each count being a text that the database prepares: powers of two and what is between two of them,
/// so that there are few, and mostly one or two are enough.
const ROWS_AT_ONCE: [usize; 10] = [32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// What was asked, and what there was.
struct Read {
    select: Select,
    rows: Vec<Vec<Value>>,
}

/// What a transaction has gathered so far.
#[derive(Default)]
pub(crate) struct Gathered {
    /// By table.
    read: HashMap<&'static str, Vec<Read>>,
    records: Option<Records>,
}

/// Records that wait for the commit.
pub(crate) struct Records {
    /// The head that is in the database; none before the first record.
    pub(crate) before: Option<AuditHead>,
    /// The head after the last of them.
    pub(crate) head: AuditHead,
    pub(crate) rows: Vec<AuditRow>,
    pub(crate) nodes: Vec<AuditNodes>,
}

impl Gathered {
    /// What was read before by the same words.
    pub(crate) fn seen(&self, table: &Table, action: &Action) -> Option<Outcome> {
        let Action::Select(select) = action else { return None };
        let Read { rows, .. } = self.read.get(table.name)?.iter().find(|read| read.select == *select)?;
        Some(Outcome { affected: rows.len() as u64, rows: rows.clone() })
    }

    /// A statement was run: its answer is kept, or what it may have changed is forgotten.
    pub(crate) fn ran(&mut self, table: &'static Table, action: Action, outcome: &Outcome) {
        match action {
            Action::Select(select) => {
                if !select.lock && outcome.rows.iter().flatten().map(bytes).sum::<usize>() <= KEPT {
                    self.read
                        .entry(table.name)
                        .or_default()
                        .push(Read { select, rows: outcome.rows.clone() });
                }
            }
            Action::Insert(_)
            | Action::InsertAll(_)
            | Action::Upsert(_)
            | Action::Update { .. }
            | Action::Add { .. }
            | Action::Merge(_)
            | Action::Delete(_)
            | Action::Take(_) => self.read.clear(),
        }
    }

    /// The head upon which the next record is chained, if records wait.
    pub(crate) fn head(&self) -> Option<&AuditHead> {
        self.records.as_ref().map(|records| &records.head)
    }

    /// A record more. `before` is the head that is in the database.
    pub(crate) fn record(
        &mut self,
        before: Option<AuditHead>,
        head: AuditHead,
        row: AuditRow,
        nodes: Vec<AuditNodes>,
    ) {
        match &mut self.records {
            Some(records) => {
                records.head = head;
                records.rows.push(row);
                records.nodes.extend(nodes);
            }
            None => self.records = Some(Records { before, head, rows: vec![row], nodes }),
        }
    }

    /// Writes the records.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another has appended since the head was read.
    pub(crate) async fn settle(self, tx: &mut Tx) -> Result<(), StoreError> {
        let Some(Records { before, head, rows, nodes }) = self.records else { return Ok(()) };
        let stepped = match before {
            Some(before) => tx.update_if(&head, AuditHead::seq.eq(before.seq)).await?,
            None => tx.insert(&head).await?,
        };
        if stepped && all(tx, &rows).await? && all(tx, &nodes).await? {
            return Ok(());
        }
        Err(StoreError::Conflict)
    }
}

/// Writes new rows; `false` if there was no room for one of them.
async fn all<R: Row>(tx: &mut Tx, rows: &[R]) -> Result<bool, StoreError> {
    let mut rest = rows;
    while let Some(most) = ROWS_AT_ONCE.into_iter().find(|most| *most <= rest.len()) {
        let (now, later) = rest.split_at(most);
        let action = Action::InsertAll(now.iter().map(R::to_values).collect());
        if tx.run(&Statement { table: R::table(), action }).await?.affected != most as u64 {
            return Ok(false);
        }
        rest = later;
    }
    Ok(true)
}

/// The tenant's head as it is in the database.
pub(crate) async fn head(tx: &mut Tx, tenant: TenantId) -> Result<Option<AuditHead>, StoreError> {
    tx.first(AuditHead::tenant_id.eq(tenant), false).await
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Int(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
    }
}
