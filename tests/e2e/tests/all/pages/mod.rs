//! The pages in a browser: Chromium against a node, as people use them.

mod approvals;
mod audit;
mod browser;
mod console;
mod containers;
mod drain;
mod driver;
mod figures;
mod guardian;
mod lacking;
mod lost;
mod own;
mod passkeys;
mod qr;
mod sessions;
mod steady;
mod stops;
mod terminal;
mod together;
mod vault;
mod vault_keys;
mod vault_refuses;
mod vault_rotate;
mod vendored;
mod veto;

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{
    Client,
    auth::Purpose,
    recovery::{GuardianshipState, SetState, Side},
    vault::Vault,
};
use ocmt_testkit::{Person, TestNode};

use self::browser::{Browser, Habits};
use crate::delays;

/// Longest time that anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

const ENGLISH: Habits = Habits { language: "en", dark: false, keyboard: false };

/// Signs somebody in who has an account, on the page that `path` is.
async fn sign_in(node: &TestNode, browser: &Browser, email: &str, path: &str) {
    let origin = node.target().unwrap().endpoint;
    for _ in 0..3 {
        browser.go(&format!("{origin}{path}")).await;
        browser.fill("#email", email).await;
        browser.tap("main button").await;
        browser.until("!document.querySelector('#email')").await;
        browser.go(&node.link(email, "sign-in link").await.unwrap()).await;
        browser.tap("main button").await;
        let refused = "document.querySelector(\"main a[href='/']\")";
        browser.until(&format!("!location.pathname.startsWith('/auth/') || {refused}")).await;
        if browser.run("return location.pathname.startsWith('/auth/')").await == false {
            return;
        }
        // the answer to a link was cut off: a link is good once, and people ask for another
    }
    panic!("no sign-in went through: {}", browser.text("body").await);
}

/// Deals the parts of the owner's vault, two of which open it, as soon as so many guardians have said yes.
async fn deal(owner: &Person, vault: &mut Vault, guardians: usize) {
    let accepted = async || {
        let all = owner.client.guardianships(Some(Side::Owner)).await.ok()?;
        let all_said =
            all.len() == guardians && all.iter().all(|one| one.state != GuardianshipState::Invited);
        all_said.then_some(all)
    };
    let accepted = wait_for(PATIENCE, accepted).await.expect("not everybody said yes");
    vault.deal_shares(2, &accepted, delays::SHORT, true).await.unwrap();
    let active =
        async || owner.client.circle(None).await.ok().flatten().filter(|set| set.state == SetState::Active);
    wait_for(PATIENCE, active).await.expect("the parts did not arrive");
}

/// Whoever reads the owner's mail, at a device of their own.
async fn recovers(node: &TestNode, owner: &Person, device: &str) -> Client {
    let pending = node.local().client().await.unwrap();
    let pending = pending.request_link(&owner.email, None, Purpose::Recovery).await.unwrap();
    let link = node.link(&owner.email, "recovery link").await.unwrap();
    pending.finish(&link, device).await.unwrap()
}
