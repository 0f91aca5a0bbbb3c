//! The public face: start the tree, ask a tenant, stop.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Deadline, RequestId, SessionId, TenantId};
use ractor::{Actor as _, ActorRef};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{
    call::{Call, CallMeta, Incoming, Reply, answer_of},
    caller::{Caller, Principal},
    env::{Env, SystemConfig},
    error::ActorError,
    letter,
    meters::Queued,
    node::{NodeMessage, NodeSupervisor},
    supervisor,
    tenant::{Authenticate, OpenStream, TenantMessage, api_key, program},
    tenants::Drain,
};

/// What is cut off has left within this.
const LAST_DEPARTURES: Duration = Duration::from_secs(5);
/// How often a stream without a lease looks at the time.
const PINNED_LOOK: Duration = Duration::from_millis(250);

/// The actors of one node. Cheap to clone.
#[derive(Clone)]
pub struct System {
    pub(crate) env: Arc<Env>,
    pub(crate) root: ActorRef<NodeMessage>,
    /// Bounds the work before sign-in.
    pub(crate) lobby: Arc<Semaphore>,
    /// Bounds the work after an answer before sign-in. Its places are others: work that waits for one would be handed all
    /// that come free, and shut out who begins.
    pub(crate) afterwards: Arc<Semaphore>,
    /// Bounds what was answered before sign-in and is still to be done.
    pub(crate) waiting: Arc<Semaphore>,
}

impl System {
    /// Starts the tree. The node's incarnation is registered as live in the store before.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if the tree does not start; [`ActorError::InvalidArgument`] if the
    /// default policy is not lawful in this mode.
    pub async fn start(config: SystemConfig) -> Result<Self, ActorError> {
        config.policy.check(config.mode)?;
        let lobby = Arc::new(Semaphore::new(config.limits.lobby));
        let afterwards = Arc::new(Semaphore::new(config.limits.lobby));
        let waiting = Arc::new(Semaphore::new(config.limits.lobby_waiting));
        let env = Arc::new(Env::new(config));
        let (root, _) = NodeSupervisor::spawn(None, NodeSupervisor, Arc::clone(&env))
            .await
            .map_err(|error| ActorError::unavailable("NOT_STARTED", error.to_string()))?;
        Ok(Self { env, root, lobby, afterwards, waiting })
    }

    /// Stops in good order: nothing new is taken, what runs is finished (for at most `patience`),
    /// tenants are given up so that another node may take them.
    ///
    /// # Errors
    /// As [`System::drain`].
    pub async fn stop(&self, patience: Duration) -> Result<(), ActorError> {
        let drained = self.drain(patience, watch::Sender::new(0)).await;
        self.env.root.send_replace(None);
        let _ = self.root.stop_and_wait(Some("node stops".to_owned()), None).await;
        drained
    }

    /// Gives all tenants up, many at a time: each goes on until its turn, finishes what it has, and is free
    /// for another node. No tenant is activated here from now on; calls for one that has left are refused
    /// as [`ActorError::NotOwner`], unread. After `patience` tenants leave with work unfinished. `progress`
    /// shows how many are left.
    ///
    /// # Errors
    /// [`ActorError::DeadlineExceeded`] if some have not been given up; [`ActorError::Unavailable`] without
    /// a lease.
    pub async fn drain(&self, patience: Duration, progress: watch::Sender<usize>) -> Result<(), ActorError> {
        let deadline = Deadline::after(&*self.env.clock, patience);
        let (reply, answer) = Reply::new(self.env.request_id(), None);
        let _ = self.root.cast(NodeMessage::Drain(Drain { patience: deadline, progress, reply }));
        self.departed(deadline, answer).await
    }

    /// Takes tenants again after a [`System::drain`], whether that has ended or not.
    pub fn resume(&self) {
        let _ = self.root.cast(NodeMessage::Resume);
    }

