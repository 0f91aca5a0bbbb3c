//! A passkey is added on a page, signs in alone and after a link, and is taken away.

use ocmt_testkit::{TestNode, ports};
use serde_json::json;

use super::{ENGLISH, browser::Browser, sign_in};

/// Passkeys are of a name, and addresses are none.
async fn named_node() -> TestNode {
    let port = ports::unused().unwrap();
    let change = |config: &mut ocmt::config::Config| {
        config.listen.client.set_port(port);
        config.listen.public_url = format!("https://localhost:{port}");
    };
    TestNode::start_with(change).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_added_signs_in_alone_and_after_a_link_and_is_taken_away() {
    let node = named_node().await;
    let ada = node.person("ada").await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    browser.authenticator().await;
    sign_in(&node, &browser, &ada.email, "/app/passkeys").await;
    browser.until("location.pathname === '/app/passkeys'").await;
    browser.fill("#name", "my telephone").await;
    browser.tap("#add-passkey button").await;
    browser.until("document.querySelector('.cards h2')?.innerText === 'my telephone'").await;
    browser.look_both("passkeys", "document.querySelector('.cards h2')").await;
    let count = ada.client.passkeys().await.unwrap().len();
    assert_eq!(count, 1);
    // alone: no letter, no address
    browser.forget().await;
    let origin = node.target().unwrap().endpoint;
    let none = json!({ "source": "delete globalThis.PublicKeyCredential" });
    let lacking = browser.devtools("Page.addScriptToEvaluateOnNewDocument", &none).await;
    browser.go(&format!("{origin}/app/sessions")).await;
    let hidden = "return document.querySelector('#show-passkey').hidden";
    assert_eq!(browser.run(hidden).await, true, "a browser that has none is asked for one");
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &lacking).await;
    browser.go(&format!("{origin}/app/sessions")).await;
    browser.look_both("sign-in-passkey", "document.querySelector('#show-passkey')?.hidden === false").await;
    browser.tap("#show-passkey button").await;
    browser.until("location.pathname === '/app/sessions' && document.querySelector('.cards')").await;
    // her own passkey's answer signs nobody in where another secret is behind it than the challenge was asked for with
    browser.forget().await;
    browser.go(&format!("{origin}/")).await;
    let swapped = "const submit = HTMLFormElement.prototype.submit;
        HTMLFormElement.prototype.submit = function () { this.elements.secret.value = 'A'.repeat(43); submit.call(this); };";
    browser.run(swapped).await;
    browser.tap("#show-passkey button").await;
    browser.until("document.querySelector('h1').innerText !== 'Sign in'").await;
    assert_ne!(browser.text("h1").await, "You are signed in");
    browser.go(&format!("{origin}/")).await;
    browser.until("document.querySelector('#email')").await;
    // a refusal is an answer of 401, which the log names
    browser.complaints().await;
    // after a link it is the second factor
    browser.forget().await;
    sign_in(&node, &browser, &ada.email, "/app/passkeys").await;
    browser.until("document.querySelector('#code')").await;
    browser.look_both("second-factor-passkey", "document.querySelector('#code')").await;
    browser.tap("#show-passkey button").await;
    browser.until("location.pathname === '/app/passkeys' && document.querySelector('.cards h2')").await;
    browser.tap("form[action='/app/passkeys/remove'] button").await;
    browser.until("!document.querySelector('.cards h2')").await;
    assert!(ada.client.passkeys().await.unwrap().is_empty());
    // nor does what no authenticator said
    browser.forget().await;
    browser.go(&format!("{origin}/")).await;
    let made_up = "const form = document.querySelector('#show-passkey');
        form.elements.assertion.value = crypto.randomUUID(); form.elements.credential.value = '{}';
        form.elements.secret.value = 'AAAA'; form.submit();";
    browser.run(made_up).await;
    browser.until("document.querySelector('h1').innerText !== 'Sign in'").await;
    assert!(!browser.text("main").await.contains("You are signed in"));
    browser.end().await;
}
