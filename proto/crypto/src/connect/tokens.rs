//! What a provider gave: an entry of the vault, as JSON.

use ocmt_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

use super::ProviderName;

const VERSION: u8 = 1;
/// The longest entry, in bytes.
pub const MAX_TOKENS: usize = 48 * 1024;

/// The tokens of one connection.
pub struct Tokens {
    /// Who gave them.
    pub provider: ProviderName,
    /// To which client: of another one they are good for nothing.
    pub client_id: String,
    /// What a program shows.
    pub access: Secret<String>,
    /// What gets the next ones; none if the provider gives none.
    pub refresh: Option<Secret<String>>,
    /// For what.
    pub scopes: Vec<String>,
    /// When `access` ends, by the provider's word and the container's clock; none if it said nothing.
    pub expires_at: Option<Timestamp>,
    /// When they were got.
    pub obtained_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    version: u8,
    provider: &'a str,
    client_id: std::borrow::Cow<'a, str>,
    access_token: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<std::borrow::Cow<'a, str>>,
    scopes: Vec<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
    obtained_at_ms: i64,
}

impl Tokens {
    /// As the vault keeps them.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`MAX_TOKENS`].
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let written = Written {
            version: VERSION,
            provider: self.provider.as_str(),
            client_id: self.client_id.as_str().into(),
            access_token: self.access.expose().as_str().into(),
            refresh_token: self.refresh.as_ref().map(|token| token.expose().as_str().into()),
            scopes: self.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            expires_at_ms: self.expires_at.map(Timestamp::millis),
            obtained_at_ms: self.obtained_at.millis(),
        };
        // room for all at once: a buffer that grows leaves pieces behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TOKENS));
        serde_json::to_writer(&mut *bytes, &written).map_err(|_| CryptoError::Refused)?;
        if bytes.len() > MAX_TOKENS {
            return Err(CryptoError::TooLarge { what: "tokens of a connection", max: MAX_TOKENS as u64 });
        }
        Ok(bytes)
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_TOKENS {
            return Err(CryptoError::Refused);
        }
        let written: Written<'_> = serde_json::from_slice(bytes).map_err(|_| CryptoError::Refused)?;
        if written.version != VERSION || written.access_token.is_empty() {
            return Err(CryptoError::Refused);
        }
        Ok(Self {
            provider: ProviderName::new(written.provider).map_err(|_| CryptoError::Refused)?,
            client_id: written.client_id.into_owned(),
            access: Secret::new(written.access_token.into_owned()),
            refresh: written.refresh_token.map(|token| Secret::new(token.into_owned())),
            scopes: written.scopes.into_iter().map(std::borrow::Cow::into_owned).collect(),
            expires_at: written.expires_at_ms.map(Timestamp),
            obtained_at: Timestamp(written.obtained_at_ms),
        })
    }
}
