//! What was pruned before the records of an export: the hashes of its leaves, and the word of the node that did it.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use ocmt_crypto::{
    audit::{AuditHead, ChainVerifier, checkpoint::Checkpoint, cut::Cut},
    merkle::log::Peaks,
};
use ocmt_types::{Digest32, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BadAudit, Line, Trust, checkpoint::signed_text};
use crate::ClientError;

/// The leaves of records that were pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedPiece {
    /// Whose audit.
    pub tenant: TenantId,
    /// The first record of it.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// The hashes of their leaves, 32 bytes each, in base64.
    pub leaves: String,
}

/// A signed cut with what shows whose key signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCut {
    /// The signed note.
    pub note: String,
    /// The signer's certificate and what is above it, DER in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// What was pruned, as it was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PrunedBy {
    /// The last record that was.
    pub last: u64,
    /// When.
    pub at: Timestamp,
    /// How long records are kept, in milliseconds.
    pub kept_ms: u64,
    /// The record that set this.
    pub policy: u64,
}

impl KeptCut {
    /// What is signed, if somebody has who is believed.
    ///
    /// # Errors
    /// [`ClientError::Crypto`], [`ClientError::Node`].
    pub fn prove(&self, trust: &Trust) -> Result<Cut, ClientError> {
        let (text, _) = self.note.split_once("\n\n").ok_or(ClientError::Answer("cut"))?;
        let claimed = Cut::parse(&format!("{text}\n"))?;
        Ok(Cut::parse(&signed_text(&self.note, &self.certificates, trust, claimed.at)?)?)
    }
}

impl PrunedBy {
    pub(super) fn of(cut: &Cut) -> Self {
        Self { last: cut.tree.size, at: cut.at, kept_ms: cut.kept_ms, policy: cut.policy }
    }
}

/// Where the walk through an export begins.
pub(super) struct Beginning {
    pub(super) chain: ChainVerifier,
    pub(super) peaks: Peaks,
    /// The last record that a checkpoint proves good.
    pub(super) proven: u64,
}

/// From the first record, or behind those that were pruned by a cut whose signature was proven. Heads of before the cut are
/// held against the leaves of what was pruned.
pub(super) fn begin(
    tenant: TenantId,
    pieces: &[PrunedPiece],
    cut: Option<&Cut>,
    signed: &mut BTreeMap<u64, Vec<&Checkpoint>>,
) -> Result<Beginning, BadAudit> {
    let mut peaks = Peaks::default();
    let Some(cut) = cut else {
        if let Some(piece) = pieces.last() {
            return Err(BadAudit::NotPruned(piece.to));
        }
        return Ok(Beginning { chain: ChainVerifier::new(tenant), peaks, proven: 0 });
    };
    let bad = || BadAudit::NotPruned(cut.tree.size);
    if cut.tenant != tenant {
        return Err(BadAudit::Foreign);
    }
    let mut proven = 0;
    for piece in pieces {
        let leaves = BASE64.decode(piece.leaves.as_bytes()).map_err(|_| bad())?;
        let (leaves, rest) = leaves.as_chunks::<32>();
        let last = peaks.size().saturating_add(leaves.len() as u64);
        if piece.tenant != tenant || piece.from != peaks.size() + 1 || piece.to != last || !rest.is_empty() {
            return Err(bad());
        }
        for leaf in leaves {
            peaks.push(Digest32(*leaf));
            let size = peaks.size();
            for head in signed.remove(&size).unwrap_or_default() {
                if head.tree.root != peaks.root() {
                    return Err(BadAudit::Remade { after: proven, until: size });
                }
                proven = size;
            }
        }
    }
    if peaks.size() != cut.tree.size || peaks.root() != cut.tree.root {
        return Err(bad());
    }
    let head = AuditHead { tenant, seq: cut.tree.size, hash: cut.chain, at: cut.at };
    Ok(Beginning { chain: ChainVerifier::after(&head), peaks, proven })
}

/// Whether the policy of a cut stood until records were pruned by it.
pub(super) struct Standing<'a> {
    cut: &'a Cut,
    is_pruned: bool,
}

impl<'a> Standing<'a> {
    pub(super) fn of(cut: &'a Cut) -> Self {
        Self { cut, is_pruned: false }
    }

    /// The next record, which was proven. A policy that was set behind the cut's, before the record that tells of the
    /// pruning, took it back.
    pub(super) fn meets(&mut self, line: &Line) -> Result<(), BadAudit> {
        if self.is_pruned || line.seq <= self.cut.policy || line.outcome != "allowed" {
            return Ok(());
        }
        if line.action == "AuditService/SetAuditRetention" {
            return Err(BadAudit::TakenBack(line.seq, self.cut.policy));
        }
        let last = self.cut.tree.size.to_string();
        self.is_pruned = line.action == "audit.pruned"
            && line.details.iter().any(|(name, to)| name == "to" && *to == last);
        Ok(())
    }
}

#[cfg(test)]
#[path = "pruned_tests.rs"]
mod tests;
