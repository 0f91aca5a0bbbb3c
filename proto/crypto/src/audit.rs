//! Audit records: canonical bytes, the hash chain of a tenant, and signed heads.
//!
//! The chain shows an edited, moved, doubled or missing record; a cut tail it cannot show, so heads are
//! signed and kept elsewhere. The place (`seq`) is in the chain's hash and not in the record, so that a
//! record's bytes are ready before the store gives it its place:
//!
//! ```text
//! hash(0)   = SHA-256("OCMT audit genesis v1" ‖ 0x00 ‖ tenant)
//! hash(seq) = SHA-256("OCMT audit chain v1" ‖ 0x00 ‖ hash(seq - 1) ‖ seq u64 ‖ record bytes)
//! ```

pub mod checkpoint;
pub mod cut;
pub mod introduction;

use ocmt_types::{ContainerId, Digest32, NodeId, RequestId, TenantId, Timestamp, UserId};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const VERSION: u8 = 1;
const HEAD: Purpose = Purpose::new("audit head");
/// Most details of one record.
pub const MAX_DETAILS: usize = 16;
/// Bytes of an action, and of a detail's name.
pub const MAX_NAME: usize = 64;
/// Bytes of an object, and of a detail.
pub const MAX_TEXT: usize = 512;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Nobody signed in.
    Anonymous,
    /// A user.
    User(UserId),
    /// A container.
    Container(ContainerId),
    /// An operator of the cluster, by the first 16 bytes of SHA-256 of the certificate.
    Operator([u8; 16]),
    /// A node, of itself (timers, reconciliation).
    Node(NodeId),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Allowed,
    /// Refused for want of authority.
    Denied,
    /// Allowed, and failed.
    Failed,
}

/// One audited act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// In which tenant.
    pub tenant: TenantId,
    /// When.
    pub at: Timestamp,
    /// In which request.
    pub request: RequestId,
    /// Who.
    pub actor: Actor,
    /// What, as `area.verb`; at most 64 bytes.
    pub action: String,
    /// Upon what, as `kind/id`; at most 512 bytes, empty if upon nothing.
    pub object: String,
    /// How it ended.
    pub outcome: Outcome,
    /// More, as names (at most 64 bytes) and values (at most 512): at most 16. Never a secret.
    pub details: Vec<(String, String)>,
}

impl AuditRecord {
    /// Canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        check("audit action, in bytes", self.action.len(), MAX_NAME)?;
        check("audit object, in bytes", self.object.len(), MAX_TEXT)?;
        check("audit details", self.details.len(), MAX_DETAILS)?;
        let mut out = Writer::object(Kind::AUDIT_RECORD, VERSION);
        out.id(self.tenant).i64(self.at.0).id(self.request);
        match self.actor {
            Actor::Anonymous => out.u8(0),
            Actor::User(id) => out.u8(1).id(id),
            Actor::Container(id) => out.u8(2).id(id),
            Actor::Operator(id) => out.u8(3).fixed(&id),
            Actor::Node(id) => out.u8(4).id(id),
        };
        out.var(self.action.as_bytes()).var(self.object.as_bytes());
        out.u8(match self.outcome {
            Outcome::Allowed => 0,
            Outcome::Denied => 1,
            Outcome::Failed => 2,
        });
        out.count(self.details.len());
        for (name, value) in &self.details {
            check("audit detail's name, in bytes", name.len(), MAX_NAME)?;
            check("audit detail, in bytes", value.len(), MAX_TEXT)?;
            out.var(name.as_bytes()).var(value.as_bytes());
        }
        Ok(out.into_vec())
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::AUDIT_RECORD, VERSION)?;
        let (tenant, at, request) = (reader.id()?, Timestamp(reader.i64()?), reader.id()?);
        let actor = match reader.u8()? {
            0 => Actor::Anonymous,
            1 => Actor::User(reader.id()?),
            2 => Actor::Container(reader.id()?),
            3 => Actor::Operator(reader.array()?),
            4 => Actor::Node(reader.id()?),
            _ => return Err(CryptoError::Refused),
        };
        let (action, object) = (reader.text(MAX_NAME)?.to_owned(), reader.text(MAX_TEXT)?.to_owned());
        let outcome = match reader.u8()? {
            0 => Outcome::Allowed,
            1 => Outcome::Denied,
            2 => Outcome::Failed,
            _ => return Err(CryptoError::Refused),
        };
        let details = (0..reader.count(MAX_DETAILS, 8)?)
            .map(|_| Ok((reader.text(MAX_NAME)?.to_owned(), reader.text(MAX_TEXT)?.to_owned())))
            .collect::<Result<_>>()?;
        reader.finish()?;
        Ok(Self { tenant, at, request, actor, action, object, outcome, details })
    }
}

