//! The fields of a line of text: what somebody else wrote makes no line of its own, and no colours.

use tracing_subscriber::{
    field::MakeExt as _,
    fmt::{FormatFields, format},
};

/// `name=value`, the message without a name. JSON escapes by itself.
pub(super) fn escaped() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let one = format::debug_fn(|writer, field, value| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        for c in format!("{value:?}").chars() {
            if c.is_control() {
                write!(writer, "{}", c.escape_default())?;
            } else {
                writer.write_char(c)?;
            }
        }
        Ok(())
    });
    one.delimited(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tracing::Subscriber;
    use tracing_subscriber::{fmt::layer, layer::SubscriberExt as _, registry};

    use super::{super::heard::Log, *};

    /// What is written of an event whose values somebody else chose.
    fn written(log: impl Subscriber + Send + Sync + 'static, lines: &Log) -> String {
        let forged = "x\n2026-01-01T00:00:00Z ERROR ocmt: the node was taken over\r\u{1b}[31m\u{85}\"} {\"level\":\"ERROR\"";
        tracing::subscriber::with_default(log, || {
            tracing::warn!(shown = %forged, quoted = forged, debug = ?forged, "refused {forged}");
        });
        lines.text()
    }

    fn is_one_line(text: &str) {
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n') && text.contains("refused"), "{text}");
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
    }

    #[test]
    fn what_somebody_else_wrote_makes_no_line_of_text() {
        let lines = Log::default();
        let to = lines.clone();
        let logs = layer().with_writer(move || to.clone()).with_ansi(false).compact().fmt_fields(escaped());
        is_one_line(&written(registry().with(logs), &lines));
    }

    #[test]
    fn nor_a_line_or_field_of_json() {
        let lines = Log::default();
        let to = lines.clone();
        let logs = layer().with_writer(move || to.clone()).with_ansi(false).json().flatten_event(true);
        let text = written(registry().with(logs), &lines);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
    }
}
