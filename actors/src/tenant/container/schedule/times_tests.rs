#![allow(clippy::unwrap_used)]
use ocmt_store::testing::id;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap().to_string()
}

/// The next `n` times, each taken when it comes.
fn times(cron: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
    let times = Times::parse(cron, zone).unwrap();
    let (mut now, mut last, mut all) = (at(from), None, Vec::new());
    for _ in 0..n {
        let Some(next) = times.next(now, last) else { break };
        all.push(shown(next));
        (now, last) = (next, Some(next));
    }
    all
}

fn refused(cron: &str, zone: &str) -> bool {
    Times::parse(cron, zone).and_then(|times| times.check(at("2026-11-29T00:00:00Z"))).is_err()
}

#[test]
fn a_fixed_time_comes_once_a_day_also_where_the_clock_jumps() {
    let of = |from| times("30 2 * * *", "Europe/Berlin", from, 3);
    // there is no 02:30 on the 29th of March: it comes at 03:00, the end of the gap
    assert_eq!(
        of("2026-03-27T12:00:00Z"),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // and two of it on the 25th of October: it comes at the first
    assert_eq!(
        of("2026-10-23T12:00:00Z"),
        ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
}

#[test]
fn what_repeats_comes_whenever_the_clock_shows_it() {
    let autumn = times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 5);
    assert_eq!(
        autumn,
        [
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z"
        ]
    );
    let spring = times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:45:00Z", 2);
    assert_eq!(spring, ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
    // a clock that goes back by half an hour leads nowhere in a circle
    let lord_howe = times("0 5 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2);
    assert_eq!(lord_howe, ["2026-04-04T18:30:00Z", "2026-04-05T18:30:00Z"]);
}

#[test]
fn the_last_of_a_month_is_there_in_december_too() {
    let last = times("0 0 L * *", "UTC", "2026-11-29T00:00:00Z", 3);
    assert_eq!(last, ["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"]);
}

#[test]
fn what_is_due_too_often_or_never_or_is_nothing_is_refused() {
    for cron in ["* * * * *", "*/4 * * * *", "0,3 5 * * 1", "59,0 * * * *"] {
        assert!(refused(cron, "UTC"), "{cron}: too often");
    }
    for cron in ["0 0 31 2 *", "0 0 30 2 *"] {
        assert!(refused(cron, "UTC"), "{cron}: never");
    }
    for cron in
        ["", "@daily", "0 0 * * * *", "60 * * * *", "0 0 * *", "H 0 * * *", "0 0 * * MOON", "0 0 * * 1\u{a0}"]
    {
        assert!(refused(cron, "UTC"), "{cron}: no five fields");
    }
    for zone in ["", "Berlin", "../etc/localtime", "Europe/Berlin\0", "UTC+1", &"x".repeat(65)] {
        assert!(refused("0 0 * * *", zone), "{zone}: no zone");
    }
    assert!(!refused("*/5 * * * *", "America/New_York") && !refused("0 0 29 2 *", "UTC"));
}

#[test]
fn a_clock_that_goes_back_leads_to_no_time_that_was_taken() {
    let times = Times::parse("*/5 * * * *", "UTC").unwrap();
    let taken = at("2026-11-29T12:00:00Z");
    let next = times.next(at("2026-11-29T03:00:00Z"), Some(taken)).unwrap();
    assert_eq!(shown(next), "2026-11-29T12:05:00Z");
}

#[test]
fn those_of_midnight_are_spread_over_a_minute() {
    let midnight = at("2026-11-29T00:00:00Z");
    let spread: Vec<_> = (0..200).map(|n| fires_at(id(n), midnight).since(midnight)).collect();
    assert!(spread.iter().all(|after| *after < SPREAD));
    for second in 0..6 {
        let tenth = |after: &&Duration| after.as_secs() / 10 == second;
        let there = spread.iter().filter(tenth).count();
        assert!((15..60).contains(&there), "{there} of 200 in one sixth of the minute");
    }
    assert_eq!(
        fires_at(id(7), midnight).since(midnight),
        fires_at(id(7), at("2026-12-01T00:00:00Z")).since(at("2026-12-01T00:00:00Z"))
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_times_keep_their_distance(
        cron in "[0-9*/,L#W?-]{1,6} [0-9*/,-]{1,5} [0-9*L/,W-]{1,5} [0-9A-Z*/,-]{1,4} [0-9A-Z*#L,-]{1,4}",
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu"]),
        from in 1_700_000_000_000_i64..1_900_000_000_000,
    ) {
        if let Ok(times) = Times::parse(&cron, zone) {
            let (mut now, mut last) = (Timestamp(from), None);
            for _ in 0..20 {
                let Some(next) = times.next(now, last) else { break };
                prop_assert!(next > now);
                prop_assert_eq!(next.0 % 60_000, 0);
                prop_assert!(last.is_none_or(|last: Timestamp| next.since(last) >= MIN_INTERVAL));
                (now, last) = (next, Some(next));
            }
        }
    }
}
