//! Where a provider is asked: as its user's settings say, or as it says of itself (OpenID Connect Discovery 1.0,
//! RFC 8414), as far as the settings let it.

use http::{Request, StatusCode};
use ocmt_crypto::connect::{Endpoints, ProviderSettings, SecretBy};
use serde::Deserialize;
use url::Url;

use super::{Problem, fetch::Fetch};

/// Of an issuer's own path, and in place of it.
const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const LONGEST: usize = 2048;

/// A provider as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) endpoints: Endpoints,
    /// What it calls itself.
    pub(super) issuer: Option<String>,
    /// It says who it is in what it sends back (RFC 9207).
    pub(super) names_itself: bool,
    /// The client's secret goes into the body.
    pub(super) by_body: bool,
}

/// What a provider says of itself; the rest is not looked at.
#[derive(Deserialize)]
struct Says {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// As the settings say, or as the provider does.
pub(super) async fn describe(settings: &ProviderSettings, fetch: &Fetch) -> Result<Described, Problem> {
    if let Some(endpoints) = &settings.endpoints {
        for url in addresses(endpoints) {
            secure(url).ok_or(Problem::Settings("an endpoint is no https address"))?;
        }
        held_to_verifiers(settings, false)?;
        return Ok(Described {
            endpoints: endpoints.clone(),
            issuer: settings.issuer.clone(),
            names_itself: false,
            by_body: settings.secret_by != Some(SecretBy::Basic),
        });
    }
    let issuer = settings.issuer.as_deref().and_then(secure);
    let issuer = issuer.ok_or(Problem::Settings("its issuer is no https address"))?;
    let body = match ask(fetch, &at(&issuer, |path| format!("{path}{OPENID}"))).await? {
        Some(body) => body,
        None => ask(fetch, &at(&issuer, |path| format!("{OAUTH}{path}")))
            .await?
            .ok_or(Problem::Untrusted("does not describe itself"))?,
    };
    judge(settings, &issuer, &body)
}

/// What it says, if it may say so.
fn judge(settings: &ProviderSettings, issuer: &Url, body: &[u8]) -> Result<Described, Problem> {
    let unclear = |_| Problem::Untrusted("does not describe itself as OAuth wants it");
    let says: Says = serde_json::from_slice(body).map_err(unclear)?;
    if Some(&says.issuer) != settings.issuer.as_ref() {
        return Err(Problem::Untrusted("calls itself otherwise"));
    }
    let methods = says.code_challenge_methods_supported;
    if methods.as_ref().is_some_and(|methods| !methods.iter().any(|it| it == "S256")) {
        return Err(Problem::Untrusted("does not take PKCE with S256"));
    }
    held_to_verifiers(settings, methods.is_some())?;
    let endpoints = Endpoints {
        authorization: says.authorization_endpoint,
        token: says.token_endpoint,
        revocation: says.revocation_endpoint,
    };
    for url in addresses(&endpoints) {
        let url = secure(url).ok_or(Problem::Untrusted("names an endpoint that is no https address"))?;
        let own = place(&url) == place(issuer);
        if !own && !settings.hosts.iter().any(|host| names(host, &url)) {
            return Err(Problem::Untrusted(
                "names an endpoint at a host that its settings do not: if that is right, add it with `--host`",
            ));
        }
    }
    let by =
        says.token_endpoint_auth_methods_supported.unwrap_or_else(|| vec!["client_secret_basic".to_owned()]);
    let by_body = match settings.secret_by {
        Some(by) => by == SecretBy::Body,
        None => !by.iter().any(|method| method == "client_secret_basic"),
    };
    Ok(Described {
        endpoints,
        issuer: settings.issuer.clone(),
        names_itself: says.authorization_response_iss_parameter_supported,
        by_body,
    })
}

/// A code passes the node in clear, and a client without a secret has nothing but PKCE to keep others from redeeming it:
/// somebody has to say that the provider looks at it.
fn held_to_verifiers(settings: &ProviderSettings, it_says_so: bool) -> Result<(), Problem> {
    if it_says_so || settings.pkce_assumed || settings.client_secret.is_some() {
        return Ok(());
    }
    Err(Problem::Untrusted(
        "does not say that it takes PKCE with S256, and there is no client secret: if you know that it does, set it with `--assume-pkce`",
    ))
}

fn addresses(endpoints: &Endpoints) -> impl Iterator<Item = &str> {
    [Some(&endpoints.authorization), Some(&endpoints.token), endpoints.revocation.as_ref()]
        .into_iter()
        .flatten()
        .map(String::as_str)
}

/// An https address without login and fragment.
fn secure(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST)?;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.scheme() == "https" && url.has_host() && bare).then_some(url)
}

fn place(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str(), url.port_or_known_default())
}

