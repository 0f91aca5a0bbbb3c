//! The unlock payload.

use std::collections::HashSet;

use ocmt_types::{ConversationId, Digest32, UnlockId, VaultId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    cell::{CellKeyStatement, CellPlace},
    codec::{Reader, Writer},
    datakey::DataKey,
    entry::EntryName,
    kind::Kind,
    locked,
    seal::{self, SealPublicKey, SealSecretKey},
};

use super::{
    MAX_LEASE_MS, MIN_LEASE_MS, UnlockKey, VolumeUnlock,
    conversations::{self, CONTINUED_LEN, Continued, MAX_CONTINUED},
};

/// Without names that the cell may write, with them, with conversations that it goes on with, and with a sealed volume:
/// each is one encoding of its own.
const VERSION: u8 = 1;
const VERSION_WRITES: u8 = 2;
const VERSION_CONTINUES: u8 = 3;
const VERSION_VOLUME: u8 = 4;
const INFO: &[u8] = b"OCMT unlock v1";

/// The most entries that one unlock maps.
pub const MAX_ENTRIES: usize = 1_024;
/// The most conversations that one unlock opens.
pub const MAX_CONVERSATIONS: usize = 256;
/// The longest name of an environment variable, in bytes.
pub const MAX_NAME: usize = 128;
/// The most names of entries that one unlock lets the cell write.
pub const MAX_WRITES: usize = 32;

/// One entry that the workload gets as an environment variable.
pub struct MappedEntry {
    /// The variable: a letter or `_`, then letters, digits and `_`; at most [`MAX_NAME`] bytes.
    pub name: String,
    /// The vault object.
    pub object: Digest32,
    /// Its version; the cell opens no other.
    pub version: u64,
    /// The data key of that version.
    pub data_key: DataKey,
}

/// The key of a conversation that the cell may continue.
pub struct ConversationKey {
    /// Which.
    pub conversation: ConversationId,
    /// The epoch of its key: grows when the vault is re-keyed.
    pub key_epoch: u32,
    /// The key.
    pub key: DataKey,
}

/// All that a cell gets. Never the vault key.
pub struct UnlockPayload {
    /// This unlock: fresh, chosen by the client.
    pub unlock: UnlockId,
    /// The vault the entries are of.
    pub vault: VaultId,
    /// What the workload sees.
    pub entries: Vec<MappedEntry>,
    /// Conversations it may continue.
    pub conversations: Vec<ConversationKey>,
    /// Nothing uses it; [`UnlockPayload::volume`] is what a sealed volume takes.
    pub volume_key: Option<DataKey>,
    /// Where the cell files what it makes.
    pub inbox: SealPublicKey,
    /// Authenticates extensions and the inbox.
    pub unlock_key: UnlockKey,
    /// Who may open channels.
    pub channel_key: SealPublicKey,
    /// The counter of the manifest that the client has seen.
    pub manifest_counter: u64,
    /// Its root.
    pub manifest_root: Digest32,
    /// How long the cell stays unlocked, in milliseconds: [`MIN_LEASE_MS`] to [`MAX_LEASE_MS`].
    pub lease_ms: u64,
    /// Whether to start the workload at once.
    pub start_workload: bool,
    /// Entries that the workload may send to the inbox, none twice; the client files no others.
    pub may_write: Vec<EntryName>,
    /// Where it goes on with conversations, none twice. A conversation among these may have two keys above: the
    /// present one and that of its last record. One that is not among them the cell does not write.
    pub continued: Vec<Continued>,
    /// Keys of its sealed volume, if it has one.
    pub volume: Option<VolumeUnlock>,
}

