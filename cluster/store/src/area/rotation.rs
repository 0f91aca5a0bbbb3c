//! Rotation: what was staged for the objects of a vault takes their place inside the database.
//!
//! A vault may hold 10,000 objects with bodies of 68 KiB. So many are neither read into a node's memory nor moved by one
//! statement, which has a bound of time: they go range by range, all of them in the one transaction that switches.

use ocmt_types::{Digest32, Timestamp, VaultId};

use crate::{
    FencedTx, Filter, StoreError,
    kernel::{
        row::{Row as _, column_index},
        statement::{Action, Cond, Merge, Source},
        value::Field as _,
    },
    tables::{ObjectBody, RotationObject, VaultObject},
};

const fn of_head(name: &str) -> usize {
    column_index(VaultObject::COLUMNS, name)
}

const fn of_staged(name: &str) -> usize {
    column_index(RotationObject::COLUMNS, name)
}

/// Objects of a vault by their ids, as bytes: behind one of them, up to another. Without both, all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRange {
    /// Of which vault.
    pub vault: VaultId,
    /// Not this one nor those before it.
    pub after: Option<Digest32>,
    /// The last one.
    pub through: Option<Digest32>,
}

impl ObjectRange {
    /// Ranges that cover every id there can be, with at most `at_once` of these in each; `ids` are in order.
    pub fn covering(vault: VaultId, ids: &[Digest32], at_once: usize) -> Vec<Self> {
        let ends: Vec<Digest32> =
            ids.chunks(at_once.max(1)).filter_map(|some| some.last().copied()).collect();
        // the last range has no end: what is staged for an object that is gone lies behind them all, perhaps
        let ends = ends.iter().take(ends.len().saturating_sub(1)).copied();
        let after = std::iter::once(None).chain(ends.clone().map(Some));
        let through = ends.map(Some).chain(std::iter::once(None));
        after.zip(through).map(|(after, through)| Self { vault, after, through }).collect()
    }

    fn heads(&self) -> Filter<VaultObject> {
        let mut filter = VaultObject::vault_id.eq(self.vault);
        if let Some(after) = self.after {
            filter = filter.and(VaultObject::object_id.gt(after));
        }
        match self.through {
            Some(through) => filter.and(VaultObject::object_id.le(through)),
            None => filter,
        }
    }

    fn staged(&self) -> Filter<RotationObject> {
        let mut filter = RotationObject::vault_id.eq(self.vault);
        if let Some(after) = self.after {
            filter = filter.and(RotationObject::object_id.gt(after));
        }
        match self.through {
            Some(through) => filter.and(RotationObject::object_id.le(through)),
            None => filter,
        }
    }
}

impl FencedTx {
    /// The heads in the range that something is staged for take it: version, data key, hash and size of the ciphertext, and
    /// `epoch`. How many there were. Their bodies are as before until [`FencedTx::switch_bodies`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn switch_heads(
        &mut self,
        range: &ObjectRange,
        epoch: i64,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let set = vec![
            (of_head("version"), Source::Other(of_staged("version"))),
            (of_head("key_epoch"), Source::Value(epoch.to_value())),
            (of_head("wrapped_key"), Source::Other(of_staged("wrapped_key"))),
            (of_head("body_hash"), Source::OtherOrKept(of_staged("body_hash"))),
            (of_head("body_bytes"), Source::LengthOrKept(of_staged("body"))),
            (of_head("updated_at"), Source::Value(at.to_value())),
        ];
        let merge = Merge { from: RotationObject::table(), set, given: None, conds: self.within(range) };
        Ok(self.run(VaultObject::table(), Action::Merge(merge)).await?.affected)
    }

    /// The bodies in the range that another one is staged for become that one; how many there were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn switch_bodies(&mut self, range: &ObjectRange) -> Result<u64, StoreError> {
        let body = column_index(ObjectBody::COLUMNS, "body");
        let merge = Merge {
            from: RotationObject::table(),
            set: vec![(body, Source::Other(of_staged("body")))],
            given: Some(of_staged("body")),
            conds: self.within(range),
        };
        Ok(self.run(ObjectBody::table(), Action::Merge(merge)).await?.affected)
    }

    /// Drops what is staged in the range; how much there was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn drop_staged(&mut self, range: &ObjectRange) -> Result<u64, StoreError> {
        self.delete_all(range.staged()).await
    }

    /// The tables of objects, of bodies and of what is staged have one key.
    fn within(&self, range: &ObjectRange) -> Vec<Cond> {
        std::iter::once(self.own()).chain(range.heads().conds).collect()
    }
}
