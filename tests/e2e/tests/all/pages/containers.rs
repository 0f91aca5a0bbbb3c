//! Containers of a real engine and their connections, looked at, put to sleep, brought back and ended in a browser.

use std::time::Duration;

use ocmt::config::Seccomp;
use ocmt_client::container::{Spec, State};
use ocmt_testkit::{TestNode, docker};
use serde_json::Value;

use super::{
    ENGLISH,
    browser::{Browser, Habits},
    figures, sign_in, terminal,
};
use crate::oauth::kit::Kit;

const NETWORKS: &str = "10.236.0.0/16";
const PASSPHRASE: &str = "violin ledger umbrella quartz";
const BY_KEYS: Habits = Habits { language: "de", dark: true, keyboard: true };
const PAUSE: &str = "form[action='/app/containers/pause'] button";
const LOG: &str = "form[action='/app/containers/log'] button";
const WAKE: &str = "form[action='/app/containers/wake'] button";
/// What a workload may be given, and would be told of by whoever shows it.
const EVIL: &str = "<img src=x onerror=alert(1)>\u{202e}";

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_paused_and_woken_and_says_why_it_is_awake() {
    let image = docker::image("ocmt-e2e-pages:latest").await.unwrap();
    let node = TestNode::start_with(|config| {
        docker::configure(config, &image, NETWORKS).unwrap();
        // it is paused, woken and talked to under it as under Docker's own
        config.containers.seccomp = Seccomp::Strict;
    });
    let node = node.await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let origin = node.target().unwrap().endpoint;
    let (touched, typed) = (Browser::start(ENGLISH).await, Browser::start(BY_KEYS).await);
    for browser in [&touched, &typed] {
        sign_in(&node, browser, &ada.email, "/app/containers").await;
        browser.until("location.pathname === '/app/containers'").await;
        browser.look("containers-none").await;
    }
    let argv = vec![docker::WORKLOAD.to_owned(), EVIL.to_owned()];
    let spec = Spec { argv, workload_port: Some(8080), ..Spec::default() };
    let made = ada.client.create_container(&spec, true).await.unwrap();
    let state = async || ada.client.container(made.id).await.unwrap().state;
    for browser in [&touched, &typed] {
        // from the beginning, as people come
        browser.go(&origin).await;
        browser.tap("main nav a[href='/app/containers']").await;
        browser.until("document.querySelectorAll('.cards > li').length === 1").await;
        browser.look("containers").await;
        browser.tap(".cards a.button").await;
        browser.until(&format!("document.querySelector({PAUSE:?})")).await;
        browser.look("container").await;
        let shown = browser.text("main").await;
        assert!(shown.contains("ocmt container logs"), "{shown}");
        figures::is_text(browser, "a container's command", EVIL).await;
        browser.tap(PAUSE).await;
        browser.until(&format!("document.querySelector({WAKE:?})")).await;
        assert_eq!(state().await, State::Paused);
        browser.look("container-paused").await;
        browser.tap(WAKE).await;
        browser.until(&format!("document.querySelector({PAUSE:?})")).await;
        assert_eq!(state().await, State::Running);
    }
    let why = text_at(&touched, &format!("{origin}/app/containers/{}", made.id)).await;
    assert!(why.contains("woken just now") && why.contains("Will be paused"), "{why}");
    let why = text_at(&typed, &format!("{origin}/app/containers/{}", made.id)).await;
    assert!(why.contains("eben erst geweckt") && why.contains("Wird angehalten"), "{why}");
    for browser in [touched, typed] {
        assert!(browser.complaints().await.is_empty());
        browser.end().await;
    }
    let engine = docker::of_node(node.folder(), NETWORKS).await.unwrap();
    docker::clear(&engine).await.unwrap();
}

/// A script that sends a form as it was sent before.
fn sends_again(action: &str, fields: &Value) -> String {
    format!(
        "const form = document.createElement('form'); form.method = 'post'; form.action = {action:?};
         for (const [name, value] of {fields})
           form.append(Object.assign(document.createElement('input'), {{ type: 'hidden', name, value }}));
         document.body.append(form); form.submit();"
    )
}

async fn text_at(browser: &Browser, url: &str) -> String {
    browser.go(url).await;
    text_of(browser).await
}

async fn text_of(browser: &Browser) -> String {
    browser.text("main").await
}

