//! Key slots: the ways to open a vault, as in LUKS.
//!
//! A slot is an X25519 key pair. Its private half is locked by the slot's secret, together with the
//! verify key that the vault had then; the vault key is sealed to its public half. So a rotation needs
//! no slot's secret. Who writes the database can seal a vault key of their own to a public key:
//! therefore a slot is signed by the vault signing key, and [`crate::vault`] checks that from the key
//! inside the locked half *before* it uses what the slot seals.

mod lock;
mod secret;

use ocmt_types::SlotId;
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::{VaultKey, VaultScope, random_key},
    envelope,
    kdf::{Cost, Stretch},
    kind::Kind,
    seal::{self, SealPublicKey, SealSecretKey},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use lock::Lock;
use secret::hardware;
pub use secret::{NewSlot, RecoveryKey, SlotKind, SlotSecret};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("key slot");
const LOCKED_HALF_LEN: usize = 64 + envelope::overhead(Kind::LOCKED_HALF);
const SEALED_VK_LEN: usize = 32 + seal::OVERHEAD;
/// The longest slot, in bytes.
pub const MAX_LEN: usize = 512;

/// A key slot as it is stored: nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySlot {
    id: SlotId,
    kind: SlotKind,
    lock: Lock,
    public: SealPublicKey,
    locked_half: Vec<u8>,
    epoch: u32,
    sealed_vk: Vec<u8>,
    signature: Signature,
}

/// What the slot's secret opens.
pub(crate) struct OpenedHalf {
    pub(crate) secret: SealSecretKey,
    pub(crate) pinned: VerifyKey,
    /// Locks the half anew with a newer verify key; none for a member.
    pub(crate) lock_key: Option<Zeroizing<[u8; 32]>>,
}

impl KeySlot {
    /// A new slot that seals `vk`, signed by the vault signing key. Runs Argon2id for the kinds that
    /// people keep.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] for a hardware answer under 20 bytes; [`CryptoError::Refused`] for a
    /// member's key of low order.
    pub(crate) fn create(
        scope: &VaultScope,
        new: &NewSlot<'_>,
        vk: &VaultKey,
        signer: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        let id = crate::random_id(rng);
        let (kind, lock) = match new {
            NewSlot::Passphrase(_, cost) => {
                (SlotKind::Passphrase, Lock::Stretched(Stretch::generate(*cost, rng)))
            }
            NewSlot::Backup(_, cost) => (SlotKind::Backup, Lock::Stretched(Stretch::generate(*cost, rng))),
            NewSlot::Hardware(challenge, _, cost) => {
                (SlotKind::Hardware, Lock::Hardware(*challenge, Stretch::generate(*cost, rng)))
            }
            NewSlot::Recovery(_) => (SlotKind::Recovery, Lock::Recovery(*random_key(rng))),
            NewSlot::Member(_) => (SlotKind::Member, Lock::Member),
        };
        let mut slot = Self {
            id,
            kind,
            lock,
            public: SealPublicKey([0; 32]),
            locked_half: Vec::new(),
            epoch: vk.epoch(),
            sealed_vk: Vec::new(),
            signature: Signature([0; 64]),
        };
        let lock_key = match new {
            NewSlot::Passphrase(secret, _) => slot.lock_key(scope, secret.expose())?,
            NewSlot::Backup(secret, _) => slot.lock_key(scope, secret.expose())?,
            NewSlot::Hardware(_, answer, _) => slot.lock_key(scope, hardware(answer)?)?,
            NewSlot::Recovery(secret) => slot.lock_key(scope, secret.expose())?,
            NewSlot::Member(public) => {
                slot.public = *public;
                return slot.reseal(scope, vk, signer, rng);
            }
        };
        let secret = SealSecretKey::generate(rng);
        slot.public = secret.public();
        slot.locked_half = slot.lock_half(scope, &secret, &signer.verify_key(), &lock_key, rng)?;
        slot.reseal(scope, vk, signer, rng)
    }

