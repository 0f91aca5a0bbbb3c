//! What a taker sends: a new value sealed to the vault's inbox, or the wish that the entry ends.

use ocmt_types::ShareId;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    entry::MAX_VALUE,
    kind::Kind,
    seal::{self, SealPublicKey, SealSecretKey},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::Basis;

const VERSION: u8 = 1;
const INFO: &[u8] = b"OCMT shared write v1";
pub(crate) const SHARED_WRITE: Purpose = Purpose::new("shared write");
const PUT: u8 = 1;
const DELETE: u8 = 2;
/// Sequences of one entry of one share are below this: a bound that the ledger stands on.
pub const MAX_SEQUENCE: u64 = 65_536;
/// Bytes of the longest one.
pub const MAX_SEALED: usize = HEAD + 4 + MAX_VALUE + seal::OVERHEAD + 64;
const HEAD: usize = 6 + 16 + 72 + 32 + 8 + 1;

/// Where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedPlace {
    /// By which share.
    pub share: ShareId,
    /// The version of the entry that it follows.
    pub basis: Basis,
    /// Counts what one share sends of one entry, from 0.
    pub sequence: u64,
}

/// What is to happen to the entry.
pub enum SharedAct {
    /// It gets this value. Its name stays, which the taker need not know.
    Put(Zeroizing<Vec<u8>>),
    /// It ends.
    Delete,
}

/// What a taker sent, verified, and not opened: what a node sees of it.
pub struct SharedWrite<'a> {
    /// Where it belongs.
    pub place: SharedPlace,
    /// Whether it asks for the end of the entry.
    pub is_delete: bool,
    head: &'a [u8],
    sealed: &'a [u8],
}

impl SharedPlace {
    /// Where one says that it belongs, to look its taker up. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is none.
    pub fn claimed(bytes: &[u8]) -> Result<Self> {
        Self::read(&mut Reader::object(bytes, Kind::SHARED_WRITE, VERSION)?)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let place = Self { share: reader.id()?, basis: Basis::read(reader)?, sequence: reader.u64()? };
        if place.sequence < MAX_SEQUENCE { Ok(place) } else { Err(CryptoError::Refused) }
    }
}

impl<'a> SharedWrite<'a> {
    /// The taker's side.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for a value over 64 KiB; [`CryptoError::OutOfRange`] past [`MAX_SEQUENCE`].
    pub fn seal(
        place: &SharedPlace,
        act: &SharedAct,
        inbox: &SealPublicKey,
        taker: &SigningKey,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        if place.sequence >= MAX_SEQUENCE {
            let rule = "below 65,536: have the share given anew";
            return Err(CryptoError::OutOfRange { what: "number of versions sent by one share", rule });
        }
        let mut out = Writer::object(Kind::SHARED_WRITE, VERSION);
        out.id(place.share);
        place.basis.write(&mut out);
        out.u64(place.sequence);
        match act {
            SharedAct::Put(value) if value.len() > MAX_VALUE => {
                return Err(CryptoError::TooLarge { what: "value, in bytes", max: MAX_VALUE as u64 });
            }
            SharedAct::Put(value) => {
                out.u8(PUT);
                let sealed = seal::seal(inbox, INFO, out.as_bytes(), value, rng)?;
                out.var(&sealed);
            }
            SharedAct::Delete => {
                out.u8(DELETE).var(&[]);
            }
        }
        let signature = taker.sign(SHARED_WRITE, out.as_bytes());
        out.fixed(&signature.0);
        Ok(out.into_vec())
    }

    /// Verifies that `taker` sent it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged or damaged.
    pub fn verify(bytes: &'a [u8], taker: &VerifyKey) -> Result<Self> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        taker.verify(SHARED_WRITE, body, &Signature(*signature))?;
        let mut reader = Reader::object(body, Kind::SHARED_WRITE, VERSION)?;
        let (place, act) = (SharedPlace::read(&mut reader)?, reader.u8()?);
        let head = body.get(..body.len() - reader.remaining()).ok_or(CryptoError::Refused)?;
        let sealed = reader.var(MAX_VALUE + seal::OVERHEAD)?;
        reader.finish()?;
        let lawful = match act {
            PUT => sealed.len() >= seal::OVERHEAD,
            DELETE => sealed.is_empty(),
            _ => false,
        };
        if lawful {
            Ok(Self { place, is_delete: act == DELETE, head, sealed })
        } else {
            Err(CryptoError::Refused)
        }
    }

    /// What it says, for whoever has the vault's inbox.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was sealed to another.
    pub fn open(&self, inbox: &SealSecretKey) -> Result<SharedAct> {
        if self.is_delete {
            return Ok(SharedAct::Delete);
        }
        seal::open(inbox, INFO, self.head, self.sealed).map(SharedAct::Put)
    }
}
