//! API keys: credentials for a user's own programs.

use ocmt_types::{ApiKeyId, Digest32, Secret, Timestamp};

use super::users::Done;
use crate::call::calls;

/// A key as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// Which.
    pub id: ApiKeyId,
    /// What its user calls it.
    pub name: String,
    /// What it is good for, by the names of permissions.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to within a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Make a key. With step-up.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    /// 1 to 100 bytes.
    pub name: String,
    /// What it may do, by the names of permissions; 1 to 64.
    pub scopes: Vec<String>,
    /// 1 min to 366 days, in milliseconds.
    pub lifetime_ms: i64,
    /// SHA-256 of the request's idempotency key: a repeat makes no second key.
    pub asked_by: Digest32,
}

/// Answer of [`CreateApiKey`]; the secret is shown this once.
pub struct ApiKeyIssued {
    /// `ocmt_key_…`
    pub secret: Secret<String>,
    /// The key.
    pub key: ApiKeyInfo,
}

/// Where a page of keys goes on: behind the one that was made at this time and has this id.
pub type KeysAfter = (Timestamp, ApiKeyId);

/// The caller's keys that are good, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListApiKeys {
    /// Go on behind this one.
    pub after: Option<KeysAfter>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListApiKeys`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyPage {
    /// The keys.
    pub keys: Vec<ApiKeyInfo>,
    /// Where the next page goes on, if there is one.
    pub next: Option<KeysAfter>,
}

/// End a key of the caller, at once and everywhere.
#[derive(Debug, Clone)]
pub struct RevokeApiKey {
    /// Which.
    pub key: ApiKeyId,
}

calls! {
    /// Calls about API keys.
    Keys: KeysCall of "AuthService" {
        once CreateApiKey => ApiKeyIssued,
        read ListApiKeys => ApiKeyPage,
        write RevokeApiKey => Done,
    }
}
