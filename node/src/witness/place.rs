//! Where heads go.

use std::{
    collections::HashSet,
    fmt,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{
    Request,
    header::{CONTENT_TYPE, USER_AGENT},
};
use ocmt_client::audit::{KeptCheckpoint, Trust};
use ocmt_crypto::audit::checkpoint::Checkpoint;
use ocmt_types::{Secret, Timestamp};
use sha2::Sha256;

use crate::sso::Fetch;

/// Header of a post's signature: `t=<ms>,v1=<HMAC-SHA256 over "<ms>.<body>", hexadecimal>`.
pub(crate) const SIGNATURE: &str = "ocmt-signature";

/// Of a file that is read back, the end: the last heads of some ten thousand audits.
const MOST_READ_BACK: u64 = 64 << 20;

/// Why they were not taken.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file.
    #[error("the file cannot be written: {0}")]
    File(#[from] std::io::Error),
    /// The webhook.
    #[error("the witness {0}")]
    Webhook(String),
}

/// Where heads are handed out to.
pub enum Place {
    /// A file that is only appended to.
    File(PathBuf),
    /// A webhook of the operator's.
    Webhook {
        /// Where.
        url: http::Uri,
        /// What posts are signed with.
        key: Secret<String>,
        /// The way there.
        fetch: Fetch,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("file"),
            // a path may hold a token
            Self::Webhook { url, .. } => f.write_str(url.host().unwrap_or_default()),
        }
    }
}

impl Place {
    /// Ready when they are taken: on disk, or answered for.
    pub(super) async fn take(&self, lines: String, now: Timestamp) -> Result<(), PlaceError> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                let written = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
                written.map_err(|_| PlaceError::File(std::io::Error::other("the node stops")))?
            }
            Self::Webhook { url, key, fetch } => {
                let request = Request::post(url.clone())
                    .header(CONTENT_TYPE, "application/jsonl")
                    .header(USER_AGENT, "ocmt")
                    .header(SIGNATURE, sign(key, &lines, now))
                    .body(lines.into_bytes());
                let request = request.map_err(|_| PlaceError::Webhook("has no address".to_owned()))?;
                let answer = fetch.fetch(request).await.map_err(|e| PlaceError::Webhook(e.to_string()))?;
                match answer.status() {
                    status if status.is_success() => Ok(()),
                    status => Err(PlaceError::Webhook(format!("answers {}", status.as_u16()))),
                }
            }
        }
    }
}

impl Place {
    /// The last head of each audit that the place holds and `trust` has signed. A webhook does not give them back.
    pub(super) fn last(&self, trust: &Trust) -> Vec<Checkpoint> {
        let Self::File(path) = self else { return Vec::new() };
        match tail(path) {
            Ok(text) => last_of(&text, trust),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "the heads that were handed out cannot be read back: what happened while the node was down does not show");
                Vec::new()
            }
        }
    }
}

/// The last bytes of the file, from the beginning of a line on.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(MOST_READ_BACK);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MOST_READ_BACK).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // a part of a line is none
    Ok(if skipped == 0 {
        text
    } else {
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    })
}

fn last_of(text: &str, trust: &Trust) -> Vec<Checkpoint> {
    let (mut known, mut last) = (HashSet::new(), Vec::new());
    for kept in KeptCheckpoint::read(text).unwrap_or_default().iter().rev() {
        let Ok(claimed) = kept.claimed() else { continue };
        if known.contains(&claimed.tenant) {
            continue;
        }
        match kept.prove(trust) {
            Ok(proven) => {
                known.insert(proven.tenant);
                last.push(proven);
            }
            Err(error) => {
                tracing::warn!(tenant = %claimed.tenant, %error, "a head in the file is not signed by a node");
            }
        }
    }
    last
}

fn append(path: &PathBuf, lines: &str) -> Result<(), PlaceError> {
    let mut file: File = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // a full disk or a crash may have left a part of a line: it spoils no other
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{lines}").as_bytes())?;
    Ok(file.sync_all()?)
}

/// What stands in [`SIGNATURE`].
pub(crate) fn sign(key: &Secret<String>, body: &str, now: Timestamp) -> String {
    // HMAC takes keys of every length
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else { return String::new() };
    let mac = mac.chain_update(format!("{}.", now.0)).chain_update(body).finalize().into_bytes();
    format!("t={},v1={}", now.0, HEXLOWER.encode(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python's `hmac`, as a receiver would.
    #[test]
    fn a_receiver_computes_the_same_signature_over_time_and_body() {
        let signed = sign(&Secret::new("k".repeat(32)), "{\"a\":1}", Timestamp(1_800_000_000_000));
        let expected = "095a1994b9e892544ebf00a5d5fb1d5b4c9cfdcd79cbf6f68e331de778592c88";
        assert_eq!(signed, format!("t=1800000000000,v1={expected}"));
    }
}
