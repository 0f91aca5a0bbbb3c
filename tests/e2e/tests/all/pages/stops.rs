//! Guardians whose vaults were made in a terminal decide in a browser: yes to an invitation, and the ways to say no.

use ocmt::local::wait_for;
use ocmt_client::recovery::{Ceremony, CeremonyState, Side};
use ocmt_testkit::{Person, TestNode};
use ocmt_types::Digest32;

use super::{ENGLISH, PATIENCE, browser::Browser, deal, recovers, sign_in};
use crate::delays;

const PASSPHRASE: &str = "violin ledger umbrella quartz";

async fn decides(browser: &Browser, act: &str) {
    browser.until("document.querySelector('#request')").await;
    browser.fill("#passphrase", PASSPHRASE).await;
    if act == "lock" {
        browser.tap("summary").await;
    }
    browser.tap(&format!("[data-act={act}]")).await;
    browser.until("document.querySelector('main [role=status] strong')").await;
}

/// Until the owner sees this said by a guardian.
async fn hears(owner: &Person, id: Digest32, what: &str) -> Ceremony {
    let said = async || {
        let seen = owner.client.ceremony(id).await.ok()?;
        seen.acts.iter().any(|act| act.kind == what).then_some(seen)
    };
    wait_for(PATIENCE, said).await.unwrap_or_else(|| panic!("nobody {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn guardians_of_a_terminal_accept_refuse_doubt_and_lock_in_a_browser() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    delays::are_short(&ada).await;
    let browser = Browser::start(ENGLISH).await;
    let mut guards = Vec::new();
    for name in ["grace", "hedy", "iris"] {
        let guard = node.person(name).await.unwrap();
        guard.vault(PASSPHRASE).await.unwrap();
        let asked = vault.invite_guardian(&guard.email, 1).await.unwrap();
        let came = async || guard.client.guardianship(asked.id, Side::Guardian).await.ok();
        wait_for(PATIENCE, came).await.expect("the invitation did not come");
        sign_in(&node, &browser, &guard.email, &format!("/guardian/invitations/{}", asked.id)).await;
        browser.fill("#passphrase", PASSPHRASE).await;
        browser.tap("#yes").await;
        browser.until("location.pathname === '/guardian' && document.querySelector('.cards h3')").await;
        browser.forget().await;
        guards.push(guard);
    }
    deal(&ada, &mut vault).await;
    let session = recovers(&node, &ada, "lost").await;
    let (request, _) = session.open_ceremony(None, &node.device("lost").unwrap()).await.unwrap();
    let path = format!("/guardian/requests/{}", request.id());
    for guard in &guards {
        let told = async || guard.client.ceremony(request.id()).await.ok();
        wait_for(PATIENCE, told).await.expect("the guardian was not told");
    }
    sign_in(&node, &browser, &guards[0].email, &path).await;
    // not without the call
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("[data-act=approve]").await;
    browser.until("document.activeElement.id === 'heard' && !document.querySelector('#said').hidden").await;
    // nor under another owner's key than the one that this browser knows
    let pin = "localStorage['ocmt.owner.' + document.querySelector('#request').dataset.guardianship]";
    browser.run(&format!("{pin} = 'ab'.repeat(32)")).await;
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("[data-act=doubt]").await;
    let told = "document.querySelector('[data-say=other_owner]').textContent";
    browser.until(&format!("document.querySelector('#said').innerText === {told}")).await;
    browser.run(&format!("delete {pin}")).await;
    decides(&browser, "deny").await;
    assert_eq!(hears(&ada, request.id(), "denied").await.units_approved, 0);
    browser.look("guardian-refused").await;
    browser.forget().await;
    sign_in(&node, &browser, &guards[1].email, &path).await;
    decides(&browser, "doubt").await;
    hears(&ada, request.id(), "doubted").await;
    // who doubts may still decide
    decides_after_a_doubt(&browser).await;
    let over = hears(&ada, request.id(), "locked").await;
    assert_eq!(over.state, CeremonyState::Locked);
    // whoever is no guardian of it finds nothing, as with an id that nobody has
    browser.forget().await;
    let eve = node.person("eve").await.unwrap();
    sign_in(&node, &browser, &eve.email, &path).await;
    let foreign = browser.text("main").await;
    let request_id = |text: &str| text.split("Request ").next().unwrap().to_owned();
    browser.go(&format!("{}/guardian/requests/{}", node.target().unwrap().endpoint, "ab".repeat(32))).await;
    assert_eq!(request_id(&browser.text("main").await), request_id(&foreign));
    browser.end().await;
}

async fn decides_after_a_doubt(browser: &Browser) {
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("summary").await;
    browser.tap("[data-act=lock]").await;
    browser
        .until("!document.querySelector('#request') && document.querySelector('main [role=status] strong')")
        .await;
}
