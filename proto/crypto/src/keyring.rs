//! The keyring: one object of each vault with the keys that are neither the vault's nor an entry's.

use ocmt_types::UnlockId;
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::{random_key, secret_array},
    kind::Kind,
    locked::LockedKey,
    mac,
    seal::SealSecretKey,
    sign::SigningKey,
};

const VERSION: u8 = 1;
const KEYS: usize = 7;

/// Private keys of a vault and of the user it belongs to. Each wiped when dropped.
pub struct Keyring {
    /// Makes entry ids from names.
    pub(crate) name_key: LockedKey,
    /// Signs slots, manifests and successions, and proves unlocks to nodes. Rotation changes it.
    pub vault_signing: SigningKey,
    /// The user's identity, for signatures.
    pub identity_signing: SigningKey,
    /// The user's identity, for what is sealed to them.
    pub identity_seal: SealSecretKey,
    /// The sender's key of sealed channels to cells.
    pub channel: SealSecretKey,
    /// Opens the vault's inbox.
    pub inbox: SealSecretKey,
    inbox_mac_root: LockedKey,
}

impl Keyring {
    /// Fresh keys.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self {
            name_key: random_key(rng).into(),
            vault_signing: SigningKey::generate(rng),
            identity_signing: SigningKey::generate(rng),
            identity_seal: SealSecretKey::generate(rng),
            channel: SealSecretKey::generate(rng),
            inbox: SealSecretKey::generate(rng),
            inbox_mac_root: random_key(rng).into(),
        }
    }

    /// The key that a cell authenticates inbox items under during one unlock. Derived, so that the
    /// client that files the items later needs only the vault.
    pub fn inbox_mac_key(&self, unlock: UnlockId) -> Zeroizing<[u8; 32]> {
        let message = [b"OCMT inbox mac v1\0", unlock.as_bytes().as_slice()].concat();
        Zeroizing::new(mac::tag(&self.inbox_mac_root, &message))
    }

    /// The same keys under another vault signing key: what a rotation that rewraps does.
    pub(crate) fn rewrapped(&self, vault_signing: SigningKey) -> Self {
        self.under(vault_signing, self)
    }

    /// What a rotation that re-keys does: whoever is shut out by it had the keys of channels and of the
    /// inbox too, so these are fresh. The name key and the identity keys stay; the one is in every entry's
    /// id, the others are pinned by other people. Inbox items have to be filed before.
    pub(crate) fn rekeyed(&self, vault_signing: SigningKey, rng: &mut impl CryptoRng) -> Self {
        Self {
            channel: SealSecretKey::generate(rng),
            inbox: SealSecretKey::generate(rng),
            inbox_mac_root: random_key(rng).into(),
            ..self.rewrapped(vault_signing)
        }
    }

    /// Whether this is what a rewrapping makes of `before`.
    pub(crate) fn rewraps(&self, before: &Self) -> bool {
        let signing = SigningKey::from_bytes(&self.vault_signing.expose());
        self.encode().ct_eq(&before.rewrapped(signing).encode()).into()
    }

    /// Whether this is what a re-keying makes of `before`: the keys that stay are the same, and no other is.
    pub(crate) fn rekeys(&self, before: &Self) -> bool {
        let signing = SigningKey::from_bytes(&self.vault_signing.expose());
        let stays: bool = self.encode().ct_eq(&before.under(signing, self).encode()).into();
        let kept: bool = (self.channel.expose().ct_eq(before.channel.expose())
            | self.inbox.expose().ct_eq(before.inbox.expose())
            | self.inbox_mac_root.ct_eq(before.inbox_mac_root.as_slice()))
        .into();
        stays && !kept
    }

    /// Name and identity keys of this one, those of channels and inbox of `other`.
    fn under(&self, vault_signing: SigningKey, other: &Self) -> Self {
        Self {
            name_key: self.name_key.clone(),
            vault_signing,
            identity_signing: SigningKey::from_bytes(&self.identity_signing.expose()),
            identity_seal: self.identity_seal.duplicate(),
            channel: other.channel.duplicate(),
            inbox: other.inbox.duplicate(),
            inbox_mac_root: other.inbox_mac_root.clone(),
        }
    }

    /// The plaintext of the keyring's object.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::object(Kind::KEYRING, VERSION);
        out.fixed(self.name_key.as_slice())
            .fixed(self.vault_signing.expose().as_slice())
            .fixed(self.identity_signing.expose().as_slice())
            .fixed(self.identity_seal.expose())
            .fixed(self.channel.expose())
            .fixed(self.inbox.expose())
            .fixed(self.inbox_mac_root.as_slice());
        out.into_secret()
    }

    /// Reads the plaintext of the keyring's object.
    pub(crate) fn decode(plaintext: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(plaintext, Kind::KEYRING, VERSION)?;
        if reader.remaining() != KEYS * 32 {
            return Err(CryptoError::Refused);
        }
        Ok(Self {
            name_key: secret_array(reader.take(32)?)?.into(),
            vault_signing: SigningKey::from_slice(reader.take(32)?)?,
            identity_signing: SigningKey::from_slice(reader.take(32)?)?,
            identity_seal: SealSecretKey::from_slice(reader.take(32)?)?,
            channel: SealSecretKey::from_slice(reader.take(32)?)?,
            inbox: SealSecretKey::from_slice(reader.take(32)?)?,
            inbox_mac_root: secret_array(reader.take(32)?)?.into(),
        })
    }
}
