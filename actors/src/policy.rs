//! A tenant's policy: its delays and bounds, and what is refused as unsafe.

use std::{collections::BTreeMap, time::Duration};

use ocmt_crypto::audit::{MAX_DETAILS, MAX_NAME, MAX_TEXT};
use serde::{Deserialize, Serialize};

use crate::{clip::clip, error::ActorError};

/// What kind of system this is. Short delays are for `Dev` and `Demo` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A developer's machine.
    Dev,
    /// `ocmt demo`: everything shortened.
    Demo,
    /// Anything else.
    Production,
}

/// All values in milliseconds unless said otherwise.
///
/// What is stored or comes from another node may be of a newer or an older program: fields that this one does not
/// know are passed over, and those that are missing have their defaults. What users ask for is held against the
/// contract before it becomes one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantPolicy {
    /// A session ends when unused for so long; at most 1 h.
    pub session_idle_ms: i64,
    /// A session ends so long after its issue; at most 24 h.
    pub session_absolute_ms: i64,
    /// Live sessions of one user, 1 to 100; a new one ends the oldest.
    pub sessions_per_user: u32,
    /// Every user needs a second factor: whoever has none can set one up and do nothing else.
    pub require_mfa: bool,
    /// And that factor has to be a passkey: whoever has none can add one and do nothing else.
    pub require_passkey: bool,
    /// A proof of presence is good for sensitive acts for so long; 1 min to 1 h.
    pub step_up_ms: i64,
    /// A mailed link lapses after so long; at most 1 h.
    pub link_ttl_ms: i64,
    /// From confirming another address of a user to its counting; the old one can stop it until then.
    pub email_change_delay_ms: i64,
    /// An idle container is paused after so long.
    pub pause_after_ms: i64,
    /// An idle container is stopped after so long; not before it is paused.
    pub stop_after_ms: i64,
    /// A workload may start without secrets when a stopped container wakes.
    pub start_locked: bool,
    /// From the hand-over of the notice to the earliest release of a ceremony.
    pub recovery_delay_ms: i64,
    /// How long a guardian's lock lasts; the longest of the delays.
    pub lock_ms: i64,
    /// From asking for a change of guardians to its taking effect.
    pub change_delay_ms: i64,
    /// How long a change may be applied after its delay.
    pub change_window_ms: i64,
    /// A transcript goes so long after its last record; 0 for never. Written only where it is not the default.
    #[serde(skip_serializing_if = "is_default")]
    pub transcript_retention_ms: i64,
    /// What becomes of direct messages to agents. Written only where it is not the default, which programs
    /// before it have too (ADR 0011).
    #[serde(skip_serializing_if = "is_default")]
    pub dm_policy: DirectPolicy,
    /// What becomes of messages to agents in groups of a messenger.
    #[serde(skip_serializing_if = "is_default")]
    pub group_policy: GroupPolicy,
    /// Versions of a vault's object that are kept besides the present one, 0 to 100.
    #[serde(skip_serializing_if = "is_default")]
    pub vault_history: u32,
    /// Memory that Argon2id takes at the least for what opens a vault, in MiB.
    #[serde(default = "argon2_memory", skip_serializing_if = "is_argon2_memory")]
    pub argon2_memory_mib: u32,
    /// Passes that it takes at the least.
    #[serde(default = "argon2_passes", skip_serializing_if = "is_argon2_passes")]
    pub argon2_passes: u32,
    /// From asking for the slots of a backup key to getting them; 0 for at once.
    #[serde(skip_serializing_if = "is_default")]
    pub backup_delay_ms: i64,
    /// The same for hardware tokens.
    #[serde(skip_serializing_if = "is_default")]
    pub hardware_delay_ms: i64,
    /// Fields of a newer program. They are kept as they are, so that a change made here loses none of them.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// What becomes of a direct message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectPolicy {
    /// Paired senders are let through; unknown ones get a pairing code.
    #[default]
    Pairing,
    /// Paired senders are let through, and nobody else hears anything.
    Allowlist,
    /// Everybody is let through.
    Open,
    /// Nobody is.
    Disabled,
}

/// What becomes of a message in a group of a messenger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupPolicy {
    /// Paired senders are let through, and nobody else hears anything.
    #[default]
    Allowlist,
    /// Everybody is let through.
    Open,
    /// Nobody is.
    Disabled,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn argon2_memory() -> u32 {
    64
}

const fn argon2_passes() -> u32 {
    3
}

const fn is_argon2_memory(value: &u32) -> bool {
    *value == argon2_memory()
}

