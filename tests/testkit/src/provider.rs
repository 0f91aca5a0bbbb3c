//! An OAuth provider of a test, strict as RFC 9700 wants it, and as wrong in its answers as the test wants.
//!
//! It serves a discovery document, tokens and revocations over TLS under an authority of its own. It takes S256 alone,
//! each code once and with the verifier, redirect and client that it was given for; a code that comes twice ends what
//! came of it. Refresh tokens rotate, and one that comes twice ends all of its family.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::secure::Secure;

/// The client that it knows.
pub const CLIENT: &str = "ocmt-test";
/// Its secret.
pub const SECRET: &str = "client-secret-90c1f7d2";
/// Longest of a token's life, in seconds.
const HOUR: u64 = 3600;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// Its description names the plain method alone.
    PlainAlone,
    /// Its description names a token endpoint at a host that nobody named.
    TokensElsewhere,
    /// Its token endpoint sends elsewhere.
    Redirects,
    /// Its token endpoint answers with more than anybody reads.
    Endless,
    /// Its token endpoint answers with a page.
    Html,
    /// Its token endpoint does not answer.
    Silent,
    /// It is out of order.
    Broken,
    /// Its token endpoint takes three seconds.
    Slow,
}

/// What a code was given for.
struct Given {
    challenge: String,
    redirect: String,
    scope: String,
}

#[derive(Default)]
struct State {
    wrong: Wrong,
    lasts: u64,
    codes: BTreeMap<String, Given>,
    /// Codes that were redeemed, and the family of tokens that came of each.
    redeemed: BTreeMap<String, u64>,
    /// Refresh tokens: their family, and whether they are the newest of it.
    refresh: BTreeMap<String, (u64, bool)>,
    /// Families that are over.
    over: Vec<u64>,
    /// Paths that were asked for.
    asked: Vec<String>,
    /// Every verifier and token that was seen or given.
    secrets: Vec<String>,
    made: u64,
}

/// The provider; gone when it is dropped.
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// Its authority, PEM.
    pub ca_pem: String,
    /// `localhost:PORT`.
    pub host: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let secure = Secure::listen().await?;
        let (host, ca_pem) = (secure.host.clone(), secure.ca_pem.clone());
        let issuer = format!("https://{host}");
        let state = Arc::new(Mutex::new(State { lasts: HOUR, ..State::default() }));
        let (served, named) = (Arc::clone(&state), issuer.clone());
        let tasks = secure.serve(move |request| answer(Arc::clone(&served), named.clone(), request));
        Ok(Self { issuer, ca_pem, host, state, _tasks: tasks })
    }

    /// It is wrong in this way from now on.
    pub fn is(&self, wrong: Wrong) {
        lock(&self.state).wrong = wrong;
    }

    /// Access tokens last for so many seconds from now on.
    pub fn lasts(&self, seconds: u64) {
        lock(&self.state).lasts = seconds;
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        lock(&self.state).asked.iter().filter(|asked| *asked == path).count()
    }

    /// Every verifier and token so far.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.state).secrets.clone()
    }

    /// Somebody else shows a refresh token: it is used up.
    pub fn steal(&self, refresh: &str) {
        let mut state = lock(&self.state);
        if let Some((_, newest)) = state.refresh.get_mut(refresh) {
            *newest = false;
        }
    }

    /// How many families of tokens are over.
    pub fn ended(&self) -> usize {
        lock(&self.state).over.len()
    }

    /// Somebody opens the address and allows what it asks for: the address at which they come back.
    ///
    /// # Errors
    /// The provider does not take such a request.
    pub fn allow(&self, url: &str) -> anyhow::Result<String> {
        let asked =
            pairs(url.strip_prefix(&format!("{}/authorize?", self.issuer)).context("another address")?);
        let says = |name: &str| asked.get(name).cloned().unwrap_or_default();
        ensure!(says("response_type") == "code" && says("client_id") == CLIENT, "not a code for this client");
        ensure!(says("code_challenge_method") == "S256", "no S256");
        ensure!(says("code_challenge").len() == 43, "no challenge");
        ensure!(says("redirect_uri").starts_with("https://"), "sends somebody back in clear");
        let mut state = lock(&self.state);
        let code = state.secret("code");
        let (challenge, redirect) = (says("code_challenge"), says("redirect_uri"));
        let back = format!("{redirect}?code={code}&state={}&iss={}", says("state"), escaped(&self.issuer));
        state.codes.insert(code, Given { challenge, redirect, scope: says("scope") });
        // a code is no token: the browser's address shows it
        state.secrets.pop();
        Ok(back)
    }
}

impl State {
    fn secret(&mut self, kind: &str) -> String {
        self.made += 1;
        let hash = Sha256::digest(format!("{:p} {kind} {}", std::ptr::from_ref(self), self.made));
        let text = format!("{kind}-{}", BASE64URL_NOPAD.encode(&hash));
        self.secrets.push(text.clone());
        text
    }

