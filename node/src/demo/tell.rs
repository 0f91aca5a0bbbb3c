//! How the story is told: a line for each step, with what it came to and the time it really took.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ocmt_types::{Clock as _, SystemClock};

use crate::cli::output;

/// Steps are aligned to this column.
const WIDTH: usize = 88;

/// Prints the story.
pub(super) struct Teller;

impl Teller {
    pub(super) fn new() -> Self {
        Self
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) -> anyhow::Result<()> {
        output::print(text)
    }

    /// A new chapter.
    pub(super) fn chapter(&self, title: &str) -> anyhow::Result<()> {
        output::print(&format!("\n{title}"))
    }

    /// More of the step before.
    pub(super) fn detail(&self, text: &str) -> anyhow::Result<()> {
        output::print(&format!("      {text}"))
    }

    /// Does one step, and tells how it went.
    ///
    /// # Errors
    /// Those of the step, with its words in front.
    pub(super) async fn step<T>(
        &self,
        words: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let spinner = output::is_watched().then(|| spinner(words));
        let started = SystemClock.boottime();
        let outcome = Box::pin(work).await;
        let took = SystemClock.boottime() - started;
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        match outcome {
            Ok(value) => {
                output::print(&format!("  ✓ {words:<WIDTH$} {}", shown(took)))?;
                Ok(value)
            }
            Err(error) => Err(error.context(words.to_owned())),
        }
    }

    /// A step that went wrong.
    pub(super) fn failed(&self, error: &anyhow::Error) -> anyhow::Result<()> {
        output::print(&format!("  ✗ {error:#}"))
    }
}

fn spinner(words: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(words.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Milliseconds up to ten seconds, seconds from there.
pub(super) fn shown(took: Duration) -> String {
    if took < Duration::from_secs(10) {
        format!("{:>5} ms", took.as_millis())
    } else {
        format!("{:>6.1} s", took.as_secs_f64())
    }
}
