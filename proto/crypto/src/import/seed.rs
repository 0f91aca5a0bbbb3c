//! The ways to an old vault's recovery seed: its phrase, a backup key, shares of it.

use bip39::{Language, Mnemonic};
use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result, datakey,
    kdf::{Cost, Stretch},
    shamir::{self, Share},
    typed,
};

use super::json::{self, Most, Object};

/// Words of a phrase.
const WORDS: usize = 12;
/// Letters of a backup key: 32 bytes in base32, without a check group.
const LETTERS: usize = 52;
const BACKUP_SALT: &[u8] = b"ocmt-hardware-backup-v1";
/// The largest record of a backup key or of a social set-up: 255 contacts of 8 values each.
const RECORD: Most = Most { bytes: 1 << 20, values: 2100 };
/// The first byte of a share.
const SHARE_VERSION: u8 = 1;

const SEALED: [&str; 3] = ["nonce", "tag", "ciphertext"];

/// What the second copy of an old vault is sealed under. Wiped when dropped.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// From the twelve words, in any case and spacing: the first half of their BIP 39 seed.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if they are no phrase: each has a check in it.
    pub fn from_phrase(words: &str) -> Result<Self> {
        if words.len() > 1024 {
            return Err(CryptoError::Refused);
        }
        let words = Zeroizing::new(words.to_lowercase());
        let words = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" "));
        let phrase = Mnemonic::parse_in_normalized(Language::English, &words);
        let phrase = phrase.map_err(|_| CryptoError::Refused)?;
        if phrase.word_count() != WORDS {
            return Err(CryptoError::Refused);
        }
        let seed = Zeroizing::new(phrase.to_seed_normalized(""));
        datakey::secret_array(&seed[..32]).map(Self)
    }

    /// From a backup key as it was printed, and the record that its seed is sealed in. Runs Argon2id.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn from_backup(typed_key: &str, record: &[u8]) -> Result<Self> {
        let stretch = Stretch::new(Cost::DEFAULT, BACKUP_SALT).map_err(|_| CryptoError::Refused)?;
        Self::from_backup_with(typed_key, record, |key| stretch.derive(key))
    }

    pub(crate) fn from_backup_with(
        typed_key: &str,
        record: &[u8],
        stretch: impl FnOnce(&[u8]) -> Result<Zeroizing<[u8; 32]>>,
    ) -> Result<Self> {
        let letters = typed::letters(typed_key).filter(|letters| letters.len() == LETTERS);
        let key = BASE32_NOPAD.decode(&letters.ok_or(CryptoError::Refused)?).map(Zeroizing::new);
        let key = key.map_err(|_| CryptoError::Refused)?;
        let mut record =
            Object::exactly(json::read(record, RECORD)?, &["encryptedSeed", "keyHash", "createdAt"])?;
        record.time("createdAt")?;
        let hash: [u8; 32] = record.fixed("keyHash")?;
        if !bool::from(hash.ct_eq(&Sha256::digest(&*key))) {
            return Err(CryptoError::Refused);
        }
        let sealed = record.object("encryptedSeed", &SEALED)?.sealed("nonce", "tag", "ciphertext")?;
        datakey::secret_array(&sealed.open(&*stretch(&key)?)?).map(Self)
    }

    /// From a social set-up that has at least as many contacts as it needs. It holds all that opens their
    /// shards: whoever has the whole record had the seed.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], also if one of the contacts' shards is damaged.
    pub fn from_social(record: &[u8]) -> Result<Self> {
        const MEMBERS: [&str; 5] = ["recoveryId", "threshold", "totalShares", "contacts", "createdAt"];
        let mut record = Object::exactly(json::read(record, RECORD)?, &MEMBERS)?;
        record.time("createdAt")?;
        let id = record.text("recoveryId")?;
        let (needed, dealt) = (record.number("threshold")?, record.number("totalShares")?);
        let serde_json::Value::Array(contacts) = record.value("contacts")? else {
            return Err(CryptoError::Refused);
        };
        let there = u32::try_from(contacts.len()).map_err(|_| CryptoError::Refused)?;
        let lawful =
            2 <= needed && needed <= there && there <= dealt && dealt <= u32::from(shamir::MAX_SHARES);
        let canonical = HEXLOWER.decode(id.as_bytes()).is_ok_and(|id| id.len() == 16);
        if !lawful || !canonical {
            return Err(CryptoError::Refused);
        }
        let shares = contacts.into_iter().map(|contact| shard(&id, contact)).collect::<Result<Vec<_>>>()?;
        combine(&shares)
    }

    /// From shares as their holders have them; how many are needed is not in them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for what is no share, and for one that is there twice. Shares of another
    /// seed, and too few of them, give a seed that opens nothing.
    pub fn from_shares(shares: &[Zeroizing<String>]) -> Result<Self> {
        if shares.len() > usize::from(shamir::MAX_SHARES) {
            return Err(CryptoError::Refused);
        }
        combine(&shares.iter().map(|text| share(text.trim())).collect::<Result<Vec<_>>>()?)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A contact's shard, which is sealed under the set-up's id and the contact's address.
fn shard(recovery_id: &str, contact: serde_json::Value) -> Result<Share> {
    let mut contact = Object::exactly(contact, &["email", "name", "shareIndex", "encryptedShard"])?;
    contact.text("name")?;
    let email = contact.text("email")?.to_lowercase();
    let sealed = contact.object("encryptedShard", &SEALED)?.sealed("nonce", "tag", "ciphertext")?;
    let key = Sha256::new().chain_update(recovery_id).chain_update(&email).finalize();
    let text = sealed.open(&Zeroizing::new(key.into()))?;
    let share = share(std::str::from_utf8(&text).map_err(|_| CryptoError::Refused)?)?;
    if u32::from(share.x) == contact.number("shareIndex")? { Ok(share) } else { Err(CryptoError::Refused) }
}

/// base64 of version ‖ x ‖ 32 bytes.
fn share(text: &str) -> Result<Share> {
    let bytes = BASE64.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| CryptoError::Refused)?;
    match bytes.split_first_chunk::<2>() {
        Some(([SHARE_VERSION, x], y)) => {
            let y: [u8; 32] = y.try_into().map_err(|_| CryptoError::Refused)?;
            Ok(Share { x: *x, y })
        }
        _ => Err(CryptoError::Refused),
    }
}

/// More shares than are needed give the same seed, if all are genuine.
fn combine(shares: &[Share]) -> Result<Seed> {
    let count = u8::try_from(shares.len()).map_err(|_| CryptoError::Refused)?;
    shamir::combine(shares, count).map(Seed).map_err(|_| CryptoError::Refused)
}