impl UnlockPayload {
    /// The client's side: seals it to the cell of a verified statement.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] or [`CryptoError::OutOfRange`] if a bound is passed;
    /// [`CryptoError::Exists`] if a name or a conversation is there twice; [`CryptoError::Refused`] if
    /// the cell is unlocked already.
    pub fn seal(&self, cell: &CellKeyStatement, rng: &mut impl rand::CryptoRng) -> Result<Vec<u8>> {
        if cell.unlock().is_some() {
            return Err(CryptoError::Refused);
        }
        self.check()?;
        let info = info(&cell.place(), cell.boot_nonce());
        seal::seal(cell.key(), &info, b"", &self.encode(), rng)
    }

    /// The cell's side, called by [`crate::cell::CellKey::unlock`].
    pub(crate) fn open(
        place: &CellPlace,
        boot_nonce: &[u8; 32],
        key: &SealSecretKey,
        sealed: &[u8],
    ) -> Result<Self> {
        let bytes = seal::open(key, &info(place, boot_nonce), b"", sealed)?;
        let payload = Self::decode(&bytes)?;
        payload.check().map_err(|_| CryptoError::Refused)?;
        Ok(payload)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let too_large = |what, max: usize| CryptoError::TooLarge { what, max: max as u64 };
        if self.entries.len() > MAX_ENTRIES {
            return Err(too_large("entries of an unlock", MAX_ENTRIES));
        }
        if self.conversations.len() > MAX_CONVERSATIONS {
            return Err(too_large("conversations of an unlock", MAX_CONVERSATIONS));
        }
        if !(MIN_LEASE_MS..=MAX_LEASE_MS).contains(&self.lease_ms) {
            return Err(CryptoError::OutOfRange { what: "lease", rule: "one second to seven days" });
        }
        if self.may_write.len() > MAX_WRITES {
            return Err(too_large("names that an unlock lets the cell write", MAX_WRITES));
        }
        let writes: HashSet<&str> = self.may_write.iter().map(EntryName::expose).collect();
        if writes.len() != self.may_write.len() {
            return Err(CryptoError::Exists("name that the cell may write"));
        }
        let mut names = HashSet::new();
        for entry in &self.entries {
            if !is_variable_name(&entry.name) {
                let rule = "a letter or _, then letters, digits and _, at most 128 bytes";
                return Err(CryptoError::OutOfRange { what: "variable name", rule });
            }
            if !names.insert(entry.name.as_str()) {
                return Err(CryptoError::Exists("variable name"));
            }
        }
        self.volume.as_ref().map_or(Ok(()), VolumeUnlock::check)?;
        conversations::check(&self.conversations, &self.continued)
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let entries: usize = self.entries.iter().map(|entry| entry.name.len() + 76).sum();
        let writes: usize = self.may_write.iter().map(|name| name.expose().len() + 4).sum();
        let continued = self.continued.len() * CONTINUED_LEN;
        let keys = self.conversations.len() * 52;
        let volume = self.volume.as_ref().map_or(0, |volume| 64 + 36 * volume.earlier.len());
        let mut out = Writer::with_capacity(512 + entries + keys + writes + continued + volume);
        let version = match (self.may_write.is_empty(), self.continued.is_empty()) {
            _ if self.volume.is_some() => VERSION_VOLUME,
            (true, true) => VERSION,
            (false, true) => VERSION_WRITES,
            (_, false) => VERSION_CONTINUES,
        };
        out.fixed(&crate::codec::MAGIC).u8(Kind::UNLOCK_PAYLOAD.0).u8(version);
        out.id(self.unlock).id(self.vault).count(self.entries.len());
        for entry in &self.entries {
            out.var(entry.name.as_bytes()).fixed(&entry.object.0).u64(entry.version);
            out.fixed(entry.data_key.expose());
        }
        out.count(self.conversations.len());
        for conversation in &self.conversations {
            out.id(conversation.conversation).u32(conversation.key_epoch);
            out.fixed(conversation.key.expose());
        }
        out.option(self.volume_key.as_ref(), |out, key| {
            out.fixed(key.expose());
        });
        out.fixed(&self.inbox.0).fixed(self.unlock_key.expose()).fixed(&self.channel_key.0);
        out.u64(self.manifest_counter).fixed(&self.manifest_root.0);
        out.u64(self.lease_ms).u8(u8::from(self.start_workload));
        if version != VERSION {
            out.count(self.may_write.len());
            for name in &self.may_write {
                out.var(name.expose().as_bytes());
            }
        }
        if version >= VERSION_CONTINUES {
            out.count(self.continued.len());
            for one in &self.continued {
                one.write(&mut out);
            }
        }
        if let Some(volume) = &self.volume {
            volume.write(&mut out);
        }
        out.into_secret()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let version = match bytes.get(crate::codec::MAGIC.len() + 1) {
            Some(&later @ (VERSION_WRITES..=VERSION_VOLUME)) => later,
            _ => VERSION,
        };
        let mut reader = Reader::object(bytes, Kind::UNLOCK_PAYLOAD, version)?;
        let mut payload = Self {
            unlock: reader.id()?,
            vault: reader.id()?,
            entries: read_entries(&mut reader)?,
            conversations: read_conversations(&mut reader)?,
            volume_key: reader.option(|reader| DataKey::from_slice(reader.take(32)?))?,
            inbox: SealPublicKey(reader.array()?),
            unlock_key: UnlockKey::from_bytes(reader.array()?),
            channel_key: SealPublicKey(reader.array()?),
            manifest_counter: reader.u64()?,
            manifest_root: Digest32(reader.array()?),
            lease_ms: reader.u64()?,
            start_workload: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(CryptoError::Refused),
            },
            may_write: Vec::new(),
            continued: Vec::new(),
            volume: None,
        };
        if version != VERSION {
            payload.may_write = (0..reader.count(MAX_WRITES, 4)?)
                .map(|_| EntryName::read(&mut reader))
                .collect::<Result<_>>()?;
        }
        if version >= VERSION_CONTINUES {
            payload.continued = (0..reader.count(MAX_CONTINUED, CONTINUED_LEN)?)
                .map(|_| Continued::read(&mut reader))
                .collect::<Result<_>>()?;
        }
        if version == VERSION_VOLUME {
            payload.volume = Some(VolumeUnlock::read(&mut reader)?);
        }
        // nothing of what a version is for is a lower version
        let empty = match version {
            VERSION_CONTINUES => payload.continued.is_empty(),
            VERSION_WRITES => payload.may_write.is_empty(),
            _ => false,
        };
        if empty {
            return Err(CryptoError::Refused);
        }
        reader.finish()?;
        // the cell keeps the data keys where they are until it locks
        locked::lock(payload.entries.as_ptr(), size_of_val(payload.entries.as_slice()));
        locked::lock(payload.conversations.as_ptr(), size_of_val(payload.conversations.as_slice()));
        Ok(payload)
    }
}

fn read_entries(reader: &mut Reader<'_>) -> Result<Vec<MappedEntry>> {
    let count = reader.count(MAX_ENTRIES, 76)?;
    // room for all at once: a list that grows leaves copies of keys behind
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(MappedEntry {
            name: reader.text(MAX_NAME)?.to_owned(),
            object: Digest32(reader.array()?),
            version: reader.u64()?,
            data_key: DataKey::from_slice(reader.take(32)?)?,
        });
    }
    Ok(entries)
}

fn read_conversations(reader: &mut Reader<'_>) -> Result<Vec<ConversationKey>> {
    let count = reader.count(MAX_CONVERSATIONS, 52)?;
    let mut conversations = Vec::with_capacity(count);
    for _ in 0..count {
        conversations.push(ConversationKey {
            conversation: reader.id()?,
            key_epoch: reader.u32()?,
            key: DataKey::from_slice(reader.take(32)?)?,
        });
    }
    Ok(conversations)
}

pub(crate) fn is_variable_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn info(place: &CellPlace, boot_nonce: &[u8; 32]) -> Vec<u8> {
    let mut out = Writer::with_capacity(128);
    out.fixed(INFO);
    place.write(&mut out);
    out.fixed(boot_nonce);
    out.into_vec()
}
