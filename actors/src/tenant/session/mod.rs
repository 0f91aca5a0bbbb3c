//! One live sign-in session: its deadlines and its open streams.
//!
//! Supervised by the tenant's actor, started when the session's token is first shown after an
//! activation, gone when the session is idle in memory, over, or the tenant sleeps. Durable: the
//! session's row, which the tenant's work checks again in the transaction of every call; this actor
//! is what ends streams the moment the session is over.

mod state;

use std::sync::Arc;

use ocmt_store::tables::Session;
use ocmt_types::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;

use self::state::{Event, LiveSession, Verdict};
use super::{Authenticate, TenantMessage};
use crate::{
    call::Reply,
    caller::{Assurance, Caller, SignedIn},
    env::Env,
    error::ActorError,
    policy::TenantPolicy,
    supervisor::{self, Task},
};

/// What a session's actor is told.
pub(super) enum SessionMessage {
    /// Its token was shown.
    Authenticate(Authenticate),
    /// A stream of it was used.
    Used,
    /// A stream wants to end with it.
    OpenStream(Reply<watch::Receiver<bool>>),
    /// It was ended.
    End,
    /// It has another token, or another assurance.
    Renewed(Box<Session>, TenantPolicy),
    /// Other deadlines apply.
    Policy(TenantPolicy),
    /// A deadline may have passed; or look whether anybody still listens.
    Look,
    /// Panics, to show that nobody else notices.
    #[cfg(test)]
    Poison(Reply<()>),
}

/// What it begins with.
pub(super) struct SessionStart {
    pub(super) row: Session,
    pub(super) policy: TenantPolicy,
    pub(super) env: Arc<Env>,
    pub(super) tenant: ActorRef<TenantMessage>,
}

/// The actor; what it holds is in [`SessionState`].
pub(super) struct SessionActor;

pub(super) struct SessionState {
    row: Session,
    live: LiveSession,
    env: Arc<Env>,
    tenant: ActorRef<TenantMessage>,
    /// `true` tells all streams that the session is over.
    over: watch::Sender<bool>,
    told_streams: usize,
    alarm: Option<(Timestamp, Task)>,
}

impl Actor for SessionActor {
    type Msg = SessionMessage;
    type State = SessionState;
    type Arguments = SessionStart;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMessage>,
        start: SessionStart,
    ) -> Result<SessionState, ActorProcessingErr> {
        let live = LiveSession::new(&start.row, &start.policy);
        let mut state = SessionState {
            row: start.row,
            live,
            env: start.env,
            tenant: start.tenant,
            over: watch::Sender::new(false),
            told_streams: 0,
            alarm: None,
        };
        state.arm(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMessage>,
        message: SessionMessage,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMessage::Authenticate(ask) => state.authenticate(&myself, ask),
            SessionMessage::OpenStream(reply) => state.open_stream(&myself, reply),
            SessionMessage::Used => state.advance(&myself, Event::Shown),
            SessionMessage::End => state.advance(&myself, Event::Ended),
            SessionMessage::Renewed(row, policy) => state.renewed(&myself, *row, &policy),
            SessionMessage::Policy(policy) => state.advance(&myself, Event::Policy(policy)),
            SessionMessage::Look => state.advance(&myself, Event::Look),
            #[cfg(test)]
            SessionMessage::Poison(_reply) => panic!("poisoned"),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<SessionMessage>,
        _: SupervisionEvent,
        _: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

impl SessionState {
    fn authenticate(&mut self, myself: &ActorRef<SessionMessage>, ask: Authenticate) {
        self.advance(myself, Event::Shown);
        if self.live.is_over() {
            let _ = self.tenant.cast(TenantMessage::ReadAgain(ask));
            return;
        }
        if let Err(error) = self.env.strict() {
            return ask.reply.send(Err(error));
        }
        let who = SignedIn {
            user: self.row.user_id,
            session: self.row.session_id,
            assurance: Assurance::from(self.row.assurance),
            authenticated_at: self.row.authenticated_at,
        };
        ask.reply.send(Ok(Caller::signed_in(self.row.tenant_id, who, ask.request, ask.addr)));
    }

    fn open_stream(&mut self, myself: &ActorRef<SessionMessage>, reply: Reply<watch::Receiver<bool>>) {
        self.advance(myself, Event::Look);
        if self.live.is_over() {
            return reply.send(Err(ActorError::Unauthenticated("the session has ended")));
        }
        reply.send(Ok(self.over.subscribe()));
        self.tell_streams();
    }

    /// One that is over stays so: its row has ended too.
    fn renewed(&mut self, myself: &ActorRef<SessionMessage>, row: Session, policy: &TenantPolicy) {
        if !self.live.is_over() {
            self.live = LiveSession::new(&row, policy);
            self.row = row;
        }
        self.advance(myself, Event::Look);
    }

    /// One step of the pure state, and what follows from it.
    fn advance(&mut self, myself: &ActorRef<SessionMessage>, event: Event) {
        match self.live.step(event, self.env.now(), self.over.receiver_count()) {
            Verdict::Lives => self.arm(myself),
            Verdict::Over => {
                self.over.send_replace(true);
                myself.stop(Some("session over".to_owned()));
            }
            Verdict::Forgettable => myself.stop(Some("not in use".to_owned())),
        }
        self.tell_streams();
    }

    fn tell_streams(&mut self) {
        let streams = if self.live.is_over() { 0 } else { self.over.receiver_count() };
        if streams != self.told_streams {
            self.told_streams = streams;
            let _ = self.tenant.cast(TenantMessage::Streams(self.row.session_id, streams));
        }
    }

    /// The fast path of the next deadline; the comparison is with the clock when it fires.
    fn arm(&mut self, myself: &ActorRef<SessionMessage>) {
        let now = self.env.now();
        let at = self.live.next_look(now);
        if self.alarm.as_ref().is_some_and(|(armed, _)| *armed > now && *armed <= at) {
            return;
        }
        let (myself, wait) = (myself.clone(), at.since(now));
        let task = supervisor::task(async move {
            tokio::time::sleep(wait).await;
            let _ = myself.cast(SessionMessage::Look);
        });
        self.alarm = Some((at, task));
    }
}
