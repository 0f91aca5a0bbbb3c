//! Who asks. A message to a tenant's actor carries its [`Caller`]; nothing is decided without one.

use std::net::IpAddr;

use ocmt_types::{ApiKeyId, ProgramTokenId, RequestId, SessionId, TenantId, Timestamp, UserId};

/// What a session was signed in with, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A link to an address that is not the account's, by a guardian's word: to propose one ceremony, and nothing before
    /// guardians have signed for it.
    Inert,
    /// A magic link, and the second factor is due: good for showing it and for nothing else.
    PendingMfa,
    /// A recovery link: ceremonies and nothing else, until one is released.
    Recovery,
    /// A magic link.
    Link,
    /// A magic link and a second factor.
    Mfa,
}

impl From<ocmt_store::tables::Assurance> for Assurance {
    fn from(stored: ocmt_store::tables::Assurance) -> Self {
        match stored {
            ocmt_store::tables::Assurance::Inert => Self::Inert,
            ocmt_store::tables::Assurance::PendingMfa => Self::PendingMfa,
            ocmt_store::tables::Assurance::Narrowed | ocmt_store::tables::Assurance::Recovery => {
                Self::Recovery
            }
            ocmt_store::tables::Assurance::Link => Self::Link,
            ocmt_store::tables::Assurance::Mfa => Self::Mfa,
        }
    }
}

impl Assurance {
    /// Whether it is good for recovery at the most.
    pub(crate) fn is_of_recovery(self) -> bool {
        matches!(self, Self::Inert | Self::Recovery)
    }
}

/// A user in a live session. Made by the tenant's actor alone, from a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// Signed in with what.
    pub assurance: Assurance,
    /// When the credential was last shown (what step-up looks at).
    pub authenticated_at: Timestamp,
}

/// A program that acts for a user. Made by the tenant's actor alone, from a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// By which token.
    pub token: ProgramTokenId,
    /// For whom.
    pub user: UserId,
}

/// A user's own program with an API key. Made by the tenant's actor alone, from a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// By which key.
    pub key: ApiKeyId,
    /// Whose.
    pub user: UserId,
}

/// The kinds of askers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user in a session.
    User(SignedIn),
    /// A program with a token of its own.
    Program(Program),
    /// A user's own program with an API key.
    Key(Key),
    /// An operator of the cluster, by the subject of the certificate.
    Operator(String),
    /// Nobody yet: the request itself presents a one-time token.
    Anonymous,
    /// The tenant's own timers and messages from other tenants.
    System,
}

/// Who asks, in which tenant. A `User` can only come from [`crate::System::authenticate`].
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) principal: Principal,
    pub(crate) request: RequestId,
    pub(crate) addr: Option<IpAddr>,
}

impl Caller {
    /// Somebody who presents a one-time token inside the request.
    pub fn anonymous(tenant: TenantId, request: RequestId, addr: Option<IpAddr>) -> Self {
        Self { tenant, principal: Principal::Anonymous, request, addr }
    }

    /// An operator; the node has checked the certificate.
    pub fn operator(tenant: TenantId, subject: String, request: RequestId, addr: Option<IpAddr>) -> Self {
        Self { tenant, principal: Principal::Operator(subject), request, addr }
    }

    /// The tenant's own work.
    pub(crate) fn system(tenant: TenantId, request: RequestId) -> Self {
        Self { tenant, principal: Principal::System, request, addr: None }
    }

    pub(crate) fn signed_in(
        tenant: TenantId,
        who: SignedIn,
        request: RequestId,
        addr: Option<IpAddr>,
    ) -> Self {
        Self { tenant, principal: Principal::User(who), request, addr }
    }

    pub(crate) fn of_program(
        tenant: TenantId,
        program: Program,
        request: RequestId,
        addr: Option<IpAddr>,
    ) -> Self {
        Self { tenant, principal: Principal::Program(program), request, addr }
    }

    pub(crate) fn of_key(tenant: TenantId, key: Key, request: RequestId, addr: Option<IpAddr>) -> Self {
        Self { tenant, principal: Principal::Key(key), request, addr }
    }

    /// The tenant whose state may be touched.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The kind of asker.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The request this belongs to, as answers and logs name it.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// From where, if known.
    pub fn addr(&self) -> Option<IpAddr> {
        self.addr
    }

    /// The user and session, if it is a user in a session. No key is one.
    pub fn user(&self) -> Option<SignedIn> {
        match self.principal {
            Principal::User(who) => Some(who),
            Principal::Program(_)
            | Principal::Key(_)
            | Principal::Operator(_)
            | Principal::Anonymous
            | Principal::System => None,
        }
    }

    /// Whose call it is, in a session or by an API key.
    pub(crate) fn person(&self) -> Option<UserId> {
        match self.principal {
            Principal::User(who) => Some(who.user),
            Principal::Key(key) => Some(key.user),
            Principal::Program(_) | Principal::Operator(_) | Principal::Anonymous | Principal::System => None,
        }
    }

    /// The program, if it is one.
    pub(crate) fn program(&self) -> Option<Program> {
        match self.principal {
            Principal::Program(program) => Some(program),
            _ => None,
        }
    }

    /// As audit records, idempotency rows and limits name the asker: the user over all sessions, a program or key by itself.
    pub fn label(&self) -> String {
        match &self.principal {
            Principal::User(who) => label_of(who.user),
            Principal::Program(program) => format!("program:{}", program.token),
            Principal::Key(key) => format!("key:{}", key.key),
            Principal::Operator(subject) => format!("operator:{subject}"),
            Principal::Anonymous => "anonymous".to_owned(),
            Principal::System => "system".to_owned(),
        }
    }
}

/// The same of a user who is not asking.
pub(crate) fn label_of(user: UserId) -> String {
    format!("user:{user}")
}
