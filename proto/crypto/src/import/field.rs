//! Fields of the earlier implementation's database: `v<version>:<iv>:<tag>:<ciphertext>`, by versioned keys.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, aead, datakey};

use super::{
    MAX_FILE,
    content::{Item, ItemKind, MAX_ITEMS, Names},
    json::{self, Most},
};

/// The largest file of keys.
const KEYS: Most = Most { bytes: 256 << 10, values: 1001 };
/// The largest file of fields: as many as a vault has entries.
const FIELDS: Most = Most { bytes: MAX_FILE, values: MAX_ITEMS + 1 };

/// Keys by their versions. Wiped when dropped.
pub struct FieldKeys(BTreeMap<u32, Zeroizing<[u8; 32]>>);

impl FieldKeys {
    /// Reads `{"v0": "<64 hexadecimal digits>", …}`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(file: &[u8]) -> Result<Self> {
        let Value::Object(all) = json::read(file, KEYS)? else { return Err(CryptoError::Refused) };
        if all.is_empty() {
            return Err(CryptoError::Refused);
        }
        let keys = all.into_iter().map(|(name, key)| {
            let Value::String(key) = key else { return Err(CryptoError::Refused) };
            let key = Zeroizing::new(key);
            let key =
                HEXLOWER.decode(key.as_bytes()).map(Zeroizing::new).map_err(|_| CryptoError::Refused)?;
            Ok((version(&name)?, datakey::secret_array(&key)?))
        });
        keys.collect::<Result<_>>().map(Self)
    }

    /// Opens one field.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, field: &str) -> Result<Zeroizing<Vec<u8>>> {
        let mut parts = field.split(':');
        let mut next = || parts.next().ok_or(CryptoError::Refused);
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| CryptoError::Refused);
        let key = self.0.get(&version(next()?)?).ok_or(CryptoError::Refused)?;
        let nonce: [u8; 16] = bytes(next()?)?.try_into().map_err(|_| CryptoError::Refused)?;
        let tag: [u8; 16] = bytes(next()?)?.try_into().map_err(|_| CryptoError::Refused)?;
        let sealed = [bytes(next()?)?.as_slice(), &tag].concat();
        if parts.next().is_some() {
            return Err(CryptoError::Refused);
        }
        aead::open_long_nonce(key, &nonce, &sealed).map(Into::into)
    }
}

/// Reads `{"<name>": "<field>", …}` and opens each; one that does not open refuses all.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn read_fields(file: &[u8], keys: &FieldKeys) -> Result<Vec<Item>> {
    let Value::Object(all) = json::read(file, FIELDS)? else { return Err(CryptoError::Refused) };
    let mut taken = Names::default();
    for (name, field) in all {
        let value = keys.open(field.as_str().ok_or(CryptoError::Refused)?)?;
        let value = std::str::from_utf8(&value).map_err(|_| CryptoError::Refused)?;
        taken.take(ItemKind::Field, &[name], value)?;
    }
    Ok(taken.items)
}

/// `v` and a number in its one form.
fn version(text: &str) -> Result<u32> {
    let number: u32 = text.strip_prefix('v').and_then(|n| n.parse().ok()).ok_or(CryptoError::Refused)?;
    if format!("v{number}") == text { Ok(number) } else { Err(CryptoError::Refused) }
}
