//! A log as a Merkle tree (RFC 6962, section 2.1): what is kept of it while it grows, and proofs of it.
//!
//! A log of n records is its complete subtrees, one for each bit of n; their roots are the [`Peaks`]. A record that comes
//! completes some subtrees, and their hashes are all that has to be kept for proofs: one for each record in the mean.
//! Which hashes a proof is of and whether it holds says `ct-merkle`.

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
};
use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};

use super::node_hash;
use crate::{CryptoError, Result};

/// Most records of a log. Beyond it the places of nodes would not fit.
pub const MAX_SIZE: u64 = 1 << 62;

/// The roots of the complete subtrees that a log is made of, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    size: u64,
    hashes: Vec<Digest32>,
}

impl Peaks {
    /// Those of a log of `size` records, as [`Peaks::to_bytes`] wrote them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if there are more or fewer than a log of that size has.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty()
            || size > MAX_SIZE
            || hashes.len() != usize::try_from(size.count_ones()).unwrap_or(0)
        {
            return Err(CryptoError::Refused);
        }
        Ok(Self { size, hashes: hashes.iter().map(|hash| Digest32(*hash)).collect() })
    }

    /// Their hashes, one behind the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Records in the log.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next record in, by the hash of its leaf. The roots of the subtrees that it completes, lowest first; the
    /// leaf itself is not one of them.
    pub fn push(&mut self, leaf: Digest32) -> Vec<Digest32> {
        let (mut hash, mut completed) = (leaf, Vec::new());
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            completed.push(hash);
        }
        self.hashes.push(hash);
        self.size += 1;
        completed
    }

    /// The root of the log.
    pub fn root(&self) -> Digest32 {
        fold(&self.hashes).unwrap_or_else(|| Digest32(Sha256::digest([]).into()))
    }
}

/// The root over neighbouring complete subtrees, largest first.
fn fold(hashes: &[Digest32]) -> Option<Digest32> {
    let (last, before) = hashes.split_last()?;
    Some(before.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// A complete subtree: the 2^level records from index × 2^level on, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// 0 for a leaf.
    pub level: u32,
    /// Which one of its level.
    pub index: u64,
}

impl Subtree {
    /// The sequence (from 1) of the record that completes it.
    pub const fn completed_by(&self) -> u64 {
        (self.index + 1) << self.level
    }
}

/// One hash of a proof, as the complete subtrees that it is folded of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part(Vec<Subtree>);

impl Part {
    /// The subtrees whose roots are needed.
    pub fn subtrees(&self) -> &[Subtree] {
        &self.0
    }

    /// The hash, out of the roots of the subtrees; none if one is missing.
    pub fn hash(&self, root: impl Fn(&Subtree) -> Option<Digest32>) -> Option<Digest32> {
        let roots: Option<Vec<_>> = self.0.iter().map(root).collect();
        fold(&roots?)
    }

    /// The node at this place (RFC 9420, "array-based trees") of a tree of `size` leaves.
    fn of(node: u64, size: u64) -> Self {
        let level = node.trailing_ones();
        let start = (node >> (level + 1)) << level;
        let end = size.min(start + (1 << level));
        let (mut at, mut subtrees) = (start, Vec::new());
        while at < end {
            // the largest that ends within, and begins where one of its level does
            let level = (end - at).ilog2().min(if at == 0 { 63 } else { at.trailing_zeros() });
            subtrees.push(Subtree { level, index: at >> level });
            at += 1 << level;
        }
        Self(subtrees)
    }
}

/// What the proof is made of that record `index` (from 0) is in a log of `size`; none if it cannot be.
pub fn inclusion(size: u64, index: u64) -> Option<Vec<Part>> {
    let inside = index < size && size <= MAX_SIZE;
    inside.then(|| {
        indices_for_inclusion_proof(size, index).into_iter().map(|node| Part::of(node, size)).collect()
    })
}

/// What the proof is made of that a log of `old` records is the beginning of one of `new`; none if it cannot be.
pub fn consistency(old: u64, new: u64) -> Option<Vec<Part>> {
    let inside = old >= 1 && old <= new && new <= MAX_SIZE;
    inside.then(|| {
        indices_for_consistency_proof(old, new - old).into_iter().map(|node| Part::of(node, new)).collect()
    })
}

/// The size and root of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// Records in it.
    pub size: u64,
    /// Its root.
    pub root: Digest32,
}

impl Tree {
    fn root_hash(&self) -> Result<RootHash<Sha256>> {
        if self.size > MAX_SIZE {
            return Err(CryptoError::Refused);
        }
        Ok(RootHash::new(self.root.0.into(), self.size))
    }

    /// Whether record `index` (from 0) of the log is this one.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn includes(&self, index: u64, record: &[u8], path: &[Digest32]) -> Result<()> {
        let proof =
            InclusionProof::<Sha256>::try_from_bytes(joined(path)).map_err(|_| CryptoError::Refused)?;
        self.root_hash()?.verify_inclusion(&record, index, &proof).map_err(|_| CryptoError::Refused)
    }

    /// Whether the log of `old` is the beginning of this one.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn extends(&self, old: &Self, path: &[Digest32]) -> Result<()> {
        if old.size == 0 {
            return Err(CryptoError::Refused);
        }
        let proof =
            ConsistencyProof::<Sha256>::try_from_bytes(joined(path)).map_err(|_| CryptoError::Refused)?;
        self.root_hash()?.verify_consistency(&old.root_hash()?, &proof).map_err(|_| CryptoError::Refused)
    }
}

fn joined(path: &[Digest32]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
