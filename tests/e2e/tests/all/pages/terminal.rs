//! A terminal of a container in the browser: a shell of its cell, by touch and by keyboard alone, through a cut, to its end. Shares
//! the node of what a container prints (`containers.rs`).

use serde_json::json;

use super::{browser::Browser, figures};

const OPEN: &str = "form[action='/app/containers/terminal'] button";
const KEYS: &str = "#keys";
const ENTER: &str = "\u{e007}";
const SHIFT_TAB: &str = "\u{e008}\u{e004}\u{e000}";
const CTRL_C: &str = "\u{e009}c\u{e000}";
const CTRL_U: &str = "\u{e009}u\u{e000}";
/// Remembers the page's connections, so that the newest can be cut.
const CUTS: &str = "const Real = WebSocket; globalThis.cuts = []; globalThis.WebSocket = class extends Real {
    constructor(...given) { super(...given); cuts.push(() => this.close()); } };";
/// Puts two lines into the clipboard's place.
const PASTES: &str = r"const data = new DataTransfer(); data.setData('text/plain', 'echo a-$((1+1))\necho b-$((2+2))\n');
    document.querySelector('#keys').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))";
/// Fills the line as a browser does.
const FILLS: &str = "const keys = document.querySelector('#keys'); keys.value = 'echo f-$((1+1))';
    keys.dispatchEvent(new Event('input', { bubbles: true }))";
/// A title, a colour, what turns the direction of writing, and what a browser would run.
const PRINTS: &str = r"printf '<script>alert(1)</script>\033]0;evil\007\033]52;c;aGk=\007\033[31mred\033[0m\342\200\256txet\n'";

/// From the container's page to a shell that waits.
pub(super) async fn opens(browser: &Browser, url: &str, passphrase: &str) {
    browser.go(url).await;
    browser.tap(OPEN).await;
    browser.until("document.querySelector('#open')").await;
    browser.look("container-terminal").await;
    browser.run(CUTS).await;
    browser.fill("#passphrase", passphrase).await;
    browser.tap("#open button").await;
    browser.until("!document.querySelector('#typing').hidden && document.activeElement.id === 'keys'").await;
}

async fn types(browser: &Browser, line: &str) {
    browser.fill(KEYS, &format!("{line}{ENTER}")).await;
}

/// Lines of the screen, and those that have left it, that are this; a prompt may stand before it, where a shell was slower than who types.
fn printed(line: &str) -> String {
    let all = "[...document.querySelectorAll('#rows > div, #past > div')]";
    format!("{all}.filter((row) => row.textContent.trimEnd().replace(/^([$#] )+/, '') === {line:?})")
}

async fn until_printed(browser: &Browser, line: &str) {
    browser.until(&format!("{}.length > 0", printed(line))).await;
}

/// A command ends by keys; one connection after another carries the same shell.
async fn is_used(browser: &Browser, keyboard: bool) {
    // they are drawn with the next frame, which a busy machine may be late with
    browser.until("document.querySelector('#rows > div')").await;
    let rows = browser.run("return document.querySelectorAll('#rows > div').length").await;
    types(browser, "stty size | cut -d' ' -f1 | sed s/^/rows-/").await;
    until_printed(browser, &format!("rows-{rows}")).await;
    types(browser, "cat").await;
    types(browser, "it runs").await;
    // once by the terminal, once by the command that is to be interrupted
    browser.until(&format!("{}.length === 2", printed("it runs"))).await;
    if keyboard {
        browser.fill(KEYS, CTRL_C).await;
    } else {
        browser.tap("[data-key='c']").await;
    }
    // what is typed before the shell is back goes with what was interrupted, at every terminal
    let rows = "[...document.querySelectorAll('#rows > div')].map((row) => row.textContent.trimEnd())";
    browser.until(&format!("/^[$#]$/.test({rows}.filter((text) => text !== '').at(-1))")).await;
    // what is typed before the shell asks again is thrown away with the command
    let asks = "[...document.querySelectorAll('#rows > div')].map((row) => row.textContent.trim()).filter(Boolean).at(-1)";
    browser.until(&format!("/^[$#]$/.test({asks})")).await;
    types(browser, "echo code-$?").await;
    until_printed(browser, "code-130").await;
    types(browser, "X=kept").await;
    browser.run("cuts.at(-1)()").await;
    // typed before anybody is connected again
    types(browser, "echo $X-$((1+1))").await;
    until_printed(browser, "kept-2").await;
    browser.until("document.querySelector('#said').hidden").await;
    // bridges of containers that come and go beside the browser may have cut it once more
    assert_eq!(browser.run("return cuts.length >= 2").await, true, "it was not cut, or not mended");
}

