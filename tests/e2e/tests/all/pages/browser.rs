//! A telephone: Chromium, 360 pixels wide, whose every page is looked at as it comes.

use std::{cell::Cell, collections::BTreeMap, fs, path::Path};

use data_encoding::BASE64;
use ocmt::local::wait_for;
use serde_json::{Value, json};

use super::{PATIENCE, driver::Driver, figures};

const AXE: &str = include_str!("../../../../web/vendor/axe-core/axe.min.js");
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SHIFT: &str = "\u{e008}";
/// A folder for pictures of the pages; none are made without it.
const SHOTS: &str = "OCMT_SCREENSHOTS";
/// Marks when a page can be used: its modules, which it waits for, have run, and none of them works at anything that holds its buttons.
const USABLE: &str = "addEventListener('DOMContentLoaded', () => {
    const main = document.querySelector('main');
    const idle = () => !main?.hasAttribute('aria-busy') && performance.mark('usable');
    if (!idle()) {
        const watch = new MutationObserver(() => idle() && watch.disconnect());
        watch.observe(main, { attributes: true, attributeFilter: ['aria-busy'] });
    }
})";
/// The cookie of a language that somebody chose.
const LANGUAGE: &str = "__Host-ocmt-language";

/// How somebody uses it.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    pub(super) language: &'static str,
    pub(super) dark: bool,
    /// Never touches the glass: Tab, Enter and Space.
    pub(super) keyboard: bool,
}

pub(super) struct Browser {
    pub(super) driver: Driver,
    habits: Habits,
    taps: Cell<u32>,
    /// Pages that came.
    screens: Cell<u32>,
    /// Bytes that each page and what it loads took, by name.
    pub(super) sizes: std::cell::RefCell<BTreeMap<String, u64>>,
    /// All that was sent, as it left the browser.
    sent: std::cell::RefCell<Vec<Vec<u8>>>,
}

impl Browser {
    pub(super) async fn start(habits: Habits) -> Self {
        let driver = Driver::start(habits.language).await.unwrap();
        let (taps, screens) = (Cell::new(0), Cell::new(0));
        let (sizes, sent) = (Default::default(), Default::default());
        let browser = Self { driver, habits, taps, screens, sizes, sent };
        browser.as_telephone(habits.dark).await;
        browser.is_steady().await;
        browser.is_timed().await;
        browser
    }

    async fn as_telephone(&self, dark: bool) {
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", &phone).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media).await;
    }