/// Prints what a browser would run, a terminal obey, and a reader be fooled by; then waits to be ended.
const PRINTS: &str = r"import signal, sys; sys.stdout.buffer.write(b'<script>alert(1)</script>\x1b[31mred\x07 \xe2\x80\xaetxet\r\nlast\n'); sys.stdout.flush(); signal.pause()";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_prints_and_a_terminal_in_it_are_opened_in_the_browser_and_are_text() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let argv = ["/usr/bin/env", "python3", "-c", PRINTS].map(str::to_owned).to_vec();
    let made = ada.client.create_container(&Spec { argv, ..Spec::default() }, true).await.unwrap();
    let path = format!("/app/containers/{}", made.id);
    let url = format!("{}{path}", node.target().unwrap().endpoint);
    let (touched, typed) = (Browser::start(ENGLISH).await, Browser::start(BY_KEYS).await);
    sign_in(&node, &touched, &ada.email, &path).await;
    touched.tap(LOG).await;
    touched.until("location.pathname === '/app/containers/log'").await;
    assert!(text_of(&touched).await.contains("ocmt container unlock"), "it is locked yet");
    vault.unlock_container(made.id, &[], Duration::from_secs(900), false).await.unwrap();
    sign_in(&node, &typed, &ada.email, &path).await;
    for (browser, keyboard) in [(&touched, false), (&typed, true)] {
        browser.go(&url).await;
        browser.tap(LOG).await;
        browser.until("document.querySelector('#log')").await;
        browser.look("container-log").await;
        // it takes a moment until it has printed
        for _ in 0..20 {
            browser.fill("#passphrase", PASSPHRASE).await;
            browser.tap("#log button").await;
            browser.until("!document.querySelector('[aria-busy]') && !document.querySelector('#log button').disabled").await;
            if browser.run("return document.querySelector('#shown').hidden").await == false {
                break;
            }
        }
        browser.until("!document.querySelector('#shown').hidden").await;
        let shown = browser.text("#printed").await;
        assert_eq!(shown.trim_end(), "<script>alert(1)</script>\\u{1b}[31mred\\u{7} \\u{202e}txet\nlast");
        figures::stays_text(browser, "what a container prints, read").await;
        browser.look("container-log-shown").await;
        terminal::opens(browser, &url, PASSPHRASE).await;
        terminal::works(browser, keyboard).await;
        assert!(!browser.sent(PASSPHRASE.as_bytes()).await.1, "the passphrase left the browser");
        for page in ["container-log", "container-log-shown", "container-terminal"] {
            assert!(browser.sizes.borrow()[page] < 100_000, "{page}: {:?}", browser.sizes);
        }
    }
    // the lock and the end of the session are the terminal's end
    terminal::opens(&touched, &url, PASSPHRASE).await;
    ada.client.lock_container(made.id).await.unwrap();
    terminal::is_over(&touched, "locked").await;
    vault.unlock_container(made.id, &[], Duration::from_secs(900), false).await.unwrap();
    terminal::opens(&typed, &url, PASSPHRASE).await;
    ada.client.revoke_other_sessions(false).await.unwrap();
    terminal::is_over(&typed, "session").await;
    for browser in [touched, typed] {
        browser.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_seen_and_ended_at_its_provider() {
    let kit = Kit::start().await;
    let origin = kit.node.target().unwrap().endpoint;
    for (habits, browser) in
        [(ENGLISH, Browser::start(ENGLISH).await), (BY_KEYS, Browser::start(BY_KEYS).await)]
    {
        kit.connect().await.unwrap();
        sign_in(&kit.node, &browser, &kit.ada.email, "/app/connections").await;
        browser.until("document.querySelectorAll('.cards > li').length === 1").await;
        browser.look("connections").await;
        let shown = browser.text(".cards").await;
        assert!(shown.contains("work") && shown.contains("read"), "{shown}");
        assert!(kit.provider.ended() == 0 || habits.dark, "nobody asked for it");
        let before = kit.provider.ended();
        browser.tap(".cards summary").await;
        let form =
            "return [...new FormData(document.querySelector(\"form[action='/app/connections/end']\"))]";
        let form = browser.run(form).await;
        browser.tap("form[action='/app/connections/end'] button").await;
        browser.until("document.querySelector('main [role=alert]')").await;
        browser.look("connections-ended").await;
        let said = browser.text("main [role=alert]").await;
        let there = browser.run("return location.href").await;
        assert!(said.contains("ocmt vault rm oauth/tokens/work"), "{said}");
        assert!(kit.provider.ended() > before, "the provider was not told");
        assert!(kit.ada.client.connections(kit.container).await.unwrap().is_empty());
        // the address alone says nothing again
        browser.go(&format!("{origin}/app/connections")).await;
        browser.until("!document.querySelector('main [role=alert]')").await;
        // and the form that is sent again, as by whoever loads its answer again after a cut, what it said
        let told = kit.provider.ended();
        browser.run(&sends_again("/app/connections/end", &form)).await;
        browser.until("document.querySelector('main [role=alert]')").await;
        assert_eq!(browser.run("return location.href").await, there);
        assert_eq!(browser.text("main [role=alert]").await, said);
        assert_eq!(kit.provider.ended(), told, "the provider was told twice");
        browser.end().await;
    }
}
