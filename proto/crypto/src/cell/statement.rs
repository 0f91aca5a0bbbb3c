//! What a host states of a cell's key, under its node identity key.

use ocmt_types::{ContainerId, NodeId, TenantId, Timestamp, UnlockId};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::{CellKeyOffer, CellPlace};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("cell key");

/// A cell's key that a host vouches for. Exists only verified or freshly made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellKeyStatement {
    offer: CellKeyOffer,
    node: NodeId,
}

/// What a client knows of the cell before it asks for its key.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedCell {
    /// The tenant.
    pub tenant: TenantId,
    /// The container.
    pub container: ContainerId,
    /// The node pinned for the container in the manifest.
    pub node: NodeId,
    /// Now, by the client's clock.
    pub now: Timestamp,
}

impl CellKeyStatement {
    /// The host's side: states an offer that [`CellKeyOffer::open`] has checked, and signs it.
    pub fn sign(offer: &CellKeyOffer, node: NodeId, identity: &SigningKey) -> Vec<u8> {
        Self::sign_by(offer, node, |purpose, message| identity.sign(purpose, message))
    }

    /// The same where the identity key is behind a face of its own: `sign` signs with it.
    pub fn sign_by(
        offer: &CellKeyOffer,
        node: NodeId,
        sign: impl FnOnce(Purpose, &[u8]) -> Signature,
    ) -> Vec<u8> {
        let mut out = Writer::object(Kind::CELL_KEY, VERSION);
        offer.write(&mut out);
        out.id(node);
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

    /// The cell and the key that it is of. Not verified: for a node that stores it for those who verify.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no statement.
    pub fn claimed(bytes: &[u8]) -> Result<(CellPlace, SealPublicKey)> {
        Self::parse(bytes).map(|(statement, ..)| (statement.offer.place, statement.offer.key))
    }

    /// The client's side: verifies under the key of the expected node's certificate.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, of another cell or node, or over.
    pub fn verify(bytes: &[u8], node_key: &VerifyKey, expected: &ExpectedCell) -> Result<Self> {
        let (statement, body, signature) = Self::parse(bytes)?;
        node_key.verify(PURPOSE, body, &signature)?;
        let place = statement.offer.place;
        let meant = place.tenant == expected.tenant
            && place.container == expected.container
            && statement.node == expected.node
            && expected.now < statement.offer.expires;
        if meant { Ok(statement) } else { Err(CryptoError::Refused) }
    }

    /// Which cell.
    pub fn place(&self) -> CellPlace {
        self.offer.place
    }

    /// 32 random bytes of this start of the cell.
    pub fn boot_nonce(&self) -> &[u8; 32] {
        &self.offer.boot_nonce
    }

    /// The key to seal the payload to and to open channels with.
    pub fn key(&self) -> &SealPublicKey {
        &self.offer.key
    }

    /// When the statement is over.
    pub fn expires(&self) -> Timestamp {
        self.offer.expires
    }

    /// The unlock that the cell is in; `None` while it is locked.
    pub fn unlock(&self) -> Option<UnlockId> {
        self.offer.unlock
    }

    /// The host.
    pub fn node(&self) -> NodeId {
        self.node
    }

    fn parse(bytes: &[u8]) -> Result<(Self, &[u8], Signature)> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::CELL_KEY, VERSION)?;
        let statement = Self { offer: CellKeyOffer::read(&mut reader)?, node: reader.id()? };
        reader.finish()?;
        Ok((statement, body, Signature(*signature)))
    }
}
