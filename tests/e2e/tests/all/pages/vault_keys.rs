//! The ways to open a vault, on its page: a recovery kit and a passphrase come, the passphrase of before goes, and a terminal
//! opens with what is on paper.

use std::time::Duration;

use ocmt_client::vault::Key;
use ocmt_crypto::{backup_key::BackupKey, kdf::Passphrase, vault::Rollback};
use ocmt_testkit::{Person, TestNode};

use super::{
    browser::Browser,
    qr,
    vault::{opens, said, terminal},
};

/// The first addition of a slot is answered as where the sign-in is too old; the rest goes to the node.
const TOO_OLD: &str = "
    const real = window.fetch; window.steps = [];
    const field = (number, bytes) => [number << 3 | 2, bytes.length, ...bytes];
    const text = (letters) => [...new TextEncoder().encode(letters)];
    const info = field(1, text('STEP_UP_REQUIRED'));
    const any = [...field(1, text('type.googleapis.com/google.rpc.ErrorInfo')), ...field(2, info)];
    const details = btoa(String.fromCharCode(...field(3, any)));
    const trailers = text('grpc-status: 7\\r\\ngrpc-message: sign in anew\\r\\ngrpc-status-details-bin: ' + details + '\\r\\n');
    window.fetch = async (url, init) => {
        const first = url.endsWith('/AddKeySlot') && window.steps.length === 0;
        if (first) window.steps.push('refused');
        const size = [0, 0, trailers.length >> 8, trailers.length & 255];
        if (first) return new Response(Uint8Array.from([128, ...size, ...trailers]), { headers: { 'content-type': 'application/grpc-web+proto' } });
        const answer = await real(url, init);
        if (url.endsWith('/step-up')) window.steps.push(answer.status);
        return answer;
    }";

/// What is on paper in the end.
pub(super) struct Papers {
    pub(super) passphrase: String,
    pub(super) backup: String,
}

/// Adds a kit and a passphrase, takes the one of before away, and opens with each.
pub(super) async fn come_and_go(
    node: &TestNode,
    browser: &Browser,
    person: &Person,
    passphrase: &str,
) -> Papers {
    browser.go(&format!("{}/app/vault/keys", node.target().unwrap().endpoint)).await;
    opens(browser, passphrase).await;
    browser.until("document.querySelectorAll('#slots > li').length === 1").await;
    browser.look("vault-keys").await;
    // the only way that the page can open by stays
    assert_eq!(browser.run("return document.querySelector('#slots details').hidden").await, true);
    let backup = adds_a_kit(browser).await;
    let key = Key::Backup(BackupKey::parse(&backup).unwrap());
    let opened = person.client.unlock_vault(None, key, &person.device, Rollback::Refuse).await;
    opened.expect("a terminal does not open with the kit");
    let fresh = adds_a_passphrase(browser).await;
    terminal(person, &fresh).await;
    takes_away_what_was_used(browser).await;
    let old = Key::Passphrase(Passphrase::new(passphrase).unwrap());
    let opened = person.client.unlock_vault(None, old, &person.device, Rollback::Refuse).await;
    assert!(opened.is_err(), "the passphrase that was taken away still opens");
    tokio::time::sleep(Duration::from_millis(1_500)).await; // why: the back-off of a hand-out that led to nothing
    // what was drawn and not added goes, and that the paper is none is told
    browser.tap("#draw").await;
    browser.until("document.querySelector('#new_passphrase').innerText.split(' ').length === 6").await;
    browser.tap("#lock").await;
    said(browser, "paper_lost").await;
    for paper in ["backup_key", "new_passphrase", "qr"] {
        assert_eq!(browser.text(&format!("#{paper}")).await, "");
    }
    // on paper in any hand
    opens(browser, &backup.to_lowercase().replace('-', " ")).await;
    browser.until("document.querySelectorAll('#slots > li').length === 2").await;
    Papers { passphrase: fresh, backup }
}

async fn adds_a_kit(browser: &Browser) -> String {
    browser.tap("#kit").await;
    browser.until("document.querySelector('#qr svg path') && !document.querySelector('main').hasAttribute('aria-busy')").await;
    browser.look("vault-kit").await;
    let backup = browser.text("#backup_key").await;
    let drawn = browser.run("return document.querySelector('#qr path').getAttribute('d')").await;
    assert_eq!(qr::read(drawn.as_str().unwrap()), backup);
    let printed = browser.printed().await;
    let buttons = browser.text("#add_kit").await;
    assert!(printed.contains(&backup) && !printed.contains(buttons.lines().next().unwrap()), "{printed}");
    browser.fill("#check_kit", "AAA0").await;
    browser.tap("#add_kit button:not([type])").await;
    said(browser, "kit").await;
    browser.run(TOO_OLD).await;
    browser.fill("#check_kit", &backup[backup.len() - 4..].to_lowercase()).await;
    browser.tap("#add_kit button:not([type])").await;
    said(browser, "kit_added").await;
    // the vault that is open has shown who is there, and the session goes on with another token
    assert_eq!(browser.run("return window.steps").await, serde_json::json!(["refused", 204]));
    assert_eq!(browser.text("#backup_key").await, "", "it is shown once");
    browser.until("document.querySelectorAll('#slots > li').length === 2").await;
    backup
}

async fn adds_a_passphrase(browser: &Browser) -> String {
    browser.tap("#draw").await;
    browser.until("document.querySelector('#new_passphrase').innerText.split(' ').length === 6").await;
    browser.look("vault-passphrase").await;
    let passphrase = browser.text("#new_passphrase").await;
    let word = |at| passphrase.split(' ').nth(at).unwrap();
    browser.fill("#check_passphrase", word(2)).await;
    browser.tap("#add_passphrase button:not([type])").await;
    said(browser, "card").await;
    browser.fill("#check_passphrase", &format!("{} {}", word(2), word(5))).await;
    browser.tap("#add_passphrase button:not([type])").await;
    said(browser, "passphrase_added").await;
    passphrase
}

async fn takes_away_what_was_used(browser: &Browser) {
    browser.until("document.querySelectorAll('#slots > li').length === 3").await;
    browser.run("document.querySelector('#slots [data-here]:not([hidden])').closest('li').id = 'used'").await;
    browser.tap("#used summary").await;
    browser.tap("#used [data-act=remove]").await;
    said(browser, "slot_removed").await;
    browser.until("!document.querySelector('#due').hidden").await;
    browser.until("document.querySelectorAll('#slots > li').length === 2").await;
}
