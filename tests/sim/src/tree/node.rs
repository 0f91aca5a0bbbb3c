//! What one life of a node does with what comes in: people's calls go to the tenant's owner, letters and orders
//! to the actors here.

use std::{sync::Arc, time::Duration};

use ocmt_actors::{
    ActorError, CallMeta, Caller, IdempotencyKey, System,
    api::{
        auth::{Device, ExchangeMagicLink, LinkPurpose, RequestMagicLink, SessionIssued, SignUp},
        container::{
            CreateContainer, ListContainers, PauseContainer, RemoveContainer, StopContainer, WakeContainer,
            Woken,
        },
        recovery::InviteGuardian,
        users::{AcceptInvite, InviteUser, Role},
        vault::{BatchPutEntries, CreateVault, GetVault},
    },
};
use ocmt_cluster::{Route, Router};
use ocmt_types::{Clock, Deadline, Digest32, IdGen, RequestId, Secret};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use turmoil::net::TcpStream;

use super::{
    ask::{Answer, Ask, What},
    wire::{NoAnswer, Parcel},
    world::Tree,
};

/// What every client keeps for the links it asks for.
const BINDING: [u8; 32] = [7; 32];

/// One life of a node, as its listener has it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) tree: Tree,
    pub(crate) machine: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGen>,
    pub(crate) router: Router,
    pub(crate) system: System,
}

