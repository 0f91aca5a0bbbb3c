//! Guardians whose vaults were made in a terminal decide in a browser: yes to an invitation, and the ways to say no.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{
    Client,
    recovery::{Ceremony, CeremonyState, Side},
};
use ocmt_testkit::{Person, TestNode};
use ocmt_types::Digest32;

use super::{ENGLISH, PATIENCE, browser::Browser, deal, recovers, sign_in};
use crate::delays;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
/// The owner's key that the browser knows.
const PIN: &str = "localStorage['ocmt.owner.' + document.querySelector('#request').dataset.guardianship]";

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
    deal(&ada, &mut vault, 3).await;
    let session = recovers(&node, &ada, "lost").await;
    let (request, _) = session.open_ceremony(None, &node.device("lost").unwrap()).await.unwrap();
    let path = format!("/guardian/requests/{}", request.id());
    for guard in &guards {
        let told = async || guard.client.ceremony(request.id()).await.ok();
        wait_for(PATIENCE, told).await.expect("the guardian was not told");
    }
    sign_in(&node, &browser, &guards[0].email, &path).await;
    what_does_not_hold_is_not_agreed_to(&browser).await;
    // under another owner's key than the one that this browser knows nothing is agreed to, and it is refused all the same
    browser.run(&format!("{PIN} = 'ab'.repeat(32)")).await;
    is_told(&browser, "other_owner").await;
    decides(&browser, "deny").await;
    assert_eq!(hears(&ada, request.id(), "denied").await.units_approved, 0);
    browser.look_both("guardian-refused", "document.querySelector('main h1')").await;
    enter_says_nothing(&browser).await;
    browser.forget().await;
    sign_in(&node, &browser, &guards[1].email, &path).await;
    decides(&browser, "doubt").await;
    let doubted = hears(&ada, request.id(), "doubted").await;
    assert_eq!(doubted.acts.iter().filter(|act| act.kind == "doubted").count(), 1);
    browser
        .until("document.querySelector('[data-act=deny]') && !document.querySelector('[data-act=doubt]')")
        .await;
    browser.forget().await;
    // who has agreed and then hears otherwise can lock
    sign_in(&node, &browser, &guards[2].email, &path).await;
    agrees(&browser, "approve").await;
    hears(&ada, request.id(), "approved").await;
    browser.until("document.querySelector('#request') && !document.querySelector('[data-act=approve], [data-act=deny]')").await;
    decides_for_good(&browser).await;
    let over = hears(&ada, request.id(), "locked").await;
    assert_eq!(over.state, CeremonyState::Locked);
    browser.forget().await;
    // the lock has ended the session that asked
    let again = recovers(&node, &ada, "again").await;
    signs_over_the_stop(&node, &browser, &again, &over, &guards[0]).await;
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

async fn decides_for_good(browser: &Browser) {
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("summary").await;
    browser.tap("[data-act=lock]").await;
    browser
        .until("!document.querySelector('#request') && document.querySelector('main [role=status] strong')")
        .await;
}

/// Agrees or signs, having heard the words.
async fn agrees(browser: &Browser, act: &str) {
    browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
    browser.tap("#heard").await;
    decides(browser, act).await;
}

/// Tries to agree, and is told why not.
async fn is_told(browser: &Browser, what: &str) {
    browser.until("document.querySelector('[data-act=approve]') && !document.querySelector('[data-act=approve]').disabled").await;
    browser.run("document.querySelector('#heard').checked = true").await;
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("[data-act=approve]").await;
    let told = format!("document.querySelector('[data-say={what}]').textContent");
    browser.until(&format!("document.querySelector('#said').innerText === {told}")).await;
}

/// The page's own script once more, over what a node has changed in it.
async fn with(browser: &Browser, change: &str) {
    let run = format!(
        "const form = document.querySelector('#request'); const copy = form.cloneNode(true); const told = copy.dataset; {change};
         form.replaceWith(copy);
         return import(document.querySelector('script[type=module]').src + '?' + crypto.randomUUID()).then(() => true)"
    );
    assert_eq!(browser.run(&run).await, true);
}

async fn what_does_not_hold_is_not_agreed_to(browser: &Browser) {
    browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
    // not without the call
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("[data-act=approve]").await;
    browser.until("document.activeElement.id === 'heard' && !document.querySelector('#said').hidden").await;
    let last = |field: &str| {
        format!("told.{field} = told.{field}.slice(0, -2) + (told.{field}.endsWith('00') ? '01' : '00')")
    };
    let page = browser.run("return location.href").await;
    let others = "told.ceremony = 'ab'.repeat(32)".to_owned();
    for forged in [last("statement"), last("node"), last("set"), others] {
        with(browser, &forged).await;
        is_told(browser, "not_held").await;
        browser.go(page.as_str().unwrap()).await;
    }
    // nor with a vault that is older than what this browser has seen
    let seen = "Object.keys(localStorage).find((one) => one.startsWith('ocmt.seen.'))";
    browser.run(&format!("window.name = localStorage[{seen}]; localStorage[{seen}] = window.name.replace(/\"counter\":\"[0-9]+\"/, '\"counter\":\"99999\"')")).await;
    is_told(browser, "older").await;
    browser.run(&format!("localStorage[{seen}] = window.name")).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // why: the back-off of a hand-out that led to nothing
}

/// Enter in the passphrase is no doubt and no lock.
async fn enter_says_nothing(browser: &Browser) {
    browser
        .until("document.querySelector('[data-act=lock]') && !document.querySelector('[data-act=deny]')")
        .await;
    browser.fill("#passphrase", &format!("{PASSPHRASE}\u{e007}")).await;
    assert_eq!(browser.run("return document.querySelector('#said').hidden").await, true);
}

/// The stop is gone over, for which a guardian signs on the page.
async fn signs_over_the_stop(
    node: &TestNode,
    browser: &Browser,
    session: &Client,
    stopped: &Ceremony,
    guard: &Person,
) {
    let (over, _) = session.open_override(stopped, &node.device("again").unwrap()).await.unwrap();
    let told = async || guard.client.ceremony(over.id()).await.ok();
    wait_for(PATIENCE, told).await.expect("the guardian was not told");
    sign_in(node, browser, &guard.email, &format!("/guardian/requests/{}", over.id())).await;
    let ready = "document.querySelector('[data-act=override]') && document.querySelector('#words').innerText.split(' ').length === 6";
    browser.until(ready).await;
    assert!(browser.text("main").await.contains("no veto and no lock ends it"));
    browser.look_both("guardian-override", ready).await;
    agrees(browser, "override").await;
    let signed = async || {
        let seen = session.ceremony(over.id()).await.ok()?;
        seen.acts.iter().any(|act| act.kind == "overrode").then_some(())
    };
    wait_for(PATIENCE, signed).await.expect("the signature did not arrive");
    // signed once, and a doubt is left
    browser
        .until("!document.querySelector('[data-act=override]') && document.querySelector('[data-act=doubt]')")
        .await;
}
