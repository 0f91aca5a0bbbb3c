//! Entries: named secrets. The name is secret too, so it travels inside; outside stands its HMAC.

use ocmt_types::{Digest32, Timestamp};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::DataKey,
    kind::Kind,
    mac,
};

const VERSION: u8 = 1;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 64 * 1024;
/// The longest name, in bytes after normalisation.
pub const MAX_NAME: usize = 255;

/// What is known of an entry beside its name and value; as secret as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// When this version was written.
    pub written_at: Timestamp,
    /// When the secret ends to be valid, if its owner said so.
    pub expires_at: Option<Timestamp>,
    /// When its owner wants to be reminded of it.
    pub remind_at: Option<Timestamp>,
}

/// A named secret, in clear. Wiped when dropped; cannot be printed.
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// Its value, at most 64 KiB.
    pub value: Zeroizing<Vec<u8>>,
    /// What else is known of it.
    pub attributes: Attributes,
}

/// The name of an entry: NFC, 1 to 255 bytes, no control characters. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName(Zeroizing<String>);

impl EntryName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`].
    pub fn new(name: &str) -> Result<Self> {
        let bad =
            CryptoError::OutOfRange { what: "entry name", rule: "1 to 255 bytes, no control characters" };
        if name.is_empty() || name.len() > 3 * MAX_NAME {
            return Err(bad);
        }
        let name = Zeroizing::new(name.nfc().collect::<String>());
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(bad);
        }
        Ok(Self(name))
    }

    /// Reads a name in the one form that it is written in.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let name = reader.text(MAX_NAME)?;
        if !is_nfc(name) {
            return Err(CryptoError::Refused);
        }
        Self::new(name).map_err(|_| CryptoError::Refused)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The id of the entry of this name: HMAC-SHA256(name key, "OCMT entry v1" ‖ 0x00 ‖ name).
    pub(crate) fn id(&self, name_key: &[u8; 32]) -> Digest32 {
        Digest32(mac::tag(name_key, &Zeroizing::new([b"OCMT entry v1\0", self.0.as_bytes()].concat())))
    }
}

impl PartialOrd for EntryName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EntryName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl Entry {
    /// The plaintext of the entry's object.
    pub(crate) fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        if self.value.len() > MAX_VALUE {
            return Err(CryptoError::TooLarge { what: "value, in bytes", max: MAX_VALUE as u64 });
        }
        let mut out = Writer::with_capacity(64 + MAX_NAME + self.value.len());
        out.fixed(Writer::object(Kind::ENTRY, VERSION).as_bytes());
        let time = |out: &mut Writer, at: Timestamp| {
            out.i64(at.0);
        };
        out.var(self.name.0.as_bytes()).i64(self.attributes.written_at.0);
        out.option(self.attributes.expires_at, time).option(self.attributes.remind_at, time);
        out.var(&self.value);
        Ok(out.into_secret())
    }

    /// Reads the plaintext of an entry's object: what a cell does with an opened body.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn decode(plaintext: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(plaintext, Kind::ENTRY, VERSION)?;
        let name = EntryName::read(&mut reader)?;
        let attributes = Attributes {
            written_at: Timestamp(reader.i64()?),
            expires_at: reader.option(|reader| reader.i64().map(Timestamp))?,
            remind_at: reader.option(|reader| reader.i64().map(Timestamp))?,
        };
        let value = Zeroizing::new(reader.var(MAX_VALUE)?.to_vec());
        reader.finish()?;
        Ok(Self { name, value, attributes })
    }
}

/// The content of a conversation's or volume's key object: the data keys it had before, newest last.
/// Its present one is the object's own data key.
pub(crate) struct KeyHistory(pub(crate) Vec<(u64, DataKey)>);

/// Most keys that a history holds: one for each re-keying.
pub(crate) const MAX_HISTORY: usize = 1024;

impl KeyHistory {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(16 + self.0.len() * 40);
        out.fixed(Writer::object(Kind::KEY_HISTORY, VERSION).as_bytes()).count(self.0.len());
        for (version, key) in &self.0 {
            out.u64(*version).fixed(key.expose());
        }
        out.into_secret()
    }

    pub(crate) fn decode(plaintext: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(plaintext, Kind::KEY_HISTORY, VERSION)?;
        let keys = (0..reader.count(MAX_HISTORY, 40)?)
            .map(|_| Ok((reader.u64()?, DataKey::from_slice(reader.take(32)?)?)))
            .collect::<Result<Vec<_>>>()?;
        reader.finish()?;
        if keys.is_sorted_by(|a, b| a.0 < b.0) { Ok(Self(keys)) } else { Err(CryptoError::Refused) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(name: &str, value: &[u8]) -> Entry {
        let attributes = Attributes { expires_at: Some(Timestamp(7)), ..Attributes::default() };
        Entry { name: EntryName::new(name).unwrap(), value: Zeroizing::new(value.to_vec()), attributes }
    }

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        let bytes = entry("API_KEY", b"value").encode().unwrap();
        let read = Entry::decode(&bytes).unwrap();
        assert_eq!(
            (read.name.expose(), read.value.as_slice(), read.attributes.expires_at),
            ("API_KEY", b"value".as_slice(), Some(Timestamp(7)))
        );
        for len in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn values_and_names_are_bounded() {
        entry("n", &vec![0; MAX_VALUE]).encode().unwrap();
        assert!(matches!(entry("n", &vec![0; MAX_VALUE + 1]).encode(), Err(CryptoError::TooLarge { .. })));
        assert!(EntryName::new(&"n".repeat(255)).is_ok());
        for bad in [String::new(), "n".repeat(256), "a\nb".into(), "a\0".into(), "n".repeat(1_000_000)] {
            assert!(EntryName::new(&bad).is_err());
        }
    }

    #[test]
    fn one_name_has_one_id_under_each_key() {
        let (composed, decomposed) =
            (EntryName::new("caf\u{e9}").unwrap(), EntryName::new("cafe\u{301}").unwrap());
        assert_eq!(composed.id(&[1; 32]), decomposed.id(&[1; 32]));
        assert_ne!(composed.id(&[1; 32]), composed.id(&[2; 32]));
        assert_ne!(composed.id(&[1; 32]), EntryName::new("cafe").unwrap().id(&[1; 32]));
    }
}
