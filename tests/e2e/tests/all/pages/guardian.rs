//! A guardian's whole way, on a telephone: asked by mail, an account, a vault that is made in the browser, the parts, a drill,
//! and the day that somebody needs help.

use std::time::Duration;

use ocmt::local::wait_for;
use ocmt_client::{
    Client,
    recovery::{CeremonyState, Guardianship, RecoveryRequest, Side},
    vault::{Key, Vault},
};
use ocmt_crypto::{kdf::Passphrase, vault::Rollback};
use ocmt_testkit::{Person, TestNode};
use ocmt_types::{Clock as _, SystemClock};

use super::{
    PATIENCE,
    browser::{Browser, Habits},
    deal,
    figures::tell,
    recovers,
};
use crate::delays;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const OWN_WORDS: &str = "!document.querySelector('#words-own').hidden && document.querySelector('#words').innerText.split(' ').length === 6";
/// Joan's, of whom the node knows nothing at first.
const JOAN: &str = "joan@e2e.example";

/// Ada has a vault and lets Grace guard it; Joan is asked and has nothing yet.
struct World {
    node: TestNode,
    ada: Person,
    vault: Vault,
    grace: Person,
}

impl World {
    async fn set() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let mut vault = ada.vault(PASSPHRASE).await.unwrap();
        vault.put("entry", b"value").await.unwrap();
        delays::are_short(&ada).await;
        let grace = node.person("grace").await.unwrap();
        Self { node, ada, vault, grace }
    }

    async fn asks(&self, email: &str) -> Guardianship {
        self.vault.invite_guardian(email, 1).await.unwrap()
    }

    /// Grace says yes in a terminal.
    async fn grace_accepts(&self) {
        let hers = self.grace.vault(PASSPHRASE).await.unwrap();
        let asked = self.asks(&self.grace.email).await;
        let came = async || self.grace.client.guardianship(asked.id, Side::Guardian).await.ok();
        wait_for(PATIENCE, came).await.expect("the invitation did not come");
        hers.accept_guardianship(asked.id).await.unwrap();
    }

    async fn deals(&mut self) {
        deal(&self.ada, &mut self.vault, 2).await;
    }

    /// Ada has lost her passphrase.
    async fn needs_help(&self) -> (Client, RecoveryRequest) {
        let session = recovers(&self.node, &self.ada, "lost").await;
        let (request, _) = session.open_ceremony(None, &self.node.device("lost").unwrap()).await.unwrap();
        (session, request)
    }

    async fn letter(&self, subject: &str) -> String {
        self.node.link(JOAN, subject).await.unwrap()
    }

    /// A session of Joan's elsewhere, as `ocmt login` makes one.
    async fn joans_terminal(&self) -> Person {
        let (pending, link) = self.node.request_link(JOAN).await.unwrap();
        let client = pending.finish(&link, "terminal").await.unwrap();
        Person { email: JOAN.to_owned(), client, device: self.node.device("joan").unwrap() }
    }
}

/// Signs up on the page that the letter leads to, and is back on it.
async fn sign_up(world: &World, browser: &Browser) {
    browser.go(&world.letter("asked to be a guardian").await).await;
    browser.look("sign-in").await;
    browser.tap("a[href='/auth/sign-up']").await;
    browser.until("location.pathname === '/auth/sign-up'").await;
    browser.look("sign-up").await;
    browser.fill("#email", JOAN).await;
    browser.tap("main button").await;
    browser.until("location.pathname === '/auth/sign-up' && !document.querySelector('#email')").await;
    browser.look("sent").await;
    browser.go(&world.letter("Finish your sign-up").await).await;
    browser.look("link").await;
    browser.tap("main button").await;
    browser.until("location.pathname === '/guardian'").await;
}

