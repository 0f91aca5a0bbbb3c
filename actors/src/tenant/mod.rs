//! The tenant's actor: the only way to a tenant's state.
//!
//! Supervised by `TenantSupervisor`, which activates it on demand with a fresh claim. Durable: all
//! that matters (rows of the store); in memory stand only caches, the map of children and what
//! waits for an answer. Its children (sessions, vaults, ceremonies) are private to this module:
//! nothing outside can name their messages. A child that fails is started again by the next
//! message to it, after the pause that `supervisor::RestartPolicy` asks for.

pub(crate) mod alert;
pub(crate) mod api_key;
pub(crate) mod audit;
mod authenticate;
pub(crate) mod ceremony;
mod children;
pub(crate) mod connections;
pub(crate) mod container;
mod deletion;
mod dispatch;
mod grants;
mod group;
mod group_vault;
mod handlers;
pub(crate) mod inbox;
mod leave;
mod message;
mod over;
mod pages;
mod pairing;
mod post;
pub(crate) mod program;
pub(crate) mod quota;
mod recovery;
mod rewrap;
mod session;
mod share;
mod span;
mod state;
mod timers;
mod today;
pub(crate) mod transcript;
pub(crate) mod vault;

use std::{collections::HashMap, sync::Arc};

use ocmt_types::{MessageId, NoticeId, Ownership, SessionId};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

pub(crate) use handlers::{passkeys, session_issue, session_row, sso};
#[cfg(test)]
pub(crate) use message::Poison;
pub(crate) use message::{Adopt, Authenticate, OpenStream, TakePost, TenantMessage};
pub(crate) use recovery::letters::SAID as CEREMONY_SAID;
use state::{Quiet, QuietState};

use crate::{
    alert::Parcel,
    call::Reply,
    effect::Effect,
    env::{Env, Scope},
    error::ActorError,
    host::HostMessage,
    lane::Lane,
    node::NodeMessage,
    quota::Calls,
    supervisor::{self, Task},
    tenants::TenantsMessage,
    work::{Answer, Outcome, SystemWork, Work, both, run_system},
};

/// Reason of a stop after which the tenant may be given up.
pub(crate) const CLEAN: &str = "clean";

/// The actor; what it holds is in [`TenantState`].
pub(crate) struct TenantActor;

/// Calls of a minute, past the tenant's own, that come before what stops a recovery.
const BEFORE_STOP: i64 = 300;

/// What a fresh activation begins with.
pub(crate) struct Activation {
    pub(crate) env: Arc<Env>,
    pub(crate) ownership: Ownership,
    pub(crate) supervisor: ActorRef<TenantsMessage>,
}

/// In memory, all of it lost with the actor and none of it missed.
pub(crate) struct TenantState {
    scope: Scope,
    supervisor: ActorRef<TenantsMessage>,
    /// The tenant's own work, one piece at a time.
    lane: Lane<TenantMessage, Outcome>,
    children: children::Children,
    /// Who is to be woken by what is appended to a conversation.
    followers: transcript::follow::Followers,
    /// Answers that wait for a message to be taken by its tenant.
    held: HashMap<MessageId, Answer>,
    /// Messages on their way to their tenants.
    deliveries: HashMap<MessageId, Task>,
    /// The fast path of the earliest durable timer.
    alarm: Option<timers::Alarm>,
    /// Orders for containers so far.
    orders: u64,
    /// A look at the timers waits in the lane.
    looking: bool,
    /// The ownership has ended.
    end: over::End,
    /// Calls of the last minute.
    calls: Calls,
    /// Those past them that show who somebody is, before what stops a recovery.
    proofs: Calls,
    /// The same of looks at what there is to stop.
    looks: Calls,
    /// On the way out of this node.
    leaving: Option<leave::Leaving>,
    /// When this tenant may give its memory back.
    quiet: QuietState,
    /// Ends the periodic look at [`Self::quiet`] with the actor.
    _ticker: Task,
}

impl Actor for TenantActor {
    type Msg = TenantMessage;
    type State = TenantState;
    type Arguments = Activation;

