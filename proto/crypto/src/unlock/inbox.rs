//! What a cell makes (OAuth tokens) on its way into the vault: sealed to the vault's inbox key, and
//! under a MAC that only this unlock's cell can make. The client files it at its next unlock.

use ocmt_types::{TenantId, UnlockId, VaultId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    mac,
    seal::{self, SealPublicKey, SealSecretKey},
};

use super::UnlockKey;

const VERSION: u8 = 1;
const INFO: &[u8] = b"OCMT inbox v1";

/// The longest name, in bytes.
pub const MAX_INBOX_NAME: usize = 255;
/// The longest value, in bytes.
pub const MAX_INBOX_VALUE: usize = 64 * 1024;

/// Where an item belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The vault.
    pub vault: VaultId,
    /// The unlock whose cell made it.
    pub unlock: UnlockId,
    /// Counts the items of one unlock, from 0.
    pub sequence: u64,
}

/// A name with a secret value.
pub struct InboxItem {
    /// The entry to file it as. The client files only names which that unlock allowed.
    pub name: String,
    /// The value, zeroised on drop.
    pub value: Zeroizing<Vec<u8>>,
}

impl InboxPlace {
    fn write(&self, out: &mut Writer) {
        out.id(self.tenant).id(self.vault).id(self.unlock).u64(self.sequence);
    }

    /// Reads where an item says it belongs, to look the unlock's key up. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no inbox item.
    pub fn claimed(bytes: &[u8]) -> Result<Self> {
        Self::read(&mut Reader::object(bytes, Kind::INBOX_ITEM, VERSION)?)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { tenant: reader.id()?, vault: reader.id()?, unlock: reader.id()?, sequence: reader.u64()? })
    }
}

impl InboxItem {
    /// The cell's side.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`MAX_INBOX_NAME`] or [`MAX_INBOX_VALUE`].
    pub fn seal(
        &self,
        place: &InboxPlace,
        inbox: &SealPublicKey,
        key: &UnlockKey,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        for (what, len, max) in
            [("name", self.name.len(), MAX_INBOX_NAME), ("value", self.value.len(), MAX_INBOX_VALUE)]
        {
            if len > max {
                return Err(CryptoError::TooLarge { what, max: max as u64 });
            }
        }
        let mut content = Writer::with_capacity(8 + self.name.len() + self.value.len());
        content.var(self.name.as_bytes()).var(&self.value);
        let mut out = Writer::object(Kind::INBOX_ITEM, VERSION);
        place.write(&mut out);
        let sealed = seal::seal(inbox, INFO, out.as_bytes(), content.as_bytes(), rng)?;
        out.var(&sealed);
        let tag = mac::tag(&*key.inbox_key()?, out.as_bytes());
        out.fixed(&tag);
        Ok(out.into_vec())
    }

    /// The client's side. `place` is where the item must belong.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, damaged, or of another place.
    pub fn open(bytes: &[u8], place: &InboxPlace, inbox: &SealSecretKey, key: &UnlockKey) -> Result<Self> {
        let (body, tag) = bytes.split_last_chunk::<{ mac::LEN }>().ok_or(CryptoError::Refused)?;
        mac::check(&*key.inbox_key()?, body, tag)?;
        let mut reader = Reader::object(body, Kind::INBOX_ITEM, VERSION)?;
        if InboxPlace::read(&mut reader)? != *place {
            return Err(CryptoError::Refused);
        }
        let head_len = body.len() - reader.remaining();
        let head = body.get(..head_len).ok_or(CryptoError::Refused)?;
        let sealed = reader.var(MAX_INBOX_NAME + MAX_INBOX_VALUE + 8 + seal::OVERHEAD)?;
        reader.finish()?;
        let content = seal::open(inbox, INFO, head, sealed)?;
        let mut reader = Reader::new(&content);
        let item = Self {
            name: reader.text(MAX_INBOX_NAME)?.to_owned(),
            value: Zeroizing::new(reader.var(MAX_INBOX_VALUE)?.to_vec()),
        };
        reader.finish()?;
        Ok(item)
    }
}
