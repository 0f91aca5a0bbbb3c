//! `[audit]`: where the heads of audits are handed out to.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError, HumanDuration,
    check::{between, refuse},
};

/// `[audit]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// A file that heads are appended to, one JSON line each: on another machine's disk, or one that is only written to.
    /// Empty for none.
    pub witness_file: PathBuf,
    /// An https URL that heads are posted to, as JSON lines. Empty for none.
    pub witness_url: String,
    /// A file with the key that posts are signed with (HMAC-SHA256), 32 bytes at least, that nobody else may read.
    pub witness_key_file: PathBuf,
    /// A PEM file of the authorities that the URL's certificate may come from; empty for those that the machine trusts.
    pub witness_ca_file: PathBuf,
    /// How often heads of audits that have grown are handed out, 10 s to 24 h.
    pub witness_every: HumanDuration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            witness_file: PathBuf::new(),
            witness_url: String::new(),
            witness_key_file: PathBuf::new(),
            witness_ca_file: PathBuf::new(),
            witness_every: HumanDuration::minutes(10),
        }
    }
}

pub(super) fn check(it: &Audit) -> Result<(), ConfigError> {
    if it.witness_url.is_empty() {
        let named = [
            ("audit.witness_key_file", !it.witness_key_file.as_os_str().is_empty()),
            ("audit.witness_ca_file", !it.witness_ca_file.as_os_str().is_empty()),
        ];
        if let Some((key, _)) = named.into_iter().find(|(_, named)| *named) {
            return Err(refuse(key, "is of no use without audit.witness_url"));
        }
    } else {
        let url = it.witness_url.parse::<http::Uri>().ok();
        let good = url.is_some_and(|url| {
            url.scheme_str() == Some("https")
                && url.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'))
        });
        if !good {
            return Err(refuse("audit.witness_url", "is no https URL without a login"));
        }
        if it.witness_key_file.as_os_str().is_empty() {
            return Err(refuse("audit.witness_key_file", "is needed with audit.witness_url"));
        }
    }
    let bounds = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
    between("audit.witness_every", it.witness_every, bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(it: &Audit) -> Option<&'static str> {
        match check(it) {
            Err(ConfigError::Value { key, .. }) => Some(key),
            _ => None,
        }
    }

    #[test]
    fn heads_are_posted_signed_and_not_in_clear() {
        let key = PathBuf::from("/etc/ocmt/witness.key");
        let by =
            |url: &str| Audit { witness_url: url.into(), witness_key_file: key.clone(), ..Audit::default() };
        assert_eq!(refused(&Audit::default()), None);
        assert_eq!(refused(&by("https://witness.example.org/heads")), None);
        for url in [
            "http://witness.example.org",
            "witness.example.org",
            "https://u:p@witness.example.org",
            "https://",
        ] {
            assert_eq!(refused(&by(url)), Some("audit.witness_url"), "{url}");
        }
        let unsigned = Audit { witness_key_file: PathBuf::new(), ..by("https://witness.example.org") };
        assert_eq!(refused(&unsigned), Some("audit.witness_key_file"));
        let key_alone = Audit { witness_url: String::new(), ..by("https://x") };
        assert_eq!(refused(&key_alone), Some("audit.witness_key_file"));
        let often = Audit { witness_every: HumanDuration::seconds(9), ..Audit::default() };
        assert_eq!(refused(&often), Some("audit.witness_every"));
    }
}
