//! What stands in clear beside a slot's locked half, and the key it leads to.

use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::SlotKind;
use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::secret_array,
    kdf::{Cost, Stretch},
};

/// What stands in clear beside the locked half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lock {
    Stretched(Stretch),
    Hardware([u8; 32], Stretch),
    Recovery([u8; 32]),
    Member,
}

impl Lock {
    /// The same lock with a fresh salt under greater costs; none if it has `least` already, or stretches
    /// nothing.
    pub(super) fn strengthened(&self, least: Cost, rng: &mut impl CryptoRng) -> Option<Self> {
        let mut fresh = |old: &Stretch| {
            let cost = old.cost().at_least(least);
            (cost != old.cost()).then(|| Stretch::generate(cost, rng))
        };
        match self {
            Self::Stretched(stretch) => fresh(stretch).map(Self::Stretched),
            Self::Hardware(challenge, stretch) => {
                fresh(stretch).map(|stretch| Self::Hardware(*challenge, stretch))
            }
            Self::Recovery(_) | Self::Member => None,
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        match self {
            Self::Stretched(stretch) => stretch.write(out),
            Self::Hardware(challenge, stretch) => {
                out.fixed(challenge);
                stretch.write(out);
            }
            Self::Recovery(salt) => {
                out.fixed(salt);
            }
            Self::Member => {}
        }
    }

    pub(super) fn read(kind: SlotKind, reader: &mut Reader<'_>) -> Result<Self> {
        match kind {
            SlotKind::Passphrase | SlotKind::Backup => Stretch::read(reader).map(Self::Stretched),
            SlotKind::Hardware => Ok(Self::Hardware(reader.array()?, Stretch::read(reader)?)),
            SlotKind::Recovery => Ok(Self::Recovery(reader.array()?)),
            SlotKind::Member => Ok(Self::Member),
        }
    }

    /// The key that locks the half: stretched where people keep the secret, then bound to its slot by
    /// HKDF-SHA256.
    pub(super) fn key(&self, place: &[u8], secret: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        let (salt, stretched) = match self {
            Self::Stretched(stretch) | Self::Hardware(_, stretch) => ([0; 32], stretch.derive(secret)?),
            Self::Recovery(salt) => (*salt, secret_array(secret)?),
            Self::Member => return Err(CryptoError::Refused),
        };
        let info = [b"OCMT slot lock v1\0", place].concat();
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(&salt), stretched.as_slice())
            .expand(&info, key.as_mut_slice())
            .map_err(|_| CryptoError::Refused)?;
        Ok(key)
    }
}
