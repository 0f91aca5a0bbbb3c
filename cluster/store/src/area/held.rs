//! Timers of a suspended tenant: held, and let go with the time that they had left.
//!
//! A held timer is due in some centuries, so nothing that looks for due timers has to know of suspension: nobody is
//! woken for it, and no tenant's row is read for it. A timer that is set meanwhile is held when it comes due
//! ([`FencedTx::hold_timer`]).

use std::time::Duration;

use ocmt_types::Timestamp;

use crate::{
    FencedTx, StoreError,
    kernel::{
        row::{Row as _, column_index},
        statement::{Action, Cond, Op},
        value::Field as _,
    },
    tables::Timer,
};

/// By how much a held timer is put off, in milliseconds: over 500 years.
const HELD: i64 = 1 << 44;
/// Whatever is due later is held.
const FAR: Timestamp = Timestamp(1 << 43);

const TENANT: usize = column_index(Timer::COLUMNS, "tenant_id");
const DUE: usize = column_index(Timer::COLUMNS, "due_at");

impl FencedTx {
    /// Holds all timers of the tenant.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn hold_timers(&mut self) -> Result<(), StoreError> {
        self.move_timers(HELD, Op::Le).await
    }

    /// Lets all held timers go: what was due within an hour when they were held is due within an hour again,
    /// `held_for` being how long that is ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn release_timers(&mut self, held_for: Duration) -> Result<(), StoreError> {
        let held_for = i64::try_from(held_for.as_millis()).unwrap_or(HELD).min(HELD);
        self.move_timers(held_for - HELD, Op::Gt).await
    }

    /// Holds one that came due meanwhile and was taken.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn hold_timer(&mut self, timer: &Timer) -> Result<(), StoreError> {
        let due_at = Timestamp(timer.due_at.0.saturating_add(HELD));
        self.upsert(&Timer { due_at, ..timer.clone() }).await
    }

    async fn move_timers(&mut self, by: i64, which: Op) -> Result<(), StoreError> {
        let conds = vec![
            Cond::eq(TENANT, self.tenant().to_value()),
            Cond { column: DUE, op: which, value: FAR.to_value() },
        ];
        self.run(Timer::table(), Action::Add { column: DUE, by: by.to_value(), conds }).await.map(drop)
    }
}
