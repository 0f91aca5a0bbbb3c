//! An OpenID provider of a few lines with real signatures, strict about what it is asked, and as wrong in its answers as
//! a test wants.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ocmt_types::{Clock as _, SystemClock};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

pub(crate) const CLIENT: &str = "ocmt";
pub(crate) const SECRET: &str = "s3cret/of the client";

/// What is wrong with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wrong {
    #[default]
    Nothing,
    /// In the word that it gives.
    Unsigned,
    /// Signed with what the client knows too.
    Symmetric,
    OtherKey,
    Issuer,
    Audience,
    MoreAudiences,
    Nonce,
    NoNonce,
    Expired,
    Unverified,
    NoWord,
    /// In what it says of itself.
    CallsItselfOtherwise,
    KeysInClear,
    SendsElsewhere,
    Endless,
    /// In what it sends back.
    NamesNoIssuer,
}

/// What a code was given for.
struct Given {
    challenge: String,
    nonce: String,
    redirect: String,
}

pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) ca_file: PathBuf,
    state: Arc<State>,
    _folder: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

struct State {
    issuer: Mutex<String>,
    wrong: Wrong,
    key: KeyPair,
    other: KeyPair,
    codes: Mutex<BTreeMap<String, Given>>,
    person: Mutex<(String, String)>,
    /// What it says beside in its word, and of itself; null takes away.
    beside: Mutex<(Value, Value)>,
    /// Paths that were asked for.
    asked: Mutex<Vec<String>>,
}

impl Provider {
    pub(crate) async fn start(wrong: Wrong) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(State {
            issuer: Mutex::new(issuer.clone()),
            wrong,
            key: KeyPair::generate().unwrap(),
            other: KeyPair::generate().unwrap(),
            codes: Mutex::default(),
            person: Mutex::new(("person-1".to_owned(), "ann@example.com".to_owned())),
            beside: Mutex::new((json!({}), json!({}))),
            asked: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let served = state.clone();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), served.clone());
                talks.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request| answer(state.clone(), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { issuer, ca_file, state, _folder: folder, _tasks: tasks }
    }

    /// Who signs in from now on.
    pub(crate) fn person(&self, subject: &str, email: &str) {
        *self.state.person.lock().unwrap() = (subject.to_owned(), email.to_owned());
    }

    /// From now on its word has these claims too, or has not those that are null, and it says this more of itself.
    pub(crate) fn says_beside(&self, claims: Value, metadata: Value) {
        *self.state.beside.lock().unwrap() = (claims, metadata);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Somebody opens the address and signs in: the address at which they come back.
    pub(crate) fn sign_in(&self, url: &str) -> String {
        let asked = pairs(url.strip_prefix(&format!("{}/authorize?", self.issuer)).expect(url));
        let says = |name: &str| asked.get(name).cloned().unwrap_or_default();
        assert_eq!((says("response_type").as_str(), says("client_id").as_str()), ("code", CLIENT));
        assert_eq!(says("code_challenge_method"), "S256");
        assert_eq!((says("code_challenge").len(), says("nonce").len()), (43, 43));
        assert!(says("scope").split(' ').any(|scope| scope == "openid"), "{url}");
        assert!(says("scope").split(' ').any(|scope| scope == "email"), "{url}");
        assert!(says("redirect_uri").ends_with("/auth/oidc"), "{url}");
        let mut codes = self.state.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        let given =
            Given { challenge: says("code_challenge"), nonce: says("nonce"), redirect: says("redirect_uri") };
        let back = format!("{}?code={code}&state={}", given.redirect, says("state"));
        codes.insert(code, given);
        if self.state.wrong == Wrong::NamesNoIssuer {
            back
        } else {
            format!("{back}&iss={}", self.issuer.replace(':', "%3A").replace('/', "%2F"))
        }
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    state.asked.lock().unwrap().push(path.clone());
    let issuer = state.issuer.lock().unwrap().clone();
    let answer = match path.as_str() {
        "/.well-known/openid-configuration" => match state.wrong {
            Wrong::SendsElsewhere => {
                let to = format!("{issuer}/elsewhere");
                return Ok(Response::builder()
                    .status(302)
                    .header("location", to)
                    .body(Full::default())
                    .unwrap());
            }
            // right but for its length
            Wrong::Endless => {
                let body = metadata(&issuer, Wrong::Nothing).to_string() + &" ".repeat(1 << 20);
                return Ok(typed(StatusCode::OK, body));
            }
            wrong => with(metadata(&issuer, wrong), &state.beside.lock().unwrap().1),
        },
        "/jwks" => json!({ "keys": [jwk(&state.key)] }),
        "/token" => {
            let basic =
                request.headers().get("authorization").and_then(|it| it.to_str().ok()).map(str::to_owned);
            let body = request.into_body().collect().await.unwrap().to_bytes();
            match token(&state, &issuer, basic.as_deref(), &String::from_utf8_lossy(&body)) {
                Ok(answer) => answer,
                Err(why) => {
                    let body = json!({ "error": "invalid_grant", "error_description": why }).to_string();
                    return Ok(typed(StatusCode::BAD_REQUEST, body));
                }
            }
        }
        _ => return Ok(typed(StatusCode::NOT_FOUND, "{}".to_owned())),
    };
    Ok(typed(StatusCode::OK, answer.to_string()))
}

fn typed(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::from(body)).unwrap()
}

fn metadata(issuer: &str, wrong: Wrong) -> Value {
    let named = if wrong == Wrong::CallsItselfOtherwise { "https://other.example" } else { issuer };
    let keys =
        if wrong == Wrong::KeysInClear { issuer.replace("https:", "http:") } else { issuer.to_owned() };
    json!({
        "issuer": named,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{keys}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// Strict: each code once, with the verifier, the redirect and the client that it was given for.
fn token(state: &State, issuer: &str, basic: Option<&str>, body: &str) -> Result<Value, &'static str> {
    let sent = pairs(body);
    let says = |name: &str| sent.get(name).cloned().unwrap_or_default();
    // RFC 6749, 2.3.1: form-encoded first
    let login = format!("{CLIENT}:{}", SECRET.replace('/', "%2F").replace(' ', "+"));
    let login = format!("Basic {}", data_encoding::BASE64.encode(login.as_bytes()));
    if basic != Some(login.as_str()) {
        return Err("not this client");
    }
    let given = state.codes.lock().unwrap().remove(&says("code")).ok_or("no such code")?;
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(says("code_verifier")));
    if says("grant_type") != "authorization_code"
        || says("redirect_uri") != given.redirect
        || challenge != given.challenge
    {
        return Err("not what it was given for");
    }
    let mut answer = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60 });
    if state.wrong != Wrong::NoWord {
        answer["id_token"] = word(state, issuer, &given.nonce).into();
    }
    Ok(answer)
}

