//! Groups, shares, approvals, senders and alerts in a browser; what others wrote is text, and what a role forbids is said.

use std::{fs, time::Duration};

use ocmt::local::wait_for;
use ocmt_client::{
    capability::CapabilityState,
    container::Spec,
    group::MemberRole,
    share::{Permission, ShareState},
};
use ocmt_testkit::{Person, TestNode, command::ocmt};

use super::{
    ENGLISH, PATIENCE,
    browser::{Browser, Habits},
    figures::is_text,
    sign_in,
};
use crate::{api_keys::keep, shares::trusts};

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const EVIL: &str = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>";
const BY_KEYS: Habits = Habits { language: "de", dark: true, keyboard: true };
const CARDS: &str = "document.querySelectorAll('.cards > li').length";

async fn two(node: &TestNode, email: &str, path: &str) -> [Browser; 2] {
    let both = [Browser::start(ENGLISH).await, Browser::start(BY_KEYS).await];
    for browser in &both {
        sign_in(node, browser, email, path).await;
        browser.until(&format!("location.pathname === {path:?}")).await;
    }
    both
}

async fn end(browsers: [Browser; 2]) {
    for browser in browsers {
        assert!(browser.complaints().await.is_empty());
        browser.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_looks_at_a_group_and_leaves_it() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let his = bob.client.identity().unwrap().user;
    let group = ada.client.create_group(EVIL).await.unwrap().id;
    let browsers = two(&node, &bob.email, "/app/groups").await;
    for browser in &browsers {
        assert_eq!(browser.run(&format!("return {CARDS}")).await, 0, "he is in none");
        ada.client.add_member(group, his, MemberRole::Member).await.unwrap();
        browser.go(&format!("{}/app/groups", node.target().unwrap().endpoint)).await;
        browser.until(&format!("{CARDS} === 1")).await;
        is_text(browser, "a group's name, in the list", EVIL).await;
        browser.look("groups").await;
        browser.tap(".cards a.button").await;
        browser.until("document.querySelector('summary')").await;
        is_text(browser, "a group's name", EVIL).await;
        assert!(browser.text("main").await.contains(&ada.email));
        browser.look("group").await;
        browser.tap("summary").await;
        browser.tap("form[action='/app/groups/leave'] button").await;
        browser.until(&format!("location.pathname === '/app/groups' && {CARDS} === 0")).await;
        let left = ada.client.group(group).await.unwrap().1;
        assert!(left.iter().all(|member| member.user != his), "he is in it still");
    }
    end(browsers).await;
    // the last who administers it stays, and is told why
    let browser = Browser::start(ENGLISH).await;
    sign_in(&node, &browser, &ada.email, "/app/groups").await;
    browser.tap(".cards a.button").await;
    browser.tap("summary").await;
    browser.tap("form[action='/app/groups/leave'] button").await;
    browser.until("location.pathname === '/app/groups/leave'").await;
    assert!(browser.text("main").await.contains("the last administrator of a group stays"));
    browser.end().await;
}

/// Ada, whose secret Bob of her tenant was offered, and Bob at his own desk.
async fn offered(node: &TestNode) -> (Person, Person, ocmt_client::share::Share, String) {
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let mut hers = ada.vault(PASSPHRASE).await.unwrap();
    bob.vault(PASSPHRASE).await.unwrap();
    hers.put("bank", b"the value").await.unwrap();
    trusts(&ada, &bob).await;
    let share = hers.give(&bob.email, &["bank".to_owned()], &[Permission::Read], None).await.unwrap();
    let state = keep(node, &bob);
    fs::write(node.folder().join("passphrase"), PASSPHRASE).unwrap();
    (ada, bob, share, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_taken_on_the_page_and_read_at_the_device_and_what_is_asked_for_is_refused() {
    let node = TestNode::start().await.unwrap();
    let (ada, bob, share, state) = offered(&node).await;
    let his = Browser::start(ENGLISH).await;
    sign_in(&node, &his, &bob.email, "/app/groups").await;
    his.look_both("shares", "document.querySelector('main form')").await;
    his.tap("form[action='/app/shares/accept'] button").await;
    his.until("!document.querySelector(\"form[action='/app/shares/accept']\")").await;
    assert_eq!(bob.client.share(share.id).await.unwrap().state, ShareState::Accepted);
    // his device learns whose word it is, and reads
    let file = node.folder().join("passphrase").to_str().unwrap().to_owned();
    let id = share.id.to_string();
    let taken = ocmt(&["share", "accept", &id, "--state-dir", &state, "--json"]).await.unwrap();
    assert_eq!(taken.code, Some(0), "{}", taken.err);
    let read = ["share", "read", &id, "--passphrase-file", &file, "--state-dir", &state];
    let read = ocmt(&read).await.unwrap();
    assert_eq!(read.out, "the value", "{}", read.err);
    // he asks for more of it, twice, in words that are code
    let (entry, hour) = (share.entries[0].object, Duration::from_secs(3600));
    let asks =
        async |may| bob.client.request_capability(share.vault, entry, &[may], hour, EVIL).await.unwrap().id;
    let asked = [asks(Permission::List).await, asks(Permission::Share).await];
    his.go(&format!("{}/app/approvals", node.target().unwrap().endpoint)).await;
    is_text(&his, "the reason of a request, to who asks", EVIL).await;
    assert_eq!(
        his.run("return document.querySelectorAll('main form').length").await,
        0,
        "he decides nothing"
    );
    let hers = two(&node, &ada.email, "/app/approvals").await;
    let mut left = 2;
    for browser in &hers {
        browser.go(&format!("{}/app/approvals", node.target().unwrap().endpoint)).await;
        browser.until(&format!("{CARDS} === {left}")).await;
        is_text(browser, "the reason of a request", EVIL).await;
        assert!(browser.text(".cards").await.contains(&bob.email));
        browser.look("approvals").await;
        browser.tap("form[action='/app/approvals/deny'] button").await;
        left -= 1;
        browser.until(&format!("{CARDS} === {left}")).await;
    }
    let all = bob.client.list_capabilities(false).await.unwrap();
    assert!(asked.iter().all(|id| all.iter().any(|it| it.id == *id && it.state == CapabilityState::Denied)));
    end(hers).await;
    // and gives back what he took
    his.go(&format!("{}/app/groups", node.target().unwrap().endpoint)).await;
    his.tap("form[action='/app/shares/end'] button").await;
    his.until("!document.querySelector(\"form[action='/app/shares/end']\")").await;
    assert_eq!(ada.client.share(share.id).await.unwrap().state, ShareState::Revoked);
    his.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_let_through_by_the_code_that_they_were_sent_and_another_is_refused() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    let agent = ada.client.create_container(&spec, false).await.unwrap().id;
    let browsers = two(&node, &ada.email, "/app/pairing").await;
    for (sender, browser) in ["4711", "4712"].iter().zip(&browsers) {
        let says = async |sender: &str| {
            ada.client.check_sender(agent, "telegram", sender, None, EVIL).await.unwrap().code
        };
        let code = says(sender).await.unwrap();
        browser.go(&format!("{}/app/pairing", node.target().unwrap().endpoint)).await;
        is_text(browser, "the name of a sender who waits", EVIL).await;
        browser.look("pairing").await;
        browser.fill("input[name=code]", "22222222").await;
        browser.tap("form[action='/app/pairing/approve'] button").await;
        browser.until("document.querySelector('main [role=alert]')").await;
        browser.look("pairing-wrong").await;
        browser.fill("input[name=code]", &code.to_lowercase()).await;
        browser.tap("form[action='/app/pairing/approve'] button").await;
        browser.until("document.querySelector(\"form[action='/app/pairing/revoke']\")").await;
        is_text(browser, "the name of a sender who is let through", EVIL).await;
        let through = ada.client.list_paired_senders().await.unwrap();
        assert!(through.iter().any(|one| one.sender == *sender), "{through:?}");
        says(&format!("{sender}0")).await.unwrap();
        browser.go(&format!("{}/app/pairing", node.target().unwrap().endpoint)).await;
        browser.tap("form[action='/app/pairing/refuse'] button").await;
        browser.until("!document.querySelector(\"form[action='/app/pairing/refuse']\")").await;
        assert!(ada.client.list_pending_pairings().await.unwrap().is_empty());
        browser.tap("form[action='/app/pairing/revoke'] button").await;
        browser.until("!document.querySelector(\"form[action='/app/pairing/revoke']\")").await;
    }
    end(browsers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_led_to_an_address_tried_and_ended() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let browsers = two(&node, &ada.email, "/app/alerts").await;
    for browser in &browsers {
        browser.fill("#name", EVIL).await;
        browser.tap("form[action='/app/alerts/add'] button").await;
        browser.until(&format!("{CARDS} === 1")).await;
        is_text(browser, "the name of a channel", EVIL).await;
        browser.look("alerts").await;
        browser.tap("form[action='/app/alerts/test'] button").await;
        browser.until("document.querySelector('main [role=alert]')").await;
        browser.look("alerts-tried").await;
        let tried = async || ada.client.list_channels().await.ok()?.first()?.verified_at;
        wait_for(PATIENCE, tried).await.expect("the channel was not tried");
        browser.tap(".cards summary").await;
        browser.tap("form[action='/app/alerts/remove'] button").await;
        browser.until(&format!("{CARDS} === 0")).await;
    }
    end(browsers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_told_what_the_role_does_not_allow_and_sees_the_rest() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let dan = node.member(&ada, "dan", "observer").await.unwrap();
    let browser = Browser::start(Habits { language: "de", dark: true, ..ENGLISH }).await;
    sign_in(&node, &browser, &dan.email, "/app/groups").await;
    let origin = node.target().unwrap().endpoint;
    for path in ["/app/groups", "/app/approvals"] {
        browser.go(&format!("{origin}{path}")).await;
        assert!(browser.complaints().await.is_empty(), "{path}");
    }
    for path in ["/app/containers", "/app/connections", "/app/pairing", "/app/alerts"] {
        browser.go(&format!("{origin}{path}")).await;
        let said = browser.text("main").await;
        assert!(said.contains("Das dürfen Sie hier nicht.") && said.contains("your role"), "{path}: {said}");
        // what was refused is an answer of 403, which the log names
        browser.complaints().await;
    }
    browser.look_both("refused", "document.querySelector('main')").await;
    browser.end().await;
}
