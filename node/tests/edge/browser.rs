//! Signing in with a browser, through the real listener: cookies, forms, and what other pages may not do.

use std::collections::BTreeMap;

use http::{Request, request::Builder};
use ocmt_client::{Client, auth::Purpose, connect::Target};
use ocmt_crypto::totp::TotpSecret;
use ocmt_types::{Clock as _, SystemClock};

use crate::kit::{Answer, Edge, framed};

pub(crate) const EMAIL: &str = "ann@example.com";
pub(crate) const SESSION: &str = "__Host-ocmt-session";
const CSRF: &str = "__Host-ocmt-csrf";
const BINDING: &str = "__Host-ocmt-binding";

/// Keeps cookies, and nothing else that a browser has.
#[derive(Default, Clone)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, edge: &Edge, path: &str) -> Answer {
        let request = self.with_cookies(Request::get(path));
        self.keep(edge.ask(request, "").await)
    }

    /// Sends a form as our own page does.
    pub(crate) async fn post(&mut self, edge: &Edge, path: &str, form: &str) -> Answer {
        let request = form_of(path).header("origin", edge.origin()).header("sec-fetch-site", "same-origin");
        let request = self.with_cookies(request);
        self.keep(edge.ask(request, form.to_owned()).await)
    }

    pub(crate) fn with_cookies(&self, request: Builder) -> Builder {
        self.cookies
            .iter()
            .fold(request, |request, (name, value)| request.header("cookie", format!("{name}={value}")))
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        for set in answer.headers.get_all("set-cookie") {
            let text = set.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            assert!(
                name.starts_with("__Host-") && text.contains("; Secure") && text.contains("; Path=/"),
                "{text}"
            );
            assert!(text.contains("SameSite=Lax") && !text.contains("Domain"), "{text}");
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
            }
        }
        answer
    }

    pub(crate) fn csrf(&self) -> String {
        self.cookies.get(CSRF).cloned().unwrap_or_default()
    }
}

pub(crate) fn form_of(path: &str) -> Builder {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
}

/// Ann has an account, made by another device.
pub(crate) async fn ann(edge: &Edge) -> Client {
    let client = client(edge).await;
    let pending = client.sign_up(EMAIL, "Ann's").await.unwrap();
    pending.finish(&mailed(edge, "Finish your sign-up").await, "test").await.unwrap()
}

/// And signs in once more.
pub(crate) async fn ann_again(edge: &Edge) -> Client {
    let pending = client(edge).await.request_link(EMAIL, None, Purpose::SignIn).await.unwrap();
    pending.finish(&mailed(edge, "sign-in link").await, "elsewhere").await.unwrap()
}

async fn client(edge: &Edge) -> Client {
    let ca = std::fs::read_to_string(edge.node.ca_file()).unwrap();
    let ca = ocmt_client::ca::ClusterCa::from_pem(&ca).unwrap();
    Client::connect(Target { endpoint: edge.node.endpoints().client.clone(), ca }).await.unwrap()
}

/// The link in the next letter.
async fn mailed(edge: &Edge, subject: &str) -> String {
    edge.mailbox.take(EMAIL, subject).await.expect("no letter came").link().unwrap().to_owned()
}

pub(crate) fn path_of(link: &str) -> String {
    format!("/auth/link/{}", link.rsplit('/').next().unwrap())
}

