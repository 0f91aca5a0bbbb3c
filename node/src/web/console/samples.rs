//! What this node counts, read from what it tells of itself: the same numbers as on `/metrics`.

use std::collections::BTreeMap;

/// Every number of one look.
pub(super) struct Samples(Vec<Sample>);

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// How long something took, how often.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Times {
    /// Up to so many seconds, without those of the bucket before; the last is beyond all.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Samples {
    /// Of a text of OpenMetrics. Labels are words of the code and hold no quote.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The counts of this name by what stands in `label`, of those where `wanted` stands in another.
    pub(super) fn by(&self, name: &str, label: &str, wanted: Option<(&str, &str)>) -> Vec<(String, u64)> {
        let of = self.0.iter().filter(|one| one.name == name);
        let of = of.filter(|one| {
            wanted.is_none_or(|(label, value)| one.labels.get(label).is_some_and(|has| has == value))
        });
        let mut found: Vec<_> =
            of.filter_map(|one| Some((one.labels.get(label)?.clone(), whole(one.value)))).collect();
        found.sort();
        found
    }

    /// One number without labels.
    pub(super) fn one(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|one| one.name == name).map(|one| one.value)
    }

    /// A histogram, of those where `value` stands in `label`.
    pub(super) fn times(&self, name: &str, label: &str, value: &str) -> Times {
        let name = format!("{name}_bucket");
        let of = self.0.iter().filter(|one| one.name == name);
        let of = of.filter(|one| one.labels.get(label).is_some_and(|has| has == value));
        let bound = |one: &Sample| match one.labels.get("le")?.as_str() {
            "+Inf" => Some(f64::INFINITY),
            bound => bound.parse().ok(),
        };
        let mut up_to: Vec<(f64, u64)> = of.filter_map(|one| Some((bound(one)?, whole(one.value)))).collect();
        up_to.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = 0;
        let own = |(bound, all): (f64, u64)| (bound, all.saturating_sub(std::mem::replace(&mut before, all)));
        Times { buckets: up_to.into_iter().map(own).collect() }
    }
}

impl Times {
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Within how many seconds so many of a hundred were; infinite beyond all buckets, none if there were none.
    pub(super) fn within(&self, of_hundred: u64) -> Option<f64> {
        let all = self.count();
        let (mut seen, wanted) = (0, all.saturating_mul(of_hundred).div_ceil(100));
        self.buckets.iter().filter(|_| all > 0).find_map(|(bound, count)| {
            seen += count;
            (seen >= wanted).then_some(*bound)
        })
    }
}

/// `name{label="word",…} value`, with or without labels; what comes after the value is not looked at.
fn sample(line: &str) -> Option<Sample> {
    let (head, rest) = match line.split_once('}') {
        Some((head, rest)) => (head, rest),
        None => line.split_once(' ')?,
    };
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let labels = labels.split(',').filter_map(|pair| pair.split_once('='));
    let labels = labels.map(|(name, word)| (name.to_owned(), word.trim_matches('"').to_owned()));
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels: labels.collect(), value })
}

/// A count, which is never below zero.
fn whole(value: f64) -> u64 {
    format!("{value:.0}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE ocmt_container_wake_seconds histogram\n\
        ocmt_container_wake_seconds_sum{kind=\"start\"} 3.5\n\
        ocmt_container_wake_seconds_bucket{le=\"0.5\",kind=\"start\"} 3\n\
        ocmt_container_wake_seconds_bucket{le=\"2.0\",kind=\"start\"} 9\n\
        ocmt_container_wake_seconds_bucket{le=\"+Inf\",kind=\"start\"} 10\n\
        ocmt_container_wake_seconds_bucket{le=\"0.5\",kind=\"none\"} 0\n\
        ocmt_container_wake_seconds_bucket{le=\"+Inf\",kind=\"none\"} 0\n\
        ocmt_limit_decisions_total{limit=\"read\",decision=\"refused\"} 7\n\
        ocmt_limit_decisions_total{limit=\"read\",decision=\"admitted\"} 12\n\
        ocmt_tenants_awake 4\n\
        # EOF\n";

    #[test]
    fn numbers_are_found_by_name_and_label_and_buckets_are_taken_apart() {
        let all = Samples::read(TEXT);
        assert_eq!(all.one("ocmt_tenants_awake"), Some(4.0));
        assert_eq!(all.one("ocmt_no_such"), None);
        let refused = all.by("ocmt_limit_decisions_total", "limit", Some(("decision", "refused")));
        assert_eq!(refused, [("read".to_owned(), 7)]);
        let times = all.times("ocmt_container_wake_seconds", "kind", "start");
        assert_eq!(times.buckets, [(0.5, 3), (2.0, 6), (f64::INFINITY, 1)]);
        assert_eq!(times.count(), 10);
        assert_eq!(
            (times.within(30), times.within(50), times.within(95)),
            (Some(0.5), Some(2.0), Some(f64::INFINITY))
        );
        assert_eq!(all.times("ocmt_container_wake_seconds", "kind", "none").within(50), None);
        assert_eq!(all.times("ocmt_container_wake_seconds", "kind", "create"), Times::default());
    }
}
