//! An owner hears of a request that is not theirs, and stops it on the page that the letter leads to.

use ocmt::local::wait_for;
use ocmt_client::recovery::{CeremonyState, Side};
use ocmt_testkit::TestNode;

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
    browser.look("recovery").await;
    browser.tap("form[action='/app/recovery/veto'] button").await;
    browser.until("location.pathname === '/app/recovery' && !document.querySelector('.cards h2')").await;
    assert_eq!(ada.client.ceremony(request.id()).await.unwrap().state, CeremonyState::Vetoed);
    // so that it opens nothing, the parts are to be dealt anew
    let said = browser.text("main [role=alert]").await;
    assert!(said.contains("ocmt recovery setup"), "{said}");
    browser.look("recovery-deal-anew").await;
    browser.go(&format!("{}/app/recovery", node.target().unwrap().endpoint)).await;
    browser.until("!document.querySelector('main [role=alert]')").await;
    browser.look("recovery-none").await;
    browser.end().await;
}