    /// Gives one tenant up, for a move: finishes what it has (for at most `patience`) and answers when
    /// another node may claim it. It is not claimed here again for two seconds.
    ///
    /// # Errors
    /// As [`System::drain`].
    pub async fn release(&self, tenant: TenantId, patience: Duration) -> Result<(), ActorError> {
        let deadline = Deadline::after(&*self.env.clock, patience);
        let (reply, answer) = Reply::new(self.env.request_id(), None);
        let _ = self.root.cast(NodeMessage::Release(tenant, deadline, reply));
        self.departed(deadline, answer).await
    }

    /// Those who leave after their patience do so within this.
    async fn departed(
        &self,
        patience: Deadline,
        answer: oneshot::Receiver<Result<(), ActorError>>,
    ) -> Result<(), ActorError> {
        let rest = patience.remaining(&*self.env.clock) + LAST_DEPARTURES;
        answer_of(&self.env.clock, Deadline::after(&*self.env.clock, rest), answer).await
    }

    /// The node's lease is lost, or it was declared dead: every tenant's actor stops now. Nothing is given
    /// up, for others take over by themselves; nothing is answered any more but with
    /// [`ActorError::no_lease`]. Open streams go on for [`Limits::pinned_for`](crate::Limits::pinned_for); with
    /// them ends what is left of the tree. Final for this `System`: the node's next life starts another.
    pub async fn abort(&self) {
        self.env.ended.store(true, Ordering::Release);
        let (reply, answer) = Reply::new(self.env.request_id(), None);
        let _ = self.root.cast(NodeMessage::Abort(reply));
        let deadline = Deadline::after(&*self.env.clock, LAST_DEPARTURES);
        if answer_of(&self.env.clock, deadline, answer).await.is_err() {
            tracing::warn!("some tenants did not stop at once");
        }
        self.end_with_its_streams();
    }

    /// The containers' actors, their listener at the engine, reminder and mail go on for streams alone: without
    /// an end, each lost lease would leave a tree behind for as long as the process lives.
    fn end_with_its_streams(&self) {
        let system = self.clone();
        supervisor::detach(async move {
            let since = system.env.clock.boottime().saturating_add(LAST_DEPARTURES);
            pinned(&system.env, since).await;
            system.env.root.send_replace(None);
            let _ = system.root.stop_and_wait(Some("this life is over".to_owned()), None).await;
        });
    }

    /// Tenants that are awake here, or on their way in or out.
    pub fn awake(&self) -> usize {
        self.env.awake.load(Ordering::Relaxed)
    }

