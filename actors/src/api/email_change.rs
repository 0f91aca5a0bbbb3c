//! Another e-mail address for the caller's account.

use ocmt_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// Ask for another address: a link goes there and a notice to the one of now. It ends an earlier one. Answered alike
/// whether the address is known here, elsewhere or nowhere.
#[derive(Debug, Clone)]
pub struct RequestEmailChange {
    /// The other address.
    pub new_email: String,
}

/// Answer of [`RequestEmailChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailChangeAsked {
    /// How long the link is good.
    pub link_lifetime_ms: i64,
}

/// Show the link's token, in the session that asked.
pub struct ConfirmEmailChange {
    /// `ocmt_lnk_…`
    pub token: Secret<String>,
}

/// Answer of [`ConfirmEmailChange`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailChangeConfirmed {
    /// The other address.
    pub email: String,
    /// From when it counts.
    pub effective_at: Timestamp,
}

/// What is under way.
#[derive(Debug, Clone)]
pub struct GetEmailChange;

/// A change that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEmailChange {
    /// The other address.
    pub email: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// From when it counts; none until it is confirmed.
    pub effective_at: Option<Timestamp>,
}

/// Stop it, from any full session of the user.
#[derive(Debug, Clone)]
pub struct CancelEmailChange;
