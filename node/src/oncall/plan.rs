//! What a channel is told next: a function of where it is in the audit, of what it was told lately, and of the records behind.
//!
//! Of one action it is told once in [`COOLDOWN`]; what happens meanwhile is counted, and told as a number at its end. So a storm of
//! records is two messages, and what is kept of it is one line.

use std::{collections::BTreeMap, time::Duration};

use ocmt_actors::api::alert::Severity;
use ocmt_crypto::audit::AuditRecord;
use ocmt_store::tables::AuditRow;
use ocmt_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::rules::Wanted;

/// Of one action no more than one in this time.
pub(super) const COOLDOWN: Duration = Duration::from_secs(300);
/// What is older is not told any more: a channel that took nothing for so long is not flooded when it does again.
pub(super) const OLDEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Characters of one fact.
const LONGEST: usize = 160;

/// Where a channel is, and what it was told lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The last record that is dealt with.
    pub(super) seq: i64,
    /// By action. There are as many as rules and names of the configuration, at the most.
    pub(super) groups: BTreeMap<String, Group>,
}

/// One action in its cooldown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// When it was told, in milliseconds.
    at: i64,
    /// How often it happened since.
    held: u64,
    /// How bad, at the worst.
    severity: Severity,
    /// Upon what, the last time.
    last: String,
}

impl Group {
    fn is_over(&self, now: Timestamp) -> bool {
        Timestamp(self.at) + COOLDOWN <= now
    }
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    /// The same at each attempt: of which record, or of which end of a cooldown.
    pub(super) key: String,
    pub(super) action: String,
    pub(super) severity: Severity,
    pub(super) facts: Vec<(String, String)>,
    pub(super) at: Timestamp,
}

/// One step: what is told, if anything, and how it stands once it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) state: State,
    pub(super) alert: Option<Draft>,
}

impl State {
    pub(super) fn read(seq: i64, told: &str) -> Self {
        Self { seq, groups: serde_json::from_str(told).unwrap_or_default() }
    }

    pub(super) fn told(&self) -> String {
        serde_json::to_string(&self.groups).unwrap_or_default()
    }

    /// Whether the end of a cooldown is to be told.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.groups.values().any(|group| group.held > 0 && group.is_over(now))
    }

    /// The next step over `rows`, which come behind it in their order.
    pub(super) fn step(mut self, wanted: &Wanted, rows: &[AuditRow], now: Timestamp) -> Step {
        self.groups.retain(|_, group| group.held > 0 || !group.is_over(now));
        let due = self.groups.iter_mut().find(|(_, group)| group.held > 0 && group.is_over(now));
        if let Some((action, group)) = due {
            let alert = more(action, group, now);
            (group.at, group.held) = (now.0, 0);
            return Step { state: self, alert: Some(alert) };
        }
        for row in rows.iter().filter(|row| row.seq > self.seq).collect::<Vec<_>>() {
            self.seq = row.seq;
            // a record that cannot be read is for whoever verifies the audit
            let Ok(record) = AuditRecord::from_bytes(&row.record) else { continue };
            let severity = wanted.takes(&record.action, record.outcome);
            let Some(severity) = severity.filter(|_| row.at + OLDEST > now) else { continue };
            if let Some(group) = self.groups.get_mut(&record.action) {
                group.held = group.held.saturating_add(1);
                group.severity = group.severity.max(severity);
                group.last.clone_from(&record.object);
                continue;
            }
            let group = Group { at: now.0, held: 0, severity, last: record.object.clone() };
            self.groups.insert(record.action.clone(), group);
            return Step { state: self, alert: Some(draft(row, &record, severity)) };
        }
        Step { state: self, alert: None }
    }
}

fn draft(row: &AuditRow, record: &AuditRecord, severity: Severity) -> Draft {
    let mut facts = vec![("by".to_owned(), row.actor.clone()), ("on".to_owned(), row.object.clone())];
    facts.extend(record.details.iter().cloned());
    facts.push(("record".to_owned(), row.seq.to_string()));
    facts.retain(|(_, value)| !value.is_empty());
    for (_, value) in &mut facts {
        *value = value.chars().take(LONGEST).collect();
    }
    Draft { key: format!("record {}", row.seq), action: record.action.clone(), severity, facts, at: row.at }
}

fn more(action: &str, group: &Group, now: Timestamp) -> Draft {
    let facts = vec![
        ("times_more".to_owned(), group.held.to_string()),
        ("since_at".to_owned(), group.at.to_string()),
        ("last_on".to_owned(), group.last.chars().take(LONGEST).collect()),
    ];
    let key = format!("more {action} {}", group.at);
    Draft { key, action: action.to_owned(), severity: group.severity, facts, at: now }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
