//! Arguments of the change of one's address.

use clap::Subcommand;

/// `ocmt email`
#[derive(Subcommand)]
pub enum EmailCommand {
    /// Ask for another address: a link goes there, a notice to the address of now
    #[command(
        after_help = "Examples:\n  ocmt email change new@example.org\n  ocmt email change new@example.org < link.txt\n\nAsks for the link, which works in this session alone; leave it empty to show it later with `ocmt email confirm`. The new address counts a day after that (the tenant's policy may say otherwise), and then your other sessions end. A recent sign-in is needed: `ocmt step-up`."
    )]
    Change {
        /// The new address
        address: String,
    },
    /// Show the link that came to the new address, in the session that asked for it
    #[command(
        after_help = "Example:\n  ocmt email confirm\n\nAsks for the link, or reads it from standard input."
    )]
    Confirm,
    /// The change that is under way, and from when it counts
    #[command(after_help = "Example:\n  ocmt email show")]
    Show,
    /// Stop it, from any session of yours
    #[command(after_help = "Example:\n  ocmt email cancel")]
    Cancel,
}
