//! Arguments of alerts.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ocmt_types::AlertChannelId;

/// `ocmt alert`
#[derive(Subcommand)]
pub enum AlertCommand {
    /// List the channels, without their secrets
    #[command(after_help = "Example:\n  ocmt alert ls --json")]
    Ls,
    /// Make a channel, or change one
    Put(AlertPutArgs),
    /// Send an alert to a channel to try it; recovery notices go to channels that took one
    #[command(after_help = "Example:\n  ocmt alert test 018f4c1e-7f5a-4a53-9b1f-5b8f5a1c0d11")]
    Test {
        /// Which one, of `ocmt alert ls`
        channel: AlertChannelId,
    },
    /// Delete a channel; one that was tried hears of recoveries for one lock period more
    #[command(after_help = "Example:\n  ocmt alert rm 018f4c1e-7f5a-4a53-9b1f-5b8f5a1c0d11")]
    Rm {
        /// Which one, of `ocmt alert ls`
        channel: AlertChannelId,
    },
}

/// `ocmt alert put`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt alert put ops --kind slack --target-file slack.url --min-severity warning\n  ocmt alert put pager --kind pagerduty --secret-file routing.key --min-severity critical\n  ocmt alert put siem --kind webhook --target-file siem.url --secret-file siem.key --action VaultService/\n  ocmt alert put me --kind email --target ada@example.org\n\nA URL that works for whoever has it is a secret: it is given in a file."
)]
pub struct AlertPutArgs {
    /// Name for people
    pub name: String,
    /// What it is
    #[arg(long, value_enum)]
    pub kind: AlertKindArg,
    /// Which channel to change; without it one is made
    #[arg(long, value_name = "ID")]
    pub channel: Option<AlertChannelId>,
    /// An address of somebody of the tenant, for --kind email
    #[arg(long, value_name = "TARGET", conflicts_with = "target_file")]
    pub target: Option<String>,
    /// A file with the URL that nobody else may read
    #[arg(long, value_name = "FILE")]
    pub target_file: Option<PathBuf>,
    /// A file with PagerDuty's routing key, or the key that posts to a webhook are signed with
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The least that is sent
    #[arg(long, value_enum, default_value_t = AlertSeverityArg::Warning)]
    pub min_severity: AlertSeverityArg,
    /// Only this action of the audit, or those that begin like it if it ends in `.` or `/`; may be given more than once
    #[arg(long, value_name = "ACTION")]
    pub action: Vec<String>,
}

/// Kind of a channel.
#[derive(Clone, Copy, ValueEnum)]
pub enum AlertKindArg {
    /// Mail
    Email,
    /// An incoming webhook of Slack
    Slack,
    /// A webhook of Discord
    Discord,
    /// PagerDuty, Events v2
    Pagerduty,
    /// A webhook, signed with HMAC-SHA256
    Webhook,
}

/// How bad.
#[derive(Clone, Copy, ValueEnum)]
pub enum AlertSeverityArg {
    /// To know
    Info,
    /// To look at
    Warning,
    /// To act on
    Critical,
}