/// Whether `host` or `host:port` of the settings is this address's.
fn names(host: &str, url: &Url) -> bool {
    Url::parse(&format!("https://{host}")).is_ok_and(|named| place(&named) == place(url))
}

fn at(issuer: &Url, path: impl Fn(&str) -> String) -> Url {
    let mut url = issuer.clone();
    url.set_path(&path(issuer.path().trim_end_matches('/')));
    url.set_query(None);
    url
}

/// None where there is no such page.
async fn ask(fetch: &Fetch, url: &Url) -> Result<Option<Vec<u8>>, Problem> {
    let request =
        Request::get(url.as_str()).header(http::header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(|_| Problem::Settings("its issuer is no https address"))?;
    let (head, body) = fetch.ask(request).await?.into_parts();
    match head.status {
        StatusCode::OK => Ok(Some(body)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(Problem::Unreachable("does not describe itself now")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use ocmt_crypto::connect::ProviderName;

    use super::*;

    fn settings(hosts: &[&str]) -> ProviderSettings {
        ProviderSettings {
            name: ProviderName::new("id").unwrap(),
            client_id: "ocmt".to_owned(),
            client_secret: None,
            secret_by: None,
            issuer: Some("https://id.example".to_owned()),
            endpoints: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            scopes: Vec::new(),
            parameters: BTreeMap::new(),
            ca_pem: None,
            pkce_assumed: false,
        }
    }

    fn judged(hosts: &[&str], changes: &[(&str, serde_json::Value)]) -> Result<Described, Problem> {
        judged_by(&settings(hosts), changes)
    }

    fn judged_by(
        settings: &ProviderSettings,
        changes: &[(&str, serde_json::Value)],
    ) -> Result<Described, Problem> {
        let mut says = serde_json::json!({
            "issuer": "https://id.example",
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "code_challenge_methods_supported": ["S256"],
        });
        for (name, value) in changes {
            says[name] = value.clone();
        }
        let issuer = Url::parse("https://id.example").unwrap();
        judge(settings, &issuer, says.to_string().as_bytes())
    }

    #[test]
    fn a_provider_that_takes_the_plain_method_alone_is_refused() {
        let methods = |methods: &[&str]| [("code_challenge_methods_supported", methods.into())];
        assert!(judged(&[], &[]).is_ok());
        assert!(judged(&[], &methods(&["plain", "S256"])).is_ok());
        assert!(judged(&[], &methods(&["plain"])).is_err() && judged(&[], &methods(&[])).is_err());
    }

    #[test]
    fn a_public_client_is_given_to_no_provider_that_is_silent_about_pkce() {
        let silent = [("code_challenge_methods_supported", serde_json::Value::Null)];
        let mut it = settings(&[]);
        assert!(judged_by(&it, &silent).is_err());
        it.pkce_assumed = true;
        assert!(judged_by(&it, &silent).is_ok());
        it.pkce_assumed = false;
        it.client_secret = Some(ocmt_types::Secret::new("s".to_owned()));
        assert!(judged_by(&it, &silent).is_ok());
    }

    #[test]
    fn endpoints_are_https_at_hosts_that_the_settings_name() {
        let token = |url: &str| [("token_endpoint", url.into())];
        for bad in [
            "http://id.example/token",
            "https://tokens.example/token",
            "https://id.example:8443/token",
            "https://id.example.evil.example/token",
            "https://127.0.0.1/token",
            "https://user:word@id.example/token",
            "https://id.example/token#x",
            "file:///etc/passwd",
            "",
        ] {
            assert!(judged(&["other.example"], &token(bad)).is_err(), "{bad}");
        }
        assert!(judged(&["tokens.example"], &token("https://tokens.example/token")).is_ok());
        assert!(judged(&["tokens.example"], &token("https://tokens.example:444/token")).is_err());
        assert!(judged(&["tokens.example:444"], &token("https://tokens.example:444/token")).is_ok());
        let revocation = [("revocation_endpoint", "https://evil.example/revoke".into())];
        assert!(judged(&[], &revocation).is_err());
        let authorization = [("authorization_endpoint", "https://evil.example/".into())];
        assert!(judged(&[], &authorization).is_err());
    }

    #[test]
    fn a_description_of_another_issuer_is_refused() {
        assert!(judged(&[], &[("issuer", "https://id.example/".into())]).is_err());
        assert!(judged(&[], &[("issuer", "https://evil.example".into())]).is_err());
    }

    #[test]
    fn a_description_is_looked_for_where_the_two_documents_say() {
        let issuer = Url::parse("https://id.example/tenant/").unwrap();
        let openid = at(&issuer, |path| format!("{path}{OPENID}"));
        assert_eq!(openid.as_str(), "https://id.example/tenant/.well-known/openid-configuration");
        let oauth = at(&issuer, |path| format!("{OAUTH}{path}"));
        assert_eq!(oauth.as_str(), "https://id.example/.well-known/oauth-authorization-server/tenant");
    }
}
