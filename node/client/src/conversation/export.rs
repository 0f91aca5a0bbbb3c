//! A conversation in a file, under a passphrase of its own: it needs no vault and no node to be read.
//!
//! JSON Lines. The first says how the passphrase is stretched; each further one is a record of a transcript that is
//! sealed under the stretched passphrase (`docs/formats-cell-and-recovery.md`, "Exported conversation"). So a line that
//! is changed, moved, doubled or left out is refused, and a file without its last line shows that it is not whole.

use data_encoding::{BASE64, HEXLOWER};
use ocmt_crypto::{
    CryptoError,
    codec::{Reader, Writer},
    datakey::DataKey,
    kdf::{Cost, Passphrase, Stretch},
    transcript::{ConversationPlace, TranscriptReader, TranscriptWriter},
};
use ocmt_types::{ConversationId, IdGen, RandomIds, TenantId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Conversation;
use crate::{ClientError, passphrase::NewPassphrase, vault::blocking};

const FORMAT: &str = "ocmt conversation export 1";
/// A transcript of one key.
const EPOCH: u32 = 1;
/// The longest line that is looked at: of a record of the largest size.
pub const MOST_OF_A_LINE: u64 = 512 << 10;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    tenant: TenantId,
    export: ConversationId,
    /// Canonical, in hexadecimal.
    stretch: String,
}

/// A further line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    record: String,
}

/// What was exported: the text of the first record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Sequence of the first record in the file.
    pub first_sequence: u64,
    /// Whether its final record is there.
    pub finished: bool,
}

impl From<&Conversation> for Exported {
    fn from(of: &Conversation) -> Self {
        Self { conversation: of.id, first_sequence: of.first_sequence, finished: of.finished }
    }
}

/// Writes an export.
pub struct ExportWriter(TranscriptWriter);

impl ExportWriter {
    /// Begins one; its first two lines.
    ///
    /// # Errors
    /// [`ClientError::Crypto`].
    pub async fn begin(
        tenant: TenantId,
        passphrase: NewPassphrase,
        cost: Cost,
        what: &Exported,
    ) -> Result<(Self, String), ClientError> {
        let stretch = Stretch::generate(cost, &mut rand::rng());
        let ids: &dyn IdGen = &RandomIds;
        let mut bytes = Writer::new();
        stretch.write(&mut bytes);
        let head = Head {
            format: FORMAT.to_owned(),
            tenant,
            export: ids.id(),
            stretch: HEXLOWER.encode(bytes.as_bytes()),
        };
        let place = ConversationPlace { tenant, conversation: head.export };
        let key = blocking(move || stretch.derive(passphrase.as_passphrase().expose())).await??;
        let mut export = Self(TranscriptWriter::begin(place, EPOCH, DataKey::from_bytes(*key)));
        let what = export.line(&json(what)?.into_bytes())?;
        Ok((export, format!("{}\n{what}", json(&head)?)))
    }

    /// The line of a record.
    ///
    /// # Errors
    /// [`ClientError::Crypto`].
    pub fn line(&mut self, text: &[u8]) -> Result<String, ClientError> {
        self.seal(text, false)
    }

    /// The last line.
    ///
    /// # Errors
    /// [`ClientError::Crypto`].
    pub fn end(mut self) -> Result<String, ClientError> {
        self.seal(b"", true)
    }

    fn seal(&mut self, text: &[u8], last: bool) -> Result<String, ClientError> {
        let sealed = self.0.append(text, last, &mut rand::rng())?;
        json(&Line { record: BASE64.encode(&sealed) })
    }
}

/// A record of an export: its sequence, and what was said.
pub type ExportedRecord = (u64, Zeroizing<Vec<u8>>);

/// Reads an export.
pub struct ExportReader {
    reader: TranscriptReader,
    what: Exported,
    next: u64,
}

impl ExportReader {
    /// Begins with the first two lines.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for a wrong passphrase and for damage; [`ClientError::Usage`] if it is no export.
    pub async fn begin(head: &str, what: &str, passphrase: Passphrase) -> Result<Self, ClientError> {
        let head: Head = serde_json::from_str(head).map_err(|_| not_one())?;
        let bytes = HEXLOWER.decode(head.stretch.as_bytes()).map_err(|_| not_one())?;
        let mut bytes = Reader::new(&bytes);
        let stretch = Stretch::read(&mut bytes)?;
        bytes.finish()?;
        if head.format != FORMAT {
            return Err(not_one());
        }
        let key = blocking(move || stretch.derive(passphrase.expose())).await??;
        let place = ConversationPlace { tenant: head.tenant, conversation: head.export };
        let mut reader = TranscriptReader::new(place, [(EPOCH, DataKey::from_bytes(*key))]);
        let text = open(&mut reader, what)?;
        let what: Exported = serde_json::from_slice(&text).map_err(|_| CryptoError::Refused)?;
        Ok(Self { reader, next: what.first_sequence, what })
    }

