//! Browsers that lack something (docs/pages.md, "What a browser has to be able to"): what needs keys does not begin there and says so,
//! and all else is forms.

use ocmt_testkit::TestNode;
use serde_json::json;

use super::{ENGLISH, browser::Browser, sign_in, vault::said};

const PASSPHRASE: &str = "violin ledger umbrella quartz";
/// What is missing, taken away before any script of the page runs.
const LACKS: [(&str, &str); 4] = [
    ("Ed25519", "lacks('Ed25519')"),
    ("X25519", "lacks('X25519')"),
    ("WebAssembly", "delete globalThis.WebAssembly"),
    ("workers", "delete globalThis.Worker"),
];
/// Refuses an algorithm as a browser does that has never heard of it.
const UNHEARD: &str = "const lacks = (name) => {
    for (const act of ['importKey', 'generateKey']) {
        const real = SubtleCrypto.prototype[act];
        SubtleCrypto.prototype[act] = function (...given) {
            const named = given.some((one) => one === name || one?.name === name);
            return named ? Promise.reject(new DOMException('', 'NotSupportedError')) : real.apply(this, given);
        };
    }
};";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_lacks_what_keys_need_is_told_and_begins_nothing() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    ada.vault(PASSPHRASE).await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    without_scripts(&node, &browser, &ada.email).await;
    let page = format!("{}/app/vault", node.target().unwrap().endpoint);
    for (what, script) in LACKS {
        let source = json!({ "source": format!("{UNHEARD} {script};") });
        let lacking = browser.devtools("Page.addScriptToEvaluateOnNewDocument", &source).await;
        browser.go(&page).await;
        // before anybody has typed anything
        said(&browser, "cannot").await;
        browser.run("document.querySelector('#said').hidden = true").await;
        browser.fill("#passphrase", PASSPHRASE).await;
        browser.tap("#unlock button").await;
        said(&browser, "cannot").await;
        let closed = browser.run("return document.querySelector('#open').hidden").await;
        assert_eq!(closed, true, "it opened without {what}");
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &lacking).await;
    }
    let (requests, called) = browser.sent(b"/ocmt.v1.").await;
    assert!(requests > 5 && !called, "a node was asked, after {requests} requests");
    assert!(browser.complaints().await.is_empty());
    browser.end().await;
}

/// Signing in, and ending a session, are forms; a page that needs keys says that it needs scripts.
async fn without_scripts(node: &TestNode, browser: &Browser, email: &str) {
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true })).await;
    sign_in(node, browser, email, "/app/vault").await;
    browser.until("location.pathname === '/app/vault'").await;
    let told = browser.text("main").await;
    assert!(told.contains("takes JavaScript"), "{told}");
    browser.go(&format!("{}/app/sessions", node.target().unwrap().endpoint)).await;
    browser.tap("form[action='/app/sessions/end-others'] button").await;
    browser.until("document.querySelectorAll('.cards > li').length === 1").await;
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": false })).await;
}
