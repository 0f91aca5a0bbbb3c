//! Files of the implementation before this one, read once on their way in: "old formats open only through import".
//!
//! `ocmt-vault` version 1 is JSON; AES-256-GCM without associated data seals the content twice, under the
//! password's key and under a recovery seed. The seed is had by a phrase, a backup key, or shares
//! ([`Seed`]). Nothing else of this crate reads these formats, and nothing writes them.
//!
//! What nothing authenticates: `created` and `updated` in every way, and with a seed also `kdf`,
//! `encryption`, `ciphertext` and the sealed seed, which are the password's. They are held to what the
//! format allows and are not used. Whatever else is wrong with a file, the answer is
//! [`CryptoError::Refused`].

mod content;
mod field;
mod json;
mod seed;
#[cfg(test)]
mod tests;

use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    kdf::{Cost, Stretch},
};

use json::{Most, Object, Sealed};

pub use content::{Item, ItemKind};
pub use field::{FieldKeys, read_fields};
pub use seed::Seed;

/// The largest file that is looked at, in bytes.
pub const MAX_FILE: usize = 64 << 20;

/// A file has 26 values; what is in its ciphertexts does not count.
const FILE: Most = Most { bytes: MAX_FILE, values: 64 };

const MEMBERS: [&str; 8] =
    ["version", "format", "created", "updated", "kdf", "encryption", "recovery", "ciphertext"];
const KDF: [&str; 6] = ["algorithm", "version", "memory", "iterations", "parallelism", "salt"];
const ENCRYPTION: [&str; 3] = ["algorithm", "nonce", "tag"];
const RECOVERY: [&str; 6] =
    ["encrypted_seed", "nonce", "tag", "vault_nonce", "vault_tag", "vault_ciphertext"];

/// A vault of the earlier implementation, well-formed and still locked.
pub struct OldVault {
    stretch: Stretch,
    under_password: Sealed,
    seed: Sealed,
    under_seed: Sealed,
}

impl OldVault {
    /// Reads a file. Costs of Argon2id are bounded as ours are, before anything is allocated by them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(file: &[u8]) -> Result<Self> {
        let mut all = Object::exactly(json::read(file, FILE)?, &MEMBERS)?;
        all.is("version", &json!(1))?;
        all.is("format", &json!("ocmt-vault"))?;
        if all.time("created")? > all.time("updated")? {
            return Err(CryptoError::Refused);
        }
        let mut encryption = all.object("encryption", &ENCRYPTION)?;
        encryption.is("algorithm", &json!("aes-256-gcm"))?;
        let stretch = stretch(all.object("kdf", &KDF)?)?;
        let mut recovery = all.object("recovery", &RECOVERY)?;
        // the content's ciphertext stands beside its nonce and tag, not with them
        let under_password = encryption.sealed_with("nonce", "tag", &all.bytes("ciphertext")?)?;
        let seed = recovery.sealed("nonce", "tag", "encrypted_seed")?;
        let under_seed = recovery.sealed("vault_nonce", "vault_tag", "vault_ciphertext")?;
        // one content, sealed twice; and a seed is 32 bytes
        if under_password.len() != under_seed.len() || seed.len() != 32 + 16 {
            return Err(CryptoError::Refused);
        }
        Ok(Self { stretch, under_password, seed, under_seed })
    }

    /// Opens it with its password, and holds its second copy against the first. Runs Argon2id.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_with_password(&self, password: &str) -> Result<Vec<Item>> {
        self.open_with_key(&self.stretch.derive(password.as_bytes())?)
    }

    /// Opens it with its seed, however that was had.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_with_seed(&self, seed: &Seed) -> Result<Vec<Item>> {
        content::items(&self.under_seed.open(seed.expose())?)
    }

    fn open_with_key(&self, key: &Zeroizing<[u8; 32]>) -> Result<Vec<Item>> {
        let content = self.under_password.open(key)?;
        let seed = crate::datakey::secret_array(&self.seed.open(key)?)?;
        if *content != *self.under_seed.open(&seed)? {
            return Err(CryptoError::Refused);
        }
        content::items(&content)
    }
}

/// The items of a content, as it stands behind the cipher.
#[cfg(any(test, fuzzing))]
pub(crate) fn items_of(content: &[u8]) -> Result<Vec<Item>> {
    content::items(content)
}

fn stretch(mut kdf: Object) -> Result<Stretch> {
    kdf.is("algorithm", &json!("argon2id"))?;
    kdf.is("version", &json!(19))?;
    let cost = Cost::new(kdf.number("memory")?, kdf.number("iterations")?, kdf.number("parallelism")?);
    let salt = kdf.fixed::<16>("salt")?;
    Stretch::new(cost.map_err(|_| CryptoError::Refused)?, &salt).map_err(|_| CryptoError::Refused)
}