    /// What was exported.
    pub fn what(&self) -> &Exported {
        &self.what
    }

    /// The record of the next line with its sequence; none for the last line.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for a line that is not the one that follows.
    pub fn next(&mut self, line: &str) -> Result<Option<ExportedRecord>, ClientError> {
        let text = open(&mut self.reader, line)?;
        if self.reader.is_finished() {
            return Ok(None);
        }
        let sequence = self.next;
        self.next = sequence.saturating_add(1);
        Ok(Some((sequence, text)))
    }

    /// Whether the last line was read: a file that ends before was cut off.
    pub fn is_whole(&self) -> bool {
        self.reader.is_finished()
    }
}

fn open(reader: &mut TranscriptReader, line: &str) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let line: Line = serde_json::from_str(line).map_err(|_| CryptoError::Refused)?;
    let sealed = BASE64.decode(line.record.as_bytes()).map_err(|_| CryptoError::Refused)?;
    Ok(reader.next(&sealed)?)
}

fn json(of: &impl Serialize) -> Result<String, ClientError> {
    serde_json::to_string(of).map_err(|_| ClientError::Usage("it cannot be written as JSON".to_owned()))
}

fn not_one() -> ClientError {
    ClientError::Usage("this is no exported conversation".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text).unwrap()
    }

    async fn exported() -> Vec<String> {
        let ids: &dyn IdGen = &RandomIds;
        let what = Exported { conversation: ids.id(), first_sequence: 3, finished: false };
        let secret = NewPassphrase::new("violin ledger umbrella quartz", &[]).unwrap();
        let (mut export, mut text) = ExportWriter::begin(ids.id(), secret, Cost::LEAST, &what).await.unwrap();
        for said in [b"one".as_slice(), b"", b"three\n"] {
            text = format!("{text}\n{}", export.line(said).unwrap());
        }
        format!("{text}\n{}", export.end().unwrap()).lines().map(str::to_owned).collect()
    }

    async fn read(lines: &[String], secret: &str) -> Option<(Vec<(u64, Vec<u8>)>, bool)> {
        let mut reader = ExportReader::begin(&lines[0], &lines[1], passphrase(secret)).await.ok()?;
        let mut all = Vec::new();
        for line in &lines[2..] {
            all.extend(reader.next(line).ok()?.map(|(sequence, text)| (sequence, text.to_vec())));
        }
        Some((all, reader.is_whole()))
    }

    #[tokio::test]
    async fn an_export_is_read_with_its_passphrase_and_as_it_was_written_alone() {
        let (lines, secret) = (exported().await, "violin ledger umbrella quartz");
        let (said, whole) = read(&lines, secret).await.unwrap();
        assert_eq!(said, [(3, b"one".to_vec()), (4, Vec::new()), (5, b"three\n".to_vec())]);
        assert!(whole);
        assert!(read(&lines, "another passphrase").await.is_none());
        assert!(!read(&lines[..5], secret).await.unwrap().1, "cut off");
        for other in
            [vec![0, 1, 3, 2, 4, 5], vec![0, 1, 3, 4, 5], vec![0, 1, 2, 2, 3, 4, 5], vec![0, 2, 3, 4, 5]]
        {
            let changed: Vec<_> = other.iter().map(|n: &usize| lines[*n].clone()).collect();
            assert!(read(&changed, secret).await.is_none(), "{other:?}");
        }
        let foreign = exported().await;
        let spliced = [&lines[..3], &foreign[3..]].concat();
        assert!(read(&spliced, secret).await.is_none());
    }

    /// Written once, by another program, from the document.
    #[tokio::test]
    async fn the_published_export_of_a_conversation_opens_for_ever() {
        let all = include_str!("../../../../proto/crypto/tests/vectors/ocmt/nodes.json");
        let all: serde_json::Value = serde_json::from_str(all).unwrap();
        let it = &all["conversation"];
        let lines: Vec<_> = it["file"].as_str().unwrap().lines().map(str::to_owned).collect();
        let (said, whole) = read(&lines, it["passphrase"].as_str().unwrap()).await.unwrap();
        assert_eq!(said, [(5, b"hello".to_vec()), (6, "caf\u{e9}".into())]);
        assert!(whole);
    }
}
