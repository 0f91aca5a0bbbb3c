//! What a page of a vault does not take: what a node has changed or left out, and what another tab did not know of.

use std::time::Duration;

use ocmt_testkit::TestNode;

use super::{
    ENGLISH,
    browser::Browser,
    sign_in,
    vault::{later, opens, row, said, shows, terminal, writes},
};

const PASSPHRASE: &str = "violin ledger umbrella quartz";

/// The node's answer to one method, with one bit of its message changed, so far from its end.
async fn damaged(browser: &Browser, method: &str, from_the_end: u32) {
    let patch = format!(
        "const real = window.real ?? window.fetch; window.real = real;
         window.fetch = async (url, init) => {{
             const answer = await real(url, init);
             if (!url.endsWith('/{method}')) return answer;
             const bytes = new Uint8Array(await answer.arrayBuffer());
             bytes[5 + new DataView(bytes.buffer).getUint32(1) - {from_the_end}] ^= 1;
             return new Response(bytes, {{ headers: answer.headers }});
         }}"
    );
    browser.run(&patch).await;
}

async fn whole_again(browser: &Browser) {
    browser.run("window.fetch = window.real").await;
}

/// What a node has changed of the way in opens nothing.
async fn opens_nothing(browser: &Browser, what: &str) {
    browser.fill("#passphrase", PASSPHRASE).await;
    browser.tap("#unlock button").await;
    said(browser, what).await;
    assert_eq!(browser.run("return document.querySelector('#open').hidden").await, true);
    tokio::time::sleep(Duration::from_millis(3_000)).await; // why: the back-off of hand-outs that led to nothing
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_changes_or_leaves_out_is_refused_and_told() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    vault.put("one", b"first").await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    sign_in(&node, &browser, &ada.email, "/app/vault").await;
    browser.until("document.querySelector('#unlock')").await;
    // 32 bytes of challenge, 16 of an id and what goes before: further on is the manifest
    damaged(&browser, "GetKeySlots", 120).await;
    opens_nothing(&browser, "passphrase").await;
    whole_again(&browser).await;
    opens(&browser, PASSPHRASE).await;
    damaged(&browser, "GetEntry", 20).await;
    row(&browser, "one").await;
    browser.tap("#row [data-act=show]").await;
    said(&browser, "not_held").await;
    assert_eq!(browser.text("#row [data-value]").await, "");
    whole_again(&browser).await;
    shows(&browser, "one", "first").await;
    browser.tap("#row [data-act=hide]").await;
    silence(&browser).await;
    opens(&browser, PASSPHRASE).await;
    shows(&browser, "one", "first").await;
    browser.tap("#lock").await;
    said(&browser, "locked").await;
    // one that is damaged is left out, and so is told
    damaged(&browser, "BatchGetEntries", 20).await;
    opens(&browser, PASSPHRASE).await;
    let left_out = "!document.querySelector('#damaged[role=alert]').hidden && document.querySelectorAll('#entries > li').length === 0 \
                    && document.querySelector('#none').hidden";
    browser.until(left_out).await;
    browser.look("vault-damaged").await;
    whole_again(&browser).await;
    browser.tap("#lock").await;
    said(&browser, "locked").await;
    let here = browser.run("return location.href").await;
    let once_more = async || {
        damaged(&browser, "BatchGetEntries", 20).await;
        opens(&browser, PASSPHRASE).await;
        browser.until(left_out).await;
    };
    browser.in_the_other_language("vault-damaged", here.as_str().unwrap(), once_more).await;
    // a state that is older than what this browser has seen
    let seen = "Object.keys(localStorage).find((one) => one.startsWith('ocmt.seen.'))";
    browser.run(&format!("window.name = localStorage[{seen}]; localStorage[{seen}] = window.name.replace(/\"counter\":\"[0-9]+\"/, '\"counter\":\"99999\"')")).await;
    opens_nothing(&browser, "older").await;
    browser.run(&format!("localStorage[{seen}] = window.name")).await;
    opens(&browser, PASSPHRASE).await;
    // and one that comes while it is open locks it
    browser
        .run(&format!(
            "localStorage[{seen}] = window.name.replace(/\"counter\":\"[0-9]+\"/, '\"counter\":\"99999\"')"
        ))
        .await;
    terminal(&ada, PASSPHRASE).await.put("two", b"second").await.unwrap();
    row(&browser, "one").await;
    browser.tap("#row [data-act=show]").await;
    said(&browser, "older").await;
    assert_eq!(browser.run("return document.querySelector('#open').hidden").await, true);
    browser.run(&format!("localStorage[{seen}] = window.name")).await;
    other_modules(&node, &browser).await;
    browser.end().await;
}

