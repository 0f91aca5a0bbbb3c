//! The tenant's children: its own map, and nobody else's.

use std::collections::{BTreeMap, HashMap};

use ocmt_store::tables::Session;
use ocmt_types::{Digest32, SessionId, Timestamp, VaultId};
use ractor::{Actor as _, ActorId, ActorRef};

use super::{
    TenantMessage,
    ceremony::{CeremonyActor, CeremonyMessage, CeremonyStart},
    session::{SessionActor, SessionMessage, SessionStart},
    vault::{VaultActor, VaultMessage, VaultStart},
};
use crate::{
    env::Scope,
    error::ActorError,
    policy::TenantPolicy,
    supervisor::{Exit, RestartPolicy},
};

/// Children by what they stand for.
#[derive(Default)]
pub(super) struct Children {
    sessions: BTreeMap<SessionId, SessionChild>,
    /// Counts what ended sessions or changed their deadlines: a row read before is out of date.
    revision: u64,
    session_of_token: HashMap<Digest32, SessionId>,
    vaults: HashMap<VaultId, ActorRef<VaultMessage>>,
    ceremonies: HashMap<Digest32, ActorRef<CeremonyMessage>>,
    by_actor: HashMap<ActorId, Key>,
    restarts: Restarts,
}

struct SessionChild {
    actor: ActorRef<SessionMessage>,
    token_hash: Digest32,
    /// Open streams, as the child last told.
    streams: usize,
}

/// What a child stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Session(SessionId),
    Vault(VaultId),
    Ceremony(Digest32),
}

/// When children that failed lately may be started again; others are not in it.
#[derive(Default)]
pub(super) struct Restarts(HashMap<Key, (RestartPolicy, Timestamp)>);

impl Restarts {
    fn failed(&mut self, key: Key, now: Timestamp) {
        self.0.retain(|_, (policy, _)| !policy.is_clean(now));
        let (policy, not_before) = self.0.entry(key).or_default();
        *not_before = policy.failed(now);
    }

    /// Refuses a start before its time.
    pub(super) fn may_start(&self, key: Key, now: Timestamp) -> Result<(), ActorError> {
        match self.0.get(&key) {
            Some((_, not_before)) if *not_before > now => Err(ActorError::Unavailable {
                reason: "RESTARTING",
                why: "it failed repeatedly and is being restarted".to_owned(),
                retry_after: Some(not_before.since(now)),
            }),
            _ => Ok(()),
        }
    }
}

impl Children {
    /// The actor of a live session, if it is awake.
    pub(super) fn session(&self, session: SessionId) -> Option<&ActorRef<SessionMessage>> {
        self.sessions.get(&session).map(|child| &child.actor)
    }

    /// The same by its token.
    pub(super) fn session_of_token(&self, token_hash: &Digest32) -> Option<&ActorRef<SessionMessage>> {
        self.session_of_token.get(token_hash).and_then(|session| self.session(*session))
    }

    /// Starts a session's actor, or gives the one that is there.
    pub(super) async fn start_session(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        start: SessionStart,
        now: Timestamp,
    ) -> Result<ActorRef<SessionMessage>, ActorError> {
        let (id, token_hash) = (start.row.session_id, start.row.token_hash);
        if let Some(actor) = self.session(id) {
            return Ok(actor.clone());
        }
        self.restarts.may_start(Key::Session(id), now)?;
        let (actor, _) = SessionActor::spawn_linked(None, SessionActor, start, myself.get_cell())
            .await
            .map_err(|_| ActorError::unavailable("RESTARTING", "the session could not be started; repeat"))?;
        self.by_actor.insert(actor.get_id(), Key::Session(id));
        self.session_of_token.insert(token_hash, id);
        self.sessions.insert(id, SessionChild { actor: actor.clone(), token_hash, streams: 0 });
        Ok(actor)
    }

    /// A vault's actor, started if it sleeps.
    pub(super) async fn vault(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        vault: VaultId,
        scope: &Scope,
    ) -> Result<ActorRef<VaultMessage>, ActorError> {
        if let Some(actor) = self.vaults.get(&vault) {
            return Ok(actor.clone());
        }
        self.restarts.may_start(Key::Vault(vault), scope.env.now())?;
        let start = VaultStart { scope: scope.clone(), tenant: myself.clone() };
        let (actor, _) = VaultActor::spawn_linked(None, VaultActor, start, myself.get_cell())
            .await
            .map_err(|_| ActorError::unavailable("RESTARTING", "the vault could not be started; repeat"))?;
        self.by_actor.insert(actor.get_id(), Key::Vault(vault));
        self.vaults.insert(vault, actor.clone());
        Ok(actor)
    }