    async fn pre_start(
        &self,
        myself: ActorRef<TenantMessage>,
        start: Activation,
    ) -> Result<TenantState, ActorProcessingErr> {
        let period = start.env.limits.passivate_after / 2;
        let now = start.env.now();
        let ticker = {
            let myself = myself.clone();
            supervisor::task(async move {
                loop {
                    tokio::time::sleep(period).await;
                    if myself.cast(TenantMessage::Tick).is_err() {
                        return;
                    }
                }
            })
        };
        // what was due while it slept, and messages that were not delivered
        myself.cast(TenantMessage::TimerDue)?;
        let mut state = TenantState {
            scope: Scope::new(start.env, start.ownership),
            supervisor: start.supervisor,
            lane: Lane::new(TenantMessage::Finished),
            children: children::Children::default(),
            followers: transcript::follow::Followers::default(),
            held: HashMap::new(),
            deliveries: HashMap::new(),
            alarm: None,
            orders: 0,
            looking: false,
            end: over::End::default(),
            calls: Calls::new(now),
            proofs: Calls::of(now, BEFORE_STOP),
            looks: Calls::of(now, BEFORE_STOP),
            leaving: None,
            quiet: QuietState::new(now),
            _ticker: ticker,
        };
        state.lane.push(&myself, quota::load(state.scope.clone()));
        state.look_at_containers(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<TenantMessage>,
        message: TenantMessage,
        state: &mut TenantState,
    ) -> Result<(), ActorProcessingErr> {
        if state.end != over::End::NotYet {
            return state.see_out(&myself, message);
        }
        match message {
            TenantMessage::Call(area) => state.dispatch(&myself, *area).await,
            TenantMessage::Authenticate(ask) => state.authenticate(&myself, ask).await,
            TenantMessage::ReadAgain(ask) => state.read_again(&myself, ask),
            TenantMessage::SessionLoaded(loaded) => state.session_loaded(&myself, *loaded).await,
            TenantMessage::OpenStream(open) => state.open_stream(&myself, open),
            TenantMessage::Used(session) => state.used(&myself, session),
            TenantMessage::Follow(follow) => state.followers.add(follow),
            TenantMessage::Streams(session, streams) => state.children.streams_are(session, streams),
            TenantMessage::Take(post) => state.take_post(&myself, post),
            TenantMessage::Delivered(message, result) => state.delivered(&myself, message, result),
            TenantMessage::Finished(finished) => state.finished(&myself, finished)?,
            TenantMessage::Adopt(adopt) => state.adopt(&myself, adopt),
            // written down, since delays count from it
            TenantMessage::HandedOver(notice, reply) => state.answered(&myself, HandedOver(notice), reply),
            TenantMessage::Undeliverable(notice, reply) => {
                state.answered(&myself, Undeliverable(notice), reply);
            }
            TenantMessage::Rewrap(reply) => state.rewrap(&myself, reply),
            TenantMessage::FromChild(outcome) => state.settle(&myself, Some(*outcome)),
            TenantMessage::TimerDue => state.fire_due(&myself),
            TenantMessage::Tick => state.tick(),
            TenantMessage::Leave { last } => state.leave(&myself, last),
            TenantMessage::LeaveIsOver => state.leave_is_over(&myself),
            TenantMessage::LeaveNow => state.leave_if_quiet(&myself),
            TenantMessage::Passivate => state.passivate(&myself),
            // only the supervisor's answer to our own word
            TenantMessage::Unread => {}
            #[cfg(test)]
            TenantMessage::Poison(at, reply) => state.poison(&myself, at, reply),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<TenantMessage>,
        event: SupervisionEvent,
        state: &mut TenantState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(exit) = supervisor::exit_of(&event, "tenant") {
            state.children.gone(exit, state.scope.env.now());
        }
        Ok(())
    }
}

struct HandedOver(NoticeId);

impl SystemWork for HandedOver {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        handlers::notices::handed_over(work, self.0).await
    }
}

struct Undeliverable(NoticeId);

impl SystemWork for Undeliverable {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        handlers::notices::undeliverable(work, self.0).await
    }
}

impl TenantState {
    /// Applies what committed work asks for, then answers.
    fn settle(&mut self, myself: &ActorRef<TenantMessage>, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        self.looking &= !outcome.looked;
        if outcome.terminal {
            self.end(myself);
        }
        self.apply(myself, outcome.effects);
        match (outcome.answer, outcome.answer_after) {
            (answer, Some(message)) => {
                // a repeat of a call that waits for it: both are told
                let waits = both(self.held.remove(&message), answer);
                self.held.extend(waits.map(|waits| (message, waits)));
            }
            (Some(answer), None) => answer(Ok(())),
            (None, None) => {}
        }
        self.leave_if_quiet(myself);
    }

    /// Puts work into the lane that no caller asks for, and somebody waits for.
    fn answered<S: SystemWork>(&mut self, myself: &ActorRef<TenantMessage>, work: S, reply: Reply<S::Output>)
    where
        S::Output: 'static,
    {
        let scope = self.scope.clone();
        self.lane.push(myself, async move {
            let done = run_system(&scope, work).await;
            let terminal = done.as_ref().err().is_some_and(ActorError::is_terminal);
            let (effects, answer) = match done {
                Ok((output, effects)) => (effects, Ok(output)),
                Err(error) => (Vec::new(), Err(error)),
            };
            let answer: Answer = Box::new(move |instead| reply.send(instead.and(answer)));
            Outcome { effects, answer: Some(answer), terminal, ..Outcome::default() }
        });
    }

