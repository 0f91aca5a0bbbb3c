//! Canonical bytes: one value has one encoding, and reading never trusts a length.
//!
//! Integers are big-endian, fixed-size fields stand plain, variable ones carry a `u32` length. A
//! [`Reader`] borrows from its input and allocates nothing; counts are held against what is left.
//! All its errors are [`CryptoError::Refused`].

use ocmt_types::Id;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, kind::Kind};

/// The first four bytes of every object of ours.
pub const MAGIC: [u8; 4] = *b"OCMT";

/// Builds canonical bytes. The buffer is wiped when dropped, so that secrets may pass through it.
#[derive(Default)]
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that does not reallocate (and so leaves no copies behind) up to `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    /// A writer that starts with the head of a canonical object: magic, kind, version.
    pub fn object(kind: Kind, version: u8) -> Self {
        let mut writer = Self::with_capacity(256);
        writer.fixed(&MAGIC).u8(kind.0).u8(version);
        writer
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Eight bytes, big-endian, two's complement.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// The 16 bytes of an id.
    pub fn id(&mut self, id: impl Id) -> &mut Self {
        self.fixed(&id.into_bytes())
    }

    /// Bytes whose length the format fixes.
    pub fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them. Formats bound them far below 4 GiB.
    pub fn var(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).fixed(bytes)
    }

    /// The number of items of a list that follows.
    pub fn count(&mut self, items: usize) -> &mut Self {
        self.u32(u32::try_from(items).unwrap_or(u32::MAX))
    }

    /// An optional value: 0, or 1 and the value.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
                self
            }
        }
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, which are no secret.
    pub fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }

    /// The bytes, which hold secrets.
    pub fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads canonical bytes.
#[derive(Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads the head of a canonical object and refuses any other kind and version.
    pub fn object(bytes: &'a [u8], kind: Kind, version: u8) -> Result<Self> {
        let mut reader = Self::new(bytes);
        let head = (reader.array::<4>()?, reader.u8()?, reader.u8()?);
        if head == (MAGIC, kind.0, version) { Ok(reader) } else { Err(CryptoError::Refused) }
    }

    /// Bytes that are left.
    pub const fn remaining(&self) -> usize {
        self.0.len()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(CryptoError::Refused)?;
        self.0 = rest;
        Ok(head)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(CryptoError::Refused)?;
        self.0 = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Eight bytes, big-endian, two's complement.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// An id of 16 bytes.
    pub fn id<I: Id>(&mut self) -> Result<I> {
        Ok(I::from_bytes(self.array()?))
    }

    /// Bytes with their length before them, at most `max`.
    pub fn var(&mut self, max: usize) -> Result<&'a [u8]> {
        let len = self.length(max)?;
        self.take(len)
    }

    /// UTF-8 text with its length in bytes before it, at most `max`.
    pub fn text(&mut self, max: usize) -> Result<&'a str> {
        std::str::from_utf8(self.var(max)?).map_err(|_| CryptoError::Refused)
    }

    /// The number of items that follow: at most `max`, and no more than can be there when each takes
    /// `item_len` bytes or more. So a list may be allocated by it.
    pub fn count(&mut self, max: usize, item_len: usize) -> Result<usize> {
        let items = self.length(max)?;
        match items.checked_mul(item_len.max(1)) {
            Some(bytes) if bytes <= self.remaining() => Ok(items),
            _ => Err(CryptoError::Refused),
        }
    }

    /// An optional value; any mark but 0 and 1 is refused.
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(CryptoError::Refused),
        }
    }

    /// The end: anything left is refused.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(CryptoError::Refused) }
    }

    fn length(&mut self, max: usize) -> Result<usize> {
        match usize::try_from(self.u32()?) {
            Ok(len) if len <= max => Ok(len),
            _ => Err(CryptoError::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::object(Kind::MANIFEST, 1);
        writer.u16(2).u32(3).u64(4).i64(-5).var(b"six").option(Some(7), |w, v| {
            w.u8(v);
        });
        let bytes = writer.into_vec();
        let mut reader = Reader::object(&bytes, Kind::MANIFEST, 1).unwrap();
        assert_eq!((reader.u16(), reader.u32(), reader.u64(), reader.i64()), (Ok(2), Ok(3), Ok(4), Ok(-5)));
        assert_eq!((reader.text(3), reader.option(Reader::u8)), (Ok("six"), Ok(Some(7))));
        reader.finish().unwrap();
        assert!(
            Reader::object(&bytes, Kind::KEY_SLOT, 1).is_err()
                && Reader::object(&bytes, Kind::MANIFEST, 2).is_err()
        );
    }

    #[test]
    fn lengths_of_an_attacker_are_refused_before_they_are_believed() {
        let four_gib = [0xff; 8];
        assert_eq!(Reader::new(&four_gib).var(usize::MAX), Err(CryptoError::Refused));
        assert_eq!(Reader::new(&four_gib).count(usize::MAX, 1), Err(CryptoError::Refused));
        assert_eq!(Reader::new(&[0, 0, 0, 2, 0, 0, 0]).count(10, 2), Err(CryptoError::Refused));
        assert_eq!(Reader::new(&[0, 0, 0, 4, 1, 2, 3, 4]).var(3), Err(CryptoError::Refused));
        assert!(Reader::new(&[2, 0]).option(Reader::u8).is_err() && Reader::new(&[0]).finish().is_err());
    }
}
