//! The giver's word to a taker: what of an entry they may send, to which inbox, and on which version.

use ocmt_types::ShareId;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::{Acts, Basis};

const VERSION: u8 = 1;
pub(crate) const WRITE_GRANT: Purpose = Purpose::new("write grant");

/// Exists only verified, or made by its giver. It is renewed when a version is filed; what ends it is the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteGrant {
    /// Of which share.
    pub share: ShareId,
    /// The present version of the entry: the next one follows it.
    pub basis: Basis,
    /// What may be sent.
    pub acts: Acts,
    /// The vault's inbox, which it is sealed to. A node that put its own here would read what is written.
    pub inbox: SealPublicKey,
    /// Whose signature is taken.
    pub taker: VerifyKey,
}

impl WriteGrant {
    /// Bytes of every one.
    pub const LEN: usize = 6 + 16 + 72 + 32 + 1 + 32 + 32 + 64;

    /// Signs it, as the giver.
    pub fn sign(&self, giver: &SigningKey) -> Vec<u8> {
        let mut out = Writer::object(Kind::WRITE_GRANT, VERSION);
        out.id(self.share);
        self.basis.write(&mut out);
        out.u8(self.acts.to_byte()).fixed(&self.inbox.0).fixed(&self.taker.0);
        let signature = giver.sign(WRITE_GRANT, out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// Verifies one of this giver.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged or damaged.
    pub fn open(bytes: &[u8], giver: &VerifyKey) -> Result<Self> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        giver.verify(WRITE_GRANT, body, &Signature(*signature))?;
        let mut reader = Reader::object(body, Kind::WRITE_GRANT, VERSION)?;
        let grant = Self {
            share: reader.id()?,
            basis: Basis::read(&mut reader)?,
            acts: Acts::from_byte(reader.u8()?)?,
            inbox: SealPublicKey(reader.array()?),
            taker: VerifyKey(reader.array()?),
        };
        reader.finish()?;
        Ok(grant)
    }
}
