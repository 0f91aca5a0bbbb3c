//! Connections of a container to other people's services (OAuth): what the user's vault keeps of them, and what
//! client and cell say to each other on the way to one.
//!
//! [`ProviderSettings`] and [`Tokens`] are entries of the vault, under the names of [`settings_entry`] and
//! [`tokens_entry`]. An unlock maps them to variables that the cell keeps for itself ([`SETTINGS_VARIABLE`],
//! [`TOKENS_VARIABLE`]). What a cell answers to a wish for a connection is under a MAC of the unlock
//! ([`Offered`]), and what comes back is sealed under one of its keys ([`Answer`]): a node that carries both can
//! neither send the user elsewhere nor hand the cell somebody else's code.

mod settings;
mod statement;
#[cfg(test)]
mod tests;
mod tokens;

pub use settings::{Endpoints, MAX_SETTINGS, ProviderName, ProviderSettings, SecretBy};
pub use statement::{Answer, MAX_ANSWER, Offered};
pub use tokens::{MAX_TOKENS, Tokens};

/// Mapped variables with this beginning are the cell's own and never the workload's.
pub const RESERVED_VARIABLES: &str = "OCMT_";
/// Of a provider's settings; a number follows.
pub const SETTINGS_VARIABLE: &str = "OCMT_OAUTH_PROVIDER_";
/// Of the tokens of the provider whose settings have the same number.
pub const TOKENS_VARIABLE: &str = "OCMT_OAUTH_TOKENS_";
/// Most connections of one unlock.
pub const MAX_CONNECTIONS: usize = 16;

/// The vault's entry with a provider's settings.
pub fn settings_entry(provider: &ProviderName) -> String {
    format!("oauth/provider/{provider}")
}

/// The vault's entry with the tokens of a connection.
pub fn tokens_entry(provider: &ProviderName) -> String {
    format!("oauth/tokens/{provider}")
}