fn word(state: &State, issuer: &str, nonce: &str) -> String {
    let now = SystemClock.now().millis() / 1000;
    let (subject, email) = state.person.lock().unwrap().clone();
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT, "sub": subject, "nonce": nonce, "iat": now, "exp": now + 60,
        "email": email, "email_verified": true,
    });
    let mut header = json!({ "alg": "ES256", "kid": "1" });
    match state.wrong {
        Wrong::Issuer => claims["iss"] = "https://other.example".into(),
        Wrong::Audience => claims["aud"] = "somebody else".into(),
        Wrong::MoreAudiences => claims["aud"] = json!([CLIENT, "somebody else"]),
        Wrong::Nonce => claims["nonce"] = "of another sign-in".into(),
        Wrong::NoNonce => drop(claims.as_object_mut().unwrap().remove("nonce")),
        Wrong::Expired => claims["exp"] = (now - 60).into(),
        Wrong::Unverified => claims["email_verified"] = false.into(),
        Wrong::Unsigned => header = json!({ "alg": "none" }),
        Wrong::Symmetric => header = json!({ "alg": "HS256" }),
        _ => {}
    }
    let claims = with(claims, &state.beside.lock().unwrap().0);
    let signed = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    let signature = match state.wrong {
        Wrong::Unsigned => Vec::new(),
        Wrong::Symmetric => symmetric(&signed),
        Wrong::OtherKey => fixed(&state.other.sign(signed.as_bytes()).unwrap()),
        _ => fixed(&state.key.sign(signed.as_bytes()).unwrap()),
    };
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

fn with(mut of: Value, beside: &Value) -> Value {
    for (name, value) in beside.as_object().unwrap() {
        of[name] = value.clone();
        if value.is_null() {
            of.as_object_mut().unwrap().remove(name);
        }
    }
    of
}

fn symmetric(signed: &str) -> Vec<u8> {
    use hmac::{KeyInit as _, Mac as _};
    let mut mac = hmac::Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn jwk(key: &KeyPair) -> Value {
    let point = key.der_bytes();
    let (x, y) = point[1..].split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256",
        "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y) })
}

/// An ECDSA signature as JOSE has it, from DER: two integers of 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut out = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number: Vec<u8> = rest[2..2 + length].iter().copied().skip_while(|byte| *byte == 0).collect();
        out.extend(vec![0; 32 - number.len()]);
        out.extend(number);
        rest = &rest[2 + length..];
    }
    out
}

/// Names and values of a form.
fn pairs(form: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
