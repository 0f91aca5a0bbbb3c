//! Where alerts of a tenant go.

pub use ocmt_store::tables::AlertKind;
use ocmt_types::{AlertChannelId, NoticeId, Secret, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::users::Done;
use crate::{call::calls, ports::Mail};

/// How bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To know.
    #[default]
    Info,
    /// To look at.
    Warning,
    /// To act on.
    Critical,
}

impl Severity {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A channel, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelInfo {
    /// Which one.
    pub id: AlertChannelId,
    /// What it is.
    pub kind: String,
    /// For people.
    pub name: String,
    /// Where to: an address, or scheme and host.
    pub hint: String,
    /// The least that is sent.
    pub min_severity: Severity,
    /// Actions that it is for; none for what is an alert by itself.
    pub actions: Vec<String>,
    /// When it took an alert that somebody sent to try it.
    pub verified_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Make or change a channel.
pub struct PutChannel {
    /// Which one; none makes one.
    pub channel: Option<AlertChannelId>,
    /// What it is; it stays that.
    pub kind: AlertKind,
    /// 1 to 100 bytes.
    pub name: String,
    /// An address, or an https URL; none keeps what is there.
    pub target: Option<Secret<String>>,
    /// Routing key, or key of the signature; none keeps what is there.
    pub secret: Option<Secret<String>>,
    /// The least that is sent.
    pub min_severity: Severity,
    /// Actions, or beginnings of them that end in `.` or `/`.
    pub actions: Vec<String>,
}

/// All channels of the tenant: they are few.
#[derive(Debug, Clone, Copy)]
pub struct ListChannels;

/// Delete a channel.
#[derive(Debug, Clone, Copy)]
pub struct DeleteChannel {
    /// Which one.
    pub channel: AlertChannelId,
}

/// Try a channel. The node hands over what it is answered with ([`crate::System::try_channel`]).
#[derive(Debug, Clone, Copy)]
pub struct SendTestAlert {
    /// Which one.
    pub channel: AlertChannelId,
}

/// What became of the alert that somebody sent to try a channel. The node says so.
#[derive(Debug, Clone)]
pub struct ConfirmChannel {
    /// Which one.
    pub channel: AlertChannelId,
    /// As it was when it was tried: a change since makes it another.
    pub updated_at: Timestamp,
    /// What the channel said.
    pub tried: Tried,
    /// The idempotency key that it was tried under: repeats are answered with what it said.
    pub request: Option<Vec<u8>>,
}

/// What a channel said to a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// It took the alert.
    pub taken: bool,
    /// Why not, in the receiver's words; bounded.
    pub why: String,
}

impl Tried {
    /// It took the alert.
    pub const TAKEN: Self = Self { taken: true, why: String::new() };
}

/// Where an alert goes, opened. Not to be kept.
pub struct AlertTarget {
    /// What it is.
    pub kind: AlertKind,
    /// An address, or a URL.
    pub target: Secret<String>,
    /// Routing key, or key of the signature.
    pub secret: Option<Secret<String>>,
}

/// Answer of [`SendTestAlert`].
#[derive(Serialize, Deserialize)]
pub struct Trial {
    /// What is to be handed over, for the first who asks. It has where to in it, and is kept nowhere.
    #[serde(skip)]
    pub mail: Option<Mail>,
    /// For [`ConfirmChannel`].
    pub updated_at: Timestamp,
    /// What the channel said, for who asks again under the same key; none while it has not.
    pub tried: Option<Tried>,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The same at each attempt.
    pub id: NoticeId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// What happened, as the audit calls it.
    pub action: String,
    /// How bad.
    pub severity: Severity,
    /// More, as the audit has it; no secret.
    pub facts: Vec<(String, String)>,
    /// When.
    pub at: Timestamp,
}

calls! {
    /// Calls about alerts.
    Alerts: AlertsCall of "AlertService" {
        write PutChannel => ChannelInfo,
        read ListChannels => Vec<ChannelInfo>,
        write DeleteChannel => Done,
        write SendTestAlert => Trial,
        once ConfirmChannel => Done,
    }
}