/// What is printed is text: it runs nothing, names no page, and what it says is heard.
async fn is_text(browser: &Browser) {
    let title = browser.run("return document.title").await;
    types(browser, PRINTS).await;
    until_printed(browser, "<script>alert(1)</script>redtxet").await;
    browser.until("document.querySelector('#heard').textContent.includes('redtxet')").await;
    assert_eq!(browser.run("return document.title").await, title);
    figures::stays_text(browser, "what a container prints, in a terminal").await;
    assert_eq!(browser.text("#rows .hue1").await, "red");
    browser.look("container-terminal-open").await;
}

/// What has more than a line waits for a yes; and nobody is held in the line.
async fn asks_and_lets_go(browser: &Browser) {
    browser.run(PASTES).await;
    browser.until("!document.querySelector('#pasted').hidden").await;
    browser.look("container-terminal-pasted").await;
    browser.tap("#pasted-no").await;
    browser.run(PASTES).await;
    browser.tap("#pasted-yes").await;
    until_printed(browser, "b-4").await;
    let times = browser.run(&format!("return {}.length", printed("a-2"))).await;
    assert_eq!(times, 1, "what was dropped was sent");
    browser.fill(KEYS, &format!("abc{SHIFT_TAB}")).await;
    browser.until("document.activeElement.id !== 'keys'").await;
    assert_eq!(browser.run("return document.querySelector('#keys').value").await, "");
    browser.fill(KEYS, CTRL_U).await;
}

/// Hidden is what is typed and pasted, by no field for passwords; what a browser fills in meanwhile is not sent.
async fn hides(browser: &Browser) {
    let looks = "const keys = document.querySelector('#keys');
        return [keys.type, keys.autocomplete, getComputedStyle(keys).webkitTextSecurity]";
    browser.tap("#hide").await;
    assert_eq!(browser.run(looks).await, json!(["text", "off", "disc"]));
    browser.run(FILLS).await;
    assert_eq!(browser.run("return document.querySelector('#keys').value").await, "");
    types(browser, "echo h-$((1+1))").await;
    until_printed(browser, "h-2").await;
    browser.run(PASTES).await;
    browser.until("!document.querySelector('#pasted').hidden").await;
    let shown = browser.run("return document.querySelector('#pasted-text').textContent").await;
    let dots = "\u{2022}".repeat("echo a-$((1+1))".len());
    assert_eq!(shown, format!("{dots}\n{dots}\n"));
    browser.tap("#pasted-no").await;
    browser.tap("#hide").await;
    assert_eq!(browser.run(looks).await, json!(["text", "off", "none"]));
}

/// All of it, to the shell's own end.
pub(super) async fn works(browser: &Browser, keyboard: bool) {
    is_used(browser, keyboard).await;
    is_text(browser).await;
    asks_and_lets_go(browser).await;
    hides(browser).await;
    types(browser, "exit 3").await;
    browser.until("!document.querySelector('#open').hidden && !document.querySelector('#said').hidden").await;
    let said = browser.text("#said").await;
    assert!(said.trim_end().ends_with('3'), "{said}");
    browser.look("container-terminal-ended").await;
}

/// Until the page says that it is over, and why.
pub(super) async fn is_over(browser: &Browser, why: &str) {
    let words = "document.querySelector('#said:not([hidden])')?.textContent";
    browser.until(&format!("{words} === document.querySelector('[data-say={why}]').textContent")).await;
    assert_eq!(browser.run("return document.querySelector('#typing').hidden").await, true);
}
