//! Arguments of what people of a tenant do together.

use clap::{Subcommand, ValueEnum};
use ocmt_client::group::MemberRole;
use ocmt_types::{ContainerId, GroupId, ResourceId, UserId};

/// A role in a group.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GroupRole {
    /// Sees what is in the group
    Observer,
    /// Starts and stops it, and puts own containers there
    Member,
    /// Says who is in it
    Admin,
}

impl From<GroupRole> for MemberRole {
    fn from(role: GroupRole) -> Self {
        match role {
            GroupRole::Observer => Self::Observer,
            GroupRole::Member => Self::Member,
            GroupRole::Admin => Self::Admin,
        }
    }
}

/// `ocmt group`
#[derive(Subcommand)]
pub enum GroupCommand {
    /// Make a group with yourself as its administrator
    #[command(after_help = "Example:\n  ocmt group create \"Night shift\"")]
    Create {
        /// Its name, unique in the tenant
        name: String,
    },
    /// List the groups that you may see
    #[command(after_help = "Example:\n  ocmt group ls")]
    Ls,
    /// Show a group with its members and what lies under its permissions
    #[command(after_help = "Example:\n  ocmt group get 0b8c2a54-…")]
    Get {
        /// Which group
        group: GroupId,
    },
    /// Delete a group; the containers in it stay
    #[command(after_help = "Example:\n  ocmt group rm 0b8c2a54-…")]
    Rm {
        /// Which group
        group: GroupId,
    },
    /// Take a user of the tenant in
    #[command(after_help = "Example:\n  ocmt group add 0b8c2a54-… 5f1d7e60-… --role observer")]
    Add {
        /// Which group
        group: GroupId,
        /// Whom, from `ocmt user ls`
        user: UserId,
        /// As what
        #[arg(long, value_enum, default_value = "member")]
        role: GroupRole,
    },
    /// Give a member another role in the group
    #[command(after_help = "Example:\n  ocmt group role 0b8c2a54-… 5f1d7e60-… admin")]
    Role {
        /// Which group
        group: GroupId,
        /// Whom
        user: UserId,
        /// To what
        #[arg(value_enum)]
        role: GroupRole,
    },
    /// Take a member out, or leave
    #[command(after_help = "Example:\n  ocmt group remove 0b8c2a54-… 5f1d7e60-…")]
    Remove {
        /// Which group
        group: GroupId,
        /// Whom
        user: UserId,
    },
    /// Put a container of yours under the group's permissions: observers see it, members start and stop it
    #[command(after_help = "Example:\n  ocmt group share 0b8c2a54-… 77aa01c2-…")]
    Share {
        /// Which group
        group: GroupId,
        /// Which container
        container: ContainerId,
    },
    /// Take a container out of a group
    #[command(after_help = "Example:\n  ocmt group unshare 93b3c1d0-…")]
    Unshare {
        /// Which, from the list of `ocmt group get`
        resource: ResourceId,
    },
}
