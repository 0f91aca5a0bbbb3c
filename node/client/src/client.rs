//! A client of one cluster, signed in or not: typed access to every service of whichever node answers.

use bytes::Bytes;
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock, SystemClock, TenantId, UserId};
use tonic::service::interceptor::InterceptedService;

use crate::{
    ClientError,
    connect::{Bearer, Credential, Target},
    routes::Routes,
};

type Authed = InterceptedService<Routes, Bearer>;

/// Who the client is signed in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The tenant of the session.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
}

/// Connections and, once signed in, a credential. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    routes: Routes,
    bearer: Bearer,
    identity: Option<Identity>,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident => $module:ident :: $client:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> pb::$module::$client<Authed> {
            pb::$module::$client::with_interceptor(self.routes.clone(), self.bearer.clone())
        }
    )+};
}

impl Client {
    /// Connects without a credential.
    ///
    /// # Errors
    /// [`ClientError::Connect`] or [`ClientError::Usage`].
    pub async fn connect(target: Target) -> Result<Self, ClientError> {
        Ok(Self { routes: Routes::connect(target).await?, bearer: Bearer::default(), identity: None })
    }

    /// The same connections with a credential; its calls find their own way.
    #[must_use]
    pub fn signed_in(&self, credential: Credential, identity: Identity) -> Self {
        let routes = self.routes.another();
        Self { routes, bearer: Bearer(Some(credential)), identity: Some(identity) }
    }

    /// Who it is signed in as.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it is not signed in.
    pub fn identity(&self) -> Result<Identity, ClientError> {
        self.identity.ok_or_else(|| ClientError::Usage("not signed in: run `ocmt login`".to_owned()))
    }

    /// The credential it is signed in with.
    pub fn credential(&self) -> Option<&Credential> {
        self.bearer.0.as_ref()
    }

    /// Where it is connected to.
    pub fn target(&self) -> &Target {
        self.routes.target()
    }

    /// Where calls go, the best first: the node that answered last, then the others it was given.
    pub fn endpoints(&self) -> Vec<String> {
        self.routes.endpoints()
    }

    /// The clock that certificates and statements are checked against.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &SystemClock
    }

    services! {
        /// Sign-in and sessions.
        auth => auth_service_client::AuthServiceClient,
        /// Tenants.
        tenants => tenant_service_client::TenantServiceClient,
        /// Users of the tenant.
        users => user_service_client::UserServiceClient,
        /// Groups.
        groups => group_service_client::GroupServiceClient,
        /// Vaults.
        vaults => vault_service_client::VaultServiceClient,
        /// Containers.
        containers => container_service_client::ContainerServiceClient,
        /// Shares and programs.
        shares => share_service_client::ShareServiceClient,
        /// Senders on messengers.
        pairings => pairing_service_client::PairingServiceClient,
        /// Guardians and ceremonies.
        recovery => recovery_service_client::RecoveryServiceClient,
        /// Connections of containers to other people's services.
        oauth => o_auth_service_client::OAuthServiceClient,
        /// Conversations.
        transcripts => transcript_service_client::TranscriptServiceClient,
        /// Alerts.
        alerts => alert_service_client::AlertServiceClient,
        /// The audit.
        audit => audit_service_client::AuditServiceClient,
    }
}

/// A fresh idempotency key.
pub(crate) fn idempotency_key() -> Bytes {
    Bytes::copy_from_slice(&rand::random::<[u8; 16]>())
}

/// An id in an answer.
pub(crate) fn id<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, ClientError> {
    text.parse().map_err(|_| ClientError::Answer(field))
}

/// A message in an answer that has to be there.
pub(crate) fn present<T>(value: Option<T>, field: &'static str) -> Result<T, ClientError> {
    value.ok_or(ClientError::Answer(field))
}
