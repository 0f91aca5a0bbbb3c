//! A record of one's own audit, verified in the browser, and what is said where it or the log before it was changed.

use serde_json::json;

use super::browser::Browser;

const FORM: &str = "form[action='/app/audit/verify'] button";
/// What this browser keeps of the log: a root and a number.
const KEPT: &str = "const key = Object.keys(localStorage).find((one) => one.startsWith('ocmt.audit.')); const kept = localStorage[key];";
/// Changes the last detail of the record before the page's own script sees it, as whoever writes into the database would.
const CHANGED: &str = "new MutationObserver(() => {
    const record = document.querySelector('#record:not([class])');
    if (record === null) return;
    record.className = 'changed';
    const { canonical } = record.dataset;
    record.dataset.canonical = canonical.slice(0, -1) + (canonical.endsWith('0') ? '1' : '0');
}).observe(document, { childList: true, subtree: true });";

/// The newest record, on the page of what one did; what the browser says of it.
async fn verdict(browser: &Browser, page: &str) -> String {
    browser.go(page).await;
    browser.tap(FORM).await;
    is_verified(browser).await;
    browser.text("#said").await
}

async fn is_verified(browser: &Browser) {
    browser.until("document.querySelector('#record')").await;
    browser
        .until("!document.querySelector('main[aria-busy]') && !document.querySelector('#said').hidden")
        .await;
}

async fn is_shown(browser: &Browser, selector: &str) -> bool {
    browser.run(&format!("return !document.querySelector('{selector}').hidden")).await == true
}

/// In a browser that has not looked at this log before.
pub(super) async fn verifies(browser: &Browser, page: &str) {
    let said = verdict(browser, page).await;
    assert!(said.starts_with("It holds"), "{said}");
    assert!(is_shown(browser, "#told").await && is_shown(browser, "#first").await);
    let again = async || {
        browser.tap(FORM).await;
        is_verified(browser).await;
    };
    browser.look_both_by("audit-record", page, again).await;
    let told = browser.text("#told").await;
    assert!(told.contains("AuthService/") || told.contains("AuditService/"), "{told}");
    let said = verdict(browser, page).await;
    assert!(said.starts_with("It holds") && is_shown(browser, "#grown").await, "{said}");

    // another root than the browser saw: something before was changed
    browser.run(&format!("{KEPT} sessionStorage.kept = kept; localStorage[key] = (kept[0] === '0' ? '1' : '0') + kept.slice(1)")).await;
    let said = verdict(browser, page).await;
    assert!(
        said.contains("is not what this browser has seen") && !is_shown(browser, "#told").await,
        "{said}"
    );
    // ten times as many records and more
    browser.run(&format!("{KEPT} localStorage[key] = sessionStorage.kept + '39'")).await;
    let said = verdict(browser, page).await;
    assert!(said.contains("is shorter") && !is_shown(browser, "#told").await, "{said}");
    browser.run(&format!("{KEPT} localStorage[key] = sessionStorage.kept; sessionStorage.clear()")).await;
    let watched =
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": CHANGED })).await;
    let said = verdict(browser, page).await;
    assert!(said.starts_with("It does not hold") && !is_shown(browser, "#told").await, "{said}");
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &watched).await;
    assert!(verdict(browser, page).await.starts_with("It holds"), "it was the record that was changed");
    let sizes = browser.sizes.borrow();
    assert!(sizes["audit"] < 100_000 && sizes["audit-record"] < 100_000, "{sizes:?}");
}