/// The value of the hidden field of the one form on a page.
pub(crate) fn field(page: &str) -> String {
    page.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

/// Asks for a link in this browser, and gets its path from the mail.
pub(crate) async fn ask_for_link(edge: &Edge, browser: &mut Browser) -> String {
    let page = browser.get(edge, "/").await;
    let form = format!("email={}&csrf={}", EMAIL.replace('@', "%40"), field(&page.body));
    let sent = browser.post(edge, "/auth/link", &form).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    path_of(&mailed(edge, "sign-in link").await)
}

pub(crate) async fn signed_in(edge: &Edge) -> Browser {
    let mut browser = Browser::default();
    let link = ask_for_link(edge, &mut browser).await;
    let page = browser.get(edge, &link).await;
    let done = browser.post(edge, &link, &format!("csrf={}", field(&page.body))).await;
    assert_eq!(done.status, 303, "{}", done.body);
    browser
}

#[tokio::test]
async fn s6_a_link_works_once_in_the_browser_that_asked_and_looking_does_not_use_it_up() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let (mut browser, mut other) = (Browser::default(), Browser::default());
    let older = ask_for_link(&edge, &mut browser).await;
    let link = ask_for_link(&edge, &mut browser).await;
    // a mail scanner, and somebody who reads the mail
    for _ in 0..2 {
        assert!(other.get(&edge, &link).await.body.contains("Finish where you began"));
        assert_eq!(edge.ask(Request::head(&link), "").await.status, 200);
    }
    other.get(&edge, "/").await;
    let elsewhere = other.get(&edge, &link).await;
    let refused = other.post(&edge, &link, &format!("csrf={}", field(&elsewhere.body))).await;
    assert_eq!(refused.status, 401, "another browser used the link up: {}", refused.body);
    assert!(!other.cookies.contains_key(SESSION));
    // the newer one ended the older
    let page = browser.get(&edge, &older).await;
    assert_eq!(browser.post(&edge, &older, &format!("csrf={}", field(&page.body))).await.status, 401);
    let page = browser.get(&edge, &link).await;
    assert!(page.headers["referrer-policy"] == "strict-origin", "forms would name no origin");
    let before = browser.clone();
    for forged in ["", "x", other.csrf().as_str()] {
        let refused = before.clone().post(&edge, &link, &format!("csrf={forged}")).await;
        assert_eq!(refused.status, 403, "a form that is not of this browser's page used the link up");
    }
    let done = browser.post(&edge, &link, &format!("csrf={}", field(&page.body))).await;
    assert_eq!((done.status.as_u16(), done.headers["location"].to_str().unwrap()), (303, "/"));
    assert!(!browser.cookies.contains_key(BINDING), "the binding has done its work");
    assert!(browser.get(&edge, "/").await.body.contains(EMAIL));
    let mut again = before;
    let used = again.post(&edge, &link, &format!("csrf={}", again.csrf())).await;
    assert_eq!(used.status, 401, "the link worked twice");
    edge.node.stop().await;
}

#[tokio::test]
async fn m4_a_browser_is_asked_for_the_second_factor_before_it_is_signed_in() {
    let edge = Edge::start(|_| {}).await;
    let device = ann(&edge).await;
    let offer = device.begin_totp().await.unwrap();
    let secret = TotpSecret::from_base32(&offer.secret_base32).unwrap();
    let digits = secret.code(SystemClock.now()).unwrap();
    let (_, codes) = device.confirm_totp(offer.id, &digits).await.unwrap();
    let mut browser = signed_in(&edge).await;
    let pending = browser.cookies[SESSION].clone();
    let page = browser.get(&edge, "/").await;
    assert!(page.body.contains("Second factor") && !page.body.contains("You are signed in"), "{}", page.body);
    let csrf = field(&page.body);
    let wrong = browser.post(&edge, "/auth/mfa", &format!("code=123&csrf={csrf}")).await;
    assert!(wrong.status == 409 && wrong.body.contains("the code is wrong"), "{}", wrong.body);
    let forged = browser.post(&edge, "/auth/mfa", &format!("code={}&csrf=x", codes[0].as_str())).await;
    assert_eq!(forged.status, 403);
    let done = browser.post(&edge, "/auth/mfa", &format!("code={}&csrf={csrf}", codes[0].as_str())).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert_ne!(browser.cookies[SESSION], pending);
    assert!(browser.get(&edge, "/").await.body.contains("You are signed in"));
    let mut before = Browser { cookies: BTreeMap::from([(SESSION.to_owned(), pending)]) };
    assert!(before.get(&edge, "/").await.body.contains("Sign in"), "the token of before is good");
    edge.node.stop().await;
}

#[tokio::test]
async fn s1_a_session_that_a_browser_brought_along_is_never_the_one_it_gets() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let mut browser = Browser::default();
    let link = ask_for_link(&edge, &mut browser).await;
    browser.cookies.insert(SESSION.to_owned(), "ocmt_ses_chosen".to_owned());
    let page = browser.get(&edge, &link).await;
    let done = browser.post(&edge, &link, &format!("csrf={}", field(&page.body))).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let got = &browser.cookies[SESSION];
    assert!(got.starts_with("ocmt_ses_") && got != "ocmt_ses_chosen");
    edge.node.stop().await;
}

