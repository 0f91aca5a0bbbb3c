//! The gRPC services: each method is a translation of its message into a typed call of the actors, and of
//! the answer back. Nothing is decided here.

mod agent_policy;
mod alert;
mod audit;
pub(crate) mod audit_export;
mod audit_retention;
mod audit_stream;
mod audit_wire;
mod auth;
mod connections;
mod container;
mod container_channel;
mod container_watch;
mod container_wire;
pub(crate) mod convert;
mod egress;
mod email_change;
mod factors;
mod group;
mod group_cell;
mod group_unlock;
mod group_vault;
mod keys;
mod pairing;
mod pairing_wire;
mod passkeys;
mod recovery;
mod recovery_watch;
mod recovery_wire;
mod schedule;
mod share;
pub(crate) mod share_wire;
mod shared_writes;
mod snapshot;
mod snapshot_schedule;
mod sso;
pub(crate) mod tenant;
mod tenant_inbox;
mod transcript;
pub mod unimplemented;
mod user;
mod vault;
mod vault_inbox;
mod vault_rotation;
mod vault_watch;
mod vault_wire;

use std::{sync::Arc, time::Duration};

use ocmt_actors::{ActorError, Call, CallMeta, Caller, IdempotencyKey, System};
use ocmt_types::{Clock, RequestId};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status, service::Routes};

use ocmt_proto::v1 as pb;

use crate::{
    edge::{
        call::{self, Verdict},
        error,
    },
    limits::{Wish, tally::Tally},
    sso::Providers,
};

/// What every service stands on.
#[derive(Clone)]
pub struct Rpc {
    system: System,
    clock: Arc<dyn Clock>,
    longest_call: Duration,
    /// What new containers run unless they name another.
    default_image: Arc<str>,
    providers: Arc<Providers>,
    /// What people call the node.
    public_url: Arc<str>,
}

/// Largest message of services that carry no ciphertext, in bytes.
const SMALL: usize = 64 << 10;

/// What a service method answers.
type Answer<T> = Result<Response<T>, Status>;

impl Rpc {
    /// Services of this system; no call may take longer than `longest_call`.
    pub fn new(
        system: System,
        clock: Arc<dyn Clock>,
        longest_call: Duration,
        default_image: &str,
        providers: Arc<Providers>,
        public_url: &str,
    ) -> Self {
        let (default_image, public_url) = (default_image.into(), public_url.into());
        Self { system, clock, longest_call, default_image, providers, public_url }
    }

    /// All services of the client listener, with messages of at most `message_bytes`; `reflects` adds the
    /// description of the services themselves.
    ///
    /// # Errors
    /// When the descriptor cannot be served.
    pub fn routes(
        &self,
        message_bytes: usize,
        reflects: bool,
    ) -> Result<Routes, tonic_reflection::server::Error> {
        let mut routes = Routes::builder();
        macro_rules! serve {
            ($bytes:expr; $($module:ident::$server:ident),+ $(,)?) => {
                $(routes.add_service(pb::$module::$server::new(self.clone()).max_decoding_message_size($bytes));)+
            };
        }
        serve!(
            SMALL;
            auth_service_server::AuthServiceServer,
            tenant_service_server::TenantServiceServer,
            user_service_server::UserServiceServer,
            group_service_server::GroupServiceServer,
            pairing_service_server::PairingServiceServer,
            alert_service_server::AlertServiceServer,
            audit_service_server::AuditServiceServer,
            o_auth_service_server::OAuthServiceServer,
        );
        serve!(
            message_bytes;
            vault_service_server::VaultServiceServer,
            container_service_server::ContainerServiceServer,
            recovery_service_server::RecoveryServiceServer,
            share_service_server::ShareServiceServer,
            transcript_service_server::TranscriptServiceServer,
        );
        let (_, health) = tonic_health::server::health_reporter();
        routes.add_service(health);
        if reflects {
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(ocmt_proto::DESCRIPTOR)
                .build_v1()?;
            routes.add_service(reflection);
        }
        Ok(routes.routes())
    }

    /// What travels beside a request: its deadline, its size, its idempotency key.
    fn meta<T: Message>(&self, request: &Request<T>, key: &[u8]) -> CallMeta {
        let message = request.get_ref();
        let idempotency = (!key.is_empty()).then(|| IdempotencyKey {
            key: key.to_vec(),
            request_hash: Sha256::digest(message.encode_to_vec()).into(),
        });
        CallMeta {
            deadline: call::deadline(request.metadata().as_ref(), &*self.clock, self.longest_call),
            idempotency,
            bytes: message.encoded_len(),
        }
    }

    /// The id of a request.
    fn request_id<T>(request: &Request<T>) -> Result<RequestId, Status> {
        call::request_id(request.extensions()).map_err(|e| error::status(&e))
    }

    /// Who asks, by the session token of the request.
    async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let headers: &http::HeaderMap = request.metadata().as_ref();
        let id = Self::request_id(request)?;
        let deadline = call::deadline(headers, &*self.clock, self.longest_call);
        let (from, verdict) = (call::peer(request.extensions()), Verdict::wanted(request.extensions()));
        let who = async {
            let token = call::bearer(headers)?;
            self.system.authenticate(token, id, from, deadline).await
        };
        let who = who.await;
        match (&who, verdict) {
            (Ok(_), Some(verdict)) => verdict.note(true),
            (Err(ActorError::Unauthenticated(_)), Some(verdict)) => verdict.note(false),
            (_, _) => {}
        }
        let who = who.map_err(|e| error::status(&e))?;
        if let Some(tally) = Tally::wanted(request.extensions()) {
            tally.of(&who).await.map_err(|e| error::status(&e))?;
        }
        Ok(who)
    }

    /// Somebody who need not be known has a letter sent to this address; none if it is a repeat of what was granted.
    async fn letter_to<T: Message>(
        &self,
        request: &Request<T>,
        (what, email): (&str, &str),
    ) -> Result<Option<Wish>, Status> {
        let Some(tally) = Tally::wanted(request.extensions()) else { return Ok(Some(Wish::default())) };
        let Some(wish) = tally.wish(what, &request.get_ref().encode_to_vec()) else { return Ok(None) };
        tally.letter_to(email).await.map_err(|e| error::status(&e))?;
        Ok(Some(wish))
    }

    /// Asks the caller's own tenant.
    async fn ask<T: Message, C: Call>(
        &self,
        request: &Request<T>,
        key: &[u8],
        ask: C,
    ) -> Result<C::Answer, Status> {
        let caller = self.caller(request).await?;
        let meta = self.meta(request, key);
        let answer = self.system.tenant(caller.tenant()).call(caller, meta, ask).await;
        answer.map_err(|e| error::status(&e))
    }
}

/// A status for what a message says that no actor needs to be asked about.
fn refuse(error: &ActorError) -> Status {
    error::status(error)
}
