//! Reading a dump, record by record, believing nothing before its sum fits.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{DumpError, MAGIC, MOST_BYTES};
use crate::kernel::value::Value;

pub(super) struct Reader<'r, R> {
    from: &'r mut R,
    sum: Sha256,
    at: u64,
    /// Where in the dump, in words.
    pub(super) place: String,
}

impl<'r, R: AsyncRead + Unpin> Reader<'r, R> {
    pub(super) async fn begin(from: &'r mut R) -> Result<Self, DumpError> {
        let mut reader = Self { from, sum: Sha256::new(), at: 0, place: "the header".to_owned() };
        let mut magic = [0; MAGIC.len()];
        reader.fill(&mut magic).await.map_err(|error| match error {
            DumpError::CutOff { .. } => DumpError::Unknown,
            other => other,
        })?;
        if magic == MAGIC { Ok(reader) } else { Err(DumpError::Unknown) }
    }

    /// The next record: its kind and the rest.
    pub(super) async fn record(&mut self) -> Result<(u8, Part), DumpError> {
        let at = self.at;
        let mut length = [0; 4];
        self.fill(&mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 || length > MOST_BYTES {
            return Err(self.damaged(at, "a length that no record has"));
        }
        let mut payload = vec![0; length];
        self.fill(&mut payload).await?;
        let wanted = self.sum.clone().finalize();
        let mut sum = [0; 8];
        self.fill(&mut sum).await?;
        if sum != wanted[..8] {
            return Err(self.damaged(at, "the sum does not fit"));
        }
        Ok((payload[0], Part { payload, read: 1, at }))
    }

    /// The whole sum at the end, and nothing after it.
    pub(super) async fn end(mut self) -> Result<[u8; 32], DumpError> {
        let (at, digest): (u64, [u8; 32]) = (self.at, self.sum.clone().finalize().into());
        let mut found = [0; 32];
        self.fill(&mut found).await?;
        if found != digest {
            return Err(self.damaged(at, "the last sum does not fit"));
        }
        match self.from.read(&mut [0]).await? {
            0 => Ok(digest),
            _ => Err(self.damaged(self.at, "something follows the end")),
        }
    }

    pub(super) fn damaged(&self, at: u64, what: &'static str) -> DumpError {
        DumpError::Damaged { at, place: self.place.clone(), what }
    }

    async fn fill(&mut self, into: &mut [u8]) -> Result<(), DumpError> {
        match self.from.read_exact(into).await {
            Ok(_) => {
                self.sum.update(&*into);
                self.at += into.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(DumpError::CutOff { at: self.at, place: self.place.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a record says, taken piece by piece; `None` where a piece is missing or malformed.
pub(super) struct Part {
    payload: Vec<u8>,
    read: usize,
    /// Where the record begins.
    pub(super) at: u64,
}

impl Part {
    pub(super) fn int(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn value(&mut self) -> Option<Value> {
        match self.take(1)? {
            [0] => Some(Value::Null),
            [1] => self.int().map(Value::Int),
            [2] => self.text().map(Value::Text),
            [3] => self.bytes().map(Value::Blob),
            _ => None,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.read == self.payload.len()
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.take(4)?.try_into().ok().map(u32::from_be_bytes)?;
        self.take(length as usize).map(<[u8]>::to_vec)
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.read.checked_add(length)?;
        let taken = self.payload.get(self.read..end)?;
        self.read = end;
        Some(taken)
    }
}
