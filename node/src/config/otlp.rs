//! `[telemetry.otlp]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, check::refuse};

/// Most spans that may wait.
const MOST: usize = 65_536;

/// `[telemetry.otlp]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// A collector of traces by OTLP over gRPC: `https://otel.example.org:4317`, or in clear on this machine,
    /// `http://127.0.0.1:4317`; empty for none.
    pub endpoint: String,
    /// The authority of an https collector, PEM; empty for those of the machine.
    pub ca_file: PathBuf,
    /// Which part of the traces is kept, 0 to 1. The node that has a request first decides for all.
    pub sample: f64,
    /// Spans that wait for the collector; what comes beyond them is let go.
    pub queue: usize,
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: String::new(), ca_file: PathBuf::new(), sample: 0.01, queue: 2_048 }
    }
}

pub(super) fn check(it: &Otlp) -> Result<(), ConfigError> {
    let refused = |key: &'static str, why: &str| Err(refuse(key, why));
    if !(0.0..=1.0).contains(&it.sample) {
        return refused("telemetry.otlp.sample", "is between 0 and 1");
    }
    if !(1..=MOST).contains(&it.queue) {
        return refused("telemetry.otlp.queue", "is between 1 and 65536");
    }
    if it.endpoint.is_empty() {
        return Ok(());
    }
    let Ok(uri) = it.endpoint.parse::<http::Uri>() else {
        return refused("telemetry.otlp.endpoint", "is no address: https://HOST:4317");
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
    match uri.scheme_str() {
        _ if uri.authority().is_none_or(|it| it.as_str().contains('@')) => {
            refused("telemetry.otlp.endpoint", "names no host, or a login")
        }
        Some("https") => Ok(()),
        Some("http") if here => Ok(()),
        _ => refused("telemetry.otlp.endpoint", "is https, or on this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(it: &Otlp) -> Option<&'static str> {
        match check(it) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn traces_leave_this_machine_under_tls_alone_and_what_waits_is_bounded() {
        let to = |endpoint: &str| Otlp { endpoint: endpoint.to_owned(), ..Otlp::default() };
        for fine in [
            "",
            "https://otel.example.org:4317",
            "http://127.0.0.1:4317",
            "http://[::1]:4317",
            "http://localhost:1",
        ] {
            assert_eq!(refused(&to(fine)), None, "{fine}");
        }
        for bad in [
            "http://otel.example.org:4317",
            "otel:4317",
            "https://u:p@otel.example.org",
            "https://",
            "ftp://localhost",
        ] {
            assert_eq!(refused(&to(bad)), Some("telemetry.otlp.endpoint"), "{bad}");
        }
        for sample in [-0.1, 1.1, f64::NAN] {
            assert_eq!(refused(&Otlp { sample, ..Otlp::default() }), Some("telemetry.otlp.sample"));
        }
        for queue in [0, 65_537] {
            assert_eq!(refused(&Otlp { queue, ..Otlp::default() }), Some("telemetry.otlp.queue"));
        }
    }
}
