//! The entry that stands in a vault while an import of more than one batch is under way.

use ocmt_crypto::entry::{Attributes, Entry, EntryName};
use ocmt_types::{Clock as _, Digest32, SystemClock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Source;
use crate::ClientError;

/// Its name: what somebody who lists the vault reads.
pub(in crate::vault) const NAME: &str = "ocmt: an import was cut short";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// Names the file.
    file: String,
    /// How many entries it was to write when it began.
    entries: usize,
}

pub(super) fn entry(source: &Source, entries: usize) -> Result<Entry, ClientError> {
    let content = Content { file: source.digest().to_string(), entries };
    let value = serde_json::to_vec(&content).map_err(|_| ClientError::Answer("mark"))?;
    Ok(Entry {
        name: EntryName::new(NAME)?,
        value: Zeroizing::new(value),
        attributes: Attributes { written_at: SystemClock.now(), ..Attributes::default() },
    })
}

/// Whether a mark is of this file.
pub(super) fn is_of(mark: &Entry, digest: Digest32) -> bool {
    serde_json::from_slice(&mark.value).is_ok_and(|content: Content| content.file == digest.to_string())
}
