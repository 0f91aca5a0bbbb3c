//! An owner has lost the mailbox too: a guardian says so on the page, and guardians sign on the page of the request.

use ocmt::local::wait_for;
use ocmt_client::recovery::CeremonyState;

use super::{ENGLISH, PATIENCE, browser::Browser, sign_in};
use crate::recovery_cli::Table;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const NEW: &str = "ada@new.example";

#[tokio::test(flavor = "multi_thread")]
async fn guardians_have_the_link_sent_and_sign_for_the_new_address_in_a_browser() {
    let table = Table::set().await;
    let (node, browser) = (&table.node, Browser::start(ENGLISH).await);
    sign_in(node, &browser, &table.guards[0].email, "/guardian").await;
    browser.until("document.querySelector('form[action=\"/guardian/lost-mailbox\"]')").await;
    browser.tap("details summary").await;
    browser.look_both("guardian-lost", "document.querySelector('details').open = true").await;
    browser.fill("input[name=new_address]", NEW).await;
    browser.tap("form[action='/guardian/lost-mailbox'] button").await;
    browser.until("document.querySelector('main [role=status]')").await;
    let link = node.link(NEW, "Ask your guardians").await.unwrap();
    let client = node.local().client().await.unwrap();
    let session = client.take_lost_mailbox_link(&link, "e2e").await.unwrap();
    let device = node.device("begun").unwrap();
    let (request, proposed) = session.open_without_mailbox(None, &device).await.unwrap();
    assert_eq!(proposed.state, CeremonyState::Proposed);
    let (id, words) = (request.id(), request.words().await.unwrap());
    for guard in &table.guards[..2] {
        let told = async || guard.client.ceremony(id).await.ok();
        wait_for(PATIENCE, told).await.expect("the guardian was not told");
        browser.forget().await;
        sign_in(node, &browser, &guard.email, &format!("/guardian/requests/{id}")).await;
        browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
        assert_eq!(browser.text("#words").await, words, "they would compare other words");
        assert!(browser.text("main").await.contains(NEW), "the new address is shown");
        browser
            .until("document.querySelector('[data-act=deny]') && document.querySelector('[data-act=lock]')")
            .await;
        browser.tap("#heard").await;
        browser.fill("#passphrase", PASSPHRASE).await;
        browser.tap("[data-act=override]").await;
        browser.until("document.querySelector('main [role=status] strong')").await;
    }
    let open = async || session.ceremony(id).await.ok().filter(|one| one.state == CeremonyState::Open);
    wait_for(PATIENCE, open).await.expect("two signatures did not open it");
    browser.end().await;
}
