//! The audit of a tenant: read in whole, checked record by record, kept as a file that anybody can check.
//!
//! A file is JSON lines, one record each, for reading and for proof: the canonical bytes are what the
//! chain is over, and a line whose readable part says anything else than those bytes is refused.

mod checkpoint;
mod export;
mod pruned;
mod refusal;
mod retention;
mod stream;
mod watch;

use std::{collections::BTreeMap, fmt};

use data_encoding::{BASE64, HEXLOWER};
use ocmt_crypto::{
    audit::{Actor, AuditRecord, ChainVerifier, Outcome, checkpoint::Checkpoint, cut::Cut},
    merkle::leaf_hash,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{
    checkpoint::{KeptCheckpoint, Trust},
    export::{ExportFormat, ExportStream},
    pruned::{KeptCut, PrunedBy, PrunedPiece},
    refusal::{Refusal, Seen},
    retention::AuditRetention,
    stream::AuditStream,
    watch::AuditWatch,
};
use crate::{Client, ClientError, pages::Pages};

const PAGE: i32 = 500;

/// One line of an export, and one record of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Whose audit.
    pub tenant: TenantId,
    /// Place; the first is 1.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: Timestamp,
    /// Who: `user/…`, `container/…`, `operator/…`, `node/…` or `anonymous`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// Upon what.
    pub object: String,
    /// `allowed`, `denied` or `failed`.
    pub outcome: String,
    /// In which request.
    pub request: String,
    /// More of it.
    pub details: Vec<(String, String)>,
    /// Canonical bytes in base64.
    pub canonical: String,
    /// Chain hash up to and with this record, in hexadecimal.
    pub hash: String,
}

/// How far a chain has come: keep it elsewhere, and a later export that lacks its end shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Whose.
    pub tenant: TenantId,
    /// Place of the last record; 0 if there is none.
    pub seq: u64,
    /// Hash of the last record.
    #[serde(serialize_with = "crate::wire::as_text")]
    pub hash: Digest32,
}

/// What is wrong with an audit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAudit {
    /// The first record that does not follow from those before it: changed, moved, doubled or missing.
    #[error("record {0} is bad: it, or one before it, was changed, moved or taken out")]
    Record(u64),
    /// A record whose readable part says something else than what is proven.
    #[error("record {0} is bad: its readable part is not what was recorded")]
    Retold(u64),
    /// A line that is no record.
    #[error("line {0} is no audit record")]
    Line(usize),
    /// The end is missing: a signed checkpoint is of more records.
    #[error("record {first} is missing, and all behind it: a checkpoint was signed of {signed} records")]
    Cut {
        /// The first that is missing.
        first: u64,
        /// Records of the checkpoint.
        signed: u64,
    },
    /// All follows, but is not what was signed: the audit was made anew.
    #[error(
        "record {} or one behind it, up to {until}, is not what was recorded: the audit was made anew, and a signed checkpoint shows it", after + 1
    )]
    Remade {
        /// The last record that a checkpoint proves good.
        after: u64,
        /// The size of the first checkpoint that does not fit.
        until: u64,
    },
    /// Records are missing at the beginning, and nobody who is believed has signed that they were pruned as it stands there.
    #[error("records 1 to {0} are missing, and are not proven to have been pruned")]
    NotPruned(u64),
    /// The record that a pruning names as its policy is another.
    #[error("record {0} is bad: it is not the policy by which records were pruned")]
    Policy(u64),
    /// Another policy was set between the one that a pruning names and the pruning.
    #[error("record {0} is another policy, set before records were pruned by that of record {1}")]
    TakenBack(u64, u64),
    /// A checkpoint of another audit.
    #[error("a checkpoint is of another audit")]
    Foreign,
}

/// What a file of an audit holds.
#[derive(Debug, Clone, Default)]
pub struct Export {
    /// Records.
    pub lines: Vec<Line>,
    /// Signed heads: that which the file leads to, at its end.
    pub checkpoints: Vec<KeptCheckpoint>,
    /// What was pruned before the records.
    pub pruned: Vec<PrunedPiece>,
    /// The word of the node that pruned it.
    pub cut: Option<KeptCut>,
}

