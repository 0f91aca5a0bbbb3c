//! What people ask, and what they are answered.

use std::sync::Arc;

use ocmt_actors::api::{
    container::{ContainerInfo, ContainerSpec},
    vault::Write,
};
use ocmt_crypto::{token::Token, vault::Upload};
use ocmt_types::{ContainerId, TenantId, VaultId};

/// A call of a person.
#[derive(Clone)]
pub(crate) enum Ask {
    /// A tenant of one's own.
    SignUp(String),
    /// A link to sign in.
    Link(String),
    /// A session for the token of a mail.
    Exchange(String),
    /// A session for the token of an invitation.
    Join(String),
    /// Something in a session.
    Call {
        /// Of which tenant.
        tenant: TenantId,
        /// The session token.
        token: String,
        /// The same for repeats.
        key: Option<[u8; 16]>,
        /// What.
        what: What,
    },
}

/// What is asked in a session.
#[derive(Clone)]
pub(crate) enum What {
    /// Make the vault.
    CreateVault(VaultId, Arc<Upload>),
    /// Write to it.
    Put(Box<Write>),
    /// How far it is.
    GetVault,
    /// Bring somebody in.
    Invite(String),
    /// Ask somebody to be a guardian.
    InviteGuardian(VaultId, String),
    /// Make a container.
    Create(Box<ContainerSpec>),
    /// The containers.
    List,
    /// Bring it to running.
    Wake(ContainerId),
    /// Freeze it.
    Pause(ContainerId),
    /// Stop it.
    Stop(ContainerId),
    /// Remove it.
    Remove(ContainerId),
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// It was heard.
    Heard,
    /// A session.
    Session(String, TenantId),
    /// The counter of the manifest that is stored now.
    Wrote(u64),
    /// Counter and manifest.
    Vault(u64, Vec<u8>),
    /// A container.
    Container(Box<ContainerInfo>),
    /// All of them.
    Containers(Vec<ContainerInfo>),
}

impl Ask {
    /// Whom it is about; none for what any node does.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::SignUp(_) | Self::Link(_) => None,
            Self::Exchange(token) | Self::Join(token) => {
                Token::parse(token).ok().and_then(|token| token.tenant())
            }
            Self::Call { tenant, .. } => Some(*tenant),
        }
    }
}
