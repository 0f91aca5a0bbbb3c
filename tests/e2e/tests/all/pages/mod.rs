//! The pages in a browser: Chromium against a node, as people use them.

mod browser;
mod driver;
mod guardian;
mod passkeys;
mod sessions;
mod stops;
mod vendored;
mod veto;

use ocmt_testkit::TestNode;

use self::browser::{Browser, Habits};

const ENGLISH: Habits = Habits { language: "en", dark: false, keyboard: false };

/// Signs somebody in who has an account, on the page that `path` is.
async fn sign_in(node: &TestNode, browser: &Browser, email: &str, path: &str) {
    let origin = node.target().unwrap().endpoint;
    browser.go(&format!("{origin}{path}")).await;
    browser.fill("#email", email).await;
    browser.tap("main button").await;
    browser.until("!document.querySelector('#email')").await;
    browser.go(&node.link(email, "sign-in link").await.unwrap()).await;
    browser.tap("main button").await;
    browser.until("!location.pathname.startsWith('/auth/')").await;
}
