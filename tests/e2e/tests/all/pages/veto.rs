//! An owner hears of a request that is not theirs, and stops it on the page that the letter leads to.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{
    recovery::{CeremonyState, Side},
    tenant::PolicyChange,
    vault::{Added, Key, Vault},
};
use ocmt_crypto::{backup_key::BackupKey, kdf::Cost, vault::Rollback};
use ocmt_testkit::{Person, TestNode};

use super::{
    ENGLISH, PATIENCE,
    browser::{Browser, Habits},
    deal, recovers,
};
use crate::delays;

const PASSPHRASE: &str = "violin ledger umbrella quartz";

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_stops_a_request_on_the_page_that_the_letter_leads_to() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    delays::are_short(&ada).await;
    let mut guards = Vec::new();
    for name in ["grace", "hedy"] {
        let guard = node.person(name).await.unwrap();
        let hers = guard.vault(PASSPHRASE).await.unwrap();
        let asked = vault.invite_guardian(&guard.email, 1).await.unwrap();
        let came = async || guard.client.guardianship(asked.id, Side::Guardian).await.ok();
        wait_for(PATIENCE, came).await.expect("the invitation did not come");
        hers.accept_guardianship(asked.id).await.unwrap();
        guards.push((guard, hers));
    }
    deal(&ada, &mut vault, 2).await;
    // a thief who reads her mail
    let thief = recovers(&node, &ada, "thief").await;
    let (request, _) = thief.open_ceremony(None, &node.device("thief").unwrap()).await.unwrap();
    // one was taken in: what she gave stays with the thief
    let (grace, hers) = &guards[0];
    let told = async || grace.client.ceremony(request.id()).await.ok();
    wait_for(PATIENCE, told).await.expect("the guardian was not told");
    let review = hers.review_ceremony(request.id()).await.unwrap();
    hers.approve_ceremony(&review).await.unwrap();
    let counted = async || ada.client.ceremony(request.id()).await.ok().filter(|one| one.units_approved == 1);
    wait_for(PATIENCE, counted).await.expect("the owner did not hear of it");
    let browser = Browser::start(Habits { keyboard: true, ..ENGLISH }).await;
    browser.go(&node.link(&ada.email, "Your guardians are asked").await.unwrap()).await;
    browser.fill("#email", &ada.email).await;
    browser.tap("main form button").await;
    browser.until("!document.querySelector('#email')").await;
    browser.go(&node.link(&ada.email, "sign-in link").await.unwrap()).await;
    browser.tap("main button").await;
    browser.until("location.pathname === '/app/recovery' && document.querySelector('.cards h2')").await;
    // what comes next, and the six words by which she knows whether it was she; who guards her vault stands below
    let words = request.words().await.unwrap();
    let told =
        format!("document.querySelector('[data-words]:not([hidden]) .words')?.innerText === '{words}'");
    browser.until(&told).await;
    let said = browser.text("main").await;
    assert!(said.contains("Next: 1 more part is needed.") && said.contains("1 of 2 parts"), "{said}");
    assert!(said.contains("2 of 2 parts open your vault.") && said.contains(&guards[1].0.email), "{said}");
    browser.look_both("recovery", &told).await;
    browser.tap("form[action='/app/recovery/veto'] button").await;
    browser.until("location.pathname === '/app/recovery' && !document.querySelector('.cards h2')").await;
    assert_eq!(ada.client.ceremony(request.id()).await.unwrap().state, CeremonyState::Vetoed);
    // so that it opens nothing, the parts are to be dealt anew
    let said = browser.text("main [role=alert]").await;
    assert!(said.contains("ocmt recovery setup"), "{said}");
    browser.look_both("recovery-deal-anew", "document.querySelector('main [role=alert]')").await;
    browser.go(&format!("{}/app/recovery", node.target().unwrap().endpoint)).await;
    browser.until("!document.querySelector('main [role=alert]')").await;
    browser.look_both("recovery-none", "document.querySelector('main h1')").await;
    refuses_a_backup_key(&node, &ada, &mut vault, &browser).await;
    browser.end().await;
}

/// Somebody has a session of hers and the paper with her backup key, which is waited for.
async fn refuses_a_backup_key(node: &TestNode, ada: &Person, vault: &mut Vault, browser: &Browser) {
    let key = BackupKey::generate(&mut rand::rng());
    let paper = Key::Backup(BackupKey::parse(&key.to_text()).unwrap());
    vault.add_slot(&Added::Backup(key, Cost::LEAST)).await.unwrap();
    let hour = Some(Duration::from_secs(3600));
    ada.client.change_policy(&PolicyChange { backup_delay: hour, ..PolicyChange::default() }).await.unwrap();
    let device = node.device("paper").unwrap();
    let asked = ada.client.unlock_vault(None, paper, &device, Rollback::Refuse).await;
    assert!(asked.is_err(), "it is not waited for");
    browser.go(&node.link(&ada.email, "Somebody wants to open your vault").await.unwrap()).await;
    browser.until("location.pathname === '/app/recovery' && document.querySelector('.cards h2')").await;
    browser.look_both("recovery-asked", "document.querySelector('.cards h2')").await;
    assert!(!ada.client.slot_request().await.unwrap().unwrap().refused);
    browser.tap("form[action='/app/recovery/refuse'] button").await;
    let gone = "!document.querySelector(\"form[action='/app/recovery/refuse']\")";
    browser.until(&format!("location.pathname === '/app/recovery' && {gone}")).await;
    browser.until("document.querySelector('.cards .tag')?.innerText === 'refused'").await;
    browser.look_both("recovery-refused", "document.querySelector('.cards .tag')").await;
    assert!(ada.client.slot_request().await.unwrap().unwrap().refused);
}