/// What an audit was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Where it ends.
    #[serde(flatten)]
    pub head: Head,
    /// The last record that a signed checkpoint proves; 0 if none does.
    pub proven: u64,
    /// What was pruned before the records; none if they are all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedBy>,
}

impl Client {
    /// All records that the caller may read, newest last, as the node tells them: not verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_lines(&self) -> Result<Vec<Line>, ClientError> {
        let tenant = self.identity()?.tenant;
        let (mut lines, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::QueryAuditRequest { filter: None, page_size: PAGE, page_token, ascending: true };
            let page = self.audit().query_audit(request).await?.into_inner();
            for record in &page.records {
                lines.push(line(tenant, record)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(lines);
            }
            page_token = page.next_page_token;
        }
    }
}

impl Client {
    /// A page of records that fit, newest first, and the token of the next; not verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_page(
        &self,
        filter: pb::AuditFilter,
        page_size: i32,
        page_token: String,
    ) -> Result<(Vec<Line>, String), ClientError> {
        let tenant = self.identity()?.tenant;
        let request = pb::QueryAuditRequest { filter: Some(filter), page_size, page_token, ascending: false };
        let page = self.audit().query_audit(request).await?.into_inner();
        let lines = page.records.iter().map(|record| line(tenant, record)).collect::<Result<_, _>>()?;
        Ok((lines, page.next_page_token))
    }
}

/// Walks a whole audit from its first record; where it ends.
///
/// # Errors
/// [`BadAudit`] naming the first bad record.
pub fn verify(tenant: TenantId, lines: &[Line]) -> Result<Head, BadAudit> {
    verify_against(tenant, lines, &[]).map(|verified| verified.head)
}

/// The same, and holds it against checkpoints whose signatures were proven: of those that were kept elsewhere, none can
/// be had for another audit.
///
/// # Errors
/// [`BadAudit`] naming the first bad record.
pub fn verify_against(
    tenant: TenantId,
    lines: &[Line],
    checkpoints: &[Checkpoint],
) -> Result<Verified, BadAudit> {
    walk(tenant, lines, &[], None, checkpoints)
}

/// The same of an export whose beginning may have been pruned, by a cut whose signature was proven.
///
/// # Errors
/// [`BadAudit`] naming the first bad record.
pub fn verify_export(
    tenant: TenantId,
    export: &Export,
    cut: Option<&Cut>,
    checkpoints: &[Checkpoint],
) -> Result<Verified, BadAudit> {
    walk(tenant, &export.lines, &export.pruned, cut, checkpoints)
}

fn walk(
    tenant: TenantId,
    lines: &[Line],
    before: &[PrunedPiece],
    cut: Option<&Cut>,
    checkpoints: &[Checkpoint],
) -> Result<Verified, BadAudit> {
    let mut signed: BTreeMap<u64, Vec<&Checkpoint>> = BTreeMap::new();
    for checkpoint in checkpoints {
        if checkpoint.tenant != tenant {
            return Err(BadAudit::Foreign);
        }
        signed.entry(checkpoint.tree.size).or_default().push(checkpoint);
    }
    let pruned::Beginning { mut chain, mut peaks, mut proven } =
        pruned::begin(tenant, before, cut, &mut signed)?;
    let mut standing = cut.map(pruned::Standing::of);
    for line in lines {
        let leaf = leaf_hash(&follow(&mut chain, line)?);
        peaks.push(leaf);
        let (size, hash) = chain.position();
        if cut.is_some_and(|cut| cut.policy == size && cut.policy_leaf != leaf) {
            return Err(BadAudit::Policy(size));
        }
        if let Some(standing) = &mut standing {
            standing.meets(line)?;
        }
        for checkpoint in signed.remove(&size).unwrap_or_default() {
            if checkpoint.tree.root != peaks.root() || checkpoint.chain != hash {
                return Err(BadAudit::Remade { after: proven, until: size });
            }
            proven = size;
        }
    }
    let (seq, hash) = chain.position();
    // the record of the policy is behind what was pruned by it
    match signed.into_keys().chain(cut.map(|cut| cut.policy)).find(|size| *size > seq) {
        Some(size) => Err(BadAudit::Cut { first: seq + 1, signed: size }),
        None => Ok(Verified { head: Head { tenant, seq, hash }, proven, pruned: cut.map(PrunedBy::of) }),
    }
}

