//! What the machine does to a browser, and no page: bridges of containers come and go beside it, which cuts what it loads, and a
//! page moves between two commands.

use ocmt::local::wait_for;
use serde_json::{Value, json};

use super::{PATIENCE, browser::Browser};

/// An element, as WebDriver writes it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// What a navigation says that was cut off by a change of the machine's network.
const CUT: &str = "net::ERR_NETWORK_CHANGED";
/// How WebDriver says that a command to an element had no effect.
const NOT_DONE: [&str; 4] =
    ["stale element reference", "element click intercepted", "element not interactable", "no such element"];
/// In every page: a call that no answer came to is made once more, which is answered as the first was, and a page one of whose modules
/// did not come is loaded again.
const STEADY: &str = "{
    const real = window.fetch;
    window.fetch = (...asked) => real(...asked).catch((error) => {
        if (!(error instanceof TypeError)) throw error;
        return new Promise((resolve) => setTimeout(resolve, 500)).then(() => real(...asked));
    });
    addEventListener('error', ({ target }) => target instanceof HTMLScriptElement && location.reload(), true);
}";

impl Browser {
    pub(super) async fn is_steady(&self) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": STEADY })).await;
    }

    /// Asks for a page: once more where it was cut off, see [`Self::load_again_if_cut`].
    pub(super) async fn go(&self, url: &str) {
        let gone = async || match self.driver.post("/url", &json!({ "url": url })).await {
            Err(error) if error.to_string().contains(CUT) => None,
            gone => Some(gone),
        };
        let gone = wait_for(PATIENCE, gone).await;
        gone.unwrap_or_else(|| panic!("{url} is cut off again and again")).unwrap();
    }

    /// Bridges of containers come and go beside the browser, which cuts what it loads when they do. A form is sent again by it,
    /// and acts once; what is good once by its own nature is begun again ([`super::sign_in`]).
    pub(super) async fn load_again_if_cut(&self) {
        let cut = "return location.protocol === 'chrome-error:' \
                   && document.body.innerText.includes('ERR_NETWORK_CHANGED')";
        let asked = json!({ "script": cut, "args": [] });
        if self.driver.post("/execute/sync", &asked).await.is_ok_and(|is| is == true) {
            // which may be cut off too: whoever waits looks again
            let _ = self.driver.post("/refresh", &json!({})).await;
        }
    }

    /// What is done to an element. Where the page has put another in its place meanwhile, or something over it, nothing was done: it
    /// is looked for again.
    pub(super) async fn on(&self, selector: &str, command: &str, body: &Value) {
        let wanted = json!({ "using": "css selector", "value": selector });
        let mut why = String::new();
        let done = async || {
            let said = async {
                let found = self.driver.post("/element", &wanted).await?;
                let element = found[ELEMENT].as_str().unwrap();
                self.driver.post(&format!("/element/{element}/{command}"), body).await
            };
            let error = match said.await {
                Ok(_) => return Some(()),
                Err(error) => error.to_string(),
            };
            assert!(NOT_DONE.iter().any(|one| error.contains(one)), "{selector}: {error}");
            why = error;
            None
        };
        if wait_for(PATIENCE, done).await.is_none() {
            panic!("{selector}: {why}");
        }
    }
}
