//! New keys for a vault, on its page: closed in the middle and gone on with, and taken over between page and terminal.

use ocmt_crypto::vault::RotationMode;
use ocmt_proto::v1 as pb;
use ocmt_testkit::{Person, TestNode};
use zeroize::Zeroizing;

use super::{
    browser::Browser,
    vault::{opens, said, terminal},
};

/// So many that they take two batches.
const MANY: usize = 50;

/// The keyring and a batch reach the node; what comes then never leaves the page.
const CUT: &str = "
    const real = window.fetch; let batches = 0;
    window.fetch = (url, init) => url.endsWith('/PutRewrappedKeys') && ++batches > 2
        ? new Promise(() => { window.cut = true; }) : real(url, init)";

/// The node tells of three things that wait in the inbox: behind the facts of the vault, which come first.
const WAITING: &str = "
    const real = window.fetch;
    window.fetch = async (url, init) => {
        const answer = await real(url, init);
        if (!url.endsWith('/GetVault')) return answer;
        const old = new Uint8Array(await answer.arrayBuffer());
        const size = new DataView(old.buffer).getUint32(1);
        let [at, length, shift] = [6, 0, 0];
        do { length |= (old[at] & 127) << shift; shift += 7; } while (old[at++] & 128);
        const vault = [...old.slice(at, at + length), 11 << 3, 3];
        const inner = [old[5], vault.length & 127 | 128, vault.length >> 7, ...vault, ...old.slice(at + length, 5 + size)];
        const front = new Uint8Array(5); new DataView(front.buffer).setUint32(1, inner.length);
        return new Response(Uint8Array.from([...front, ...inner, ...old.slice(5 + size)]), { headers: answer.headers });
    }";

async fn at_the_node(person: &Person) -> (u32, Option<pb::Rotation>) {
    let asked = person.client.vaults().get_vault(pb::GetVaultRequest::default()).await;
    let shown = asked.unwrap().into_inner();
    (shown.vault.unwrap().key_epoch, shown.rotation)
}

/// Opens the page of it anew, as somebody who comes back to it.
async fn comes_back(node: &TestNode, browser: &Browser, passphrase: &str) {
    browser.go(&format!("{}/app/vault/rotate", node.target().unwrap().endpoint)).await;
    opens(browser, passphrase).await;
}

async fn shows(browser: &Browser, id: &str, there: bool) {
    let not = if there { "!" } else { "" };
    browser.until(&format!("{not}document.querySelector('#{id}').hidden")).await;
}

/// Begins it, and closes the page when a part of it is at the node.
async fn is_cut_off(browser: &Browser, person: &Person) -> pb::Rotation {
    browser.run(CUT).await;
    browser.tap("#rotate button").await;
    browser.until("window.cut && document.querySelector('#progress').value > 40").await;
    let (_, rotation) = at_the_node(person).await;
    let rotation = rotation.unwrap();
    assert!(rotation.staged_count == 49 && rotation.remaining_count > 0, "{rotation:?}");
    rotation
}

pub(super) async fn new_keys(node: &TestNode, browser: &Browser, person: &Person, passphrase: &str) {
    let mut vault = terminal(person, passphrase).await;
    let many = (0..MANY).map(|n| (format!("many {n:02}"), Zeroizing::new(vec![7; 40])));
    vault.put_many(&many.collect()).await.unwrap();
    let epoch = vault.keys().epoch();
    comes_back(node, browser, passphrase).await;
    // a way to open it was taken away before
    shows(browser, "due", true).await;
    browser.look("vault-rotate").await;
    nothing_begins_while_something_waits(browser, person).await;
    let begun = is_cut_off(browser, person).await;
    browser.go(&format!("{}/app/vault", node.target().unwrap().endpoint)).await;
    browser.until("document.querySelector('.alert:not(#due) a[href=\"/app/vault/rotate\"]')").await;
    assert!(vault.put("meanwhile", b"x").await.is_err(), "it was written in the middle of a rotation");
    comes_back(node, browser, passphrase).await;
    shows(browser, "unfinished_own", true).await;
    browser.look("vault-rotate-unfinished").await;
    browser.tap("#rotate button").await;
    said(browser, "rekeyed").await;
    for gone in ["due", "unfinished_own", "under_way"] {
        shows(browser, gone, false).await;
    }
    let vault = terminal(person, passphrase).await;
    let now = vault.keys().keyring().vault_signing.verify_key();
    assert_eq!(now.0.as_slice(), &begun.new_verify_key[..], "it was begun anew");
    assert_eq!((vault.keys().epoch(), vault.list().await.unwrap().len() >= MANY), (epoch + 1, true));
    assert_eq!(vault.get("many 49").await.unwrap().value.as_slice(), [7; 40]);
}

/// What waits in the inbox would be lost with its key: it is told before anything begins.
async fn nothing_begins_while_something_waits(browser: &Browser, person: &Person) {
    browser.run(WAITING).await;
    browser.tap("#rotate button").await;
    said(browser, "inbox").await;
    assert!(at_the_node(person).await.1.is_none());
    shows(browser, "waiting", true).await;
    browser.run("document.querySelector('#lose').checked = true").await;
}

/// A terminal does not go on with what a page began, nor a page with what a terminal began: each begins anew.
pub(super) async fn taken_over(node: &TestNode, browser: &Browser, person: &Person, passphrase: &str) {
    comes_back(node, browser, passphrase).await;
    let of_the_page = is_cut_off(browser, person).await;
    let mut vault = terminal(person, passphrase).await;
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a terminal").await.unwrap();
    let key =
        |vault: &ocmt_client::vault::Vault| vault.keys().keyring().vault_signing.verify_key().0.to_vec();
    assert_ne!(key(&vault), of_the_page.new_verify_key);
    let epoch = vault.keys().epoch();
    let of_the_terminal = begins(person, &vault).await;
    comes_back(node, browser, passphrase).await;
    shows(browser, "unfinished_other", true).await;
    browser.run("document.querySelector('#rewrap').checked = true").await;
    browser.tap("#rotate button").await;
    said(browser, "rewrapped").await;
    let vault = terminal(person, passphrase).await;
    assert_eq!(vault.keys().epoch(), epoch + 1);
    assert_ne!(key(&vault), of_the_terminal);
    assert_eq!(vault.get("many 00").await.unwrap().value.as_slice(), [7; 40]);
    assert!(at_the_node(person).await.1.is_none());
}

/// Begins a rotation as a terminal does, and no more of it: to which key.
async fn begins(person: &Person, vault: &ocmt_client::vault::Vault) -> Vec<u8> {
    let rotation = vault.keys().begin_rotation(RotationMode::Rekey, &[], &[], &mut rand::rng()).unwrap();
    let start = rotation.start();
    let request = pb::BeginRotationRequest {
        vault_id: vault.id().to_string(),
        new_key_epoch: start.epoch,
        new_verify_key: start.verify_key.0.to_vec().into(),
        succession: start.succession.clone().into(),
        mode: pb::RotationMode::Rekey.into(),
        staged_slots: start.slots.iter().cloned().map(Into::into).collect(),
        reason: "a terminal".to_owned(),
        replace_unfinished: false,
        idempotency_key: vec![9; 16].into(),
    };
    person.client.vaults().begin_rotation(request).await.unwrap();
    start.verify_key.0.to_vec()
}
