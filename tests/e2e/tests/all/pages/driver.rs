//! A Chromium of a test's own, by WebDriver (W3C): JSON over HTTP to Debian's chromedriver on this machine.
//!
//! Written here because the crates that speak it (fantoccini, thirtyfour) bring twenty others for it; `tests/web/driver.js`
//! does the same for the vectors.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

const TRIES: u32 = 3;
/// Longest answer of the driver: a page computes Argon2id on a machine that builds something else.
const PATIENCE: Duration = Duration::from_secs(120);
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    // the authority of a node of tests is of the test's own
    "--ignore-certificate-errors",
];

/// A driver of its own, and the port it has taken.
/// Beside the profile is what the browser leaves in the folder for what is temporary when it is killed.
async fn listening(folder: &Path) -> anyhow::Result<(Child, u16)> {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("no chromedriver: tests/scripts/install.sh test")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let port = timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Ok(port.trim_end_matches('.').parse()?);
            }
        }
        bail!("chromedriver did not start")
    });
    Ok((child, port.await??))
}

/// The driver and one session of it.
pub(super) struct Driver {
    child: Child,
    port: u16,
    session: String,
    /// The browser itself, whose parent is the driver.
    browser: Option<Pid>,
    folder: TempDir,
}

impl Driver {
    /// Starts both; pages are asked for in `language` first.
    pub(super) async fn start(language: &str) -> anyhow::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(language).await {
                // the driver ends where the port that it found free on IPv4 is taken on IPv6, and gives a browser up that a busy
                // machine is slow to start
                Err(_) if tries < TRIES => {}
                begun => return begun,
            }
        }
    }

    async fn try_start(language: &str) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("ocmt-chromium.")?;
        let (child, port) = listening(folder.path()).await?;
        let mut driver = Self { child, port, session: String::new(), browser: None, folder };
        driver.begin(language).await?;
        Ok(driver)
    }

    async fn begin(&mut self, language: &str) -> anyhow::Result<()> {
        let profile = format!("--user-data-dir={}", self.folder.path().join("profile").display());
        let args: Vec<String> = FLAGS
            .iter()
            .map(|flag| (*flag).to_owned())
            .chain([profile, format!("--lang={language}")])
            .collect();
        let wanted = json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": args, "prefs": { "intl.accept_languages": language } },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let begun =
            self.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } })).await?;
        let browser =
            begun["capabilities"]["goog:processID"].as_i64().context("no process of the browser")?;
        self.browser = Pid::from_raw(browser.try_into()?);
        self.session = format!("/session/{}", begun["sessionId"].as_str().context("no session")?);
        self.post("/timeouts", &json!({ "script": 120_000 })).await.map(drop)
    }

    /// A command of the session.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask("POST", &format!("{}{path}", self.session), body).await
    }

    /// What there is to know of the session.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", &format!("{}{path}", self.session), &Value::Null).await
    }

    /// Ends the session, and with it the browser.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        self.ask("DELETE", &self.session, &Value::Null).await.map(drop)
    }

    /// The id may be another's since its browser has ended.
    fn is_mine(&self, browser: Pid) -> bool {
        let said = std::fs::read(format!("/proc/{}/cmdline", browser.as_raw_nonzero())).unwrap_or_default();
        String::from_utf8_lossy(&said).contains(&*self.folder.path().to_string_lossy())
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let answer = timeout(PATIENCE, async {
            let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?);
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
            // it says that it closes the connection, and does not
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).await? > 2 {
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse()?;
                }
                line.clear();
            }
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await?;
            anyhow::Ok(answer)
        });
        let answer = answer.await.with_context(|| format!("no answer to {path}"))??;
        let body = String::from_utf8(answer)?;
        let mut answer: Value = serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => bail!("{path}: {error}: {}", value["message"].as_str().unwrap_or_default()),
            None => Ok(value),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // a driver that is ended leaves its browser running: after a panic nobody has ended the session
        if let Some(browser) = self.browser.filter(|browser| self.is_mine(*browser)) {
            let _ = kill_process(browser, Signal::KILL);
        }
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let mut ended = false;
        for _ in 0..1500 {
            ended = ended || !matches!(self.child.try_wait(), Ok(None));
            if ended && std::fs::remove_dir_all(self.folder.path()).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20)); // why: the browser writes into the folder for a moment more; nobody can await in a drop
        }
    }
}

#[tokio::test]
async fn a_browser_whose_session_nobody_ended_ends_with_its_test_and_its_folder_goes() {
    let driver = Driver::start("en").await.unwrap();
    let (browser, folder) = (driver.browser.unwrap(), driver.folder.path().to_owned());
    assert!(driver.is_mine(browser));
    drop(driver);
    let said = std::fs::read(format!("/proc/{}/cmdline", browser.as_raw_nonzero())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&said).contains(&*folder.to_string_lossy()), "it runs on");
    assert!(!folder.exists(), "what it wrote is left");
}