/// Says yes, with a vault that is made here; the passphrase on the card, and the words beside it.
async fn accept(world: &World, browser: &Browser) -> (String, String) {
    let origin = world.node.target().unwrap().endpoint;
    let came = async || {
        browser.go(&format!("{origin}/guardian")).await;
        let found = "return !!document.querySelector(\"a[href^='/guardian/invitations/']\")";
        (browser.run(found).await == true).then_some(())
    };
    wait_for(PATIENCE, came).await.expect("the invitation did not come");
    browser.look("guardian-asked").await;
    browser.tap("a[href^='/guardian/invitations/']").await;
    browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
    browser.until("!document.querySelector('#yes').disabled").await;
    browser.look("guardian-accept").await;
    let (passphrase, words) = (browser.text("#passphrase").await, browser.text("#words").await);
    assert_eq!(passphrase.split(' ').count(), 6);
    browser.tap("#kept").await;
    // a card that was printed before the page was loaded again has other words
    browser.fill("#check", "another card").await;
    browser.tap("#yes").await;
    let told = "document.querySelector('[data-say=card]').textContent";
    browser.until(&format!("document.querySelector('#said').innerText === {told}")).await;
    let word = |at| passphrase.split(' ').nth(at).unwrap();
    browser.fill("#check", &format!("{} {}", word(2), word(5))).await;
    browser.tap("#yes").await;
    browser.until("location.pathname === '/guardian' && document.querySelector('.cards h3')").await;
    browser.until(OWN_WORDS).await;
    assert_eq!(browser.text("#words").await, words, "the words on the card are not hers");
    browser.look("guardian-held").await;
    words_are_of_the_own_vault(browser).await;
    (passphrase, words)
}

/// Where the node shows other keys than those of the vault, and where the vault was not open, nobody reads words out.
async fn words_are_of_the_own_vault(browser: &Browser) {
    let kept = "localStorage[Object.keys(localStorage).find((one) => one.startsWith('ocmt.own.'))]";
    let before = browser.run(&format!("return {kept}")).await;
    let again = async |change: String, then: &str| {
        browser.run(&change).await;
        browser.run("location.reload()").await;
        browser.until(&format!("document.readyState === 'complete' && ({then})")).await;
    };
    let silent = "document.querySelector('#words-own').hidden";
    let other = format!("!document.querySelector('#words-other').hidden && {silent}");
    let change = "window.name = Object.keys(localStorage).find((one) => one.startsWith('ocmt.own.'));
        localStorage[window.name] = 'ab'.repeat(64)";
    again(change.to_owned(), &other).await;
    let card = format!("!document.querySelector('#words-card').hidden && {silent}");
    again("delete localStorage[window.name]".to_owned(), &card).await;
    again(format!("localStorage[window.name] = {before}"), OWN_WORDS).await;
}

async fn answer_a_drill(world: &World, browser: &Browser, passphrase: &str) {
    let all = world.ada.client.guardianships(Some(Side::Owner)).await.unwrap();
    let joan = all.iter().find(|one| one.email == JOAN).unwrap();
    world.ada.client.challenge_guardian(joan).await.unwrap();
    browser.go(&world.letter("A drill").await).await;
    browser.tap("a[href^='/guardian/drills/']").await;
    browser.until("document.querySelector('#drill')").await;
    browser.look("guardian-drill").await;
    browser.fill("#passphrase", "not the passphrase at all").await;
    browser.tap("#drill button").await;
    browser.until("document.querySelector('#said').innerText.includes(document.querySelector('[data-say=passphrase]').textContent)")
        .await;
    // a hand-out that led to nothing makes the next one wait a second
    tokio::time::sleep(Duration::from_millis(1_500)).await; // why: the back-off of the first wrong try
    browser.fill("#passphrase", passphrase).await;
    browser.tap("#drill button").await;
    browser.until("location.pathname === '/guardian'").await;
    let drilled = async || {
        let all = world.ada.client.guardianships(Some(Side::Owner)).await.ok()?;
        all.into_iter().find(|one| one.email == JOAN && one.drilled_at.is_some())
    };
    wait_for(PATIENCE, drilled).await.expect("the drill was not passed");
}

/// What it took from the letter to the agreement.
struct Took {
    taps: u32,
    screens: u32,
    /// The browser's time: who reads and telephones takes longer.
    time: Duration,
}

/// From the letter to the agreement.
async fn help(world: &World, browser: &Browser, passphrase: &str, request: &RecoveryRequest) -> Took {
    browser.forget().await;
    let letter = world.letter("asks for your help").await;
    browser.taps();
    browser.screens().await;
    let begun = SystemClock.boottime();
    // the letter is a tap, and so is the link in the second one
    browser.go(&letter).await;
    browser.fill("#email", JOAN).await;
    browser.tap("main button").await;
    browser.until("!document.querySelector('#email')").await;
    browser.go(&world.letter("sign-in link").await).await;
    browser.tap("main button").await;
    browser.until("document.querySelector('#words')?.innerText.split(' ').length === 6").await;
    let words = browser.text("#words").await;
    assert_eq!(words, request.words().await.unwrap(), "they would compare other words");
    let reading = SystemClock.boottime();
    browser.look("guardian-request").await;
    let screens = browser.screens().await;
    let looked = SystemClock.boottime() - reading;
    browser.tap("#heard").await;
    browser.fill("#passphrase", passphrase).await;
    browser.tap("[data-act=approve]").await;
    browser.until("document.querySelector('main [role=status] strong')").await;
    let time = SystemClock.boottime() - begun - looked;
    let took = Took { taps: browser.taps() + 2, screens, time };
    browser.look("guardian-agreed").await;
    took
}

