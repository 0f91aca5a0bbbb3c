//! Arguments of `ocmt schedule` and `ocmt unlock-agent`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::{ContainerId, ScheduleId};

use super::{ContainerArg, PassphraseArgs};

/// `ocmt schedule`
#[derive(Subcommand)]
pub enum ScheduleCommand {
    /// Make a schedule, or change one
    Put(SchedulePutArgs),
    /// The schedules of your container
    #[command(after_help = "Example:\n  ocmt schedule ls")]
    Ls(ContainerArg),
    /// Delete a schedule
    #[command(after_help = "Example:\n  ocmt schedule rm 93b3c1d0-…")]
    Rm {
        /// Which, from `ocmt schedule ls`
        schedule: ScheduleId,
    },
}

/// `ocmt schedule put`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt schedule put '30 7 * * 1-5' --time-zone Europe/Berlin\n  ocmt schedule put '0 3 * * *' --schedule 93b3c1d0-… --off\n\nFive fields: minute, hour, day of the month, month, day of the week; times at least five minutes apart. The container wakes within the minute, locked if it was stopped: `ocmt unlock-agent` on a device of yours can unlock it then."
)]
pub struct SchedulePutArgs {
    /// When: five fields of cron in one argument
    pub cron: String,
    /// IANA name of the zone that the fields are read in
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub time_zone: String,
    /// Which container wakes; may be left out if you have only one
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// Change this schedule, from `ocmt schedule ls`
    #[arg(long, value_name = "ID")]
    pub schedule: Option<ScheduleId>,
    /// Keep it, but let it wake nothing
    #[arg(long)]
    pub off: bool,
}

/// `ocmt unlock-agent`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt unlock-agent --rules rules.toml\n\nA rule of the file, all of it but `hours` and `time_zone` needed:\n\n  [[rule]]\n  container = \"0b8c2a54-6f0e-4a53-9d3c-0b8c2a546f0e\"\n  map = [\"OPENAI_KEY=api-key\"]\n  lease = \"30m\"\n  causes = [\"schedule\"]          # schedule, gateway, call\n  hours = \"07:00-19:00\"\n  time_zone = \"Europe/Berlin\"\n  at_most = 4                    # answers\n  per = \"24h\"\n\nThe first rule that names the container and the cause decides; what none names is not answered. The file must be yours, and writable by nobody else."
)]
pub struct UnlockAgentArgs {
    /// The rules
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// To open the vault, for each answer: from a file, or with the hardware token.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