impl Node {
    /// One parcel on one connection.
    pub(crate) async fn answer(&self, mut stream: TcpStream) {
        let Ok(number) = stream.read_u64().await else { return };
        self.tree.ground.thaw(self.machine).await;
        let Some(parcel) = self.tree.parcels.take(number) else { return };
        let answer = match parcel {
            Parcel::Ask(ask, hop, within) => {
                Parcel::Answered(Box::new(Box::pin(self.ask(*ask, hop, within)).await))
            }
            Parcel::Letter(tenant, letter, within) => {
                Parcel::Replied(self.system.deliver(tenant, letter, self.deadline(within)).await)
            }
            Parcel::Order(order, within) => {
                Parcel::Replied(self.system.take_order(order, self.deadline(within)).await)
            }
            Parcel::Answered(_) | Parcel::Replied(_) => return,
        };
        self.tree.ground.thaw(self.machine).await;
        let back = self.tree.parcels.put(answer);
        // the caller may be gone
        let _ = stream.write_all(&back.to_be_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline::after(&*self.clock, within)
    }

    /// Carries a call out, or hands it on to whoever has its tenant.
    async fn ask(&self, ask: Ask, hop: u8, within: Duration) -> Result<Answer, ActorError> {
        let Some(tenant) = ask.tenant() else { return self.here(ask, within).await };
        let route = if hop >= 2 { Ok(Route::Here) } else { self.router.route(tenant).await };
        let answer = match route {
            Ok(Route::Here) => self.here(ask, within).await,
            Ok(Route::There(peer)) => {
                let parcel = Parcel::Ask(Box::new(ask), hop + 1, within);
                match self.tree.call(&peer.addr, parcel, within).await {
                    Ok(Parcel::Answered(answer)) => *answer,
                    Ok(_) | Err(NoAnswer::Lost) => Err(ActorError::OutcomeUnknown),
                    Err(NoAnswer::Unsent) => {
                        Err(ActorError::unavailable("PEER_UNREACHABLE", "no connection to the node"))
                    }
                }
            }
            Ok(Route::Nobody) | Err(_) => Err(ActorError::unavailable("NO_ROUTE", "nobody has the tenant")),
        };
        if let Err(ActorError::NotOwner { .. } | ActorError::Unavailable { .. }) = &answer {
            self.router.forget(tenant);
        }
        answer
    }

    async fn here(&self, ask: Ask, within: Duration) -> Result<Answer, ActorError> {
        let (deadline, request): (_, RequestId) = (self.deadline(within), self.ids.id());
        let meta = CallMeta::from(deadline);
        let binding_hash = Digest32(Sha256::digest(BINDING).into());
        match ask {
            Ask::SignUp(email) => {
                let tenant_name = format!("of {email}");
                self.system.sign_up(SignUp { email, tenant_name, binding_hash }).map(|()| Answer::Heard)
            }
            Ask::Link(email) => {
                let purpose = LinkPurpose::SignIn;
                let ask = RequestMagicLink { email, tenant: None, purpose, binding_hash };
                self.system.request_magic_link(ask, request).map(|()| Answer::Heard)
            }
            Ask::Exchange(token) => {
                let binding_secret = Secret::new(BINDING.to_vec());
                let exchange = ExchangeMagicLink {
                    token: Secret::new(token),
                    binding_secret,
                    device: Device::default(),
                };
                Box::pin(self.system.exchange_magic_link(exchange, &meta, request))
                    .await
                    .map(|issued| session(&issued))
            }
            Ask::Join(token) => {
                let accept = AcceptInvite { token: Secret::new(token), device: Device::default() };
                Box::pin(self.system.accept_invite(accept, &meta, request))
                    .await
                    .map(|issued| session(&issued))
            }
            Ask::Call { token, key, what, .. } => {
                let caller = self.system.authenticate(&token, request, None, deadline).await?;
                let idempotency = key.map(|key| IdempotencyKey { key: key.to_vec(), request_hash: [1; 32] });
                Box::pin(self.perform(caller, CallMeta { idempotency, ..meta }, what)).await
            }
        }
    }

    async fn perform(&self, caller: Caller, meta: CallMeta, what: What) -> Result<Answer, ActorError> {
        let tenant = self.system.tenant(caller.tenant());
        match what {
            What::CreateVault(vault, upload) => {
                let create = CreateVault {
                    of_group: None,
                    vault,
                    verify_key: upload.verify_key,
                    slots: upload.slots.clone(),
                    objects: upload.objects.clone(),
                    manifest: upload.manifest.clone(),
                };
                tenant.call(caller, meta, create).await.map(|made| Answer::Wrote(made.counter))
            }
            What::Put(write) => {
                let put = tenant.call(caller, meta, BatchPutEntries(*write)).await;
                put.map(|written| Answer::Wrote(written.counter))
            }
            What::GetVault => {
                let view = tenant.call(caller, meta, GetVault { vault: None }).await?;
                Ok(Answer::Vault(view.info.counter, view.manifest))
            }
            What::Invite(email) => {
                let invite = InviteUser { email, role: Role::Member.into() };
                tenant.call(caller, meta, invite).await.map(|_| Answer::Heard)
            }
            What::InviteGuardian(vault, email) => {
                let invite = InviteGuardian { vault, email, units: 1 };
                tenant.call(caller, meta, invite).await.map(|_| Answer::Heard)
            }
            of_container => self.drive(caller, meta, of_container).await,
        }
    }

    async fn drive(&self, caller: Caller, meta: CallMeta, what: What) -> Result<Answer, ActorError> {
        let tenant = self.system.tenant(caller.tenant());
        let woken = |woken: Woken| Answer::Container(Box::new(woken.container));
        let container = |info| Answer::Container(Box::new(info));
        match what {
            What::Create(spec) => {
                let create = CreateContainer { user: None, spec: *spec, start: true };
                tenant.call(caller, meta, create).await.map(woken)
            }
            What::List => {
                let list = ListContainers { user: None, after: None, limit: 0 };
                tenant.call(caller, meta, list).await.map(|page| Answer::Containers(page.containers))
            }
            What::Wake(id) => tenant.call(caller, meta, WakeContainer { container: id }).await.map(woken),
            What::Pause(id) => {
                tenant.call(caller, meta, PauseContainer { container: id }).await.map(container)
            }
            What::Stop(id) => {
                let stop = StopContainer { container: id, grace: Duration::from_secs(1) };
                tenant.call(caller, meta, stop).await.map(container)
            }
            What::Remove(id) => {
                let remove = RemoveContainer { container: id, delete_volume: false };
                tenant.call(caller, meta, remove).await.map(|()| Answer::Heard)
            }
            _ => Err(ActorError::Unimplemented("in this simulation")),
        }
    }
}

fn session(issued: &SessionIssued) -> Answer {
    Answer::Session(issued.token.expose().clone(), issued.tenant)
}
