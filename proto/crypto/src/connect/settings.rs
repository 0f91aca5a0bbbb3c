//! How a provider is reached and as whom: an entry of the vault, as JSON. What a node would say about a provider is
//! not asked: it could name a token endpoint of its own, and be sent code and verifier.

use std::collections::BTreeMap;

use ocmt_types::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{CryptoError, Result};

const VERSION: u8 = 1;
/// The longest entry, in bytes.
pub const MAX_SETTINGS: usize = 24 * 1024;
const MAX_NAME: usize = 64;
/// Scopes, hosts and parameters.
const MAX_LIST: usize = 64;
const MAX_TEXT: usize = 2048;
/// What the flow itself says: nobody's settings do.
const PARAMETERS_OF_OURS: [&str; 9] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "request",
    "request_uri",
    "response_type",
    "state",
];

/// A provider's name in a vault: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName(String);

impl ProviderName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`].
    pub fn new(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let rest = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'-');
        if name.len() <= MAX_NAME && name.bytes().next().is_some_and(plain) && name.bytes().all(rest) {
            return Ok(Self(name.to_owned()));
        }
        let rule = "1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit";
        Err(CryptoError::OutOfRange { what: "provider name", rule })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ProviderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ProviderName {
    type Err = CryptoError;
    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

/// Where a provider is asked. All `https`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Where the browser goes.
    pub authorization: String,
    /// Where a code becomes tokens.
    pub token: String,
    /// Where tokens are ended (RFC 7009), if there is such a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
}

/// How a client shows its secret, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretBy {
    /// In the head of a request.
    Basic,
    /// In its body.
    Body,
}

/// A provider, as one user's vault knows it.
pub struct ProviderSettings {
    /// What the user calls it.
    pub name: ProviderName,
    /// What it calls the user's application.
    pub client_id: String,
    /// The secret of that application, where the provider wants one beside PKCE.
    pub client_secret: Option<Secret<String>>,
    /// How it is shown; none: as the provider says of itself, else in the body.
    pub secret_by: Option<SecretBy>,
    /// What the provider calls itself in what comes back (RFC 9207), and where it describes itself.
    pub issuer: Option<String>,
    /// Where it is asked; none: it is asked to describe itself.
    pub endpoints: Option<Endpoints>,
    /// Hosts beside the issuer's own at which it may be asked, `host` or `host:port`.
    pub hosts: Vec<String>,
    /// What is asked for where a connection names nothing.
    pub scopes: Vec<String>,
    /// Further parameters of the address that the browser is sent to.
    pub parameters: BTreeMap<String, String>,
    /// The one authority whose certificates are believed here, PEM; none: those of the public web.
    pub ca_pem: Option<String>,
    /// The user knows that it holds a code to its verifier, though it does not say so. It matters where the client has
    /// no secret: then nothing else keeps a code from whoever reads it.
    pub pkce_assumed: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u8,
    name: String,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<Zeroed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_by: Option<SecretBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoints: Option<Endpoints>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_pem: Option<String>,
    #[serde(default)]
    pkce_assumed: bool,
}

/// A secret on its way between its holder and JSON.
struct Zeroed(Zeroizing<String>);

impl Serialize for Zeroed {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Zeroed {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(from)?)))
    }
}

impl ProviderSettings {
    /// As the vault keeps it.
    ///
    /// # Errors
    /// [`CryptoError::OutOfRange`] if something is missing or not allowed; [`CryptoError::TooLarge`].
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        self.check()?;
        let written = Written {
            version: VERSION,
            name: self.name.0.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.as_ref().map(|it| Zeroed(Zeroizing::new(it.expose().clone()))),
            secret_by: self.secret_by,
            issuer: self.issuer.clone(),
            endpoints: self.endpoints.clone(),
            hosts: self.hosts.clone(),
            scopes: self.scopes.clone(),
            parameters: self.parameters.clone(),
            ca_pem: self.ca_pem.clone(),
            pkce_assumed: self.pkce_assumed,
        };
        // room for all at once: a buffer that grows leaves pieces behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SETTINGS));
        serde_json::to_writer(&mut *bytes, &written).map_err(|_| CryptoError::Refused)?;
        if bytes.len() > MAX_SETTINGS {
            return Err(CryptoError::TooLarge { what: "settings of a provider", max: MAX_SETTINGS as u64 });
        }
        Ok(bytes)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is none, or says what it may not.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_SETTINGS {
            return Err(CryptoError::Refused);
        }
        let written: Written = serde_json::from_slice(bytes).map_err(|_| CryptoError::Refused)?;
        if written.version != VERSION {
            return Err(CryptoError::Refused);
        }
        let settings = Self {
            name: ProviderName::new(&written.name).map_err(|_| CryptoError::Refused)?,
            client_id: written.client_id,
            client_secret: written
                .client_secret
                .map(|mut secret| Secret::new(std::mem::take(&mut *secret.0))),
            secret_by: written.secret_by,
            issuer: written.issuer,
            endpoints: written.endpoints,
            hosts: written.hosts,
            scopes: written.scopes,
            parameters: written.parameters,
            ca_pem: written.ca_pem,
            pkce_assumed: written.pkce_assumed,
        };
        settings.check().map_err(|_| CryptoError::Refused)?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what, rule| Err(CryptoError::OutOfRange { what, rule });
        let line = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        if !line(&self.client_id) || self.client_secret.as_ref().is_some_and(|it| !line(it.expose())) {
            return wrong(
                "client of a provider",
                "an id, and perhaps a secret, of 1 to 2048 bytes in one line",
            );
        }
        let endpoints = self.endpoints.iter().flat_map(|it| {
            [Some(&it.authorization), Some(&it.token), it.revocation.as_ref()].into_iter().flatten()
        });
        if self.endpoints.is_none() && self.issuer.is_none() {
            return wrong("provider", "an issuer that describes itself, or its endpoints");
        }
        let secure = |url: &String| line(url) && url.starts_with("https://");
        if !endpoints.chain(&self.issuer).all(secure) {
            return wrong("address of a provider", "an https URL of at most 2048 bytes");
        }
        let lists = [&self.scopes, &self.hosts];
        let plain = |text: &String| line(text) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !lists.iter().all(|list| list.len() <= MAX_LIST && list.iter().all(plain)) {
            return wrong("scopes and hosts of a provider", "at most 64 each, in visible ASCII");
        }
        let lawful = |name: &String| plain(name) && !PARAMETERS_OF_OURS.contains(&name.as_str());
        if self.parameters.len() > MAX_LIST
            || !self.parameters.iter().all(|(name, value)| lawful(name) && line(value))
        {
            return wrong("parameters of a provider", "at most 64, none that the flow sets itself");
        }
        Ok(())
    }
}