    /// A ceremony's actor, started if it sleeps.
    pub(super) async fn ceremony(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        ceremony: Digest32,
        scope: &Scope,
    ) -> Result<ActorRef<CeremonyMessage>, ActorError> {
        if let Some(actor) = self.ceremonies.get(&ceremony) {
            return Ok(actor.clone());
        }
        self.restarts.may_start(Key::Ceremony(ceremony), scope.env.now())?;
        let start = CeremonyStart { scope: scope.clone(), tenant: myself.clone() };
        let (actor, _) =
            CeremonyActor::spawn_linked(None, CeremonyActor, start, myself.get_cell()).await.map_err(
                |_| ActorError::unavailable("RESTARTING", "the ceremony could not be started; repeat"),
            )?;
        self.by_actor.insert(actor.get_id(), Key::Ceremony(ceremony));
        self.ceremonies.insert(ceremony, actor.clone());
        Ok(actor)
    }

    /// Of the sessions as they are now.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// These sessions are over. They leave the map at once: the next token shown is read from the store.
    pub(super) fn end_sessions(&mut self, sessions: &[SessionId]) {
        self.revision += 1;
        for session in sessions {
            if let Some(child) = self.forget_session(*session) {
                let _ = child.actor.cast(SessionMessage::End);
            }
        }
    }

    /// A session has another token: the one before leaves the map at once, and a row that was read under it is out
    /// of date.
    pub(super) fn session_renewed(&mut self, row: &Session, policy: &TenantPolicy) {
        self.revision += 1;
        let Some(child) = self.sessions.get_mut(&row.session_id) else { return };
        self.session_of_token.remove(&child.token_hash);
        self.session_of_token.insert(row.token_hash, row.session_id);
        child.token_hash = row.token_hash;
        let _ = child.actor.cast(SessionMessage::Renewed(Box::new(row.clone()), policy.clone()));
    }

    /// All that are awake are over in memory.
    pub(super) fn end_all_sessions(&mut self) {
        let all: Vec<SessionId> = self.sessions.keys().copied().collect();
        self.end_sessions(&all);
    }

    /// A stream of a session was used; false if the session is not awake.
    pub(super) fn used(&self, session: SessionId) -> bool {
        self.session(session).is_some_and(|actor| actor.cast(SessionMessage::Used).is_ok())
    }

    /// Other deadlines apply to all live sessions.
    pub(super) fn policy_changed(&mut self, policy: &TenantPolicy) {
        self.revision += 1;
        for child in self.sessions.values() {
            let _ = child.actor.cast(SessionMessage::Policy(policy.clone()));
        }
    }

    /// A session told how many streams it has.
    pub(super) fn streams_are(&mut self, session: SessionId, streams: usize) {
        if let Some(child) = self.sessions.get_mut(&session) {
            child.streams = streams;
        }
    }

    /// Open streams of all sessions.
    pub(super) fn streams(&self) -> usize {
        self.sessions.values().map(|child| child.streams).sum()
    }

    /// A child is gone; a failed one is not started again before its time.
    pub(super) fn gone(&mut self, exit: Exit, now: Timestamp) {
        let Some(key) = self.by_actor.remove(&exit.child) else {
            return;
        };
        match key {
            Key::Session(session) => {
                if self.session(session).is_some_and(|actor| actor.get_id() == exit.child) {
                    self.forget_session(session);
                }
            }
            Key::Vault(vault) => {
                if self.vaults.get(&vault).is_some_and(|actor| actor.get_id() == exit.child) {
                    self.vaults.remove(&vault);
                }
            }
            Key::Ceremony(ceremony) => {
                if self.ceremonies.get(&ceremony).is_some_and(|actor| actor.get_id() == exit.child) {
                    self.ceremonies.remove(&ceremony);
                }
            }
        }
        if exit.failed {
            self.restarts.failed(key, now);
        }
    }

    fn forget_session(&mut self, session: SessionId) -> Option<SessionChild> {
        let child = self.sessions.remove(&session)?;
        self.session_of_token.remove(&child.token_hash);
        Some(child)
    }
}