    /// A tenant of this node, awake or not.
    pub fn tenant(&self, tenant: TenantId) -> TenantHandle<'_> {
        TenantHandle { system: self, tenant }
    }

    /// Whose token of a session or a program, or whose API key this is. The caller it answers with is good for calls to its own tenant, each of
    /// which looks at the session again in a fenced transaction. By itself it proves nothing: a session that
    /// is known is answered for from memory, under the lease alone, so nothing may be told to the caller
    /// before such a call.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`] for whatever is not the token of a live session.
    pub async fn authenticate(
        &self,
        token: &str,
        request: RequestId,
        addr: Option<IpAddr>,
        deadline: Deadline,
    ) -> Result<Caller, ActorError> {
        let refused = ActorError::Unauthenticated("the session is unknown or has ended");
        let token = Token::parse(token).map_err(|_| refused.clone())?;
        let kind = token.kind();
        // of a tenant that does not exist it is told what an unknown one of a tenant that does is told
        let refused = match kind {
            TokenKind::Session => refused,
            TokenKind::Program => program::ENDED,
            TokenKind::ApiKey => api_key::ENDED,
            TokenKind::Link | TokenKind::Invite | TokenKind::SignUp => return Err(refused),
        };
        let tenant = token.tenant().ok_or(refused.clone())?;
        self.env.strict()?;
        let token_hash = token.hash();
        let permit = self.env.admission.take_token(tenant, &token_hash, token.expose().len())?;
        let (reply, answer) = Reply::new(request, Some(permit));
        let ask = Authenticate { kind, token_hash, request, addr, deadline, reply };
        self.send(tenant, TenantMessage::Authenticate(ask));
        match answer_of(&self.env.clock, deadline, answer).await {
            Ok(caller) => {
                self.env.admission.meet(token_hash);
                Ok(caller)
            }
            // a tenant that does not exist has no sessions
            Err(ActorError::NotFound) => Err(refused),
            Err(error) => {
                if matches!(error, ActorError::Unauthenticated(_)) {
                    self.env.admission.forget(&token_hash);
                }
                Err(error)
            }
        }
    }

    /// Wraps what a tenant of this node has under an earlier generation of the sealing key under the latest.
    /// Nothing is done for a tenant that is another node's to work for. In small transactions; cut off anywhere,
    /// it goes on with the next call.
    ///
    /// # Errors
    /// What the tenant says; [`ActorError::DeadlineExceeded`] if there is more than fits in the time.
    pub async fn rewrap(&self, tenant: TenantId, deadline: Deadline) -> Result<(), ActorError> {
        if !self.env.neighbours.is_ours(tenant).await? {
            return Ok(());
        }
        loop {
            let permit = self.env.admission.take(tenant, 0)?;
            let (reply, answer) = Reply::new(self.env.request_id(), Some(permit));
            self.send(tenant, TenantMessage::Rewrap(reply));
            if !answer_of(&self.env.clock, deadline, answer).await? {
                return Ok(());
            }
        }
    }

    /// Takes a letter for a tenant that another node brought ([`crate::Neighbours::deliver`] there), and
    /// answers with what goes back.
    ///
    /// # Errors
    /// [`ActorError::NotOwner`] if the tenant is worked on elsewhere: nothing was read. What the tenant says.
    pub async fn deliver(
        &self,
        tenant: TenantId,
        letter: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, ActorError> {
        letter::receive(&self.env, tenant, &letter, deadline).await
    }

    pub(crate) fn send(&self, tenant: TenantId, message: TenantMessage) {
        let _ = self.root.cast(NodeMessage::ToTenant(tenant, message));
    }
}

/// Asks a tenant's actor on this node.
pub(crate) async fn ask<C: Call>(
    env: &Arc<Env>,
    tenant: TenantId,
    caller: Caller,
    meta: CallMeta,
    request: C,
) -> Result<C::Answer, ActorError> {
    env.strict()?;
    let permit = match caller.principal {
        Principal::Anonymous => env.admission.take_stranger(tenant, meta.bytes)?,
        Principal::User(_)
        | Principal::Program(_)
        | Principal::Key(_)
        | Principal::Operator(_)
        | Principal::System => env.admission.take_call(tenant, C::METHOD, meta.bytes)?,
    };
    let deadline = meta.deadline;
    let (mut reply, answer) = Reply::new(caller.request, Some(permit));
    reply.queue(Queued::now(env));
    let message =
        C::into_message(Incoming { request, caller: Box::new(caller), meta: Box::new(meta), reply });
    env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::Call(Box::new(message.0))));
    answer_of(&env.clock, deadline, answer).await
}

/// One tenant, to be asked.
#[derive(Clone, Copy)]
pub struct TenantHandle<'a> {
    pub(crate) system: &'a System,
    pub(crate) tenant: TenantId,
}

