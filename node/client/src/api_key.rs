//! API keys: credentials for one's own programs, good for what they were made for and for a time.

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_proto::v1 as pb;
use ocmt_types::{ApiKeyId, Timestamp};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    Client, ClientError, Identity,
    client::{id, idempotency_key, present},
    connect::Credential,
    pages::Pages,
    wire::{duration, time},
};

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Which.
    pub id: ApiKeyId,
    /// What its user calls it.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; none if never.
    pub last_used_at: Option<Timestamp>,
}

/// A key that was made just now. The node shows its secret this once.
pub struct NewApiKey {
    /// The bearer secret (`ocmt_key_…`).
    pub secret: Zeroizing<String>,
    /// The key.
    pub key: ApiKey,
}

impl Client {
    /// Makes a key for a program, good for these scopes and for `lifetime`. With step-up.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`, `INVALID_ARGUMENT`, `PERMISSION_DENIED` for a scope that
    /// the user's own role has not, `TOO_MANY_KEYS`; `API_KEY_MADE` if the key was made and its secret was lost on the
    /// way.
    pub async fn create_api_key(
        &self,
        name: &str,
        scopes: &[String],
        lifetime: Duration,
    ) -> Result<NewApiKey, ClientError> {
        let request = pb::CreateApiKeyRequest {
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            lifetime: Some(duration(lifetime)),
            idempotency_key: idempotency_key(),
        };
        let made = self.auth().create_api_key(request).await?.into_inner();
        Ok(NewApiKey {
            secret: Zeroizing::new(made.secret),
            key: api_key(present(made.api_key, "api_key")?)?,
        })
    }

    /// The user's keys, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_api_keys(&self) -> Result<Vec<ApiKey>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListApiKeysRequest { page_size: 100, page_token };
            let page = self.auth().list_api_keys(request).await?.into_inner();
            for one in page.api_keys {
                all.push(api_key(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Ends a key at once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `NOT_FOUND`.
    pub async fn revoke_api_key(&self, key: ApiKeyId) -> Result<(), ClientError> {
        let request =
            pb::RevokeApiKeyRequest { api_key_id: key.to_string(), idempotency_key: idempotency_key() };
        self.auth().revoke_api_key(request).await?;
        Ok(())
    }

    /// The same connections for a program with an API key. Asks the node whose key it is.
    ///
    /// # Errors
    /// [`ClientError::Usage`] for what is no API key; [`ClientError::Refused`] if it is unknown or has ended.
    pub async fn with_api_key(&self, secret: &str) -> Result<Self, ClientError> {
        let no_key = || ClientError::Usage("this is no API key: one begins with ocmt_key_".to_owned());
        let token = Token::parse_kind(TokenKind::ApiKey, secret.trim()).map_err(|_| no_key())?;
        let credential = Credential::new(token.expose().to_owned());
        let tenant = token.tenant().ok_or_else(no_key)?;
        // whose it is the key does not say; nothing is decided by the name that is put here meanwhile
        let nobody = Identity { tenant, user: ocmt_types::Id::from_bytes([0; 16]) };
        let me = self.signed_in(credential.clone(), nobody).who_am_i().await?;
        Ok(self.signed_in(credential, Identity { tenant, user: me.user }))
    }
}

/// A key in an answer.
pub(crate) fn api_key(from: pb::ApiKey) -> Result<ApiKey, ClientError> {
    Ok(ApiKey {
        id: id(&from.api_key_id, "api_key_id")?,
        name: from.name,
        scopes: from.scopes,
        created_at: from.created_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        last_used_at: from.last_used_at.as_ref().map(time),
    })
}
