//! What a call of the client may fail with.

use ocmt_crypto::CryptoError;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{audit::BadAudit, conversation::TranscriptFault};

/// Why something did not work, in words for the person in front of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The node cannot be reached.
    #[error("cannot reach {endpoint}: {why}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why not.
        why: String,
    },
    /// The node refused or failed.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The cluster's certificate authority cannot be used.
    #[error("the certificate authority file is {0}")]
    Ca(&'static str),
    /// A node's statement is not to be believed. Nothing was sent to it.
    #[error("refused the node's statement: {0}; somebody may stand between you and your container")]
    Node(&'static str),
    /// What the server answered does not fit the format; the field is named.
    #[error("the server's answer makes no sense: {0}")]
    Answer(&'static str),
    /// Wrong passphrase or key, or damaged, or not what its owner signed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The server's copy of the vault is older than one this device has seen.
    #[error(
        "the server shows an older state of the vault (counter {shown}) than this device has seen ({seen}): it was rolled back. If your operator restored a backup, and only then, accept it with --accept-rollback, with each command until the vault is changed the next time"
    )]
    RolledBack {
        /// Highest counter this device has seen.
        seen: u64,
        /// The counter shown.
        shown: u64,
    },
    /// The container runs on another host than before; its user has to say that this is right.
    #[error("the container runs on node {now}, not on {pinned} as before: confirm it with --accept-host")]
    OtherHost {
        /// The host in the vault's manifest.
        pinned: String,
        /// The host that signed.
        now: String,
    },
    /// A snapshot by schedule was signed by another host than the one this vault has pinned for its container.
    #[error(
        "node {by} says that it took the snapshot, and this vault has pinned {pinned} for its container: it is not restored"
    )]
    OtherTaker {
        /// The host in the vault's manifest.
        pinned: String,
        /// The host that signed.
        by: String,
    },
    /// An audit is not what was recorded.
    #[error(transparent)]
    Audit(#[from] BadAudit),
    /// A conversation is not what was written.
    #[error(transparent)]
    Transcript(#[from] TranscriptFault),
    /// The sealed channel or the gateway broke.
    #[error("the connection to the container ended: {0}")]
    Channel(String),
    /// The local state of this client cannot be read or written.
    #[error("{path}: {source}")]
    State {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The caller did something that cannot work; the text says what to do.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// The stable reason the server gave, for example `VAULT_LOCKED`; none if it gave none.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Refused(status) => status.get_details_error_info().map(|info| info.reason),
            _ => None,
        }
    }

    /// How long the server asks to wait before the next try; none if it does not say.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Refused(status) => status.get_details_retry_info()?.retry_delay,
            _ => None,
        }
    }

    /// The server's status code, if it was the server that refused.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(status) => Some(status.code()),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Refused(status) => {
                matches!(status.code(), Code::Unavailable) || status.get_details_retry_info().is_some()
            }
            _ => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}
