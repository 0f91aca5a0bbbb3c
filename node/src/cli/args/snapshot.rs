//! Arguments of `ocmt snapshot`.

use clap::{Args, Subcommand};
use ocmt_types::{ContainerId, SnapshotId};

use super::{ContainerArg, PassphraseArgs};

/// `ocmt snapshot`
#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// Take a snapshot of your stopped container's volume
    #[command(
        after_help = "Example:\n  ocmt container stop && ocmt snapshot create\n\nIts key is made here and goes to a cell that runs nothing beside your container: whoever keeps the snapshot reads nothing of it. To have them taken by themselves: `ocmt snapshot schedule set`."
    )]
    Create(SnapshotCreateArgs),
    /// Your snapshots
    #[command(after_help = "Example:\n  ocmt snapshot ls")]
    Ls(ContainerArg),
    /// Put a snapshot in the place of your stopped container's volume
    #[command(
        after_help = "Example:\n  ocmt container stop && ocmt snapshot restore 93b3c1d0-…\n\nAfter `ocmt step-up`. What is in the volume now is gone then: take a snapshot of it first. A snapshot of an earlier container of yours goes into the one you have, on whatever host that is."
    )]
    Restore(SnapshotOpenArgs),
    /// Have a snapshot read to its end, and change nothing
    #[command(after_help = "Example:\n  ocmt container stop && ocmt snapshot verify 93b3c1d0-…")]
    Verify(SnapshotOpenArgs),
    /// When snapshots are taken by themselves
    #[command(subcommand)]
    Schedule(SnapshotScheduleCommand),
    /// Delete a snapshot
    #[command(after_help = "Example:\n  ocmt snapshot rm 93b3c1d0-…\n\nAfter `ocmt step-up`.")]
    Rm {
        /// Which, from `ocmt snapshot ls`
        snapshot: SnapshotId,
    },
}

/// `ocmt snapshot schedule`
#[derive(Subcommand)]
pub enum SnapshotScheduleCommand {
    /// Have snapshots taken by schedule, or change when
    Set(SnapshotScheduleSetArgs),
    /// The schedule, and how it stands
    #[command(
        after_help = "Example:\n  ocmt snapshot schedule show\n\nWith `--json` it is `null` where there is none."
    )]
    Show(ContainerArg),
    /// Take none by schedule any more; those that were taken stay
    #[command(after_help = "Example:\n  ocmt snapshot schedule rm\n\nAfter `ocmt step-up`.")]
    Rm(ContainerArg),
}

/// `ocmt snapshot schedule set`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt snapshot schedule set '0 3 * * *' --time-zone Europe/Berlin --keep 7\n  ocmt snapshot schedule set '0 4 * * *'    another time; zone and number stay\n\nFive fields: minute, hour, day of the month, month, day of the week; times at least five minutes apart. Of a schedule that is there `--time-zone` and `--keep` stay as they are where you leave them out; a new one has UTC and 7. A container that runs or is paused is not stopped for it: what is due is taken when it stops next. Past the number that is kept the oldest goes that a schedule made, but never the newest that was opened (`ocmt snapshot verify`). The schedule is signed here, and names a key that only your vault has; your vault must have pinned the container's host, as it does when you unlock it or take a snapshot."
)]
pub struct SnapshotScheduleSetArgs {
    /// When: five fields of cron in one argument
    pub cron: String,
    /// IANA name of the zone that the fields are read in; as before without it, UTC in a new schedule
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// How many of those that it takes are kept, two fewer at the most than a user may have; as before without it, 7 in a
    /// new schedule. To keep fewer than before takes `ocmt step-up`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub keep: Option<u16>,
    /// Which container; may be left out if you have only one
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt snapshot create`
#[derive(Args)]
pub struct SnapshotCreateArgs {
    /// Which container; may be left out if you have only one
    #[command(flatten)]
    pub which: ContainerArg,
    /// The container is on another host than before, and that is right
    #[arg(long)]
    pub accept_host: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt snapshot restore` and `verify`
#[derive(Args)]
pub struct SnapshotOpenArgs {
    /// Which snapshot, from `ocmt snapshot ls`
    pub snapshot: SnapshotId,
    /// Which container; may be left out if you have only one
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// The container is on another host than before, and that is right
    #[arg(long)]
    pub accept_host: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
