//! Signing in with a second factor, and where one is signed in; what others typed is text.

use ocmt_crypto::totp::TotpSecret;
use ocmt_testkit::TestNode;
use ocmt_types::{Clock as _, SystemClock};

use super::{
    ENGLISH,
    audit::verifies,
    browser::{Browser, Habits},
    figures::is_text,
    sign_in,
};

/// What a device may call itself.
const EVIL: &str = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>";

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_and_a_name_that_is_code_is_shown_as_text() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let evil = pending.finish(&link, EVIL).await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    sign_in(&node, &browser, &ada.email, "/app/sessions").await;
    browser.until("location.pathname === '/app/sessions'").await;
    browser.look_both("sessions", "document.querySelector('.cards')").await;
    let shown = browser.text(".cards").await;
    assert!(shown.contains("Chrome, Linux") && shown.contains("this browser"), "{shown}");
    is_text(&browser, "the name of a device", EVIL).await;
    let count = "document.querySelectorAll('.cards > li').length";
    browser.until(&format!("{count} === 3")).await;
    // the one of that name, by what a screen reader says of its button
    browser.run("document.querySelector(\"button[aria-label*='onerror']\").id = 'evil'").await;
    browser.tap("#evil").await;
    browser.until(&format!("{count} === 2")).await;
    assert!(evil.who_am_i().await.is_err(), "the session lives on");
    ada.client.who_am_i().await.unwrap();
    browser.tap("form[action='/app/sessions/end-others'] button").await;
    browser.until(&format!("{count} === 1")).await;
    assert!(ada.client.who_am_i().await.is_err(), "the session lives on");
    // what was done stands in the audit, and there too names are text
    browser.go(&format!("{}/app/audit", node.target().unwrap().endpoint)).await;
    browser.look_both("audit", "document.querySelector('.cards')").await;
    let done = browser.text(".cards").await;
    assert!(
        done.contains("AuthService/RevokeOtherSessions") && done.contains("AuthService/RevokeSession"),
        "{done}"
    );
    verifies(&browser, &format!("{}/app/audit", node.target().unwrap().endpoint)).await;
    browser.go(&format!("{}/app/sessions", node.target().unwrap().endpoint)).await;
    // what the browser keeps of vaults goes with the session
    browser.run("localStorage['ocmt.own.x'] = 'kept'").await;
    browser.tap("form[action='/auth/sign-out'] button").await;
    browser.until("document.querySelector('#email')").await;
    browser.until("localStorage.length === 0").await;
    assert!(browser.complaints().await.is_empty());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_factor_is_asked_for_on_the_way_to_a_page_and_the_language_stays() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let offer = ada.client.begin_totp().await.unwrap();
    let secret = TotpSecret::from_base32(&offer.secret_base32).unwrap();
    let digits = secret.code(SystemClock.now()).unwrap();
    let (_, codes) = ada.client.confirm_totp(offer.id, &digits).await.unwrap();
    let browser = Browser::start(Habits { dark: true, ..ENGLISH }).await;
    let origin = node.target().unwrap().endpoint;
    browser.go(&origin).await;
    browser.tap("a[hreflang=de]").await;
    browser.until("document.documentElement.lang === 'de'").await;
    sign_in(&node, &browser, &ada.email, "/guardian").await;
    browser.until("document.querySelector('#code')").await;
    browser.look_both("second-factor", "document.querySelector('#code')").await;
    browser.fill("#code", "123456").await;
    browser.tap("main button").await;
    browser.until("document.querySelector('[role=alert]')").await;
    assert_eq!(browser.text("[role=alert]").await, "Der Code ist falsch.");
    // and who lands in the field hears it there
    let of_field = "return document.getElementById(document.querySelector('#code').getAttribute('aria-describedby')).innerText";
    assert_eq!(browser.run(of_field).await, "Der Code ist falsch.");
    // a wrong code is an answer of 409, which the log names
    browser.complaints().await;
    // a letter's link that is opened before the factor was shown leads to its page
    browser.go(&format!("{origin}/app/audit")).await;
    browser.fill("#code", codes[0].as_str()).await;
    browser.tap("main button").await;
    browser.until("location.pathname === '/app/audit' && !document.querySelector('#code')").await;
    browser.go(&format!("{origin}/guardian")).await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "de");
    browser.look_both("guardian-nothing", "document.querySelector('main h1')").await;
    browser.go(&origin).await;
    browser.look_both("home", "document.querySelector('main h1')").await;
    browser.end().await;
}
