//! `[alerts]`: channels of operators, and how channels are believed.

use std::path::PathBuf;

use ocmt_actors::api::alert::{AlertKind, Severity};
use ocmt_types::Secret;
use serde::{Deserialize, Serialize};

use super::{ConfigError, check::refuse};

/// Channels of operators.
const MOST: usize = 16;
/// Actions of one channel.
const MOST_ACTIONS: usize = 16;
/// Bytes of a key that posts are signed with, at the least.
const KEY: usize = 32;
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
const KEYED: &str = "alerts.operators";

/// `[alerts]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// A PEM file of the authorities that channels' certificates may come from; empty for those that the machine
    /// trusts.
    pub ca_file: PathBuf,
    /// Whether operators' channels may be on private addresses. Tenants' never are, outside `dev` and `demo`.
    pub operators_reach_private: bool,
    /// Channels that operators are told of the cluster at, 16 at most: `name`, `kind` (`slack`, `discord`, `pagerduty`, `webhook`,
    /// `email`), `target_file`, `secret_file`, `min_severity`, `actions`. The same on every node.
    pub operators: Vec<OperatorAlerts>,
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorKind {
    /// Mail, by the node's `[mail]`.
    Email,
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// PagerDuty, Events v2.
    Pagerduty,
    /// A webhook with a signature.
    Webhook,
}

impl From<OperatorKind> for AlertKind {
    fn from(kind: OperatorKind) -> Self {
        match kind {
            OperatorKind::Email => Self::Email,
            OperatorKind::Slack => Self::Slack,
            OperatorKind::Discord => Self::Discord,
            OperatorKind::Pagerduty => Self::Pagerduty,
            OperatorKind::Webhook => Self::Webhook,
        }
    }
}

/// `[[alerts.operators]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorAlerts {
    /// By which nodes know it for the same, 1 to 64 characters of `a` to `z`, `0` to `9`, `-`.
    pub name: String,
    /// What it is.
    pub kind: OperatorKind,
    /// A file with the https URL or the e-mail address that nobody else may read. None for PagerDuty's own.
    #[serde(default)]
    pub target_file: PathBuf,
    /// A file with the routing key of PagerDuty, or the key that a webhook's posts are signed with, 32 bytes at least.
    #[serde(default)]
    pub secret_file: PathBuf,
    /// The least that is sent.
    #[serde(default = "warning")]
    pub min_severity: Severity,
    /// Actions of the cluster's audit, or beginnings of them that end in `.`; none for what is an alert by itself.
    #[serde(default)]
    pub actions: Vec<String>,
}

const fn warning() -> Severity {
    Severity::Warning
}

impl OperatorAlerts {
    /// Where it leads if nothing is said: PagerDuty has one address.
    pub fn default_target(&self) -> String {
        if self.kind == OperatorKind::Pagerduty { PAGERDUTY.to_owned() } else { String::new() }
    }

