//! Requests for one vault, and three browsers at once, each somebody's own: two guardians decide while the owner looks on.

use ocmt::local::wait_for;
use ocmt_client::{
    Client,
    recovery::{CeremonyState, RecoveryRequest},
};

use super::{
    ENGLISH, PATIENCE,
    browser::{Browser, Habits},
    recovers, sign_in,
};
use crate::recovery_cli::Table;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const REFUSED: &str = "document.querySelector('#said')?.innerText.startsWith(document.querySelector('[data-say=refused]').textContent)";

/// Whoever reads the owner's mail asks, and both guardians are told.
async fn asked(table: &Table, device: &str) -> (Client, RecoveryRequest) {
    let session = recovers(&table.node, &table.owner, device).await;
    let (request, _) = session.open_ceremony(None, &table.node.device(device).unwrap()).await.unwrap();
    for guard in &table.guards[..2] {
        let told = async || guard.client.ceremony(request.id()).await.ok();
        wait_for(PATIENCE, told).await.expect("the guardian was not told");
    }
    (session, request)
}

fn page_of(request: &RecoveryRequest) -> String {
    format!("/guardian/requests/{}", request.id())
}

async fn reads(browser: &Browser, words: &str) {
    browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
    assert_eq!(browser.text("#words").await, words, "they would compare other words");
}

async fn agrees(browser: &Browser) {
    browser.tap("#heard").await;
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("[data-act=approve]").await;
}

async fn has_agreed(browser: &Browser) {
    agrees(browser).await;
    browser.until("document.querySelector('main [role=status] strong')").await;
}

/// Until the page, loaded again, says this.
async fn comes_to_say(browser: &Browser, page: &str, what: &str) {
    let said = async || {
        browser.go(page).await;
        browser.text("main").await.contains(what).then_some(())
    };
    wait_for(PATIENCE, said).await.unwrap_or_else(|| panic!("{page} never says {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_guardians_and_the_owner_decide_in_three_browsers_at_once() {
    let table = Table::set().await;
    let origin = table.node.target().unwrap().endpoint;
    let (recoveries, german) = (format!("{origin}/app/recovery"), Habits { language: "de", ..ENGLISH });
    let (owner, grace, hedy) =
        tokio::join!(Browser::start(ENGLISH), Browser::start(german), Browser::start(ENGLISH));
    let (_thief, request) = asked(&table, "thief").await;
    let words = request.words().await.unwrap();
    sign_in(&table.node, &owner, &table.owner.email, "/app/recovery").await;
    for (browser, guard) in [&grace, &hedy].into_iter().zip(&table.guards) {
        sign_in(&table.node, browser, &guard.email, &page_of(&request)).await;
        reads(browser, &words).await;
    }
    has_agreed(&grace).await;
    comes_to_say(&owner, &recoveries, "1 of 2 parts").await;
    assert!(owner.text("main").await.contains(&table.guards[0].email), "who has agreed is not shown");
    owner.tap("form[action='/app/recovery/veto'] button").await;
    owner.until("document.querySelector('main [role=alert]')").await;
    // her page is of before the veto
    agrees(&hedy).await;
    hedy.until(REFUSED).await;
    let stopped = table.owner.client.ceremony(request.id()).await.unwrap();
    assert_eq!((stopped.state, stopped.units_approved), (CeremonyState::Vetoed, 1));

    let (session, request) = asked(&table, "own").await;
    let other = request.words().await.unwrap();
    assert_ne!(other, words);
    for browser in [&grace, &hedy] {
        browser.go(&format!("{origin}{}", page_of(&request))).await;
        reads(browser, &other).await;
    }
    tokio::join!(has_agreed(&grace), has_agreed(&hedy));
    comes_to_say(&owner, &recoveries, "2 of 2 parts").await;
    let released = async || {
        let told = session.ceremony(request.id()).await.ok()?;
        (told.state == CeremonyState::Released).then_some(())
    };
    wait_for(PATIENCE, released).await.expect("it was not released");
    let collected = request.collect(&session, &table.node.device("own").unwrap()).await.unwrap();
    assert!(collected.bad().is_empty(), "a part of a browser's is bad");
    assert_eq!(collected.vault().get("entry").await.unwrap().value.as_slice(), b"value");
    for browser in [owner, grace, hedy] {
        browser.end().await;
    }
}
