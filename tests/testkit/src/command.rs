//! The program under test as a command: what it was asked, what it said, how it ended.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use crate::programs;

/// Longer than any command of a test takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `ocmt` with these arguments and nothing in its environment, and waits for its end.
///
/// # Errors
/// It cannot be started, or does not end in time.
pub async fn ocmt(arguments: &[&str]) -> anyhow::Result<Said> {
    ocmt_in(&[], arguments).await
}

/// The same with this and nothing else in its environment.
///
/// # Errors
/// As [`ocmt`].
pub async fn ocmt_in(environment: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<Said> {
    let mut command = Command::new(programs::ocmt()?);
    command.args(arguments).stdin(Stdio::null()).env_clear().kill_on_drop(true);
    command.envs(environment.iter().copied());
    said(timeout(PATIENCE, command.output()).await, arguments)
}

/// The same with this line typed into it.
///
/// # Errors
/// As [`ocmt`].
pub async fn ocmt_typed(arguments: &[&str], line: &str) -> anyhow::Result<Said> {
    let mut command = Command::new(programs::ocmt()?);
    command.args(arguments).env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut started = command.spawn()?;
    let mut stdin = started.stdin.take().context("it takes nothing")?;
    stdin.write_all(format!("{line}\n").as_bytes()).await?;
    drop(stdin);
    said(timeout(PATIENCE, started.wait_with_output()).await, arguments)
}

fn said(
    ended: Result<std::io::Result<std::process::Output>, tokio::time::error::Elapsed>,
    arguments: &[&str],
) -> anyhow::Result<Said> {
    let output = ended.with_context(|| format!("ocmt {} does not end", arguments.join(" ")))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

/// The same with `--config FILE` behind the arguments.
///
/// # Errors
/// As [`ocmt`].
pub async fn ocmt_with(arguments: &[&str], config: &Path) -> anyhow::Result<Said> {
    let config = config.to_str().context("the path is no text")?;
    ocmt(&[arguments, &["--config", config]].concat()).await
}
