//! How results and failures are shown.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use ocmt_client::ClientError;
use serde::Serialize;

/// Where results go and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// `--json`.
    pub json: bool,
}

impl Output {
    /// One value: its JSON, or the lines for people.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn value(self, value: &impl Serialize, people: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { people() };
        print(&text)
    }

    /// A list: a JSON array, or a table.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn list<T: Serialize>(
        self,
        items: &[T],
        head: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if self.json {
            return print(&serde_json::to_string_pretty(items)?);
        }
        if items.is_empty() {
            note("nothing there");
            return Ok(());
        }
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(head);
        for item in items {
            table.add_row(row(item));
        }
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        print(&table.to_string())
    }

    /// What was done: `{"done": true}` for programs, a message for people.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn done(self, message: &str) -> anyhow::Result<()> {
        if self.json {
            return print("{\"done\": true}");
        }
        note(message);
        Ok(())
    }
}

/// Prints a result.
///
/// # Errors
/// When standard output is closed.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(out.flush()?)
}

/// A message beside the result.
pub fn note(text: &str) {
    // nobody reads it when standard error is closed
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says how to go on with a watch that ended, if it can be gone on with; `command` is what was typed.
pub(super) fn cut_off(error: ClientError, command: &str, token: &str) -> ClientError {
    if !token.is_empty() && error.reason().as_deref() != Some("OUT_OF_RANGE") {
        note(&format!("Go on where this ended: {command} --resume {token}"));
    }
    error
}

/// Says what went wrong.
pub fn failure(error: &anyhow::Error, code: u8) -> ExitCode {
    note(&format!("error: {}", reasons(error)));
    ExitCode::from(code)
}

/// The error and its causes, each said once: many an error names its cause itself.
fn reasons(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.ends_with(&cause) {
            let pause = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{pause}{cause}");
        }
    }
    said
}

/// Whether a person looks at standard error.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Asks a question that is answered with yes or no.
///
/// # Errors
/// [`ClientError::Usage`] where there is nobody to ask; `instead` says which argument answers then.
pub fn confirm(question: &str, instead: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(ClientError::Usage(format!("there is no terminal to ask on: use {instead}")).into());
    }
    let mut err = io::stderr();
    write!(err, "{question} [yes/no] ")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "yes" | "y"))
}

/// What somebody wants to have written in clear.
pub(super) struct InClear<'a> {
    /// What it is, as in "a vault".
    pub(super) what: &'a str,
    /// The argument that asks for it.
    pub(super) argument: &'a str,
    /// What whoever has the file reads.
    pub(super) readable: &'a str,
}

impl InClear<'_> {
    /// In clear only where a person sees it happen, and says so; `to` is a file, or `-`.
    ///
    /// # Errors
    /// [`ClientError::Usage`] where there is no terminal, and another one where the person says no.
    pub(super) fn allowed(&self, to: &Path) -> anyhow::Result<()> {
        let Self { what, argument, readable } = self;
        if !io::stdin().is_terminal() || !is_watched() {
            let text = format!("{what} is written in clear only at a terminal: leave {argument} out");
            return Err(ClientError::Usage(text).into());
        }
        let to = if to == Path::new("-") { "standard output".to_owned() } else { to.display().to_string() };
        let question = format!("Everybody who can read {to} will read {readable}. Write that in clear?");
        if !confirm(&question, "no other way")? {
            bail!("nothing was written");
        }
        Ok(())
    }
}

/// A line that turns on a terminal while something takes its time; gone when dropped.
pub struct Waiting(Option<ProgressBar>);

/// Shows that `what` is being done.
pub fn waiting(what: &str) -> Waiting {
    if !is_watched() {
        return Waiting(None);
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    Waiting(Some(bar))
}

impl Waiting {
    /// Says something else from now on.
    pub fn tell(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error =
            anyhow!("no such file").context("cannot read a.toml: no such file").context("it is refused");
        assert_eq!(reasons(&error), "it is refused: cannot read a.toml: no such file");
    }
}
