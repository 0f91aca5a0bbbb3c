//! Orders of other nodes: a container is worked on by its host alone, and its tenant may be owned elsewhere.
//!
//! An order is taken if the ownership it comes with is the current one (the store says so, in one strict
//! read) and the container is pinned to this host. What its actor writes from then on it writes under that
//! ownership: the store's fence holds here exactly as at the owner, and this node claims nothing.

use std::time::Duration;

use ocmt_store::tables::Container;
use ocmt_types::{Deadline, Secret};
use serde::Serialize;

use super::{
    HostMessage,
    errand::{Errand, WireErrand},
    gateway::{Connected, Ticket, Tie},
    links,
    message::{Job, JobKind, Order, What},
    wire::{self, About, AnyOpening, Opened, Opening, Sent, WireOrder, WireWhat},
};
use crate::{
    admission::Permit,
    api::container::Wake,
    call::{Reply, answer_of},
    env::Scope,
    error::ActorError,
    node::NodeMessage,
    ports::RemoteChannel,
    system::System,
};

impl System {
    /// An order of a container's tenant, whose owner is another node. Answers with what was asked, as bytes.
    /// Dropping the future gives up: what nobody waits for any more is not begun.
    ///
    /// # Errors
    /// [`ActorError::NotOwner`] if the order's ownership is not the current one; `HOST_ELSEWHERE` if the
    /// container is pinned to another host; `ORDER_UNKNOWN`; what the container's actor says.
    pub async fn take_order(&self, order: Vec<u8>, deadline: Deadline) -> Result<Vec<u8>, ActorError> {
        match wire::open::<Sent>(&order)? {
            Sent::Session(word) => {
                self.env.links.told(word, self.env.limits.pinned_for);
                wire::seal(&())
            }
            Sent::Order(WireOrder { about, what }) => {
                let permit = self.check(&about, order.len()).await?;
                Taken { system: self, about, deadline, permit }.carry_out(what).await
            }
        }
    }

    /// A channel of a client to a container here, opened by the owner of its tenant, who has admitted it and
    /// watches over its session.
    ///
    /// # Errors
    /// As [`System::take_order`].
    pub async fn take_channel(
        &self,
        opening: Vec<u8>,
        deadline: Deadline,
    ) -> Result<RemoteChannel, ActorError> {
        let bytes = opening.len();
        let (way, Opening { about, good_for_ms, token }) = wire::open::<AnyOpening>(&opening)?.into_parts();
        let permit = self.check(&about, bytes).await?;
        let good_for = Duration::from_millis(good_for_ms).min(self.env.limits.pinned_for);
        let (channel, session) = self.env.links.begin(self.env.ids.random16(), good_for);
        let taken = Taken { system: self, about, deadline, permit };
        let connected = taken.ask(|reply, job| {
            let ticket = Ticket { tie: Tie::Link(session), token: token.map(Secret::new) };
            job(JobKind::Connect(Box::new(ticket), way, reply))
        });
        let Connected(gateway) = connected.await?;
        let opened = wire::seal(&Opened { channel, wake: gateway.wake })?;
        Ok(links::far_end(opened, gateway))
    }

    /// Ready when this host has held its engine against its rows, and takes work for its containers; or when it
    /// is known that this cannot be done now, and such work is refused until it can.
    pub async fn reconciled(&self) {
        let _ = self.env.reconciled.subscribe().wait_for(|done| *done).await;
    }

    /// Refuses what this host is not to do.
    async fn check(&self, about: &About, bytes: usize) -> Result<Permit, ActorError> {
        let (env, ownership) = (&self.env, about.ownership());
        env.neighbours.strict()?;
        let permit = env.admission.take(ownership.tenant, bytes)?;
        let row = {
            let mut tx = env.store.read(ownership).await.map_err(stale)?;
            tx.get::<Container>(about.container).await?
        };
        match row {
            Some(row) if row.host_node != env.node => Err(ActorError::unavailable(
                "HOST_ELSEWHERE",
                "the container is pinned to a host that is not this one",
            )),
            // its actor says what that means for what is ordered: a removal is done
            Some(_) | None => Ok(permit),
        }
    }
}

/// The ownership of an order is not the current one: it was not looked at.
fn stale(error: ocmt_store::StoreError) -> ActorError {
    match error {
        ocmt_store::StoreError::Fenced => ActorError::NotOwner { owner: None },
        error => error.into(),
    }
}

/// An order that may be carried out.
struct Taken<'a> {
    system: &'a System,
    about: About,
    deadline: Deadline,
    permit: Permit,
}

