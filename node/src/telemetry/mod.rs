//! Structured logs: one line an event, values as fields, no secrets. And traces, where somebody collects them ([`otlp`]).

mod fields;
#[cfg(test)]
pub(crate) mod heard;
mod otlp;
pub(crate) mod trace;

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use self::otlp::{OtlpError, Traces};
use crate::config::{LogFormat, Telemetry};

/// Sends logs to standard error, and traces to where the configuration says. A second call changes nothing. Traces that wait go out when
/// what is given back is dropped.
///
/// # Errors
/// [`OtlpError`]: traces cannot be sent as the configuration wants it.
pub fn init(config: &Telemetry) -> Result<Traces, OtlpError> {
    let (spans, traces) = otlp::layer::<tracing_subscriber::Registry>(&config.otlp)?;
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true);
    let logs = match config.format {
        LogFormat::Json => logs.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => logs.compact().fmt_fields(fields::escaped()).with_filter(filter).boxed(),
    };
    if tracing_subscriber::registry().with(spans).with(logs).try_init().is_err() {
        tracing::debug!("logs were set up before");
    }
    Ok(traces)
}