const fn is_argon2_passes(value: &u32) -> bool {
    *value == argon2_passes()
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Default for TenantPolicy {
    fn default() -> Self {
        Self {
            session_idle_ms: HOUR,
            session_absolute_ms: DAY,
            sessions_per_user: 10,
            require_mfa: false,
            require_passkey: false,
            step_up_ms: 5 * MINUTE,
            link_ttl_ms: 10 * MINUTE,
            email_change_delay_ms: DAY,
            pause_after_ms: 30 * MINUTE,
            stop_after_ms: 4 * HOUR,
            start_locked: false,
            recovery_delay_ms: 2 * DAY,
            lock_ms: 5 * DAY,
            change_delay_ms: 36 * HOUR,
            change_window_ms: 12 * HOUR,
            transcript_retention_ms: 0,
            dm_policy: DirectPolicy::Pairing,
            group_policy: GroupPolicy::Allowlist,
            vault_history: 0,
            argon2_memory_mib: argon2_memory(),
            argon2_passes: argon2_passes(),
            backup_delay_ms: 0,
            hardware_delay_ms: 0,
            unknown: BTreeMap::new(),
        }
    }
}

impl TenantPolicy {
    /// Checks all values and how they stand to each other.
    ///
    /// # Errors
    /// [`ActorError::InvalidArgument`] naming the first value that is out of bounds.
    pub fn check(&self, mode: Mode) -> Result<(), ActorError> {
        let short = matches!(mode, Mode::Dev | Mode::Demo);
        let least = |production: i64, shortened: i64| if short { shortened } else { production };
        for (field, value, low, high) in [
            ("policy.session_idle_ms", self.session_idle_ms, least(MINUTE, 1_000), HOUR),
            ("policy.session_absolute_ms", self.session_absolute_ms, least(5 * MINUTE, 1_000), DAY),
            ("policy.step_up_ms", self.step_up_ms, MINUTE, HOUR),
            ("policy.sessions_per_user", i64::from(self.sessions_per_user), 1, 100),
            ("policy.vault.kept_versions", i64::from(self.vault_history), 0, 100),
            ("policy.vault.argon2_memory_mib", i64::from(self.argon2_memory_mib), 64, 512),
            ("policy.vault.argon2_passes", i64::from(self.argon2_passes), 3, 6),
            ("policy.link_ttl_ms", self.link_ttl_ms, least(MINUTE, 1_000), HOUR),
            ("policy.email_change_delay_ms", self.email_change_delay_ms, least(HOUR, 0), 30 * DAY),
            ("policy.pause_after_ms", self.pause_after_ms, least(MINUTE, 500), 30 * DAY),
            ("policy.stop_after_ms", self.stop_after_ms, least(MINUTE, 500), 90 * DAY),
            ("policy.recovery_delay_ms", self.recovery_delay_ms, least(HOUR, 100), 90 * DAY),
            ("policy.lock_ms", self.lock_ms, least(HOUR, 100), 90 * DAY),
            ("policy.change_delay_ms", self.change_delay_ms, least(HOUR, 50), 90 * DAY),
            ("policy.change_window_ms", self.change_window_ms, least(HOUR, 50), 90 * DAY),
        ] {
            if !(low..=high).contains(&value) {
                return Err(ActorError::invalid(field, format!("{value} is not between {low} and {high}")));
            }
        }
        for (field, value) in [
            ("policy.vault.backup_delay", self.backup_delay_ms),
            ("policy.vault.hardware_delay", self.hardware_delay_ms),
        ] {
            if value != 0 && !(least(HOUR, 1_000)..=30 * DAY).contains(&value) {
                let why = "is not between an hour and 30 days, nor 0 for at once";
                return Err(ActorError::invalid(field, why));
            }
        }
        if self.transcript_retention_ms != 0 && !(HOUR..=3653 * DAY).contains(&self.transcript_retention_ms) {
            let why = "is not between an hour and ten years, nor 0 for ever";
            return Err(ActorError::invalid("policy.transcript_retention_ms", why));
        }
        self.check_order()
    }

    fn check_order(&self) -> Result<(), ActorError> {
        if self.session_idle_ms > self.session_absolute_ms {
            return Err(ActorError::invalid("policy.session_idle_ms", "is longer than session_absolute_ms"));
        }
        if self.stop_after_ms <= self.pause_after_ms {
            return Err(ActorError::invalid("policy.stop_after_ms", "must be longer than pause_after_ms"));
        }
        if self.lock_ms < self.recovery_delay_ms {
            return Err(ActorError::invalid("policy.lock_ms", "must be at least recovery_delay_ms"));
        }
        if self.recovery_delay_ms < self.change_delay_ms.saturating_add(self.change_window_ms) {
            return Err(ActorError::invalid(
                "policy.recovery_delay_ms",
                "must be at least change_delay_ms + change_window_ms",
            ));
        }
        Ok(())
    }

    /// The fields that are others in `next`, with what they are there, for the audit: as many as a record holds, the first by name.
    pub(crate) fn changed(&self, next: &Self) -> Vec<(String, String)> {
        let fields = |policy: &Self| match serde_json::to_value(policy) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let before = fields(self);
        let other = fields(next).into_iter().filter(|(name, value)| before.get(name) != Some(value));
        other
            .map(|(name, value)| (clip(&name, MAX_NAME), clip(&value.to_string(), MAX_TEXT)))
            .take(MAX_DETAILS)
            .collect()
    }

    /// Whether a session of one factor alone is unfinished.
    pub(crate) fn wants_factor(&self) -> bool {
        self.require_mfa || self.require_passkey
    }

    /// [`Self::step_up_ms`] as a duration.
    pub(crate) fn step_up(&self) -> Duration {
        positive(self.step_up_ms)
    }

    /// [`Self::session_idle_ms`] as a duration.
    pub(crate) fn session_idle(&self) -> Duration {
        positive(self.session_idle_ms)
    }

    /// [`Self::session_absolute_ms`] as a duration.
    pub(crate) fn session_absolute(&self) -> Duration {
        positive(self.session_absolute_ms)
    }

    /// [`Self::email_change_delay_ms`] as a duration.
    pub(crate) fn email_change_delay(&self) -> Duration {
        positive(self.email_change_delay_ms)
    }

    /// [`Self::transcript_retention_ms`] as a duration; none for ever.
    pub(crate) fn transcript_retention(&self) -> Option<Duration> {
        (self.transcript_retention_ms > 0).then(|| positive(self.transcript_retention_ms))
    }

    /// [`Self::link_ttl_ms`] as a duration.
    pub(crate) fn link_ttl(&self) -> Duration {
        positive(self.link_ttl_ms)
    }
}

/// Milliseconds as a duration; negative ones are none.
pub(crate) fn positive(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_defaults_are_lawful_in_production() {
        TenantPolicy::default().check(Mode::Production).unwrap();
    }

    #[test]
    fn secure_defaults_of_channels_are_what_programs_before_them_read_and_write() {
        let text = serde_json::to_string(&TenantPolicy::default()).unwrap();
        assert!(!text.contains("policy"), "{text}");
        let read: TenantPolicy = serde_json::from_str(&text).unwrap();
        assert_eq!((read.dm_policy, read.group_policy), (DirectPolicy::Pairing, GroupPolicy::Allowlist));
        let open = TenantPolicy { dm_policy: DirectPolicy::Open, ..read };
        assert_eq!(
            serde_json::from_str::<TenantPolicy>(&serde_json::to_string(&open).unwrap()).unwrap(),
            open
        );
    }

    #[test]
    fn seconds_are_for_dev_and_demo_alone() {
        let short = TenantPolicy {
            pause_after_ms: 2_000,
            stop_after_ms: 4_000,
            recovery_delay_ms: 1_000,
            lock_ms: 1_000,
            change_delay_ms: 400,
            change_window_ms: 400,
            ..TenantPolicy::default()
        };
        short.check(Mode::Demo).unwrap();
        short.check(Mode::Dev).unwrap();
        assert_eq!(short.check(Mode::Production).unwrap_err().reason(), "INVALID_ARGUMENT");
        let at_once = TenantPolicy { email_change_delay_ms: 0, ..TenantPolicy::default() };
        at_once.check(Mode::Dev).unwrap();
        assert_eq!(at_once.check(Mode::Production).unwrap_err().reason(), "INVALID_ARGUMENT");
    }

    #[test]
    fn a_stored_policy_of_a_newer_and_of_an_older_program_is_read() {
        let own = TenantPolicy { sessions_per_user: 3, require_mfa: true, ..TenantPolicy::default() };
        let mut stored = serde_json::to_value(&own).unwrap();
        let fields = stored.as_object_mut().unwrap();
        fields.insert("of_tomorrow".to_owned(), serde_json::json!({"more": [1]}));
        let read = serde_json::from_value::<TenantPolicy>(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), stored, "a change made here would lose it");
        assert_eq!(TenantPolicy { unknown: BTreeMap::new(), ..read }, own);
        stored.as_object_mut().unwrap().remove("require_mfa");
        let read = serde_json::from_value::<TenantPolicy>(stored.clone()).unwrap();
        assert_eq!((read.sessions_per_user, read.require_mfa), (3, false));
        // a field that is there and makes no sense is no default
        stored.as_object_mut().unwrap().insert("require_mfa".to_owned(), serde_json::json!("yes"));
        assert!(serde_json::from_value::<TenantPolicy>(stored).is_err());
    }

    #[test]
    fn the_delays_of_recovery_stand_in_order() {
        let base = TenantPolicy::default();
        assert!(
            TenantPolicy { lock_ms: base.recovery_delay_ms - 1, ..base.clone() }
                .check(Mode::Production)
                .is_err()
        );
        assert!(
            TenantPolicy { change_window_ms: 12 * HOUR + 1, ..base.clone() }.check(Mode::Production).is_err()
        );
        assert!(TenantPolicy { stop_after_ms: base.pause_after_ms, ..base }.check(Mode::Production).is_err());
    }
}