    fn give(&mut self, family: u64, scope: &str) -> Value {
        let (access, refresh) = (self.secret("access"), self.secret("refresh"));
        self.refresh.insert(refresh.clone(), (family, true));
        json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
            "expires_in": self.lasts, "scope": scope })
    }

    fn token(&mut self, sent: &BTreeMap<String, String>) -> Result<Value, &'static str> {
        let says = |name: &str| sent.get(name).cloned().unwrap_or_default();
        if says("grant_type") == "refresh_token" {
            self.secrets.push(says("refresh_token"));
            let (family, newest) =
                self.refresh.get(&says("refresh_token")).copied().ok_or("invalid_grant")?;
            if !newest || self.over.contains(&family) {
                self.over.push(family);
                return Err("invalid_grant");
            }
            self.refresh.insert(says("refresh_token"), (family, false));
            return Ok(self.give(family, "read"));
        }
        self.secrets.push(says("code_verifier"));
        if says("grant_type") != "authorization_code" {
            return Err("unsupported_grant_type");
        }
        if let Some(family) = self.redeemed.get(&says("code")).copied() {
            self.over.push(family);
            return Err("invalid_grant");
        }
        let given = self.codes.remove(&says("code")).ok_or("invalid_grant")?;
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(says("code_verifier")));
        if says("redirect_uri") != given.redirect || challenge != given.challenge {
            return Err("invalid_grant");
        }
        let family = self.made;
        self.redeemed.insert(says("code"), family);
        Ok(self.give(family, &given.scope))
    }

    fn revoke(&mut self, token: &str) {
        if let Some((family, _)) = self.refresh.get(token).copied() {
            self.over.push(family);
        }
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    issuer: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let wrong = {
        let mut state = lock(&state);
        state.asked.push(path.clone());
        state.wrong
    };
    let basic = request.headers().get("authorization").and_then(|it| it.to_str().ok()).map(str::to_owned);
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let sent = pairs(&String::from_utf8_lossy(&body));
    let login = format!("Basic {}", BASE64.encode(format!("{CLIENT}:{SECRET}").as_bytes()));
    let known = basic.as_deref() == Some(login.as_str());
    Ok(match (path.as_str(), wrong) {
        ("/.well-known/openid-configuration", wrong) => typed(StatusCode::OK, &metadata(&issuer, wrong)),
        ("/token", Wrong::Redirects) => {
            let elsewhere = Response::builder().status(307).header("location", format!("{issuer}/elsewhere"));
            elsewhere.body(Full::default()).unwrap_or_default()
        }
        ("/token", Wrong::Endless) => {
            let mut body = json!({ "access_token": "a", "token_type": "Bearer" });
            body["rest"] = " ".repeat(1 << 20).into();
            typed(StatusCode::OK, &body)
        }
        ("/token", Wrong::Html) => {
            let page = Response::builder().header("content-type", "text/html");
            page.body(Full::from("<html>access_token=a</html>")).unwrap_or_default()
        }
        ("/token", Wrong::Silent) => {
            tokio::time::sleep(Duration::from_secs(60)).await; // why: it does not answer, and is not asked for longer
            typed(StatusCode::OK, &json!({}))
        }
        ("/token", Wrong::Broken) => {
            typed(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "temporarily_unavailable" }))
        }
        ("/token" | "/revoke", _) if !known => {
            typed(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client" }))
        }
        ("/token", wrong) => {
            let tokens = lock(&state).token(&sent);
            if wrong == Wrong::Slow {
                tokio::time::sleep(Duration::from_secs(3)).await; // why: it is slow, and has given them already
            }
            match tokens {
                Ok(tokens) => typed(StatusCode::OK, &tokens),
                Err(error) => typed(StatusCode::BAD_REQUEST, &json!({ "error": error })),
            }
        }
        ("/revoke", _) => {
            lock(&state).revoke(sent.get("token").map(String::as_str).unwrap_or_default());
            typed(StatusCode::OK, &json!({}))
        }
        _ => typed(StatusCode::NOT_FOUND, &json!({})),
    })
}

fn metadata(issuer: &str, wrong: Wrong) -> Value {
    let methods =
        if wrong == Wrong::PlainAlone { ["plain"].as_slice() } else { ["plain", "S256"].as_slice() };
    let tokens = if wrong == Wrong::TokensElsewhere { "https://127.0.0.1:1" } else { issuer };
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{tokens}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "code_challenge_methods_supported": methods,
        "authorization_response_iss_parameter_supported": true,
    })
}

fn typed(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::from(body.to_string())).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

/// Names and values of a form.
fn pairs(form: &str) -> BTreeMap<String, String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: Vec<u8> = rest.by_ref().take(2).collect();
                let hex = std::str::from_utf8(&hex).unwrap_or_default();
                u8::from_str_radix(hex, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
