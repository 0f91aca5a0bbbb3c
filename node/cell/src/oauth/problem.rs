//! Why a connection does not come about. The texts hold nothing secret, and of what a provider said its error's
//! name alone.

use crate::CellError;

/// What went wrong between cell and provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// The user's settings are not usable.
    #[error("its settings are wrong: {0}")]
    Settings(&'static str),
    /// It may be there at another time.
    #[error("it {0}")]
    Unreachable(&'static str),
    /// The host of the container did not connect.
    #[error("the container's host did not connect: {0}")]
    NotReached(String),
    /// It is not who it should be, or does not behave as it should.
    #[error("it {0}")]
    Untrusted(&'static str),
    /// It was asked, and refuses; by the name of its error (RFC 6749, 5.2).
    #[error("it refuses: {0}")]
    Refused(String),
}

impl Problem {
    /// Whether the same may go well a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NotReached(_) => true,
            Self::Refused(name) => {
                matches!(name.as_str(), "temporarily_unavailable" | "server_error" | "slow_down")
            }
            Self::Settings(_) | Self::Untrusted(_) => false,
        }
    }

    /// Whether the tokens that were shown are good for nothing any more.
    pub(super) fn ends_tokens(&self) -> bool {
        matches!(self, Self::Refused(name) if name == "invalid_grant")
    }

    pub(super) fn of(self, provider: &ocmt_crypto::connect::ProviderName) -> CellError {
        CellError::Provider {
            provider: provider.to_string(),
            why: self.to_string(),
            may_pass: self.may_pass(),
        }
    }
}