    /// A stream of a session was used: the session goes on, in memory and in its row.
    fn used(&mut self, myself: &ActorRef<TenantMessage>, session: SessionId) {
        if self.children.used(session) {
            self.background(myself, session_row::Touch(session));
        }
    }

    #[cfg(test)]
    #[expect(clippy::panic, reason = "that is what it is for")]
    fn poison(&mut self, myself: &ActorRef<TenantMessage>, at: message::Poison, reply: Reply<()>) {
        match at {
            message::Poison::Session(session) => match self.children.session(session) {
                Some(actor) => drop(actor.cast(session::SessionMessage::Poison(reply))),
                None => reply.send(Err(ActorError::NotFound)),
            },
            message::Poison::Handler => {
                let _held = reply;
                panic!("poisoned handler");
            }
            message::Poison::Work => self.lane.push(myself, async move {
                let _held = reply;
                panic!("poisoned work");
            }),
        }
    }

    /// Puts work into the lane that nobody waits for and that may be lost.
    fn background(&mut self, myself: &ActorRef<TenantMessage>, work: impl SystemWork<Output = ()>) {
        let scope = self.scope.clone();
        self.lane.push(myself, async move {
            match run_system(&scope, work).await {
                Ok(((), effects)) => Outcome { effects, ..Outcome::default() },
                Err(error) => Outcome { terminal: error.is_terminal(), ..Outcome::default() },
            }
        });
    }

    fn apply(&mut self, myself: &ActorRef<TenantMessage>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SessionsEnded(sessions) => self.children.end_sessions(&sessions),
                Effect::SessionRenewed(row, policy) => self.children.session_renewed(&row, &policy),
                Effect::AllSessionsEnded => self.children.end_all_sessions(),
                Effect::QuotaIs(quota) => self.calls.limit_to(&quota),
                Effect::PolicyChanged(policy) => {
                    self.children.policy_changed(&policy);
                    let message = HostMessage::Policy(self.scope.ownership.tenant, policy);
                    self.scope.env.to_root(NodeMessage::ToHost(message));
                    self.tell_hosts_elsewhere(myself);
                }
                Effect::Container(at, what) => self.order(at, *what),
                Effect::VaultChanged(vault) => self.scope.env.hints.tell(vault),
                Effect::ContainersChanged => {
                    let tenant = self.scope.ownership.tenant;
                    self.scope.env.container_hints.tell_all(|(of, _)| *of == tenant);
                }
                Effect::CeremonyMoved(user) => {
                    self.scope.env.ceremony_hints.tell((self.scope.ownership.tenant, user));
                }
                Effect::Scheduled(at, user, row) => {
                    let what = container::schedule::due::wake(&self.scope, user, *row);
                    self.order(at, what);
                }
                Effect::Ceremony(state) => self.scope.env.meters.ceremony(state),
                Effect::DropSnapshot(snapshot) => {
                    supervisor::detach(container::snapshot::ends::drop_object(self.scope.clone(), snapshot));
                }
                Effect::StreamAudit { fails } => {
                    supervisor::detach(audit::stream::hand_over(self.scope.clone(), fails));
                }
                Effect::TimerSet(at) => self.arm(myself, at),
                Effect::Erased => self.lane.push(myself, deletion::record(self.scope.clone())),
                Effect::Appended(conversation) => self.followers.wake(conversation),
                Effect::Posted(message) => self.deliver(myself, message),
                Effect::Mail(mail) => {
                    self.scope.env.to_root(NodeMessage::Mail(Parcel { mail, notice: None }));
                }
                Effect::HandOver(notice, mail) => {
                    let notice = Some((self.scope.ownership.tenant, notice));
                    self.scope.env.to_root(NodeMessage::Mail(Parcel { mail, notice }));
                }
            }
        }
    }

    fn tick(&mut self) {
        let busy = !self.lane.is_idle()
            || !self.deliveries.is_empty()
            || !self.held.is_empty()
            || self.children.streams() > 0
            || self.scope.env.admission.is_busy(self.scope.ownership.tenant);
        let now = self.scope.env.clock.now();
        if self.quiet.step(busy, now, self.scope.env.limits.passivate_after) == Quiet::Sleep {
            let _ = self.supervisor.cast(TenantsMessage::WantsSleep(self.scope.ownership));
        }
    }

    /// The supervisor sends nothing more: all that it had sent before is behind us in the mailbox.
    fn passivate(&mut self, myself: &ActorRef<TenantMessage>) {
        let busy = self.scope.env.admission.is_busy(self.scope.ownership.tenant);
        if !busy
            && self.lane.is_idle()
            && self.held.is_empty()
            && self.deliveries.is_empty()
            && self.children.streams() == 0
        {
            myself.stop(Some(CLEAN.to_owned()));
        } else {
            let _ = self.supervisor.cast(TenantsMessage::StaysAwake(self.scope.ownership));
        }
    }
}
