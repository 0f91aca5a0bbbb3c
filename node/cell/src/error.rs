//! What can go wrong in the cell, and what it tells the node. Nothing here carries a secret.

use std::io;

use ocmt_types::GuardianshipId;
use tonic::{Code, Status};

use crate::{sealed::VolumeError, state::Refusal};

/// An error of the cell.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The call needs an unlocked cell.
    #[error("the cell is locked: unlock it first")]
    Locked,
    /// An unlock payload came while the cell was not locked; it takes one per unlock.
    #[error("the cell is not locked: it takes one unlock payload, and it has it")]
    AlreadyUnlocked,
    /// The sealed payload, an object or an extension did not open under the key of this unlock.
    #[error("the sealed bytes do not open: they are for another cell, another unlock, or damaged")]
    NotForThisCell,
    /// The vault that several have opened together is older than what they approved.
    #[error("the group's vault is older than the one that was asked for")]
    VaultOlder,
    /// Too few of the parts that were released are those that were dealt; whose is not.
    #[error("too few parts are those that were dealt: {}", named(.0.as_ref()))]
    PartsRefused(Option<GuardianshipId>),
    /// The host does not stand behind it, or it is another cell's.
    #[error("the agent policy is not one that this cell's host stands behind")]
    PolicyRefused,
    /// Of another container, over, or of a key that this cell's host does not state.
    #[error("the gateway token is not one for this cell now")]
    TokenRefused,
    /// A newer one was taken.
    #[error("the agent policy is older than the one that holds")]
    PolicyOlder,
    /// Nothing is started before it is known what agents may do.
    #[error("there is no agent policy yet: its host gives it first")]
    NoPolicy,
    /// The request was understood and asks for something outside the bounds.
    #[error("refused: {0}")]
    Invalid(&'static str),
    /// There is no connection to a provider.
    #[error("{provider}: {why}")]
    NotConnected {
        /// Which provider.
        provider: String,
        /// What to do.
        why: &'static str,
    },
    /// A provider did not do its part.
    #[error("{provider}: {why}")]
    Provider {
        /// Which.
        provider: String,
        /// Why, without a word of its own but the name of its error.
        why: String,
        /// The same may go well a little later.
        may_pass: bool,
    },
    /// The sealed volume was not opened, or not sealed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Nothing serves the workload's port.
    #[error("the workload {0}")]
    WorkloadAway(&'static str),
    /// A limit of the cell is reached.
    #[error("too many: {0}")]
    Exhausted(&'static str),
    /// The operating system refused to make the memory unreadable, or another guard failed.
    #[error("cannot guard the cell's memory: {0}")]
    Guard(#[source] io::Error),
    /// Standard input ended, or stayed silent, before the start secret was whole.
    #[error("no start secret: {0}")]
    StartSecret(&'static str),
    /// A process could not be started.
    #[error("cannot start {what}: {source}")]
    Spawn {
        /// `workload` or `exec`: never the arguments, which may be the user's.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Any other failure of input or output.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl CellError {
    /// Whether the same call may succeed later without anything else changing.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Exhausted(_)
                | Self::WorkloadAway(_)
                | Self::Spawn { .. }
                | Self::Provider { may_pass: true, .. }
        )
    }

    /// The stable reason word that the node passes on.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Locked => "CELL_LOCKED",
            Self::AlreadyUnlocked => "CELL_NOT_LOCKED",
            Self::NotForThisCell => "CELL_PAYLOAD_REFUSED",
            Self::VaultOlder => "CELL_VAULT_OLDER",
            Self::PartsRefused(_) => "CELL_PARTS_REFUSED",
            Self::PolicyRefused => "CELL_POLICY_REFUSED",
            Self::TokenRefused => "CELL_TOKEN_REFUSED",
            Self::PolicyOlder => "CELL_POLICY_OLDER",
            Self::NoPolicy => "CELL_NO_POLICY",
            Self::Invalid(_) => "CELL_INVALID",
            Self::Exhausted(_) => "CELL_EXHAUSTED",
            Self::Volume(error) => error.reason(),
            Self::WorkloadAway(_) => "WORKLOAD_AWAY",
            Self::NotConnected { .. } => "NOT_CONNECTED",
            Self::Provider { may_pass: true, .. } => "PROVIDER_AWAY",
            Self::Provider { .. } => "PROVIDER_REFUSED",
            Self::Guard(_) => "CELL_GUARD_FAILED",
            Self::StartSecret(_) => "CELL_NO_START_SECRET",
            Self::Spawn { .. } => "CELL_SPAWN_FAILED",
            Self::Io { .. } => "CELL_IO",
        }
    }
}

impl From<CellError> for Status {
    fn from(error: CellError) -> Self {
        let code = match error {
            CellError::Locked
            | CellError::AlreadyUnlocked
            | CellError::PolicyOlder
            | CellError::NoPolicy
            | CellError::NotConnected { .. }
            | CellError::VaultOlder
            | CellError::PartsRefused(_)
            | CellError::Volume(_)
            | CellError::Provider { may_pass: false, .. } => Code::FailedPrecondition,
            CellError::Provider { .. } | CellError::WorkloadAway(_) => Code::Unavailable,
            CellError::NotForThisCell | CellError::PolicyRefused | CellError::Invalid(_) => {
                Code::InvalidArgument
            }
            CellError::TokenRefused => Code::Unauthenticated,
            CellError::Exhausted(_) => Code::ResourceExhausted,
            CellError::Guard(_)
            | CellError::StartSecret(_)
            | CellError::Spawn { .. }
            | CellError::Io { .. } => Code::Internal,
        };
        let mut status = Status::new(code, error.to_string());
        status
            .metadata_mut()
            .insert("ocmt-cell-reason", tonic::metadata::MetadataValue::from_static(error.reason()));
        status
    }
}

/// A holder of a part of a group's key is named by the id of the user.
fn named(by: Option<&GuardianshipId>) -> String {
    by.map_or_else(
        || "of nobody who can be named".to_owned(),
        |by| format!("that of the user {by} is another"),
    )
}

impl From<Refusal> for CellError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Locked => Self::Locked,
            Refusal::NotLocked => Self::AlreadyUnlocked,
        }
    }
}