#[tokio::test]
async fn s1_signing_in_ends_the_session_that_the_browser_brought() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let (old, mut untouched) = (signed_in(&edge).await, signed_in(&edge).await);
    let mut browser = Browser::default();
    let link = ask_for_link(&edge, &mut browser).await;
    browser.cookies.insert(SESSION.to_owned(), old.cookies[SESSION].clone());
    let page = browser.get(&edge, &link).await;
    let done = browser.post(&edge, &link, &format!("csrf={}", field(&page.body))).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(browser.get(&edge, "/").await.body.contains("You are signed in"));
    let gone = old.clone().get(&edge, "/").await;
    assert!(gone.body.contains("Sign in") && !gone.body.contains("You are signed in"), "{}", gone.body);
    assert!(untouched.get(&edge, "/").await.body.contains("You are signed in"));
    edge.node.stop().await;
}

#[tokio::test]
async fn f1_forms_are_taken_from_our_own_pages_with_this_sessions_token_alone() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let (mut ann, other) = (signed_in(&edge).await, signed_in(&edge).await);
    ann.get(&edge, "/").await;
    let (mine, others, own) = (ann.csrf(), other.csrf(), edge.origin());
    let without = |name: &str| {
        let mut browser = ann.clone();
        browser.cookies.remove(name);
        browser
    };
    let with = |name: &str, value: &str| {
        let mut browser = ann.clone();
        browser.cookies.insert(name.to_owned(), value.to_owned());
        browser
    };
    let good = format!("csrf={mine}");
    let own = own.as_str();
    let cases = [
        ("no origin", ann.clone(), None, None, good.clone()),
        ("another site's", ann.clone(), Some("https://evil.example"), Some("cross-site"), good.clone()),
        ("origin null", ann.clone(), Some("null"), None, good.clone()),
        ("another port's", ann.clone(), Some("https://localhost"), None, good.clone()),
        ("a sibling's", ann.clone(), Some(own), Some("same-site"), good.clone()),
        ("a cross-site one", ann.clone(), Some(own), Some("cross-site"), good.clone()),
        ("no token", ann.clone(), Some(own), None, "csrf=".to_owned()),
        ("the cookie only", ann.clone(), Some(own), None, "csrf=x".to_owned()),
        ("the field only", without(CSRF), Some(own), None, good.clone()),
        ("empty = empty", with(CSRF, ""), Some(own), None, "csrf=".to_owned()),
        ("another session's", with(CSRF, &others), Some(own), None, format!("csrf={others}")),
        ("no session", without(SESSION), Some(own), None, good.clone()),
    ];
    for (what, browser, origin, site, form) in cases {
        let mut request = browser.with_cookies(form_of("/auth/sign-out"));
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        assert_eq!(edge.ask(request, form).await.status, 403, "{what} was taken");
    }
    // two fields, two cookies
    let twice = ann.with_cookies(form_of("/auth/sign-out")).header("origin", own);
    assert_eq!(edge.ask(twice, format!("{good}&{good}")).await.status, 422);
    let twice = ann.with_cookies(form_of("/auth/sign-out")).header("origin", own);
    let twice = twice.header("cookie", format!("{CSRF}={mine}"));
    assert_eq!(edge.ask(twice, good.clone()).await.status, 403, "two cookies were taken");
    assert!(ann.get(&edge, "/").await.body.contains(EMAIL), "one of them signed ann out");
    let session = ann.clone();
    let out = ann.post(&edge, "/auth/sign-out", &good).await;
    assert_eq!(out.status, 303, "{}", out.body);
    assert!(ann.cookies.is_empty(), "{:?}", ann.cookies.keys());
    assert!(session.clone().get(&edge, "/").await.body.contains("Sign in"), "the session lives on");
    edge.node.stop().await;
}