/// A node that does not answer keeps no vault open.
async fn silence(browser: &Browser) {
    let silent = "window.fetch = (url, init) => url.endsWith('/GetEntry')
        ? new Promise((_, lost) => { window.lost = lost; }) : window.real(url, init)";
    browser.run(silent).await;
    browser.tap("#row [data-act=show]").await;
    browser.until("document.querySelector('main').hasAttribute('aria-busy') && window.lost").await;
    later(browser, Duration::from_secs(301)).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await; // why: the page looks at its clock once a second
    assert_eq!(
        browser.run("return document.querySelector('#open').hidden").await,
        false,
        "it waits a little"
    );
    later(browser, Duration::from_secs(31)).await;
    browser.until("document.querySelector('#open').hidden").await;
    assert_eq!(browser.text("#entries").await, "");
    browser.run("window.lost(new TypeError('no answer')); window.fetch = window.real").await;
    said(browser, "idle").await;
}

/// What is loaded only when it is wanted is held to its digest too.
async fn other_modules(node: &TestNode, browser: &Browser) {
    browser.go(&format!("{}/app/vault/keys", node.target().unwrap().endpoint)).await;
    opens(browser, PASSPHRASE).await;
    let other = "for (const link of document.querySelector('#later').content.children) link.integrity = 'sha256-' + 'A'.repeat(43) + '='";
    browser.run(other).await;
    browser.tap("#draw").await;
    said(browser, "offline").await;
    assert_eq!(browser.text("#new_passphrase").await, "");
    let blocked = browser.complaints().await;
    assert!(blocked.iter().all(|one| one.contains("integrity")) && !blocked.is_empty(), "{blocked:#?}");
}

/// Who signs out in another tab has locked this one.
async fn signed_out_elsewhere(node: &TestNode, browser: &Browser, open: &str) {
    browser.tab().await;
    browser.go(&node.target().unwrap().endpoint).await;
    browser.tap("form[action='/auth/sign-out'] button").await;
    browser.until("document.querySelector('#email')").await;
    browser.to_tab(open).await;
    said(browser, "session").await;
    assert_eq!(browser.text("#entries").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_that_write_at_once_are_told_and_lose_nothing() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    vault.put("shared", b"first").await.unwrap();
    let browser = Browser::start(ENGLISH).await;
    let page = format!("{}/app/vault", node.target().unwrap().endpoint);
    let one = browser.tab().await;
    sign_in(&node, &browser, &ada.email, "/app/vault").await;
    opens(&browser, PASSPHRASE).await;
    row(&browser, "shared").await;
    browser.tap("#row [data-act=change]").await;
    browser.until("document.querySelector('#value').value === 'first'").await;
    browser.tab().await;
    browser.go(&page).await;
    opens(&browser, PASSPHRASE).await;
    writes(&browser, "second tab", "here first").await;
    said(&browser, "saved").await;
    row(&browser, "shared").await;
    browser.tap("#row [data-act=change]").await;
    browser.until("document.querySelector('#value').value === 'first'").await;
    browser.fill("#value", "of the second tab").await;
    browser.tap("#save").await;
    said(&browser, "saved").await;
    // the first tab has not heard of either, is told, and keeps what was typed
    browser.to_tab(&one).await;
    browser.fill("#value", "of the first tab").await;
    browser.tap("#save").await;
    said(&browser, "conflict").await;
    assert_eq!(
        terminal(&ada, PASSPHRASE).await.get("shared").await.unwrap().value.as_slice(),
        b"of the second tab"
    );
    assert_eq!(browser.run("return document.querySelector('#value').value").await, "of the first tab");
    shows(&browser, "second tab", "here first").await;
    shows(&browser, "shared", "of the second tab").await;
    // who still wants it after that has it
    browser.tap("#save").await;
    said(&browser, "saved").await;
    let opened = terminal(&ada, PASSPHRASE).await;
    assert_eq!(opened.get("shared").await.unwrap().value.as_slice(), b"of the first tab");
    assert_eq!(opened.get("second tab").await.unwrap().value.as_slice(), b"here first");
    // new keys for the vault lock what is open with the old ones
    let mut opened = opened;
    opened.rotate(ocmt_crypto::vault::RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    row(&browser, "shared").await;
    browser.tap("#row [data-act=show]").await;
    said(&browser, "rotated").await;
    opens(&browser, PASSPHRASE).await;
    shows(&browser, "shared", "of the first tab").await;
    signed_out_elsewhere(&node, &browser, &one).await;
    browser.end().await;
}