/// Takes the next line in; its canonical bytes.
fn follow(chain: &mut ChainVerifier, line: &Line) -> Result<Vec<u8>, BadAudit> {
    let expected = chain.position().0 + 1;
    let bad = || BadAudit::Record(expected);
    let canonical = BASE64.decode(line.canonical.as_bytes()).map_err(|_| bad())?;
    let hash = HEXLOWER.decode(line.hash.as_bytes()).map_err(|_| bad())?;
    let hash = Digest32::try_from(hash.as_slice()).map_err(|_| bad())?;
    let record = chain.next(line.seq, &canonical, &hash).map_err(|broken| BadAudit::Record(broken.seq))?;
    if tell(line.seq, &record, &canonical, &hash) != *line {
        return Err(BadAudit::Retold(expected));
    }
    Ok(canonical)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FileLine {
    Record(Line),
    Checkpoint { checkpoint: KeptCheckpoint },
    Pruned { pruned: PrunedPiece },
    Cut { cut: KeptCut },
}

/// Reads an export, or a file of checkpoints.
///
/// # Errors
/// [`BadAudit::Line`]; [`BadAudit::Record`] for a record that its node could not read.
pub fn read_export(text: &str) -> Result<Export, BadAudit> {
    let mut export = Export::default();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(FileLine::Record(record)) => export.lines.push(record),
            Ok(FileLine::Checkpoint { checkpoint }) => export.checkpoints.push(checkpoint),
            Ok(FileLine::Pruned { pruned }) => export.pruned.push(pruned),
            Ok(FileLine::Cut { cut }) => export.cut = Some(cut),
            Err(_) => {
                let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
                let unreadable = value.filter(|value| value.get("unreadable").is_some());
                let seq = unreadable.and_then(|value| value.get("seq").and_then(serde_json::Value::as_u64));
                return Err(seq.map_or(BadAudit::Line(at + 1), BadAudit::Record));
            }
        }
    }
    Ok(export)
}

/// An export of these lines.
///
/// # Errors
/// None in practice.
pub fn to_export(lines: &[Line]) -> Result<String, ClientError> {
    let mut out = String::new();
    for line in lines {
        let json = serde_json::to_string(line).map_err(|_| ClientError::Answer("audit record"))?;
        out.push_str(&json);
        out.push('\n');
    }
    Ok(out)
}

fn line(tenant: TenantId, record: &pb::AuditRecord) -> Result<Line, ClientError> {
    let hash =
        Digest32::try_from(record.chain_hash.as_ref()).map_err(|_| ClientError::Answer("chain_hash"))?;
    let known = AuditRecord::from_bytes(&record.canonical).ok().filter(|known| known.tenant == tenant);
    let known = known.ok_or(ClientError::Answer("canonical"))?;
    Ok(tell(record.sequence, &known, &record.canonical, &hash))
}

/// A record in words, out of its canonical bytes alone.
pub fn tell(seq: u64, record: &AuditRecord, canonical: &[u8], hash: &Digest32) -> Line {
    Line {
        tenant: record.tenant,
        seq,
        at: record.at,
        actor: actor(&record.actor),
        action: record.action.clone(),
        object: record.object.clone(),
        outcome: match record.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        }
        .to_owned(),
        request: record.request.to_string(),
        details: record.details.clone(),
        canonical: BASE64.encode(canonical),
        hash: HEXLOWER.encode(&hash.0),
    }
}

fn actor(actor: &Actor) -> String {
    let named = |kind: &str, id: &dyn fmt::Display| format!("{kind}/{id}");
    match actor {
        Actor::Anonymous => "anonymous".to_owned(),
        Actor::User(id) => named("user", id),
        Actor::Container(id) => named("container", id),
        Actor::Operator(id) => named("operator", &HEXLOWER.encode(id)),
        Actor::Node(id) => named("node", id),
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