    pub(super) async fn devtools(&self, command: &str, params: &Value) -> Value {
        self.driver.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params })).await.unwrap()
    }

    /// Gives the telephone an authenticator that asks its owner and is told yes.
    pub(super) async fn authenticator(&self) {
        let wanted = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true,
        });
        self.driver.post("/webauthn/authenticator", &wanted).await.unwrap();
    }

    /// Another tab of the telephone, which is in front then; its name.
    pub(super) async fn tab(&self) -> String {
        let made = self.driver.post("/window/new", &json!({ "type": "tab" })).await.unwrap();
        let name = made["handle"].as_str().unwrap().to_owned();
        self.to_tab(&name).await;
        self.as_telephone(self.habits.dark).await;
        self.is_steady().await;
        self.is_timed().await;
        name
    }

    /// Where pictures are made, each page says when it could first be used, and nothing is kept of the one before: as for somebody who
    /// comes for the first time.
    async fn is_timed(&self) {
        if std::env::var(SHOTS).is_ok() {
            self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": USABLE })).await;
            self.devtools("Network.enable", &json!({})).await;
            self.devtools("Network.setCacheDisabled", &json!({ "cacheDisabled": true })).await;
        }
    }

    /// When the page had loaded and run all its modules, and when it could be used, in milliseconds after it was asked for.
    async fn times(&self) -> (f64, f64) {
        self.until("performance.getEntriesByName('usable').length > 0").await;
        let times = "const [page] = performance.getEntriesByType('navigation');
            return [page.domContentLoadedEventEnd, performance.getEntriesByName('usable')[0].startTime]";
        let times = self.run(times).await;
        (times[0].as_f64().unwrap(), times[1].as_f64().unwrap())
    }

    pub(super) async fn to_tab(&self, name: &str) {
        self.driver.post("/window", &json!({ "handle": name })).await.unwrap();
    }

    /// What a printer would get as text.
    pub(super) async fn printed(&self) -> String {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "print" })).await;
        let text = self.text("body").await;
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": "" })).await;
        self.as_telephone(self.habits.dark).await;
        text
    }

    /// Runs the body of a function in the page.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.driver.post("/execute/sync", &json!({ "script": script, "args": [] })).await.unwrap()
    }

    /// Until an expression of the page's holds: pages come and go meanwhile.
    pub(super) async fn until(&self, holds: &str) {
        // of a page that did not come everything is true that says what is not there
        let came = "location.protocol !== 'chrome-error:'";
        let body = json!({ "script": format!("return {came} && !!({holds})"), "args": [] });
        let held = async || {
            let said = self.driver.post("/execute/sync", &body).await;
            if said.is_ok_and(|held| held == true) {
                return Some(());
            }
            self.load_again_if_cut().await;
            None
        };
        if wait_for(PATIENCE, held).await.is_none() {
            let page = self.run("return location.href + '\\n' + document.body.innerText").await;
            panic!("never: {holds}\n{}\n{:?}", page.as_str().unwrap_or_default(), self.complaints().await);
        }
    }

    pub(super) async fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({selector:?})?.innerText ?? ''")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Touches something, or walks to it and presses it.
    pub(super) async fn tap(&self, selector: &str) {
        self.taps.set(self.taps.get() + 1);
        self.until(&format!(
            "document.querySelector({selector:?}) && !document.querySelector({selector:?}).disabled"
        ))
        .await;
        if self.habits.keyboard {
            self.walk_to(selector).await;
            let key = if selector.contains("#heard") || selector.contains("#kept") { " " } else { ENTER };
            self.press(key).await;
        } else {
            self.on(selector, "click", &json!({})).await;
        }
    }

    pub(super) async fn fill(&self, selector: &str, text: &str) {
        self.until(&format!("document.querySelector({selector:?})")).await;
        if self.habits.keyboard {
            self.walk_to(selector).await;
        }
        self.on(selector, "clear", &json!({})).await;
        self.on(selector, "value", &json!({ "text": text })).await;
    }

    async fn press(&self, key: &str) {
        let actions = json!([{ "type": "key", "id": "keys", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }]);
        self.driver.post("/actions", &json!({ "actions": actions })).await.unwrap();
    }

    /// By Tab, as often as it takes; what has the focus shows it.
    async fn walk_to(&self, selector: &str) {
        for _ in 0..60 {
            let there = format!("return document.activeElement === document.querySelector({selector:?})");
            if self.run(&there).await == true {
                // where the page put it by itself, the first key says that somebody types
                self.press(SHIFT).await;
                // a window that is not in front shows none
                self.until(
                    "!document.hasFocus() || getComputedStyle(document.activeElement).outlineStyle !== 'none'",
                )
                .await;
                return;
            }
            self.press(TAB).await;
        }
        panic!("no way to {selector} by keyboard: {}", self.text("body").await);
    }

    pub(super) fn taps(&self) -> u32 {
        self.taps.replace(0)
    }

    /// Pages that came since this was asked for last.
    pub(super) async fn screens(&self) -> u32 {
        self.keep_traffic().await;
        self.screens.replace(0)
    }

    /// Looks at the page as it stands: it complains of nothing, no rule of axe-core that matters is broken, nothing sticks out.
    pub(super) async fn look(&self, name: &str) {
        let sticks_out = "return document.documentElement.scrollWidth > innerWidth";
        assert_eq!(self.run(sticks_out).await, false, "{name} is wider than a telephone");
        let script = format!(
            "const done = arguments[arguments.length - 1]; const module = undefined; {AXE};
             axe.run(document, {{ resultTypes: ['violations'], rules: {{ 'target-size': {{ enabled: true }} }} }}).then(({{ violations }}) => done(violations.map(
               ({{ id, impact, nodes }}) => `${{impact}} ${{id}}: ${{nodes.map(({{ html }}) => html).join(' ')}}`)), (e) => done([String(e)]))"
        );
        let found =
            self.driver.post("/execute/async", &json!({ "script": script, "args": [] })).await.unwrap();
        let bad: Vec<&str> = found
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .filter(|one| !one.starts_with("minor"))
            .collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
        let size = "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .filter(({ name }) => !name.includes('/vendor/hash-wasm/') && !name.includes('/ocmt.v1.'))
            .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)";
        let size = self.run(size).await.as_u64().unwrap();
        self.sizes.borrow_mut().insert(name.to_owned(), size);
        self.keep_traffic().await;
        if let Ok(folder) = std::env::var(SHOTS) {
            self.picture(Path::new(&folder), name, self.habits.dark).await;
            let (loaded, usable) = self.times().await;
            let line = format!("{name}\t{size}\t{loaded:.0}\t{usable:.0}\n");
            figures::add(&Path::new(&folder).join("bytes.tsv"), &line);
        }
    }

    /// The same, of a page that is the same to whoever loads it again: where pictures are made, one more as it is in the other language
    /// and colours, once `ready` holds there.
    pub(super) async fn look_both(&self, name: &str, ready: &str) {
        let here = self.run("return location.href").await.as_str().unwrap().to_owned();
        self.look_both_by(name, &here, async || self.until(ready).await).await;
    }

    /// The same of what is come to from `page`.
    pub(super) async fn look_both_by(&self, name: &str, page: &str, come: impl AsyncFnOnce()) {
        self.look(name).await;
        self.in_the_other_language(name, page, come).await;
    }

    /// Where pictures are made, that one alone: of what stands in this tab meanwhile nothing is asked.
    pub(super) async fn in_the_other_language(&self, name: &str, page: &str, come: impl AsyncFnOnce()) {
        let Ok(folder) = std::env::var(SHOTS) else { return };
        let own = self.driver.get("/window").await.unwrap();
        let chosen = self.devtools("Network.getCookies", &json!({ "urls": [page] })).await;
        let is_chosen = chosen["cookies"].as_array().unwrap().iter().any(|one| one["name"] == LANGUAGE);
        let german = self.run("return document.documentElement.lang").await == "de";
        let (shown, other) = if german { ("de", "en") } else { ("en", "de") };
        let sign = if page.contains('?') { '&' } else { '?' };
        self.tab().await;
        self.as_telephone(!self.habits.dark).await;
        self.go(&format!("{page}{sign}language={other}")).await;
        come().await;
        self.picture(Path::new(&folder), name, !self.habits.dark).await;
        // and as it was before
        if is_chosen {
            self.go(&format!("{page}{sign}language={shown}")).await;
        } else {
            self.devtools("Network.deleteCookies", &json!({ "name": LANGUAGE, "url": page })).await;
        }
        self.devtools("Page.close", &json!({})).await;
        self.to_tab(own.as_str().unwrap()).await;
        self.complaints().await;
        self.keep_traffic().await;
    }

    async fn picture(&self, folder: &Path, name: &str, dark: bool) {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.devtools("Page.captureScreenshot", &params).await;
        let picture = BASE64.decode(taken["data"].as_str().unwrap().as_bytes()).unwrap();
        let language = self.run("return document.documentElement.lang").await;
        let (language, dark) = (language.as_str().unwrap(), if dark { "-dark" } else { "" });
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{name}-{language}{dark}.png")), picture).unwrap();
    }

    /// What the browser has to say against the pages: violations of their policy, scripts that fail, what is missing.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.driver.post("/se/log", &json!({ "type": "browser" })).await.unwrap();
        let bad = log
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["level"] == "WARNING" || entry["level"] == "SEVERE");
        let bad = bad.map(|entry| entry["message"].as_str().unwrap_or_default());
        // of the machine's network, not of the page: see `load_again_if_cut`
        bad.filter(|message| !message.ends_with("net::ERR_NETWORK_CHANGED")).map(str::to_owned).collect()
    }

    async fn keep_traffic(&self) {
        let log = self.driver.post("/se/log", &json!({ "type": "performance" })).await.unwrap();
        for entry in log.as_array().unwrap() {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let (event, request) = (&event["message"], &event["message"]["params"]["request"]);
            let came = &event["params"]["response"]["url"];
            if event["method"] == "Network.responseReceived"
                && event["params"]["type"] == "Document"
                && came.as_str().is_some_and(|url| url.starts_with("https://"))
            {
                self.screens.set(self.screens.get() + 1);
            }
            // what the browser asks itself goes nowhere
            let leaves = request["url"].as_str().is_some_and(|url| url.starts_with("https://"));
            if event["method"] != "Network.requestWillBeSent" || !leaves {
                continue;
            }
            let mut sent = format!("{} {}", request["url"], request["headers"]).into_bytes();
            let bodies = request["postDataEntries"].as_array().cloned().unwrap_or_default();
            assert!(
                request["hasPostData"] != true || !bodies.is_empty(),
                "a body that was not seen: {request}"
            );
            for body in bodies {
                sent.extend(BASE64.decode(body["bytes"].as_str().unwrap().as_bytes()).unwrap());
            }
            self.sent.borrow_mut().push(sent);
        }
    }

    /// How many requests were seen, and whether one of them had this in it.
    pub(super) async fn sent(&self, what: &[u8]) -> (usize, bool) {
        self.keep_traffic().await;
        let sent = self.sent.borrow();
        (sent.len(), sent.iter().any(|one| one.windows(what.len()).any(|part| part == what)))
    }

    /// Forgets everything, as browsers do.
    pub(super) async fn forget(&self) {
        self.devtools("Network.clearBrowserCookies", &json!({})).await;
        self.run("localStorage.clear()").await;
    }

    pub(super) async fn end(self) {
        self.driver.end().await.unwrap();
    }
}
