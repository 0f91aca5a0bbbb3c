//! Shares that may write: the giver's word to the taker ([`WriteGrant`]), and what the taker sends ([`SharedWrite`]).
//!
//! A taker holds no key of the vault. What they write is sealed to the vault's inbox and signed by their own identity
//! key; the owner's device files it, if the vault's ledger ([`crate::unlock::Ledger`]) says that this very share may
//! write this very entry. Both are bound to tenant, vault, share, entry and the version that they follow, so that a node
//! can neither make one nor put one in another's place.

mod grant;
#[cfg(test)]
mod tests;
mod write;

use ocmt_types::Digest32;

#[cfg(any(test, fuzzing))]
pub(crate) use self::{grant::WRITE_GRANT, write::SHARED_WRITE};
pub use grant::WriteGrant;
pub use write::{MAX_SEALED, MAX_SEQUENCE, SharedAct, SharedPlace, SharedWrite};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::{ObjectPlace, VaultScope},
    object::VaultObject,
};

/// The version of an entry that something follows: by its number, and by the hash of its body, since an entry that is
/// deleted and written again begins at version 1 anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// Which version of which entry.
    pub place: ObjectPlace,
    /// SHA-256 of its body, as in the manifest.
    pub body_hash: Digest32,
}

impl Basis {
    /// That of an object as it is stored.
    pub fn of(scope: VaultScope, object: &VaultObject) -> Self {
        Self { place: object.place(scope), body_hash: object.leaf().body_hash }
    }

    fn write(&self, out: &mut Writer) {
        out.fixed(&self.place.context()).fixed(&self.body_hash.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let scope = VaultScope { tenant: reader.id()?, vault: reader.id()? };
        let place = ObjectPlace { scope, object: Digest32(reader.array()?), version: reader.u64()? };
        Ok(Self { place, body_hash: Digest32(reader.array()?) })
    }
}

/// What a share may do to its entry beside reading. At least one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acts {
    /// Send new versions.
    pub write: bool,
    /// Ask for its end.
    pub delete: bool,
}

impl Acts {
    pub(crate) fn to_byte(self) -> u8 {
        u8::from(self.write) | (u8::from(self.delete) << 1)
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            1..=3 => Ok(Self { write: byte & 1 != 0, delete: byte & 2 != 0 }),
            _ => Err(CryptoError::Refused),
        }
    }

    /// Whether this one is among them.
    pub fn allow(self, act: &SharedAct) -> bool {
        match act {
            SharedAct::Put(_) => self.write,
            SharedAct::Delete => self.delete,
        }
    }
}