/// The hash before a tenant's first record.
pub fn genesis(tenant: TenantId) -> Digest32 {
    Digest32(
        Sha256::new()
            .chain_update(b"OCMT audit genesis v1\0")
            .chain_update(tenant.as_bytes())
            .finalize()
            .into(),
    )
}

/// The hash of the record at `seq` (from 1), whose predecessor has the hash `previous`.
pub fn chain(previous: &Digest32, seq: u64, record: &[u8]) -> Digest32 {
    let hash = Sha256::new().chain_update(b"OCMT audit chain v1\0").chain_update(previous.0);
    Digest32(hash.chain_update(seq.to_be_bytes()).chain_update(record).finalize().into())
}

/// A record that does not fit where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("audit record {seq} does not follow from the one before it")]
pub struct BrokenAt {
    /// Its place.
    pub seq: u64,
}

/// Walks a tenant's records in order and names the first bad one.
#[derive(Debug, Clone)]
pub struct ChainVerifier {
    tenant: TenantId,
    seq: u64,
    hash: Digest32,
}

impl ChainVerifier {
    /// From the tenant's first record on.
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, seq: 0, hash: genesis(tenant) }
    }

    /// From after a head known to be good.
    pub const fn after(head: &AuditHead) -> Self {
        Self { tenant: head.tenant, seq: head.seq, hash: head.hash }
    }

    /// Takes the next record with the place and hash stored beside it.
    ///
    /// # Errors
    /// [`BrokenAt`] with the place expected.
    pub fn next(
        &mut self,
        seq: u64,
        record: &[u8],
        stored: &Digest32,
    ) -> std::result::Result<AuditRecord, BrokenAt> {
        let broken = BrokenAt { seq: self.seq + 1 };
        let parsed = AuditRecord::from_bytes(record).map_err(|_| broken)?;
        let hash = chain(&self.hash, broken.seq, record);
        if seq != broken.seq || hash != *stored || parsed.tenant != self.tenant {
            return Err(broken);
        }
        (self.seq, self.hash) = (seq, hash);
        Ok(parsed)
    }

    /// Whether what was walked ends at or reaches beyond `head`: false shows a cut tail when `head` is
    /// the newest that was kept elsewhere.
    pub fn reaches(&self, head: &AuditHead) -> bool {
        self.seq > head.seq || (self.seq == head.seq && self.hash == head.hash)
    }

    /// The place and hash of the last record taken.
    pub const fn position(&self) -> (u64, Digest32) {
        (self.seq, self.hash)
    }
}

/// How far a tenant's chain had come at a time; signed by a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Whose chain.
    pub tenant: TenantId,
    /// Place of its last record, 0 if there is none.
    pub seq: u64,
    /// Hash of its last record.
    pub hash: Digest32,
    /// When it was signed.
    pub at: Timestamp,
}

impl AuditHead {
    fn message(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        out.id(self.tenant).u64(self.seq).fixed(&self.hash.0).i64(self.at.0);
        out.into_vec()
    }

    /// Signs it with a node's identity key.
    pub fn sign(&self, node: &SigningKey) -> Signature {
        node.sign(HEAD, &self.message())
    }

    /// Verifies a node's signature of it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(&self, node: &VerifyKey, signature: &Signature) -> Result<()> {
        node.verify(HEAD, &self.message(), signature)
    }
}

fn check(what: &'static str, len: usize, max: usize) -> Result<()> {
    if len <= max { Ok(()) } else { Err(CryptoError::TooLarge { what, max: max as u64 }) }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
