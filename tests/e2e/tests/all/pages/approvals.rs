//! Giving what somebody asks for: the vault is opened in the browser, and who asked opens with their own program what the browser
//! sealed.

use std::time::Duration;

use ocmt_client::{
    capability::CapabilityState,
    share::{Permission, ShareState},
    vault::Vault,
};
use ocmt_crypto::seal::SealSecretKey;
use ocmt_testkit::{Person, TestNode};
use ocmt_types::Digest32;

use super::{
    ENGLISH,
    browser::{Browser, Habits},
    figures, sign_in,
};
use crate::shares::trusts;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const HOUR: Duration = Duration::from_secs(3600);
const EVIL: &str = "<img src=x onerror=alert(1)>";
const GIVE: &str = "#give button";

/// Ada with a secret in her vault, under a name that is code.
async fn owner(node: &TestNode) -> (Person, Vault, Digest32) {
    let ada = node.person("ada").await.unwrap();
    let mut hers = ada.vault(PASSPHRASE).await.unwrap();
    hers.put(EVIL, b"the value").await.unwrap();
    hers.put("token", b"another").await.unwrap();
    let entry = hers.list().await.unwrap().into_iter().find(|one| one.name == EVIL).unwrap().object;
    (ada, hers, entry)
}

/// Comes to the only request, and has the vault say what it is about.
async fn looks(browser: &Browser) {
    browser.tap(".cards a.button").await;
    browser.until("document.querySelector('#approve')").await;
    browser.look("approval").await;
    browser.fill("#passphrase", "tramway-Okapi-39-lantern").await;
    browser.tap("#look button").await;
    browser.until("!document.querySelector('#said').hidden && !document.querySelector('[aria-busy]')").await;
    let shut = "return document.querySelector('#give').hidden";
    assert_eq!(browser.run(shut).await, true, "another passphrase opened it");
    tokio::time::sleep(Duration::from_secs(2)).await; // why: the back-off of a hand-out that led to nothing
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("#look button").await;
    browser.until("!document.querySelector('#give').hidden && !document.querySelector('[aria-busy]')").await;
    assert_eq!(browser.text("#name").await, EVIL);
    figures::stays_text(browser, "the name of an entry that is asked for").await;
    browser.look("approval-give").await;
    // nothing goes before somebody says that they compared
    browser.tap(GIVE).await;
    browser.until("!document.querySelector('#said').hidden && !document.querySelector('[aria-busy]')").await;
}

async fn gives(browser: &Browser) {
    browser.tap("#heard").await;
    browser.tap(GIVE).await;
    browser.until("location.pathname === '/app/approvals' && !document.querySelector('.cards > li')").await;
    for secret in [PASSPHRASE.as_bytes(), b"the value", EVIL.as_bytes()] {
        assert!(!browser.sent(secret).await.1, "it left the browser");
    }
    assert!(browser.complaints().await.is_empty());
    let sizes = browser.sizes.borrow();
    assert!(sizes.values().all(|size| *size < 100_000), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_given_what_they_ask_for_once_their_words_were_compared() {
    let node = TestNode::start().await.unwrap();
    let (ada, hers, entry) = owner(&node).await;
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let his = bob.vault("tramway-Okapi-39-lantern").await.unwrap();
    trusts(&ada, &bob).await;
    trusts(&bob, &ada).await;
    let seen = hers.give(&bob.email, &[EVIL.to_owned()], &[Permission::List], None).await.unwrap();
    bob.client.accept_share(seen.id).await.unwrap();
    let read = [Permission::Read];
    let asked = bob.client.request_capability(hers.id(), entry, &read, HOUR, "to pay").await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    sign_in(&node, &browser, &ada.email, "/app/approvals").await;
    looks(&browser).await;
    let words = ada.client.keys_of(&bob.email).await.unwrap().words().await.unwrap();
    assert_eq!(browser.text("#words").await, words);
    let still = ada.client.list_capabilities(true).await.unwrap();
    assert_eq!(still[0].state, CapabilityState::Requested, "it was given unasked");
    gives(&browser).await;
    browser.end().await;
    let all = bob.client.list_capabilities(false).await.unwrap();
    assert!(all.iter().any(|one| one.id == asked.id && one.state == CapabilityState::Approved), "{all:?}");
    let shares = bob.client.list_shares().await.unwrap();
    let given =
        shares.iter().find(|one| one.permissions == read && one.state == ShareState::Accepted).unwrap();
    let entries = his.read_share(given).await.unwrap();
    assert_eq!((entries[0].name.expose(), entries[0].value.as_slice()), (EVIL, &b"the value"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_given_what_it_asks_for_once_its_key_was_compared() {
    let node = TestNode::start().await.unwrap();
    let (ada, hers, entry) = owner(&node).await;
    let key = SealSecretKey::generate(&mut rand::rng());
    let made = hers.create_program_token("agent", &["token".to_owned()], key.public(), HOUR).await;
    let access = made.unwrap();
    let agent = ada.client.as_program(&access);
    agent.request_capability(access.vault, entry, &[Permission::Read], HOUR, EVIL).await.unwrap();
    let browser = Browser::start(Habits { language: "de", dark: true, keyboard: true }).await;
    sign_in(&node, &browser, &ada.email, "/app/approvals").await;
    looks(&browser).await;
    let shown = browser.text("#give").await;
    assert!(shown.contains(&Digest32(key.public().0).to_string()), "{shown}");
    gives(&browser).await;
    browser.end().await;
    let read = agent.read_object(&access, &key, entry).await.unwrap();
    assert_eq!((read.name.expose(), read.value.as_slice()), (EVIL, &b"the value"[..]));
}
