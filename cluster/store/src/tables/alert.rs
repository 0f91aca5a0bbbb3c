//! Where alerts of a tenant go, what was told there lately, and where its audit is streamed to.

use ocmt_types::{AlertChannelId, Timestamp};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Kinds of channels.
    pub enum AlertKind {
        /// Mail.
        Email = "email",
        /// An incoming webhook of Slack.
        Slack = "slack",
        /// A webhook of Discord.
        Discord = "discord",
        /// PagerDuty, Events v2.
        Pagerduty = "pagerduty",
        /// A webhook with a signature.
        Webhook = "webhook",
    }
}

rows! {
    /// A channel of the tenant.
    pub struct AlertChannel: tenant("alert_channels") {
        key {
            /// Which one.
            channel_id: AlertChannelId,
        }
        /// What it is.
        kind: AlertKind,
        /// For people.
        name: String,
        /// Where to, without what is secret of it.
        hint: String,
        /// Target and secret under the sealing key.
        wrapped: Vec<u8>,
        /// 1 to know, 2 to look at, 3 to act on.
        min_severity: i64,
        /// Actions, or beginnings of them, joined by spaces; empty for those that are alerts by themselves.
        actions: String,
        /// When it was last changed.
        updated_at: Timestamp,
        /// When it took an alert that somebody sent to try it.
        verified_at: Option<Timestamp>,
        /// When somebody last tried it.
        tested_at: Option<Timestamp>,
        /// Deleted, and until then told of recoveries all the same.
        ends_at: Option<Timestamp>,
    };

    /// What a channel was told of one action, and what was held back since.
    pub struct AlertGroup: tenant("alert_groups") {
        key {
            /// Which channel.
            channel_id: AlertChannelId,
            /// Which action.
            action: String,
        }
        /// When it was told.
        told_at: Timestamp,
        /// How often it happened since, untold.
        held: i64,
    };

    /// Where the tenant's audit is streamed to, and how far it has come there.
    pub struct AuditStream: tenant("audit_streams") {
        key {}
        /// Another with each change: what was sent before a change says nothing of after it.
        revision: i64,
        /// Where to, without what is secret of it.
        hint: String,
        /// Target and key under the sealing key.
        wrapped: Vec<u8>,
        /// The last record that was taken.
        sent: i64,
        /// Attempts that failed, one after the other.
        failures: i64,
        /// When the first of them did.
        failing_since: Option<Timestamp>,
        /// Why the last of them did.
        said: String,
        /// When the owners were told of it.
        told_at: Option<Timestamp>,
        /// When records were last taken.
        taken_at: Option<Timestamp>,
        /// When it was last changed.
        updated_at: Timestamp,
    };
}