impl Taken<'_> {
    async fn carry_out(self, what: WireWhat) -> Result<Vec<u8>, ActorError> {
        match what {
            WireWhat::Wake => self.answer(|reply, job| job(JobKind::Report(reply))).await,
            WireWhat::ScheduledWake => self.answer(|reply, job| job(JobKind::Scheduled(reply))).await,
            WireWhat::WakeByOther => self.answer(|reply, job| job(JobKind::ByOther(reply))).await,
            WireWhat::Key => self.answer(|reply, job| job(JobKind::Key(reply))).await,
            WireWhat::HoldKey { keep_ms } => {
                let keep = Duration::from_millis(keep_ms);
                self.answer(|reply, job| job(JobKind::Hold(keep, reply))).await
            }
            WireWhat::UnlockTogether { unlock, handover } => {
                let unlock = wire::unlock_together(unlock, handover);
                self.answer(|reply, job| job(JobKind::Unlock(unlock, reply))).await
            }
            WireWhat::Unlock { unlock, sealed_payload, objects } => {
                let unlock = wire::unlock(unlock, sealed_payload, objects);
                self.answer(|reply, job| job(JobKind::Unlock(unlock, reply))).await
            }
            WireWhat::Extend { extension } => {
                self.answer(|reply, job| job(JobKind::Extend(extension, reply))).await
            }
            WireWhat::Pause => self.answer(|reply, _| What::Pause(reply)).await,
            WireWhat::Stop { grace_ms } => {
                let grace = Duration::from_millis(grace_ms);
                self.answer(|reply, _| What::Stop(grace, reply)).await
            }
            WireWhat::Remove => self.answer(|reply, _| What::Remove(reply)).await,
            WireWhat::Hold => self.answer(|reply, _| What::Hold(reply)).await,
            WireWhat::Release => self.answer(|reply, _| What::Release(reply)).await,
            WireWhat::Report => self.answer(|reply, _| What::Report(reply)).await,
            WireWhat::Settle => self.answer(|reply, _| What::Settle(reply)).await,
            WireWhat::Lock { reason, asked: true } => {
                self.answer(|reply, _| What::Lock(reason.into(), Some(reply))).await
            }
            WireWhat::Lock { reason, asked: false } => self.tell(What::Lock(reason.into(), None)),
            WireWhat::Connection(WireErrand::Begin(wish)) => {
                self.answer(|reply, job| job(JobKind::Errand(Errand::Begin(wish, reply)))).await
            }
            WireWhat::Connection(WireErrand::Finish(finish)) => {
                self.answer(|reply, job| job(JobKind::Errand(Errand::Finish(finish, reply)))).await
            }
            WireWhat::Connection(WireErrand::Disconnect(end)) => {
                self.answer(|reply, job| job(JobKind::Errand(Errand::Disconnect(end, reply)))).await
            }
            WireWhat::ArchiveKey { errand } => self.answer(|reply, _| What::ArchiveKey(errand, reply)).await,
            WireWhat::Archive(order) => self.answer(|reply, _| What::Archive(Box::new(order), reply)).await,
            WireWhat::Explain => self.answer(|reply, _| What::Explain(reply)).await,
            WireWhat::SnapshotDue => self.tell(What::SnapshotDue),
            WireWhat::Look => self.tell(What::Look),
            WireWhat::Doubt => self.tell(What::Doubt),
        }
    }

    /// Asks the container's actor, and answers with bytes.
    async fn answer<T: Serialize + Send>(
        self,
        what: impl FnOnce(Reply<T>, &dyn Fn(JobKind) -> What) -> What + Send,
    ) -> Result<Vec<u8>, ActorError> {
        wire::seal(&self.ask(what).await?)
    }

    async fn ask<T: Send>(
        self,
        what: impl FnOnce(Reply<T>, &dyn Fn(JobKind) -> What) -> What + Send,
    ) -> Result<T, ActorError> {
        let Self { system, about, deadline, permit } = self;
        let env = &system.env;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let since = env.clock.boottime().saturating_sub(about.waited());
        let job = |kind| What::Job(Job { kind, deadline: Some(deadline), since, wake: Wake::NONE });
        send(system, about, what(reply, &job));
        answer_of(&env.clock, deadline, answer).await
    }

    /// Tells it something that nobody waits for.
    fn tell(self, what: What) -> Result<Vec<u8>, ActorError> {
        send(self.system, self.about, what);
        wire::seal(&())
    }
}

fn send(system: &System, about: About, what: What) {
    let scope = Scope::new(system.env.clone(), about.ownership());
    let order = Order { container: about.container, scope, turn: about.turn(), what };
    system.env.to_root(NodeMessage::ToHost(HostMessage::Order(Box::new(order))));
}
