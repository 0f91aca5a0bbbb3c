//! What a node says to and hears from a tenant's own OpenID provider. A cover over `openidconnect`.
//!
//! The authorization code flow with PKCE: where to send the browser ([`Providers::authorization`]), and who came back
//! ([`Providers::person`]). A provider's word counts if it is signed with a key of its own by an algorithm of the list
//! ([`ALGORITHMS`]: none that is symmetric), names this issuer, this client alone and this sign-in's nonce, and has not
//! expired.

mod fetch;

use ocmt_actors::{
    ActorError,
    api::sso::{SsoBegun, SsoPerson, SsoTaken},
};
use openidconnect::{
    AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, Scope, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
        CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm as Algorithm, CoreResponseMode,
        CoreResponseType, CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};

pub(crate) use fetch::connect;
pub use fetch::{Fetch, FetchError};

/// Where providers send browsers back to, under the node's address.
pub const CALLBACK: &str = "/auth/oidc";

/// By which a provider may sign.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];
/// Of an address that browsers are sent to, and of what a provider calls a person, in bytes.
const LONGEST_URL: usize = 4096;
const LONGEST_SUBJECT: usize = 255;

/// What a provider says of itself beyond the library's own list.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Says {
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Says {}

type Metadata = ProviderMetadata<
    Says,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The providers of all tenants.
pub struct Providers {
    fetch: Fetch,
    callback: String,
}

impl Providers {
    /// Reached by `fetch`, sending browsers back to `public_url`.
    pub fn new(fetch: Fetch, public_url: &str) -> Self {
        Self { fetch, callback: format!("{public_url}{CALLBACK}") }
    }

    /// Where to send the browser.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if the provider does not say.
    pub async fn authorization(&self, begun: &SsoBegun) -> Result<String, ActorError> {
        let metadata = self.metadata(&begun.issuer).await?;
        if metadata.authorization_endpoint().url().scheme() != "https" {
            return Err(unusable("asks for sign-ins in clear"));
        }
        let verifier = PkceCodeVerifier::new(begun.verifier.expose().clone());
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(begun.client_id.clone()), None)
                .set_redirect_uri(self.redirect()?);
        let (state, nonce) = (begun.state.expose().clone(), begun.nonce.clone());
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state.clone()),
                move || Nonce::new(nonce.clone()),
            )
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        if url.as_str().len() > LONGEST_URL {
            return Err(unusable("has too long an address"));
        }
        Ok(url.into())
    }

    /// Who signed in: redeems `code`, and believes of the answer what is signed. `issuer` is what came back with the code.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if the provider cannot be reached, [`ActorError::Unauthenticated`] if its word is
    /// not good.
    pub async fn person(&self, taken: &SsoTaken, code: &str, issuer: &str) -> Result<SsoPerson, ActorError> {
        // mixed up with another provider's answer (RFC 9207)
        if !issuer.is_empty() && issuer != taken.issuer {
            return Err(bad("it came from another provider"));
        }
        let metadata = self.metadata(&taken.issuer).await?;
        if issuer.is_empty() && metadata.additional_metadata().authorization_response_iss_parameter_supported
        {
            return Err(bad("it does not say from which provider it came"));
        }
        let by_post_alone = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let secret = taken.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().clone()));
        let mut client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(taken.client_id.clone()), secret)
                .set_redirect_uri(self.redirect()?);
        if by_post_alone {
            client = client.set_auth_type(openidconnect::AuthType::RequestBody);
        }
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| unusable("names nowhere to redeem a code"))?
            .set_pkce_verifier(PkceCodeVerifier::new(taken.verifier.expose().clone()))
            .request_async(&self.fetch)
            .await
            .map_err(|error| match error {
                openidconnect::RequestTokenError::Request(error) => unreachable(&error),
                // its words may repeat the code
                _ => bad("the provider does not redeem the code"),
            })?;
        let word = answer.id_token().ok_or_else(|| bad("the provider does not say who it is"))?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        let claims = word
            .claims(&verifier, &Nonce::new(taken.nonce.clone()))
            .map_err(|_| bad("the provider's word does not hold"))?;
        let subject = claims.subject().as_str();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(bad("the provider names nobody"));
        }
        let email = claims.email().filter(|_| claims.email_verified() == Some(true));
        Ok(SsoPerson {
            issuer: taken.issuer.clone(),
            subject: subject.to_owned(),
            verified_email: email.map(|email| email.as_str().to_owned()),
        })
    }

    /// What the provider says of itself, and its keys.
    async fn metadata(&self, issuer: &str) -> Result<Metadata, ActorError> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| unusable("has no address"))?;
        Metadata::discover_async(issuer, &self.fetch).await.map_err(|error| match error {
            openidconnect::DiscoveryError::Request(error) => unreachable(&error),
            openidconnect::DiscoveryError::Validation(_) => unusable("calls itself otherwise"),
            _ => unusable("does not describe itself as OpenID Connect wants it"),
        })
    }

    fn redirect(&self) -> Result<RedirectUrl, ActorError> {
        RedirectUrl::new(self.callback.clone()).map_err(|_| unusable("cannot send anybody back here"))
    }
}

fn unreachable(error: &FetchError) -> ActorError {
    ActorError::unavailable("PROVIDER", format!("the provider {error}"))
}

fn unusable(why: &str) -> ActorError {
    ActorError::unavailable("PROVIDER", format!("the provider {why}"))
}

fn bad(why: &'static str) -> ActorError {
    tracing::info!(why, "sign-in at a provider is not good");
    ocmt_actors::BAD_SSO
}
