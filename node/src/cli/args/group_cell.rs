//! Arguments of the container that a group's vault may be opened into.

use clap::Subcommand;
use ocmt_client::cell::Mapping;
use ocmt_types::{ContainerId, GroupId};

use super::group_vault::OneGroup;
use crate::config::HumanDuration;

/// `ocmt group vault cell`
#[derive(Subcommand)]
pub enum GroupCellCommand {
    /// Name a container of yours that the vault may be opened into, and the secrets that it gets
    #[command(
        after_help = "Example:\n  ocmt group vault cell appoint 0b8c2a54-… --container 7c1e90d2-… --map DEPLOY_KEY=deploy-key --longest 4h\n\nThe vault has to be open on this device (`ocmt group vault unlock`), and its others hear of it. From then on your container opens with no vault of yours, and `ocmt group vault unlock --into-cell` asks the others. Then `ocmt group vault rotate --keep-cell`: this device had the key."
    )]
    Appoint {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Your container; your only one if you do not say
        #[arg(long, value_name = "ID")]
        container: Option<ContainerId>,
        /// An environment variable and the secret of the group's vault that it gets, VARIABLE=SECRET; may be given more
        /// than once
        #[arg(long, value_name = "VARIABLE=SECRET", required = true)]
        map: Vec<Mapping>,
        /// The longest that it may be asked for at once; 5 minutes to 24 hours
        #[arg(long, value_name = "TIME", default_value = "8h")]
        longest: HumanDuration,
        /// The container runs on another host than before, and that is right
        #[arg(long)]
        accept_host: bool,
    },
    /// Which container it may be opened into, on which host, and whether it is open there
    #[command(after_help = "Example:\n  ocmt group vault cell show 0b8c2a54-…")]
    Show(OneGroup),
    /// End that: what is open in the container is wiped, and it is your own again
    #[command(after_help = "Example:\n  ocmt group vault cell dismiss 0b8c2a54-…")]
    Dismiss {
        /// Which group
        group: GroupId,
    },
    /// Have the container open what enough of you have approved, if the last approval could not
    #[command(
        after_help = "Example:\n  ocmt group vault cell open 0b8c2a54-…\n\n`ocmt group vault approve` does it by itself; this tries again, for example when the container did not answer."
    )]
    Open {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
    },
    /// Lock it before its time is over: what was asked for ends, and the container has no secrets any more
    #[command(
        after_help = "Example:\n  ocmt group vault cell end 0b8c2a54-…\n\nWhoever asked may, and each of those who hold a part."
    )]
    End {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
    },
    /// Wait and say what happens, from asking until it is over
    #[command(after_help = "Example:\n  ocmt group vault cell watch 0b8c2a54-…\n\n^C ends it.")]
    Watch {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
    },
}
