//! What agents may do, as a node states it, and how a cell knows that its host stands behind the node that says so.
//!
//! The policy itself is a document that the workload reads, too long for a statement: the statement holds its hash. A node
//! signs it with its identity key ([`AgentPolicyStatement`]), so that a user's client can hold it against the node's
//! certificate. A cell knows no certificates; it knows its start secret, and its host *vouches* with that for the key that
//! signs ([`PolicyAuthority`]). So neither who stands between host and cell, nor who has another key of a node, sets a policy.

use ocmt_types::{ContainerId, Digest32, NodeId, TenantId, Timestamp, UserId};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    mac,
    sign::{Purpose, Signature, VerifyKey},
};

use super::{CellPlace, StartSecret};

const VERSION: u8 = 1;
pub(crate) const PURPOSE: Purpose = Purpose::new("agent policy");

/// Longest document, in bytes.
pub const MAX_POLICY_DOCUMENT: usize = 512 * 1024;

/// Bytes with which a host vouches for a key.
pub const VOUCHER: usize = mac::LEN;

/// The policy that a node says holds. Exists only verified or freshly made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentPolicyStatement {
    /// Of which tenant.
    pub tenant: TenantId,
    /// For whose agents; none for what holds for the tenant as a whole.
    pub user: Option<UserId>,
    /// For the cell of this container alone; none in what people are shown.
    pub container: Option<ContainerId>,
    /// Goes up with every change of what it is made of.
    pub version: u64,
    /// SHA-256 of the document.
    pub digest: Digest32,
    /// When it was signed.
    pub stated_at: Timestamp,
    /// By whom.
    pub node: NodeId,
}

impl AgentPolicyStatement {
    /// Signs it: `sign` signs with the node's identity key.
    pub fn sign_by(&self, sign: impl FnOnce(Purpose, &[u8]) -> Signature) -> Vec<u8> {
        let mut out = Writer::object(Kind::AGENT_POLICY, VERSION);
        out.id(self.tenant);
        out.option(self.user, |out, user| {
            out.id(user);
        });
        out.option(self.container, |out, container| {
            out.id(container);
        });
        out.u64(self.version).fixed(&self.digest.0).i64(self.stated_at.0).id(self.node);
        let signature = sign(PURPOSE, out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// Verifies it under the node's key, and that it is of this document.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(bytes: &[u8], node_key: &VerifyKey, document: &[u8]) -> Result<Self> {
        let (statement, body, signature) = Self::parse(bytes)?;
        node_key.verify(PURPOSE, body, &signature)?;
        if statement.digest == digest_of(document) { Ok(statement) } else { Err(CryptoError::Refused) }
    }

    /// The node that it says it is from, to look its certificate up. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no statement.
    pub fn claimed_node(bytes: &[u8]) -> Result<NodeId> {
        Self::parse(bytes).map(|(statement, ..)| statement.node)
    }

    fn parse(bytes: &[u8]) -> Result<(Self, &[u8], Signature)> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::AGENT_POLICY, VERSION)?;
        let statement = Self {
            tenant: reader.id()?,
            user: reader.option(Reader::id)?,
            container: reader.option(Reader::id)?,
            version: reader.u64()?,
            digest: Digest32(reader.array()?),
            stated_at: Timestamp(reader.i64()?),
            node: reader.id()?,
        };
        reader.finish()?;
        Ok((statement, body, Signature(*signature)))
    }
}

/// The hash that a statement holds of its document.
pub fn digest_of(document: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(document).into())
}

/// A document on its way to a cell.
#[derive(Debug, Clone, Copy)]
pub struct DeliveredPolicy<'a> {
    /// What the workload reads.
    pub document: &'a [u8],
    /// [`AgentPolicyStatement::sign_by`].
    pub statement: &'a [u8],
    /// The key that signed it.
    pub signer: VerifyKey,
    /// [`PolicyAuthority::vouch`] for that key.
    pub voucher: &'a [u8],
}

/// What the start secret says of policies: on both sides of it, for one start of one cell.
pub struct PolicyAuthority {
    place: CellPlace,
    key: Zeroizing<[u8; 32]>,
}

impl PolicyAuthority {
    /// Of the cell that was started with `start` as `place`.
    ///
    /// # Errors
    /// None in practice.
    pub fn of(start: &StartSecret, place: CellPlace) -> Result<Self> {
        Ok(Self { place, key: start.policy_key()? })
    }

    /// The host's side: this key signs policies for the cell.
    pub fn vouch(&self, signer: &VerifyKey) -> [u8; VOUCHER] {
        mac::tag(&self.key, self.vouched(signer).as_bytes())
    }

    /// The cell's side: the statement, if the host vouches for who signed it and it is of this cell.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(&self, delivered: &DeliveredPolicy<'_>) -> Result<AgentPolicyStatement> {
        mac::check(&self.key, self.vouched(&delivered.signer).as_bytes(), delivered.voucher)?;
        if delivered.document.len() > MAX_POLICY_DOCUMENT {
            return Err(CryptoError::Refused);
        }
        let stated =
            AgentPolicyStatement::verify(delivered.statement, &delivered.signer, delivered.document)?;
        let ours = stated.tenant == self.place.tenant && stated.container == Some(self.place.container);
        if ours { Ok(stated) } else { Err(CryptoError::Refused) }
    }

    fn vouched(&self, signer: &VerifyKey) -> Writer {
        let mut out = Writer::object(Kind::POLICY_SIGNER, VERSION);
        self.place.write(&mut out);
        out.fixed(&signer.0);
        out
    }
}

/// What a statement is to whoever has seen others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// The newest so far.
    Newer,
    /// What holds already.
    Same,
    /// One that is over.
    Older,
}

/// The newest policy that somebody has seen: what was before it does not come back.
///
/// The version decides. Under one version two nodes may say something else where a tenant has set nothing and their
/// configurations differ: then what was signed later holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewestPolicy(Option<(u64, Timestamp, Digest32)>);

impl NewestPolicy {
    /// Takes a statement that was verified, if it is not an older one.
    pub fn take(&mut self, stated: &AgentPolicyStatement) -> Standing {
        let (version, at, digest) = (stated.version, stated.stated_at, stated.digest);
        match self.0 {
            Some((held, _, same)) if (held, same) == (version, digest) => Standing::Same,
            Some((held, since, _)) if (held, since) >= (version, at) => Standing::Older,
            _ => {
                self.0 = Some((version, at, digest));
                Standing::Newer
            }
        }
    }

    /// Its version; none before the first.
    pub fn version(&self) -> Option<u64> {
        self.0.map(|(version, ..)| version)
    }
}
