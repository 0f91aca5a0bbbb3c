//! What is said to a provider, in the words of the `oauth2` crate: where the browser goes, a code for tokens, a refresh
//! token for the next ones, an end of both. S256 and nothing else.

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, ErrorResponseType,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, RevocationUrl, Scope,
    StandardErrorResponse, StandardRevocableToken, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicTokenResponse, BasicTokenType},
};
use ocmt_crypto::connect::{ProviderSettings, Tokens};
use ocmt_types::{Secret, Timestamp};
use zeroize::Zeroizing;

use super::{Problem, endpoints::Described, fetch::Fetch, flow::Flow};

/// Of an address that a browser is sent to, of a token, and of what a provider calls an error, in bytes.
const LONGEST_URL: usize = 4096;
const LONGEST_TOKEN: usize = 16 * 1024;
const LONGEST_NAME: usize = 64;
/// Scopes that are kept of an answer.
const MOST_SCOPES: usize = 64;
const LONGEST_SCOPE: usize = 256;

const NO_ADDRESS: Problem = Problem::Settings("an endpoint is no https address");

fn client(settings: &ProviderSettings, described: &Described) -> BasicClient {
    let mut client = BasicClient::new(ClientId::new(settings.client_id.clone()));
    if let Some(secret) = &settings.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose().clone()));
    }
    client.set_auth_type(if described.by_body { AuthType::RequestBody } else { AuthType::BasicAuth })
}

/// Where the browser goes.
pub(super) fn address(settings: &ProviderSettings, flow: &Flow, state: &str) -> Result<String, Problem> {
    let endpoint = AuthUrl::new(flow.described.endpoints.authorization.clone()).map_err(|_| NO_ADDRESS)?;
    let redirect = RedirectUrl::new(flow.redirect.clone())
        .map_err(|_| Problem::Settings("nobody can be sent back here"))?;
    let client = client(settings, &flow.described).set_auth_uri(endpoint).set_redirect_uri(redirect);
    let verifier = PkceCodeVerifier::new(flow.verifier.expose().to_owned());
    let state = state.to_owned();
    let mut request = client
        .authorize_url(move || CsrfToken::new(state))
        .add_scopes(flow.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    for (name, value) in &settings.parameters {
        request = request.add_extra_param(name.clone(), value.clone());
    }
    let (url, _) = request.url();
    if url.as_str().len() > LONGEST_URL {
        return Err(Problem::Settings("they make an address of over 4096 bytes"));
    }
    Ok(url.into())
}

/// The tokens that `code` is good for.
pub(super) async fn redeem(
    settings: &ProviderSettings,
    flow: Flow,
    code: Zeroizing<String>,
    fetch: &Fetch,
    now: Timestamp,
) -> Result<Tokens, Problem> {
    let endpoint = TokenUrl::new(flow.described.endpoints.token.clone()).map_err(|_| NO_ADDRESS)?;
    let redirect = RedirectUrl::new(flow.redirect.clone())
        .map_err(|_| Problem::Settings("nobody can be sent back here"))?;
    let client = client(settings, &flow.described).set_token_uri(endpoint).set_redirect_uri(redirect);
    let answer = client
        .exchange_code(AuthorizationCode::new(code.as_str().to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.expose().to_owned()))
        .request_async(fetch)
        .await
        .map_err(refused)?;
    tokens(settings, &answer, &flow.scopes, None, now)
}

/// The next tokens after `before`.
pub(super) async fn refresh(
    settings: &ProviderSettings,
    described: &Described,
    before: &Tokens,
    fetch: &Fetch,
    now: Timestamp,
) -> Result<Tokens, Problem> {
    let endpoint = TokenUrl::new(described.endpoints.token.clone()).map_err(|_| NO_ADDRESS)?;
    let refresh = before.refresh.as_ref().ok_or(Problem::Settings("there is no refresh token"))?;
    let client = client(settings, described).set_token_uri(endpoint);
    let token = RefreshToken::new(refresh.expose().clone());
    let answer = client.exchange_refresh_token(&token).request_async(fetch).await.map_err(refused)?;
    // RFC 6749, 6: a provider that gives no new one leaves the old one good
    tokens(settings, &answer, &before.scopes, Some(refresh), now)
}

/// Ends tokens at the provider. Whether it has such a place.
pub(super) async fn revoke(
    settings: &ProviderSettings,
    described: &Described,
    tokens: &Tokens,
    fetch: &Fetch,
) -> Result<bool, Problem> {
    let Some(endpoint) = &described.endpoints.revocation else { return Ok(false) };
    let endpoint = RevocationUrl::new(endpoint.clone()).map_err(|_| NO_ADDRESS)?;
    let client = client(settings, described).set_revocation_url(endpoint);
    // RFC 7009, 2.1: a provider need not end the access tokens with the refresh token
    let refresh = tokens.refresh.as_ref().map(|token| RefreshToken::new(token.expose().clone()));
    let refresh = refresh.map(StandardRevocableToken::from);
    let access = oauth2::AccessToken::new(tokens.access.expose().clone());
    for token in refresh.into_iter().chain([StandardRevocableToken::from(access)]) {
        let request = client.revoke_token(token).map_err(|_| NO_ADDRESS)?;
        request.request_async(fetch).await.map_err(refused)?;
    }
    Ok(true)
}

fn tokens(
    settings: &ProviderSettings,
    answer: &BasicTokenResponse,
    asked: &[String],
    before: Option<&Secret<String>>,
    now: Timestamp,
) -> Result<Tokens, Problem> {
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(Problem::Untrusted("gives tokens that are not for a bearer"));
    }
    let access = answer.access_token().secret();
    let refresh = answer.refresh_token().map(RefreshToken::secret);
    let lawful = |token: &String| (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(visible);
    if !lawful(access) || !refresh.is_none_or(lawful) {
        return Err(Problem::Untrusted("gives tokens that are none"));
    }
    // GitHub parts them with commas
    let granted = answer.scopes().map(|scopes| {
        let all = scopes.iter().flat_map(|scope| scope.as_str().split(','));
        all.filter(|scope| !scope.is_empty() && scope.len() <= LONGEST_SCOPE && scope.bytes().all(visible))
            .take(MOST_SCOPES)
            .map(str::to_owned)
            .collect()
    });
    Ok(Tokens {
        provider: settings.name.clone(),
        client_id: settings.client_id.clone(),
        access: Secret::new(access.clone()),
        refresh: refresh.map(|token| Secret::new(token.clone())).or_else(|| before.map(Secret::duplicate)),
        scopes: granted.unwrap_or_else(|| asked.to_vec()),
        expires_at: answer.expires_in().map(|lasts| now + lasts),
        obtained_at: now,
    })
}

fn visible(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte)
}

fn refused<T: ErrorResponseType + std::fmt::Display>(
    error: RequestTokenError<Problem, StandardErrorResponse<T>>,
) -> Problem
where
    StandardErrorResponse<T>: oauth2::ErrorResponse,
{
    match error {
        RequestTokenError::Request(problem) => problem,
        RequestTokenError::ServerResponse(said) => {
            // its description may repeat what was sent
            let name: String =
                said.error().to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            Problem::Refused(name.chars().take(LONGEST_NAME).collect())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Problem::Untrusted("does not answer as OAuth wants it")
        }
    }
}