/// The whole way; what is measured of it.
async fn whole_way(habits: Habits) -> (Took, Browser, World) {
    let mut world = World::set().await;
    let browser = Browser::start(habits).await;
    world.grace_accepts().await;
    world.asks(JOAN).await;
    sign_up(&world, &browser).await;
    let (passphrase, _) = accept(&world, &browser).await;
    world.deals().await;
    answer_a_drill(&world, &browser, &passphrase).await;
    let (session, request) = world.needs_help().await;
    let took = help(&world, &browser, &passphrase, &request).await;
    // the other half comes from a terminal, and the vault opens with both
    let key = || Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let (grace, device) = (&world.grace.client, &world.grace.device);
    let hers = grace.unlock_vault(None, key(), device, Rollback::Refuse).await.unwrap();
    let review = hers.review_ceremony(request.id()).await.unwrap();
    assert_eq!(hers.approve_ceremony(&review).await.unwrap().units_approved, 2);
    let released = async || {
        let there = session.ceremony(request.id()).await.ok()?;
        (there.state == CeremonyState::Released).then_some(())
    };
    wait_for(PATIENCE, released).await.expect("it was not released");
    let collected = request.collect(&session, &world.node.device("lost").unwrap()).await.unwrap();
    assert!(collected.bad().is_empty(), "the browser's part is bad");
    assert_eq!(collected.vault().get("entry").await.unwrap().value.as_slice(), b"value");
    nothing_secret_was_sent(&world, &browser, &passphrase).await;
    (took, browser, world)
}

/// What the browser keeps to itself: the passphrase, and the keys in the vault that a terminal opens with it.
async fn nothing_secret_was_sent(world: &World, browser: &Browser, passphrase: &str) {
    let joan = world.joans_terminal().await;
    let key = Key::Passphrase(Passphrase::new(passphrase).unwrap());
    let vault = joan.client.unlock_vault(None, key, &joan.device, Rollback::Refuse).await.unwrap();
    let (requests, plain) = browser.sent(passphrase.as_bytes()).await;
    assert!(requests > 20 && !plain, "{requests} requests");
    let form = passphrase.replace(' ', "+");
    assert!(
        !browser.sent(form.as_bytes()).await.1 && !browser.sent(form.replace('+', "%20").as_bytes()).await.1
    );
    let keyring = vault.keys().keyring();
    assert!(!browser.sent(&*keyring.identity_signing.expose()).await.1, "the identity went out");
    assert!(!browser.sent(keyring.identity_seal.expose()).await.1, "the key that opens the parts went out");
    assert!(!browser.sent(&*keyring.vault_signing.expose()).await.1, "the vault's signing key went out");
    // the search would find it: public keys do go over the wire
    let public = keyring.identity_signing.verify_key().0;
    assert!(browser.sent(&public).await.1, "the traffic was not seen");
    let set = joan.client.guardianships(Some(Side::Guardian)).await.unwrap();
    assert_eq!(set.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_signs_up_accepts_answers_a_drill_and_helps_on_a_telephone() {
    let (took, browser, _world) = whole_way(Habits { language: "en", dark: false, keyboard: false }).await;
    let Took { taps, screens, time } = took;
    assert!(taps <= 6 && screens <= 4, "{taps} taps and {screens} screens from the letter to the agreement");
    assert!(time < Duration::from_secs(120), "{time:?}");
    for (page, bytes) in browser.sizes.borrow().iter() {
        assert!(*bytes < 100_000, "{page}: {bytes} bytes");
    }
    let way = "a guardian's way from the letter to the agreement";
    tell("taps", way, taps);
    tell("screens", way, screens);
    tell("seconds", way, format!("{:.1}", time.as_secs_f64()));
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_by_keyboard_alone_in_the_dark_and_in_german() {
    let (_, browser, _world) = whole_way(Habits { language: "de", dark: true, keyboard: true }).await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "de");
    assert!(browser.text("h1").await.contains("bittet um Ihre Hilfe"));
    browser.end().await;
}
