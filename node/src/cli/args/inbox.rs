//! Arguments of the inbox.

use clap::Args;

/// `ocmt inbox`
#[derive(Args)]
#[command(after_help = "Examples:\n  ocmt inbox\n  ocmt inbox --watch --json")]
pub struct InboxListArgs {
    /// Print what comes, until you end it
    #[arg(long)]
    pub watch: bool,
    /// With --watch: go on behind this item; the token that `--json` prints with each
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true, requires = "watch")]
    pub resume: String,
}
