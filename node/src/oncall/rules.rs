//! Which records of the cluster's own audit operators are told of, and how bad they are.

use ocmt_actors::api::alert::Severity;
use ocmt_crypto::audit::Outcome;

use super::condition;

/// What was done, or has come about.
const DONE: &[(&str, Severity)] = &[
    (condition::AUDIT_LAG, Severity::Warning),
    (condition::WITNESS_REFUSED, Severity::Critical),
    (condition::CERTIFICATE_ENDED, Severity::Critical),
    (condition::CERTIFICATE_ENDS, Severity::Warning),
    ("cluster.accept_restore", Severity::Critical),
    ("cluster.drain", Severity::Info),
    ("cluster.forget", Severity::Critical),
    ("cluster.invite", Severity::Info),
    ("cluster.join", Severity::Warning),
    ("cluster.revoke", Severity::Critical),
    ("cluster.revoke_again", Severity::Critical),
    ("cluster.sealing_alone", Severity::Info),
    ("cluster.sealing_rotate", Severity::Warning),
    (condition::DRIFT, Severity::Critical),
    (condition::LIMIT_STORM, Severity::Warning),
    (condition::NODE_DEAD, Severity::Critical),
    ("node.key", Severity::Warning),
    ("operator.create", Severity::Warning),
    ("operator.first", Severity::Warning),
    ("operator.revoke", Severity::Critical),
    (condition::SEALING_DUE, Severity::Warning),
    ("tenant.delete", Severity::Warning),
    ("tenant.deleted", Severity::Warning),
    ("tenant.suspend", Severity::Info),
];

/// What was refused or failed: somebody tries, or it was meant and did not come about.
const REFUSED: &[(&str, Severity)] = &[
    ("cluster.forget", Severity::Warning),
    ("cluster.revoke", Severity::Warning),
    ("operator.revoke", Severity::Warning),
    ("tenant.delete", Severity::Warning),
];

/// How bad it is; none if it is no alert by itself.
pub fn severity(action: &str, outcome: Outcome) -> Option<Severity> {
    let rules = if outcome == Outcome::Allowed { DONE } else { REFUSED };
    rules.iter().find(|(known, _)| *known == action).map(|(_, severity)| *severity)
}

/// What a channel is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The least that is sent.
    pub min_severity: Severity,
    /// Actions, or beginnings of them that end in `.`; none for what is an alert by itself.
    pub actions: Vec<String>,
}

impl Wanted {
    /// How bad the record is, if the channel is told of it.
    pub(super) fn takes(&self, action: &str, outcome: Outcome) -> Option<Severity> {
        let by_itself = severity(action, outcome);
        let severity = if self.actions.is_empty() {
            by_itself?
        } else {
            let named = self.actions.iter().any(|wanted| {
                wanted == action || (wanted.ends_with('.') && action.starts_with(wanted.as_str()))
            });
            named.then(|| by_itself.unwrap_or_default())?
        };
        (severity >= self.min_severity).then_some(severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_takes_what_it_is_for_from_its_severity_on() {
        let wanted = |min_severity, actions: &[&str]| Wanted {
            min_severity,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        };
        let all = wanted(Severity::Warning, &[]);
        assert_eq!(all.takes("node.dead", Outcome::Allowed), Some(Severity::Critical));
        assert_eq!(all.takes("cluster.drain", Outcome::Allowed), None, "it is to know alone");
        assert_eq!(all.takes("cluster.revoke", Outcome::Denied), Some(Severity::Warning));
        assert_eq!(all.takes("cluster.resume", Outcome::Allowed), None);
        assert_eq!(wanted(Severity::Critical, &[]).takes("limits.storm", Outcome::Allowed), None);
        let moves = wanted(Severity::Info, &["cluster."]);
        assert_eq!(moves.takes("cluster.resume", Outcome::Allowed), Some(Severity::Info));
        assert_eq!(moves.takes("node.dead", Outcome::Allowed), None);
    }
}
