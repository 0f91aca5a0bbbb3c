//! The audit of a tenant: read in whole, checked record by record, kept as a file that anybody can check.
//!
//! A file is JSON lines, one record each, for reading and for proof: the canonical bytes are what the
//! chain is over, and a line whose readable part says anything else than those bytes is refused.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ocmt_crypto::audit::{Actor, AuditRecord, ChainVerifier, Outcome};
use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError};

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
}

impl Client {
    /// All records that the caller may read, newest last, as the node tells them: not verified.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_lines(&self) -> Result<Vec<Line>, ClientError> {
        let tenant = self.identity()?.tenant;
        let (mut lines, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                pb::QueryAuditRequest { filter: None, page_size: PAGE, page_token, ascending: true };
            let page = self.audit().query_audit(request).await?.into_inner();
            for record in &page.records {
                lines.push(line(tenant, record)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(lines);
            }
            page_token = page.next_page_token;
        }
    }
}

/// Walks a whole audit from its first record; where it ends.
///
/// # Errors
/// [`BadAudit`] naming the first bad record.
pub fn verify(tenant: TenantId, lines: &[Line]) -> Result<Head, BadAudit> {
    let mut chain = ChainVerifier::new(tenant);
    for line in lines {
        let expected = chain.position().0 + 1;
        let bad = || BadAudit::Record(expected);
        let canonical = BASE64.decode(line.canonical.as_bytes()).map_err(|_| bad())?;
        let hash = HEXLOWER.decode(line.hash.as_bytes()).map_err(|_| bad())?;
        let hash = Digest32::try_from(hash.as_slice()).map_err(|_| bad())?;
        let record =
            chain.next(line.seq, &canonical, &hash).map_err(|broken| BadAudit::Record(broken.seq))?;
        if tell(line.seq, &record, &canonical, &hash) != *line {
            return Err(BadAudit::Retold(expected));
        }
    }
    let (seq, hash) = chain.position();
    Ok(Head { tenant, seq, hash })
}

/// Reads an export; its tenant is that of its first record.
///
/// # Errors
/// [`BadAudit::Line`].
pub fn read_export(text: &str) -> Result<Vec<Line>, BadAudit> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).map_err(|_| BadAudit::Line(at + 1))).collect()
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
fn tell(seq: u64, record: &AuditRecord, canonical: &[u8], hash: &Digest32) -> Line {
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::audit::{chain, genesis};
    use ocmt_types::Id as _;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::from_bytes([1; 16])
    }

    /// An audit of `n` records.
    fn audit(n: u64) -> Vec<Line> {
        let mut hash = genesis(tenant());
        (1..=n)
            .map(|seq| {
                let record = AuditRecord {
                    tenant: tenant(),
                    at: Timestamp(i64::try_from(seq).unwrap()),
                    request: ocmt_types::RequestId::from_bytes([2; 16]),
                    actor: Actor::User(ocmt_types::UserId::from_bytes([3; 16])),
                    action: "vault.put".to_owned(),
                    object: format!("vault/{seq}"),
                    outcome: Outcome::Allowed,
                    details: vec![("n".to_owned(), seq.to_string())],
                };
                let bytes = record.to_bytes().unwrap();
                hash = chain(&hash, seq, &bytes);
                tell(seq, &record, &bytes, &hash)
            })
            .collect()
    }

    #[test]
    fn an_export_that_was_read_back_verifies_and_ends_at_its_head() {
        let lines = read_export(&to_export(&audit(5)).unwrap()).unwrap();
        let head = verify(tenant(), &lines).unwrap();
        assert_eq!((head.seq, head.hash.to_string()), (5, lines[4].hash.clone()));
        assert_eq!(verify(tenant(), &[]).unwrap().seq, 0);
    }

    #[test]
    fn the_first_bad_record_is_named() {
        let missing = [audit(5)[..2].to_vec(), audit(5)[3..].to_vec()].concat();
        assert_eq!(verify(tenant(), &missing), Err(BadAudit::Record(3)));
        let mut swapped = audit(5);
        swapped.swap(1, 2);
        assert_eq!(verify(tenant(), &swapped), Err(BadAudit::Record(2)));
        let mut changed = audit(5);
        changed[3].canonical = audit(4)[0].canonical.clone();
        assert_eq!(verify(tenant(), &changed), Err(BadAudit::Record(4)));
        assert_eq!(verify(TenantId::from_bytes([9; 16]), &audit(2)), Err(BadAudit::Record(1)));
    }

    #[test]
    fn a_readable_part_that_tells_another_story_is_refused() {
        let mut retold = audit(3);
        retold[1].action = "vault.read".to_owned();
        assert_eq!(verify(tenant(), &retold), Err(BadAudit::Retold(2)));
        assert_eq!(read_export("{}\n"), Err(BadAudit::Line(1)));
    }
}
