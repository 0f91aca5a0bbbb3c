//! Arguments of what people of a tenant do together.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use ocmt_client::{
    group::MemberRole,
    pairing::{DirectPolicy, GroupPolicy},
};
use ocmt_types::{ContainerId, GroupId, PairingId, ResourceId, SenderId, UserId};

use super::GroupVaultCommand;

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
    /// Delete a group with its vault; the containers in it stay
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
    /// The vault that the group has together
    #[command(subcommand)]
    Vault(GroupVaultCommand),
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

/// What becomes of direct messages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DirectChoice {
    /// Paired senders are let through, unknown ones get a pairing code
    Pairing,
    /// Paired senders are let through, nobody else hears anything
    Allowlist,
    /// Everybody is let through
    Open,
    /// Nobody is
    Disabled,
}

impl From<DirectChoice> for DirectPolicy {
    fn from(choice: DirectChoice) -> Self {
        match choice {
            DirectChoice::Pairing => Self::Pairing,
            DirectChoice::Allowlist => Self::Allowlist,
            DirectChoice::Open => Self::Open,
            DirectChoice::Disabled => Self::Disabled,
        }
    }
}

/// What becomes of messages in groups of a messenger.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GroupChoice {
    /// Paired senders are let through, nobody else hears anything
    Allowlist,
    /// Everybody is let through
    Open,
    /// Nobody is
    Disabled,
}

impl From<GroupChoice> for GroupPolicy {
    fn from(choice: GroupChoice) -> Self {
        match choice {
            GroupChoice::Allowlist => Self::Allowlist,
            GroupChoice::Open => Self::Open,
            GroupChoice::Disabled => Self::Disabled,
        }
    }
}

/// `ocmt pairing`
#[derive(Subcommand)]
pub enum PairingCommand {
    /// Ask, as the adapter of a channel does, whether a sender may talk to an agent
    #[command(after_help = "Example:\n  ocmt pairing check 77aa01c2-… telegram 4711 --name Ada")]
    Check {
        /// Whose agent
        container: ContainerId,
        /// Which messenger
        channel: String,
        /// The messenger's id of the sender
        sender: String,
        /// The message came from a group of the messenger with this id
        #[arg(long, value_name = "ID")]
        group: Option<String>,
        /// The name that the sender shows
        #[arg(long, default_value = "")]
        name: String,
        /// Ask as the program of this file, which `ocmt share program create` wrote
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// List the senders that wait
    #[command(after_help = "Example:\n  ocmt pairing pending")]
    Pending,
    /// Let a sender through, by the code that the sender shows you
    #[command(
        after_help = "Example:\n  ocmt pairing approve 0b8c2a54-…\n\nThe code is asked for, or read from standard input. Five wrong ones end the pairing."
    )]
    Approve {
        /// Which, from `ocmt pairing pending`
        pairing: PairingId,
    },
    /// Refuse a sender
    #[command(after_help = "Example:\n  ocmt pairing reject 0b8c2a54-…")]
    Reject {
        /// Which, from `ocmt pairing pending`
        pairing: PairingId,
    },
    /// List the senders that are let through
    #[command(after_help = "Example:\n  ocmt pairing senders")]
    Senders,
    /// Let a sender through no longer
    #[command(after_help = "Example:\n  ocmt pairing revoke 93b3c1d0-…")]
    Revoke {
        /// Which, from `ocmt pairing senders`
        sender: SenderId,
    },
}
