//! The release key: made by the node that owns the tenant, stated under its node identity key.

use ocmt_types::{Digest32, NodeId};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("release key");

/// A release key that a node vouches for. Exists only verified or freshly made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseStatement {
    ceremony: Digest32,
    key: SealPublicKey,
    node: NodeId,
}

impl ReleaseStatement {
    /// The node's side: states the release key of a ceremony it has opened, and signs it.
    pub fn sign(ceremony: Digest32, key: SealPublicKey, node: NodeId, identity: &SigningKey) -> Vec<u8> {
        Self::sign_with(ceremony, key, node, |purpose, body| identity.sign(purpose, body))
    }

    /// The same where the identity key is kept elsewhere: `sign` signs for the purpose it is given.
    pub fn sign_with(
        ceremony: Digest32,
        key: SealPublicKey,
        node: NodeId,
        sign: impl FnOnce(Purpose, &[u8]) -> Signature,
    ) -> Vec<u8> {
        let mut out = Writer::object(Kind::RELEASE_STATEMENT, VERSION);
        out.fixed(&ceremony.0).fixed(&key.0).id(node);
        let signature = sign(PURPOSE, out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// The node that the statement says it is from, to look its certificate up. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no statement.
    pub fn claimed_node(bytes: &[u8]) -> Result<NodeId> {
        Self::parse(bytes).map(|(statement, ..)| statement.node)
    }

    /// The guardian's and the requester's side: verifies under the key of a node's certificate.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged or of another ceremony or node.
    pub fn verify(bytes: &[u8], node: NodeId, node_key: &VerifyKey, ceremony: &Digest32) -> Result<Self> {
        let (statement, body, signature) = Self::parse(bytes)?;
        node_key.verify(PURPOSE, body, &signature)?;
        if statement.node == node && statement.ceremony == *ceremony {
            Ok(statement)
        } else {
            Err(CryptoError::Refused)
        }
    }

    /// Of which ceremony.
    pub fn ceremony(&self) -> &Digest32 {
        &self.ceremony
    }

    /// The release key.
    pub fn key(&self) -> &SealPublicKey {
        &self.key
    }

    /// Of which node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    fn parse(bytes: &[u8]) -> Result<(Self, &[u8], Signature)> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::RELEASE_STATEMENT, VERSION)?;
        let statement = Self {
            ceremony: Digest32(reader.array()?),
            key: SealPublicKey(reader.array()?),
            node: reader.id()?,
        };
        reader.finish()?;
        Ok((statement, body, Signature(*signature)))
    }
}