    /// Whether what the files hold can be used.
    ///
    /// # Errors
    /// What is wrong, without what they hold.
    pub fn check_secrets(
        &self,
        target: &Secret<String>,
        secret: Option<&Secret<String>>,
    ) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{KEYED}: channel {}: {what}", self.name));
        let target = target.expose();
        let is_https = target.parse::<http::Uri>().is_ok_and(|url| {
            url.scheme_str() == Some("https") && url.authority().is_some_and(|at| !at.as_str().contains('@'))
        });
        match self.kind {
            OperatorKind::Email if ocmt_actors::normalised_email(target).is_err() => {
                return wrong("target_file holds no e-mail address");
            }
            OperatorKind::Email => {}
            _ if !is_https => return wrong("target_file holds no https URL without a login"),
            _ => {}
        }
        match (self.kind, secret) {
            (OperatorKind::Webhook, Some(key)) if key.expose().len() < KEY => {
                wrong("secret_file holds fewer than 32 bytes")
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn check(it: &Alerts) -> Result<(), ConfigError> {
    if it.operators.len() > MOST {
        return Err(refuse(KEYED, format!("has more than {MOST} channels")));
    }
    for (at, channel) in it.operators.iter().enumerate() {
        let wrong = |what: &str| Err(refuse(KEYED, format!("channel {:?} {what}", channel.name)));
        let is_name = (1..=64).contains(&channel.name.len())
            && channel.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name {
            return wrong("has a name that is not 1 to 64 of a to z, 0 to 9, -");
        }
        if it.operators[..at].iter().any(|other| other.name == channel.name) {
            return wrong("is there twice");
        }
        let (has_target, has_secret) =
            (!channel.target_file.as_os_str().is_empty(), !channel.secret_file.as_os_str().is_empty());
        if !has_target && channel.kind != OperatorKind::Pagerduty {
            return wrong("needs a target_file");
        }
        let signs = matches!(channel.kind, OperatorKind::Pagerduty | OperatorKind::Webhook);
        if has_secret != signs {
            return wrong(if signs { "needs a secret_file" } else { "has no use for a secret_file" });
        }
        if channel.actions.len() > MOST_ACTIONS
            || channel.actions.iter().any(|it| it.is_empty() || it.len() > 64)
        {
            return wrong("has more than 16 actions, or one that is empty or longer than 64 bytes");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn channel(name: &str, kind: OperatorKind) -> OperatorAlerts {
        let signs = matches!(kind, OperatorKind::Pagerduty | OperatorKind::Webhook);
        OperatorAlerts {
            name: name.to_owned(),
            kind,
            target_file: "/etc/ocmt/ops.url".into(),
            secret_file: if signs { "/etc/ocmt/ops.key".into() } else { PathBuf::new() },
            min_severity: warning(),
            actions: Vec::new(),
        }
    }

    fn refused(operators: Vec<OperatorAlerts>) -> bool {
        check(&Alerts { operators, ..Alerts::default() }).is_err()
    }

    #[test]
    fn a_channel_has_a_name_of_its_own_and_what_its_kind_needs() {
        let slack = || channel("ops", OperatorKind::Slack);
        assert!(!refused(vec![slack(), channel("pager", OperatorKind::Pagerduty)]));
        assert!(refused(vec![slack(), slack()]), "nodes would take the two for one");
        for name in ["", "Ops", "o p", &"o".repeat(65)] {
            assert!(refused(vec![channel(name, OperatorKind::Slack)]), "{name}");
        }
        assert!(refused(vec![OperatorAlerts { target_file: PathBuf::new(), ..slack() }]));
        assert!(refused(vec![OperatorAlerts { secret_file: "/x".into(), ..slack() }]));
        let unsigned = OperatorAlerts { secret_file: PathBuf::new(), ..channel("w", OperatorKind::Webhook) };
        assert!(refused(vec![unsigned]));
        let own = OperatorAlerts { target_file: PathBuf::new(), ..channel("p", OperatorKind::Pagerduty) };
        assert!(!refused(vec![own]));
        assert!(refused((0..17).map(|n| channel(&format!("c{n}"), OperatorKind::Slack)).collect()));
    }

    #[test]
    fn what_its_files_hold_is_looked_at_and_not_repeated() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let webhook = channel("w", OperatorKind::Webhook);
        let good = secret("https://hooks.example.org/x");
        assert!(webhook.check_secrets(&good, Some(&secret(&"k".repeat(32)))).is_ok());
        for url in
            ["http://hooks.example.org/topsecret", "https://u:topsecret@hooks.example.org", "topsecret"]
        {
            let why = webhook.check_secrets(&secret(url), Some(&secret(&"k".repeat(32)))).unwrap_err();
            assert!(!why.contains("topsecret"), "{why}");
        }
        assert!(webhook.check_secrets(&good, Some(&secret("short"))).is_err());
        let email = channel("e", OperatorKind::Email);
        assert!(email.check_secrets(&secret("ops@example.org"), None).is_ok());
        assert!(email.check_secrets(&secret("ops"), None).is_err());
    }

    #[test]
    fn a_channel_is_read_from_the_file_of_the_configuration() {
        let text = "[[operators]]\nname = \"ops\"\nkind = \"slack\"\ntarget_file = \"/etc/ocmt/ops.url\"\nmin_severity = \"critical\"";
        let read: Alerts = toml::from_str(text).unwrap();
        let expected =
            OperatorAlerts { min_severity: Severity::Critical, ..channel("ops", OperatorKind::Slack) };
        assert_eq!(read.operators, [expected]);
        assert!(toml::from_str::<Alerts>(&text.replace("target_file", "url")).is_err());
    }
}
