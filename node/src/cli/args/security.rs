//! Arguments of `ocmt security`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ocmt security`
#[derive(Subcommand)]
pub enum SecurityCommand {
    /// Look for what is weak in a node's configuration, files, keys and database; --deep asks the running system
    Audit(SecurityAuditArgs),
    /// Send a trial to the channels that operators are told at, as this configuration names them
    #[command(
        after_help = "Example:\n  ocmt security test-alerts --config /etc/ocmt/ocmt.toml --channel pager\n\nOn the machine of a node, which may run: its files and its way out are those that count."
    )]
    TestAlerts(TestAlertsArgs),
}

/// `ocmt security test-alerts`
#[derive(Args)]
pub struct TestAlertsArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/ocmt/ocmt.toml")]
    pub config: PathBuf,
    /// One of `[[alerts.operators]]`; all of them without it
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
}

/// `ocmt security audit`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt security audit --config /etc/ocmt/ocmt.toml           look, change nothing\n  ocmt security audit --deep --sarif findings.sarif          the running node, its engines and containers too\n  ocmt security audit --fix                                  show what would be changed, ask, change it\n  ocmt security audit --undo security-undo.json              put it back\n\nExit codes: 0 nothing found, 1 something found, 2 something could not be looked at (and nothing was found)"
)]
pub struct SecurityAuditArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/ocmt/ocmt.toml")]
    pub config: PathBuf,
    /// Ask the running node from outside, the engines beside it, and hold running containers against the profile
    #[arg(long)]
    pub deep: bool,
    /// Close files and folders that others may read; shows the changes and asks first
    #[arg(long, conflicts_with = "undo")]
    pub fix: bool,
    /// With --fix: do not ask
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// Put back what an earlier --fix changed, from the file that it wrote
    #[arg(long, value_name = "FILE")]
    pub undo: Option<PathBuf>,
    /// Write the findings as SARIF 2.1.0, for programs that gather them
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
}