#[tokio::test]
async fn f1_grpc_web_with_the_cookie_asks_for_the_header_of_this_session_once() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let (ann, other) = (signed_in(&edge).await, signed_in(&edge).await);
    let (mine, own) = (ann.csrf(), edge.origin());
    let asked = |method: &str, browser: &Browser, origin: &str, tokens: &[&str]| {
        let request = Request::post(format!("/ocmt.v1.AuthService/{method}"))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .header("origin", origin);
        let request = browser.with_cookies(request);
        tokens.iter().fold(request, |request, token| request.header("x-csrf-token", *token))
    };
    let call = |browser: &Browser, origin: &str, tokens: &[&str]| asked("WhoAmI", browser, origin, tokens);
    let good = edge.ask(call(&ann, &own, &[&mine]), framed(&[])).await;
    assert!(good.body.contains(EMAIL) && good.body.contains("grpc-status:0"), "{:?}", good.body);
    for (what, origin, tokens) in [
        ("no header", own.as_str(), vec![]),
        ("an empty one", &own, vec![""]),
        ("another session's", &own, vec![other.cookies[CSRF].as_str()]),
        ("two", &own, vec![mine.as_str(), &mine]),
        ("another origin's", "https://evil.example", vec![&mine]),
        ("null", "null", vec![&mine]),
    ] {
        let refused = edge.ask(call(&ann, origin, &tokens), framed(&[])).await;
        assert_eq!(refused.headers.get("grpc-status").unwrap(), "7", "{what}: {:?}", refused.body);
        assert!(!refused.body.contains(EMAIL), "{what}");
    }
    // what gives the session another token would hand it to a script
    for method in ["CompleteMfa", "ConfirmTotpEnrollment", "FinishPasskeyAssertion", "StepUp"] {
        let refused = edge.ask(asked(method, &ann, &own, &[&mine]), framed(&[])).await;
        assert_eq!(refused.headers.get("grpc-status").unwrap(), "7", "{method}: {:?}", refused.body);
        assert!(refused.headers["grpc-message"].to_str().unwrap().contains("script"), "{method}");
    }
    // a bearer token needs none of it: nobody's browser adds that by itself
    let bearer = Request::post("/ocmt.v1.AuthService/WhoAmI")
        .header("content-type", "application/grpc-web+proto")
        .header("authorization", format!("Bearer {}", ann.cookies[SESSION]));
    assert!(edge.ask(bearer, framed(&[])).await.body.contains(EMAIL));
    edge.node.stop().await;
}

#[tokio::test]
async fn w1_w2_a_gateway_takes_no_cookie_and_no_page_of_others() {
    let edge = Edge::start(|config| config.listen.origins = vec!["https://app.example".to_owned()]).await;
    ann(&edge).await;
    let ann = signed_in(&edge).await;
    let path = "/gateway/7f1c2d3e-0000-4000-8000-000000000000";
    let upgrade = |origin: Option<&str>| {
        let request = Request::get(path)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "ocmt.v1");
        let request = ann.with_cookies(request);
        origin.into_iter().fold(request, |request, origin| request.header("origin", origin))
    };
    let own = edge.origin();
    // it is asked for its token: the cookie is none
    for origin in [None, Some(own.as_str()), Some("https://app.example")] {
        assert_eq!(edge.ask_h1(upgrade(origin), "").await.status, 401, "{origin:?}");
    }
    for origin in [
        "null",
        "https://evil.example",
        "https://localhost",
        "https://app.example:8443",
        "https://app.example@evil.example",
    ] {
        assert_eq!(edge.ask_h1(upgrade(Some(origin)), "").await.status, 403, "{origin}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike_and_what_is_none_is_refused() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let mut browser = Browser::default();
    let page = browser.get(&edge, "/").await;
    let csrf = field(&page.body);
    let mut said = Vec::new();
    for email in ["ann%40example.com", "eve%40example.com"] {
        let sent = browser.post(&edge, "/auth/link", &format!("email={email}&csrf={csrf}")).await;
        let address = email.replace("%40", "@");
        said.push((sent.status, sent.body.replace(&address, ""), sent.headers.len()));
    }
    assert_eq!(said[0], said[1]);
    for bad in ["nobody", "a%40b%0d%0abcc%3ac%40d.example", "%3Cscript%3E%40x.example"] {
        let refused = browser.post(&edge, "/auth/link", &format!("email={bad}&csrf={csrf}")).await;
        assert_eq!(refused.status, 400, "{bad}");
        assert!(!refused.body.contains("<script"), "{}", refused.body);
    }
    edge.node.stop().await;
}
