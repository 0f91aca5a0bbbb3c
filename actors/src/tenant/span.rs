//! How long something takes, as refusals say it.

use std::time::Duration;

/// Whole minutes, a started one counted.
pub(super) fn span(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_minute_counts_and_what_is_none_is_not_said() {
        for (seconds, said) in [(0, "0 min"), (1, "1 min"), (3_600, "1 h"), (3_601, "1 h 1 min")] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }
}