    /// The same slot for another vault key: what a rotation does with each.
    pub(crate) fn reseal(
        mut self,
        scope: &VaultScope,
        vk: &VaultKey,
        signer: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        self.epoch = vk.epoch();
        self.sealed_vk =
            seal::seal(&self.public, &self.seal_info(scope), &self.epoch.to_be_bytes(), vk.expose(), rng)?;
        self.signature = signer.sign(PURPOSE, &self.message(scope));
        Ok(self)
    }

    /// The same slot with the present verify key in its locked half.
    pub(crate) fn relock(
        mut self,
        scope: &VaultScope,
        secret: &SealSecretKey,
        lock_key: &[u8; 32],
        signer: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self> {
        self.locked_half = self.lock_half(scope, secret, &signer.verify_key(), lock_key, rng)?;
        self.signature = signer.sign(PURPOSE, &self.message(scope));
        Ok(self)
    }

    /// The same slot behind a stronger lock, if its own is weaker than `least`, and that lock's key. Not
    /// signed yet: [`Self::relock`] does that. The secret must be the one of `lock_key`, the present lock's.
    pub(crate) fn strengthen(
        &self,
        scope: &VaultScope,
        secret: &SlotSecret<'_>,
        lock_key: &[u8; 32],
        least: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<(Self, Zeroizing<[u8; 32]>)>> {
        let Some(lock) = self.lock.strengthened(least, rng) else {
            return Ok(None);
        };
        // else the slot would open for what was given now, and no more for its owner
        let present = self.key_of(scope, secret)?.ok_or(CryptoError::Refused)?;
        if secret.kind() != self.kind || !bool::from(present.as_slice().ct_eq(lock_key)) {
            return Err(CryptoError::Refused);
        }
        let slot = Self { lock, ..self.clone() };
        let key = slot.key_of(scope, secret)?.ok_or(CryptoError::Refused)?;
        Ok(Some((slot, key)))
    }

    /// Argon2id's costs; none where nothing is stretched.
    pub const fn cost(&self) -> Option<Cost> {
        match &self.lock {
            Lock::Stretched(stretch) | Lock::Hardware(_, stretch) => Some(stretch.cost()),
            Lock::Recovery(_) | Lock::Member => None,
        }
    }

    /// Verifies that the vault signing key signed all of this slot.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(&self, scope: &VaultScope, key: &VerifyKey) -> Result<()> {
        key.verify(PURPOSE, &self.message(scope), &self.signature)
    }

    /// Opens the locked half. Proves nothing about what the slot seals.
    pub(crate) fn open_half(&self, scope: &VaultScope, secret: &SlotSecret<'_>) -> Result<OpenedHalf> {
        if secret.kind() != self.kind {
            return Err(CryptoError::Refused);
        }
        if let SlotSecret::Member(secret, pinned) = secret {
            let ours = secret.is_half_of(&self.public);
            let opened = OpenedHalf { secret: secret.duplicate(), pinned: *pinned, lock_key: None };
            return if ours { Ok(opened) } else { Err(CryptoError::Refused) };
        }
        let lock_key = self.key_of(scope, secret)?.ok_or(CryptoError::Refused)?;
        let half =
            envelope::open(Kind::LOCKED_HALF, &lock_key, &self.half_context(scope), &self.locked_half)?
                .plaintext;
        let (secret, pinned) = half.split_at_checked(32).ok_or(CryptoError::Refused)?;
        let (secret, pinned) = (SealSecretKey::from_slice(secret)?, VerifyKey::try_from(pinned)?);
        if secret.is_half_of(&self.public) {
            Ok(OpenedHalf { secret, pinned, lock_key: Some(lock_key) })
        } else {
            Err(CryptoError::Refused)
        }
    }

    /// Opens the vault key. Only after [`Self::verify`] under a key that leads back to the locked half.
    pub(crate) fn open_vault_key(&self, scope: &VaultScope, secret: &SealSecretKey) -> Result<VaultKey> {
        let vk = seal::open(secret, &self.seal_info(scope), &self.epoch.to_be_bytes(), &self.sealed_vk)?;
        VaultKey::from_slice(&vk, self.epoch)
    }

    /// Its id.
    pub const fn id(&self) -> SlotId {
        self.id
    }

    /// Its kind.
    pub const fn kind(&self) -> SlotKind {
        self.kind
    }

    /// Its public key.
    pub const fn public(&self) -> SealPublicKey {
        self.public
    }

    /// The key epoch of the vault key it seals.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What a hardware token is asked; none for other kinds.
    pub const fn challenge(&self) -> Option<&[u8; 32]> {
        match &self.lock {
            Lock::Hardware(challenge, _) => Some(challenge),
            _ => None,
        }
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.unsigned();
        out.fixed(&self.signature.0);
        out.into_vec()
    }

    /// Reads canonical bytes; nothing is verified yet but form and bounds.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], also for Argon2 costs out of bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_LEN {
            return Err(CryptoError::Refused);
        }
        let mut reader = Reader::object(bytes, Kind::KEY_SLOT, VERSION)?;
        let (id, kind) = (reader.id()?, SlotKind::from_byte(reader.u8()?)?);
        let lock = Lock::read(kind, &mut reader)?;
        let public = SealPublicKey(reader.array()?);
        let half_len = if kind == SlotKind::Member { 0 } else { LOCKED_HALF_LEN };
        let locked_half = reader.var(half_len)?.to_vec();
        let (epoch, sealed_vk) = (reader.u32()?, reader.var(SEALED_VK_LEN)?.to_vec());
        let signature = Signature(reader.array()?);
        reader.finish()?;
        if locked_half.len() != half_len || sealed_vk.len() != SEALED_VK_LEN {
            return Err(CryptoError::Refused);
        }
        Ok(Self { id, kind, lock, public, locked_half, epoch, sealed_vk, signature })
    }

    fn unsigned(&self) -> Writer {
        let mut out = Writer::object(Kind::KEY_SLOT, VERSION);
        out.id(self.id).u8(self.kind as u8);
        self.lock.write(&mut out);
        out.fixed(self.public.as_bytes()).var(&self.locked_half).u32(self.epoch).var(&self.sealed_vk);
        out
    }

    fn message(&self, scope: &VaultScope) -> Vec<u8> {
        let mut out = Writer::with_capacity(MAX_LEN);
        scope.write(&mut out);
        out.fixed(self.unsigned().as_bytes());
        out.into_vec()
    }

    fn lock_half(
        &self,
        scope: &VaultScope,
        secret: &SealSecretKey,
        pinned: &VerifyKey,
        lock_key: &[u8; 32],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>> {
        let mut half = Writer::with_capacity(64);
        half.fixed(secret.expose()).fixed(pinned.as_bytes());
        envelope::seal(
            Kind::LOCKED_HALF,
            self.epoch,
            lock_key,
            &self.half_context(scope),
            half.as_bytes(),
            rng,
        )
    }

    /// Tenant, vault, slot, kind, lock and public key: nothing of them can be changed around the half.
    fn half_context(&self, scope: &VaultScope) -> Vec<u8> {
        let mut out = self.place(scope);
        self.lock.write(&mut out);
        out.fixed(self.public.as_bytes());
        out.into_vec()
    }

    fn seal_info(&self, scope: &VaultScope) -> Vec<u8> {
        [b"OCMT slot vault key v1\0", self.place(scope).as_bytes()].concat()
    }

    fn place(&self, scope: &VaultScope) -> Writer {
        let mut out = Writer::with_capacity(192);
        scope.write(&mut out);
        out.id(self.id).u8(self.kind as u8);
        out
    }

    /// The key that `secret` gives for this lock; none for a member, whose half is not locked.
    fn key_of(&self, scope: &VaultScope, secret: &SlotSecret<'_>) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let bytes: &[u8] = match secret {
            SlotSecret::Passphrase(secret) => secret.expose(),
            SlotSecret::Backup(secret) => secret.expose(),
            SlotSecret::Hardware(answer) => hardware(answer)?,
            SlotSecret::Recovery(secret) => secret.expose(),
            SlotSecret::Member(..) => return Ok(None),
        };
        self.lock_key(scope, bytes).map(Some)
    }

    fn lock_key(&self, scope: &VaultScope, secret: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        self.lock.key(self.place(scope).as_bytes(), secret)
    }
}