impl TenantHandle<'_> {
    /// Asks the tenant's actor and waits for the answer, at most until the deadline.
    ///
    /// # Errors
    /// What the call says; [`ActorError::ResourceExhausted`] if the tenant has too much unanswered
    /// work; [`ActorError::NotFound`] for a caller of another tenant.
    pub async fn call<C: Call>(
        &self,
        caller: Caller,
        meta: impl Into<CallMeta> + Send,
        request: C,
    ) -> Result<C::Answer, ActorError> {
        if caller.tenant != self.tenant {
            return Err(ActorError::NotFound);
        }
        ask(&self.system.env, self.tenant, caller, meta.into(), request).await
    }

    /// Ties a stream to the caller's session: the guard tells when the session is over.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`] if there is no live session.
    pub async fn open_stream(&self, caller: &Caller, deadline: Deadline) -> Result<StreamGuard, ActorError> {
        let who = caller.user().ok_or(ActorError::Unauthenticated("a session is needed"))?;
        if caller.tenant != self.tenant {
            return Err(ActorError::NotFound);
        }
        StreamGuard::tie(&self.system.env, self.tenant, who.session, deadline).await
    }
}

/// Why a stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The session was ended, or its time is over.
    SessionOver,
    /// The tenant is worked on elsewhere by now, or its actor failed: open the stream again.
    Moved,
    /// This node has been without a lease for too long: open the stream again, at another node.
    LeaseLost,
}

/// Held by an open stream. The stream ends when [`StreamGuard::over`] is ready.
pub struct StreamGuard {
    over: watch::Receiver<bool>,
    env: Arc<Env>,
    tenant: TenantId,
    session: SessionId,
    /// Since when nobody could tell it of an end, by the clock that does not jump.
    alone_since: Option<Duration>,
}

impl StreamGuard {
    async fn tie(
        env: &Arc<Env>,
        tenant: TenantId,
        session: SessionId,
        deadline: Deadline,
    ) -> Result<Self, ActorError> {
        env.strict()?;
        let permit = env.admission.take(tenant, 0)?;
        let (reply, answer) = Reply::new(env.request_id(), Some(permit));
        let open = TenantMessage::OpenStream(OpenStream { session, reply });
        env.to_root(NodeMessage::ToTenant(tenant, open));
        let over = answer_of(&env.clock, deadline, answer).await?;
        Ok(Self { over, env: Arc::clone(env), tenant, session, alone_since: None })
    }

    /// The same anew, at a tenant of this node.
    pub(crate) async fn again(&self, deadline: Deadline) -> Result<Self, ActorError> {
        Self::tie(&self.env, self.tenant, self.session, deadline).await
    }

    pub(crate) fn env(&self) -> &Arc<Env> {
        &self.env
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Ready when there is nothing more to wait for here: true if the session was ended, false if its actor
    /// is gone.
    pub(crate) async fn ended(&mut self) -> bool {
        self.over.wait_for(|over| *over).await.is_ok()
    }

    /// The stream carried something in either direction: the session is in use. To be told in
    /// batches, at most every 30 s or so.
    pub fn used(&self) {
        self.env.to_root(NodeMessage::ToTenant(self.tenant, TenantMessage::Used(self.session)));
    }

    /// Ready when the stream has to end. If the session's actor is gone, and with it what could end the
    /// stream, that is now; but a node that has lost its lease lets its streams go on for a bounded time, so
    /// that a failing database does not end every terminal. It may be dropped and asked again.
    pub async fn over(&mut self) -> StreamEnd {
        if self.ended().await {
            return StreamEnd::SessionOver;
        }
        let env = &self.env;
        if !env.ended.load(Ordering::Acquire) {
            return StreamEnd::Moved;
        }
        let since = *self.alone_since.get_or_insert_with(|| env.clock.boottime());
        pinned(env, since).await;
        StreamEnd::LeaseLost
    }
}

/// Ready when what is pinned since that boot time has had its time.
async fn pinned(env: &Env, since: Duration) {
    loop {
        let alone = env.clock.boottime().saturating_sub(since);
        match env.limits.pinned_for.checked_sub(alone) {
            None | Some(Duration::ZERO) => return,
            // in steps: the runtime's timers stand still while the machine is suspended
            Some(rest) => tokio::time::sleep(rest.min(PINNED_LOOK)).await,
        }
    }
}
