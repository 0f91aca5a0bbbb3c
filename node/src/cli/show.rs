//! Times, ids and facts as people read them.

use std::time::Duration;

use ocmt_types::{Clock as _, SystemClock, Timestamp};

/// Lines of `name: value`, aligned.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let lines = facts.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{:width$}{value}", format!("{name}:"))).collect::<Vec<_>>().join("\n")
}

/// A point of time: `2026-11-22 16:20 UTC`, or a dash.
pub(super) fn at(time: Option<Timestamp>) -> String {
    let text = time.and_then(|time| jiff::Timestamp::from_millisecond(time.millis()).ok());
    text.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// A point of time with its distance: `2026-11-22 16:20 UTC (in 2 h 5 min)`, or a dash.
pub(super) fn when(time: Option<Timestamp>) -> String {
    let Some(then) = time else { return "-".to_owned() };
    let now = SystemClock.now();
    if then > now {
        format!("{} (in {})", at(time), span(then.since(now)))
    } else {
        format!("{} ({} ago)", at(time), span(now.since(then)))
    }
}

/// A length of time in its two largest units.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let both = |a: u64, a_unit: &str, b: u64, b_unit: &str| {
        if b == 0 { format!("{a} {a_unit}") } else { format!("{a} {a_unit} {b} {b_unit}") }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => both(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => both(hours, "h", minutes, "min"),
        86_400..172_800 => both(days, "day", hours, "h"),
        _ => both(days, "days", hours, "h"),
    }
}

/// A count with its noun: `1 secret`, `2 secrets`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The beginning of a long id: enough to name it.
pub(super) fn short(id: &impl std::fmt::Display) -> String {
    id.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_show_their_two_largest_units() {
        let of = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([of(59), of(60), of(125)], ["59 s", "1 min", "2 min 5 s"]);
        assert_eq!([of(7_500), of(90_000), of(172_800)], ["2 h 5 min", "1 day 1 h", "2 days"]);
        assert_eq!([count(1, "secret"), count(0, "secret")], ["1 secret", "0 secrets"]);
    }

    #[test]
    fn times_are_told_in_utc_and_facts_without_a_value_are_left_out() {
        assert_eq!(at(Some(Timestamp(0))), "1970-01-01 00:00 UTC");
        assert_eq!(facts(&[("a", "1".to_owned()), ("long", String::new())]), "a:    1");
    }
}
