//! The console in Chromium, by an operator's certificate: every page, a drain that is refused, and changes that come by themselves.

use ocmt_testkit::bearer::Bearer;

use super::{
    ENGLISH,
    browser::{Browser, Habits},
    figures::is_text,
};
use crate::operators_see::operated;

const BY_KEYS: Habits = Habits { language: "de", dark: true, keyboard: true };
/// What somebody may call a tenant.
const EVIL: &str = "<img src=x onerror=alert(1)>";
const TENANTS: &str = "Number(document.querySelector('[data-node] [data-is=tenants]').textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_cluster_and_what_changes_in_it() {
    let (node, _ada, _, endpoint) = operated().await;
    let at = endpoint.strip_prefix("https://").unwrap().parse().unwrap();
    let bearer = Bearer::start(&node.folder().join("operator"), at).await.unwrap();
    let sign_up = async |email: &str, tenant: &str| {
        let pending = node.local().client().await.unwrap().sign_up(email, tenant).await.unwrap();
        let link = node.link(email, "Finish your sign-up").await.unwrap();
        pending.finish(&link, "e2e").await.unwrap()
    };
    sign_up("eve@e2e.example", EVIL).await;
    for (number, habits) in [ENGLISH, BY_KEYS].into_iter().enumerate() {
        let browser = Browser::start(habits).await;
        browser.go(&bearer.origin).await;
        browser.until("location.pathname === '/console'").await;
        browser.look("console").await;
        browser.tap("header a[href='/console/nodes']").await;
        browser.until("!document.querySelector('#live').hidden").await;
        browser.look("console-nodes").await;
        // without anybody loading it again
        let before = browser.run(&format!("return {TENANTS}")).await.as_u64().unwrap();
        sign_up(&format!("new{number}@e2e.example"), "a new tenant").await;
        browser.until(&format!("{TENANTS} > {before}")).await;
        browser.tap(".cards a.button").await;
        browser.until("!document.querySelector('#live').hidden").await;
        browser.look("console-node").await;
        tour(&browser).await;
        refused(&browser, &bearer.origin, habits).await;
        assert!(browser.sizes.borrow().values().all(|size| *size < 100_000), "{:?}", browser.sizes);
        browser.end().await;
    }
    node.stop().await.unwrap();
}

/// All pages beside nodes, by the ways that the pages have.
async fn tour(browser: &Browser) {
    browser.tap("main a[href^='/console/placement']").await;
    browser.until("document.querySelectorAll('.cards > li').length > 1").await;
    browser.look("console-placement").await;
    browser.tap("header a[href='/console/tenants']").await;
    browser.until("location.pathname === '/console/tenants'").await;
    browser.look("console-tenants").await;
    let shown = browser.text("main").await;
    assert!(shown.contains("ada's tenant"), "{shown}");
    is_text(browser, "a tenant's name, to operators", EVIL).await;
    browser.tap(".cards a.button").await;
    browser.until("document.querySelectorAll('meter').length === 5").await;
    browser.look("console-tenant").await;
    for (page, holds) in [
        ("work", "document.querySelectorAll('svg.bar').length > 9"),
        ("alerts", "document.querySelector('.cards .tag')"),
        ("audit", "document.querySelector('.cards > li')"),
        ("findings", "document.querySelector('main h1')"),
    ] {
        browser.tap(&format!("header a[href='/console/{page}']")).await;
        browser.until(&format!("location.pathname === '/console/{page}' && {holds}")).await;
        browser.look(&format!("console-{page}")).await;
    }
    browser.tap("header a[href='/console/audit']").await;
    browser.tap("main a[href='/console/audit/heads']").await;
    browser.until("document.querySelectorAll('.cards > li').length > 1").await;
    browser.look("console-heads").await;
}

/// Nobody would take the tenants of a node that is alone.
async fn refused(browser: &Browser, origin: &str, habits: Habits) {
    browser.go(&format!("{origin}/console/nodes")).await;
    browser.tap(".cards a.button").await;
    browser.tap("main a[href$='/drain']").await;
    browser.until("document.querySelector('main form')").await;
    browser.look("console-drain").await;
    browser.tap("main form button").await;
    browser.until("!document.querySelector('main form')").await;
    let said = browser.text("main").await;
    assert!(said.contains("there is no other live node"), "{}: {said}", habits.language);
}
