//! The pages behind the sign-in, through the real listener: their forms, what they load, in which language, and where they lead.

use data_encoding::BASE64;
use http::Request;
use sha2::{Digest as _, Sha256};

use crate::{
    browser::{Browser, SESSION, ann, ann_again, ask_for_link, field, form_of, path_of, signed_in},
    kit::Edge,
};

/// Forms of the pages, with a field that would be taken.
const FORMS: [(&str, &str); 24] = [
    ("/app/containers/log", "&container=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/containers/terminal", "&container=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/containers/wake", "&container=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/containers/pause", "&container=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/connections/end", "&connection=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11&provider=work&anyway=yes"),
    ("/app/groups/leave", "&group=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/shares/accept", "&share=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/shares/end", "&share=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/approvals/deny", "&request=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/pairing/approve", "&pairing=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11&code=ABCD2345"),
    ("/app/pairing/refuse", "&pairing=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/pairing/revoke", "&sender=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/alerts/add", "&name=me&email=ann%40example.com&least=info"),
    ("/app/alerts/test", "&channel=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/alerts/remove", "&channel=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/recovery/veto", "&ceremony=0a1b"),
    ("/app/recovery/refuse", "&request=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/auth/passkey", "&assertion=x&credential=x&secret=x"),
    ("/app/passkeys/remove", "&passkey=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/auth/sign-up", "&email=eve%40example.com"),
    ("/app/sessions/end", "&session=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
    ("/app/sessions/end-others", ""),
    (
        "/app/vault/step-up",
        "&vault=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11&handout=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11&signature=00",
    ),
    ("/guardian/resign", "&guardianship=0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11"),
];

/// As `integrity` has it.
fn sha256(bytes: &[u8]) -> String {
    format!("sha256-{}", BASE64.encode(&Sha256::digest(bytes)))
}

#[tokio::test]
async fn f1_every_form_of_the_pages_is_taken_from_its_own_session_and_origin_alone() {
    let edge = Edge::start(|_| {}).await;
    let device = ann(&edge).await;
    let (mut ann, other) = (signed_in(&edge).await, signed_in(&edge).await);
    ann.get(&edge, "/app/sessions").await;
    let (mine, others, own) = (ann.csrf(), other.csrf(), edge.origin());
    for (path, fields) in FORMS {
        for (what, origin, token) in [
            ("no origin", None, mine.as_str()),
            ("another site's", Some("https://evil.example"), &mine),
            ("no token", Some(own.as_str()), ""),
            ("another session's", Some(own.as_str()), &others),
        ] {
            let request = ann.with_cookies(form_of(path));
            let request =
                origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
            let refused = edge.ask(request, format!("csrf={token}{fields}")).await;
            assert_eq!(refused.status, 403, "{path}: {what} was taken");
        }
        // nor is a field more, that somebody hopes for
        let more = ann.post(&edge, path, &format!("csrf={mine}{fields}&tenant=x")).await;
        assert_eq!(more.status, 422, "{path}");
    }
    device.who_am_i().await.expect("one of them ended a session");
    // who has no session asks for an account by the form of their own browser
    let mut stranger = Browser::default();
    stranger.get(&edge, "/auth/sign-up").await;
    for forged in ["", "x", mine.as_str()] {
        let form = format!("email=eve%40example.com&csrf={forged}");
        assert_eq!(stranger.post(&edge, "/auth/sign-up", &form).await.status, 403, "{forged}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_and_by_nobody_else() {
    let edge = Edge::start(|_| {}).await;
    let device = ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    let page = browser.get(&edge, "/app/sessions").await;
    assert!(page.body.contains("this browser") && page.body.contains("name=\"session\""), "{}", page.body);
    let id =
        page.body.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // eve has a session too, and knows the id
    let mut hers = eve(&edge).await;
    let page = hers.get(&edge, "/app/sessions").await;
    let tried =
        hers.post(&edge, "/app/sessions/end", &format!("session={id}&csrf={}", field(&page.body))).await;
    assert_eq!(tried.status, 303, "what is not hers is answered as what has ended");
    device.who_am_i().await.expect("somebody else ended it");
    let csrf = browser.csrf();
    let ended = browser.post(&edge, "/app/sessions/end", &format!("session={id}&csrf={csrf}")).await;
    assert_eq!(ended.headers["location"], "/app/sessions", "{}", ended.body);
    assert!(device.who_am_i().await.is_err(), "the session lives on");
    let device = ann_again(&edge).await;
    browser.post(&edge, "/app/sessions/end-others", &format!("csrf={csrf}")).await;
    assert!(device.who_am_i().await.is_err(), "the other session lives on");
    assert!(browser.get(&edge, "/").await.body.contains("You are signed in"));
    edge.node.stop().await;
}

#[tokio::test]
async fn the_page_of_the_audit_shows_what_one_did_oneself_alone() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    browser.get(&edge, "/app/sessions").await;
    let page = browser.get(&edge, "/app/audit").await;
    assert!(page.body.contains("AuthService/ListSessions"), "{}", page.body);
    // whoever knows the address asks for its letters
    assert!(!page.body.contains("AuthService/IssueLink"), "{}", page.body);
    edge.node.stop().await;
}

/// Somebody else signs up by the pages alone.
pub(crate) async fn eve(edge: &Edge) -> Browser {
    let mut eve = Browser::default();
    let page = eve.get(edge, "/auth/sign-up").await;
    let form = format!("email=eve%40example.com&csrf={}", field(&page.body));
    let sent = eve.post(edge, "/auth/sign-up", &form).await;
    assert!(sent.status == 200 && sent.body.contains("eve@example.com"), "{}", sent.body);
    let letter = edge.mailbox.take("eve@example.com", "Finish your sign-up").await.expect("no letter came");
    let link = path_of(letter.link().unwrap());
    let page = eve.get(edge, &link).await;
    let done = eve.post(edge, &link, &format!("csrf={}", field(&page.body))).await;
    assert_eq!(done.status, 303, "{}", done.body);
    eve
}

#[tokio::test]
async fn whoever_signs_in_is_led_to_the_page_that_was_asked_for_and_never_off_the_node() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let arrives = async |mut browser: Browser| {
        let link = ask_for_link(&edge, &mut browser).await;
        let page = browser.get(&edge, &link).await;
        let done = browser.post(&edge, &link, &format!("csrf={}", field(&page.body))).await;
        (done.headers["location"].to_str().unwrap().to_owned(), browser)
    };
    let mut browser = Browser::default();
    let page = browser.get(&edge, "/guardian/requests/0a1b").await;
    assert!(page.status == 200 && page.body.contains("Send me a link"), "{}", page.body);
    let (location, browser) = arrives(browser).await;
    assert_eq!(location, "/guardian/requests/0a1b");
    assert!(!browser.cookies.contains_key("__Host-ocmt-next") && browser.cookies.contains_key(SESSION));
    for forged in ["https://evil.example/guardian", "//evil.example", "/guardian/../../x", "/auth/sign-out"] {
        let mut browser = Browser::default();
        browser.cookies.insert("__Host-ocmt-next".to_owned(), forged.to_owned());
        assert_eq!(arrives(browser).await.0, "/", "{forged}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn what_a_page_loads_is_named_with_its_digest_and_the_worker_alone_compiles() {
    let edge = Edge::start(|_| {}).await;
    let page = edge.ask(Request::get("/"), "").await;
    let mut named = 0;
    for tag in page.body.split('<').filter(|tag| tag.contains("integrity=\"")) {
        let of = |name: &str| {
            tag.split_once(&format!("{name}=\"")).map(|(_, rest)| rest.split('"').next().unwrap())
        };
        let (path, integrity) = (of("href").or_else(|| of("src")).unwrap(), of("integrity").unwrap());
        let file = edge.ask(Request::get(path), "").await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(sha256(file.body.as_bytes()), integrity, "{path}");
        assert!(file.headers["content-type"].to_str().unwrap().starts_with("text/"));
        assert!(file.headers["cache-control"].to_str().unwrap().contains("immutable"));
        assert!(!file.headers["content-security-policy"].to_str().unwrap().contains("unsafe"), "{path}");
        named += 1;
    }
    let loaded = page.body.matches("<script").count() + page.body.matches("<link").count();
    assert!(named > 3 && named + 1 == loaded, "all but the icon: {}", page.body);
    let version = page.body.split("/static/").nth(1).unwrap().split('/').next().unwrap();
    let worker = edge.ask(Request::get(format!("/static/{version}/js/core/argon2_worker.js")), "").await;
    let policy = worker.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'") && policy.contains("default-src 'none'"));
    assert!(!policy.contains("connect-src"), "a worker that computes has nobody to talk to: {policy}");
    for missing in ["js/core/../../../Cargo.toml", "js/core/none.js", "package.json", ""] {
        let answer = edge.ask(Request::get(format!("/static/{version}/{missing}")), "").await;
        assert!(answer.status == 404 && answer.headers["cache-control"] == "no-store", "{missing}");
    }
    let other = edge.ask(Request::get("/static/0000000000000000/page.css"), "").await;
    assert_eq!(other.status, 404);
    edge.node.stop().await;
}

#[tokio::test]
async fn a_page_speaks_the_language_of_its_browser_or_the_one_that_is_asked_for() {
    let edge = Edge::start(|_| {}).await;
    let mut browser = Browser::default();
    let german = edge.ask(Request::get("/").header("accept-language", "de-AT,de;q=0.9,en;q=0.5"), "").await;
    assert!(
        german.body.contains("<html lang=\"de\">") && german.body.contains("Link schicken"),
        "{}",
        german.body
    );
    assert!(browser.get(&edge, "/").await.body.contains("<html lang=\"en\">"));
    assert!(browser.get(&edge, "/?language=de").await.body.contains("<html lang=\"de\">"));
    assert!(browser.get(&edge, "/").await.body.contains("<html lang=\"de\">"), "it was not kept");
    assert!(browser.get(&edge, "/?language=%3Cscript%3E").await.body.contains("<html lang=\"de\">"));
    // but not where the address is to be pasted elsewhere: a language behind it would spoil the token
    let elsewhere = edge.ask(Request::get("/auth/link/not-of-this-browser"), "").await;
    assert!(
        elsewhere.body.contains("<code>ocmt</code>") && !elsewhere.body.contains("hreflang"),
        "{}",
        elsewhere.body
    );
    // errors too
    let refused = browser.post(&edge, "/auth/link", "email=x&csrf=y").await;
    assert!(refused.status == 403 && refused.body.contains("Das ging nicht"), "{}", refused.body);
    edge.node.stop().await;
}
