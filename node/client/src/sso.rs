//! Sign-in at a tenant's own OpenID provider, and which that is.

use bytes::Bytes;
use ocmt_proto::v1 as pb;
use ocmt_types::{Secret, TenantId, Timestamp};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    Client, ClientError,
    auth::{begin, routed},
    client::{idempotency_key, present},
    query,
    wire::time,
};

/// A tenant's provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// What it calls this tenant.
    pub client_id: String,
    /// Whether there is a client's secret.
    pub has_client_secret: bool,
    /// Whether a verified address finds its account at the first sign-in.
    pub by_verified_email: bool,
    /// When it was set.
    pub updated_at: Option<Timestamp>,
}

/// A sign-in under way at a provider. Holds the secret that binds it to this device.
pub struct PendingSso {
    client: Client,
    binding: Secret<[u8; 32]>,
    url: String,
}

impl Client {
    /// Begins a sign-in at the provider of `tenant`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a tenant that is none or has none.
    pub async fn begin_sso(&self, tenant: TenantId) -> Result<PendingSso, ClientError> {
        let binding = Secret::new(rand::random::<[u8; 32]>());
        let mut request = tonic::Request::new(pb::BeginOidcLoginRequest {
            tenant_id: tenant.to_string(),
            binding_hash: Bytes::copy_from_slice(&Sha256::digest(binding.expose())),
            idempotency_key: idempotency_key(),
        });
        if let Ok(route) = tenant.to_string().parse() {
            request.metadata_mut().insert("ocmt-route", route);
        }
        let begun = self.auth().begin_oidc_login(request).await?.into_inner();
        Ok(PendingSso { client: self.clone(), binding, url: begun.authorization_url })
    }

    /// The tenant's provider, if it has one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn oidc_provider(&self) -> Result<Option<Provider>, ClientError> {
        let found = self.tenants().get_oidc_provider(pb::GetOidcProviderRequest {}).await?.into_inner();
        Ok(found.provider.map(provider))
    }

    /// Sets the provider, whole. Wants a fresh proof of presence.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_oidc_provider(
        &self,
        issuer: &str,
        client_id: &str,
        client_secret: Option<&Secret<String>>,
        by_verified_email: bool,
    ) -> Result<Provider, ClientError> {
        let request = pb::SetOidcProviderRequest {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.map(|secret| secret.expose().clone()).unwrap_or_default(),
            by_verified_email,
            idempotency_key: idempotency_key(),
        };
        let set = self.tenants().set_oidc_provider(request).await?.into_inner();
        Ok(provider(present(set.provider, "provider")?))
    }

    /// No provider any more: nobody signs in by it from then on. Wants a fresh proof of presence.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_oidc_provider(&self) -> Result<(), ClientError> {
        let request = pb::RemoveOidcProviderRequest { idempotency_key: idempotency_key() };
        self.tenants().remove_oidc_provider(request).await?;
        Ok(())
    }
}

impl PendingSso {
    /// Where to open a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Turns the address that the browser ended at into a session; once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it is not good, or nobody's account.
    pub async fn finish(&self, came_back_at: &str, device: &str) -> Result<Client, ClientError> {
        let mut said = query::of(came_back_at);
        let state = said.remove("state").unwrap_or_default();
        let request = pb::FinishOidcLoginRequest {
            state: state.clone(),
            code: said.remove("code").unwrap_or_default(),
            issuer: said.remove("iss").unwrap_or_default(),
            binding_secret: Bytes::copy_from_slice(self.binding.expose()),
            client_name: device.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client.auth().finish_oidc_login(routed(&state, request)).await?.into_inner();
        begin(&self.client, answer.sign_in)
    }
}

fn provider(it: pb::OidcProvider) -> Provider {
    Provider {
        issuer: it.issuer,
        client_id: it.client_id,
        has_client_secret: it.has_client_secret,
        by_verified_email: it.by_verified_email,
        updated_at: it.updated_at.as_ref().map(time),
    }
}
