//! Vault objects: everything a vault stores, each version under a data key of its own.
//!
//! The body's plaintext starts with a head of its own (kind, version), so that a keyring is never taken
//! for an entry. A cell opens a body with the data key it was granted ([`open_body`]); a client through
//! the wrapped key ([`VaultObject::open`]).

use ocmt_types::{ContainerId, ConversationId, Digest32, Id, SnapshotId};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    envelope,
    kind::Kind,
    manifest::Leaf,
    plaintext::Plaintext,
};

const VERSION: u8 = 1;
/// The longest plaintext of a body, in bytes: a value of 64 KiB with its name and attributes.
pub const MAX_PLAINTEXT: usize = 64 * 1024 + 1024;
/// The longest body, in bytes.
pub const MAX_BODY: usize = MAX_PLAINTEXT + envelope::overhead(Kind::OBJECT_BODY);
/// Bytes of every wrapped key.
pub const WRAPPED_KEY_LEN: usize = 32 + envelope::overhead(Kind::WRAPPED_KEY);

/// One version of one object as it is stored: ciphertext, nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultObject {
    /// Which object.
    pub object_id: Digest32,
    /// Which version of it, from 1.
    pub version: u64,
    /// Its data key under the vault key: an envelope of [`WRAPPED_KEY_LEN`] bytes.
    pub wrapped_key: Vec<u8>,
    /// Its content under the data key: an envelope of at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

impl VaultObject {
    /// Seals `plaintext` under a fresh data key.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] over [`MAX_PLAINTEXT`].
    pub fn seal(
        place: &ObjectPlace,
        vk: &VaultKey,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        let key = DataKey::generate(rng);
        Self::seal_under(&key, place, vk, plaintext, rng)
    }

    /// Seals `plaintext` under a data key that was made elsewhere: by a cell, for a conversation.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] over [`MAX_PLAINTEXT`].
    pub(crate) fn seal_under(
        key: &DataKey,
        place: &ObjectPlace,
        vk: &VaultKey,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(CryptoError::TooLarge { what: "vault object, in bytes", max: MAX_PLAINTEXT as u64 });
        }
        let body =
            envelope::seal(Kind::OBJECT_BODY, vk.epoch(), key.expose(), &place.context(), plaintext, rng)?;
        let wrapped_key = key.wrap(vk, place, rng)?;
        Ok(Self { object_id: place.object, version: place.version, wrapped_key, body })
    }

    /// Its place in the vault `scope`.
    pub const fn place(&self, scope: VaultScope) -> ObjectPlace {
        ObjectPlace { scope, object: self.object_id, version: self.version }
    }

    /// Its leaf in the manifest.
    pub fn leaf(&self) -> Leaf {
        Leaf { object_id: self.object_id, version: self.version, body_hash: body_hash(&self.body) }
    }

    /// Its data key: what a grant of this version hands over.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn data_key(&self, scope: VaultScope, vk: &VaultKey) -> Result<DataKey> {
        DataKey::unwrap_from(vk, &self.place(scope), &self.wrapped_key)
    }

    /// Its content.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, scope: VaultScope, vk: &VaultKey) -> Result<Plaintext> {
        open_body(&self.data_key(scope, vk)?, &self.place(scope), &self.body)
    }

    /// The same version with its data key wrapped under another vault key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if `old` does not unwrap it.
    pub fn rewrap(
        &self,
        scope: VaultScope,
        old: &VaultKey,
        new: &VaultKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        let wrapped_key = self.data_key(scope, old)?.wrap(new, &self.place(scope), rng)?;
        Ok(Self { wrapped_key, ..self.clone() })
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::VAULT_OBJECT, VERSION);
        out.fixed(&self.object_id.0).u64(self.version).var(&self.wrapped_key).var(&self.body);
        out.into_vec()
    }

    /// Reads canonical bytes; both envelopes are well-formed then, and no more than that.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::VAULT_OBJECT, VERSION)?;
        let (object_id, version) = (Digest32(reader.array()?), reader.u64()?);
        let (wrapped_key, body) = (reader.var(WRAPPED_KEY_LEN)?.to_vec(), reader.var(MAX_BODY)?.to_vec());
        reader.finish()?;
        let object = Self { object_id, version, wrapped_key, body };
        object.key_epoch()?;
        Ok(object)
    }

    /// The epoch its data key is wrapped at, unproven: a node refuses a write under an old one by it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not well-formed: version 0, or a key or body that is no envelope.
    pub fn key_epoch(&self) -> Result<u32> {
        let (key, body) = (envelope::parse(&self.wrapped_key)?, envelope::parse(&self.body)?);
        let lawful = key.kind == Kind::WRAPPED_KEY
            && self.wrapped_key.len() == WRAPPED_KEY_LEN
            && body.kind == Kind::OBJECT_BODY
            && self.body.len() <= MAX_BODY
            && self.version > 0;
        if lawful { Ok(key.key_epoch) } else { Err(CryptoError::Refused) }
    }
}

/// Opens a body with its data key.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn open_body(key: &DataKey, place: &ObjectPlace, body: &[u8]) -> Result<Plaintext> {
    envelope::open(Kind::OBJECT_BODY, key.expose(), &place.context(), body).map(|opened| opened.plaintext)
}

/// SHA-256 of a body, as it stands in the manifest's leaves.
pub fn body_hash(body: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(body).into())
}

/// The id of the one keyring of every vault: SHA-256("OCMT keyring v1").
pub fn keyring_id() -> Digest32 {
    Digest32(Sha256::digest(b"OCMT keyring v1").into())
}

/// The id of the one ledger of unlocks that may write: SHA-256("OCMT unlock ledger v1").
pub fn unlock_ledger_id() -> Digest32 {
    Digest32(Sha256::digest(b"OCMT unlock ledger v1").into())
}

/// The id of the object that holds a conversation's data key.
pub fn conversation_key_id(conversation: ConversationId) -> Digest32 {
    derived_id(b"OCMT conversation key v1\0", conversation)
}

/// The id of the object that holds the data key of a container's volume.
pub fn volume_key_id(container: ContainerId) -> Digest32 {
    derived_id(b"OCMT volume key v1\0", container)
}

/// The place of a snapshot's wrapped key; no object of a vault has this id.
pub fn snapshot_key_id(snapshot: SnapshotId) -> Digest32 {
    derived_id(b"OCMT snapshot key v1\0", snapshot)
}

fn derived_id(domain: &[u8], id: impl Id) -> Digest32 {
    Digest32(Sha256::new().chain_update(domain).chain_update(id.into_bytes()).finalize().into())
}
