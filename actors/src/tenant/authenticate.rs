//! From a shown token to a caller, and streams that end with their session.
//!
//! The map from token hash to session holds live sessions alone; a token that is not in it is
//! looked up by a strict read beside the mailbox, so that sign-in never waits behind other work.

use ocmt_crypto::token::TokenKind;
use ocmt_store::tables::Session;
use ractor::{ActorRef, MessagingErr};

use super::{
    Authenticate, OpenStream, TenantMessage, TenantState, api_key, program,
    session::{SessionMessage, SessionStart},
};
use crate::{caller::Caller, error::ActorError, policy::TenantPolicy, supervisor, work::Outcome};

/// What the strict read found.
pub(crate) struct SessionLoaded {
    ask: Ask,
    /// [`Children::revision`](super::children::Children::revision) before the read.
    revision: u64,
    found: Result<Option<(Session, TenantPolicy)>, ActorError>,
}

impl SessionLoaded {
    /// There is no actor for it.
    pub(super) fn refuse(self, error: ActorError) {
        self.ask.refuse(error);
    }
}

/// Who waits for the row of a session.
enum Ask {
    Token(Authenticate),
    Stream(OpenStream),
}

impl Ask {
    fn refuse(self, error: ActorError) {
        match self {
            Self::Token(ask) => ask.reply.send(Err(error)),
            Self::Stream(open) => open.reply.send(Err(error)),
        }
    }

    fn message(self) -> SessionMessage {
        match self {
            Self::Token(ask) => SessionMessage::Authenticate(ask),
            Self::Stream(open) => SessionMessage::OpenStream(open.reply),
        }
    }
}

impl TenantState {
    pub(super) async fn authenticate(&mut self, myself: &ActorRef<TenantMessage>, ask: Authenticate) {
        self.quiet.touch(self.scope.env.now());
        if ask.deadline.has_passed(&*self.scope.env.clock) {
            return ask.reply.send(Err(ActorError::DeadlineExceeded));
        }
        if ask.kind != TokenKind::Session {
            return self.authenticate_program(myself, ask);
        }
        let mut ask = ask;
        if let Some(actor) = self.children.session_of_token(&ask.token_hash) {
            match actor.cast(SessionMessage::Authenticate(ask)) {
                Err(MessagingErr::SendErr(SessionMessage::Authenticate(unsent))) => ask = unsent,
                _ => return,
            }
        }
        self.load(myself, Ask::Token(ask));
    }

    /// Programs and keys have no actor: each of their calls reads the token anew, so that ending it ends it.
    fn authenticate_program(&self, myself: &ActorRef<TenantMessage>, ask: Authenticate) {
        let (scope, myself) = (self.scope.clone(), myself.clone());
        supervisor::detach(async move {
            let Authenticate { kind, token_hash, request, addr, reply, .. } = ask;
            let tenant = scope.ownership.tenant;
            let found = if kind == TokenKind::ApiKey {
                let found = api_key::load_by_token(&scope, &token_hash).await;
                let caller = |key| Caller::of_key(tenant, key, request, addr);
                found.and_then(|found| found.map(caller).ok_or(api_key::ENDED))
            } else {
                let found = program::load_by_token(&scope, &token_hash).await;
                let caller = |acts| Caller::of_program(tenant, acts, request, addr);
                found.and_then(|found| found.map(caller).ok_or(program::ENDED))
            };
            let terminal = found.as_ref().err().is_some_and(ActorError::is_terminal);
            reply.send(found);
            if terminal {
                let over = Outcome { terminal, ..Outcome::default() };
                let _ = myself.cast(TenantMessage::FromChild(Box::new(over)));
            }
        });
    }

    pub(super) async fn session_loaded(&mut self, myself: &ActorRef<TenantMessage>, loaded: SessionLoaded) {
        let SessionLoaded { ask, revision, found } = loaded;
        let (row, policy) = match found {
            // a session ended between the read and now, perhaps this one: it must not come to life
            Ok(Some(_)) if revision != self.children.revision() => return self.load(myself, ask),
            Ok(Some(found)) => found,
            Ok(None) => {
                return ask.refuse(ActorError::Unauthenticated("the session is unknown or has ended"));
            }
            Err(error) => {
                if error.is_terminal() {
                    self.end(myself);
                }
                return ask.refuse(error);
            }
        };
        let start = SessionStart { row, policy, env: self.scope.env.clone(), tenant: myself.clone() };
        match self.children.start_session(myself, start, self.scope.env.now()).await {
            Ok(actor) => {
                let _ = actor.cast(ask.message());
            }
            Err(error) => ask.refuse(error),
        }
    }

    /// A stream outlives what was checked when it began, so its session is read from the store each time:
    /// an owner that was suspended opens none.
    pub(super) fn open_stream(&mut self, myself: &ActorRef<TenantMessage>, open: OpenStream) {
        self.quiet.touch(self.scope.env.now());
        self.load(myself, Ask::Stream(open));
    }

    /// In memory the session is over. The row says it: another node may know of a later use.
    pub(super) fn read_again(&self, myself: &ActorRef<TenantMessage>, ask: Authenticate) {
        self.load(myself, Ask::Token(ask));
    }

    /// Reads a session's row beside the mailbox. Bounded by the permits that the asks carry.
    fn load(&self, myself: &ActorRef<TenantMessage>, ask: Ask) {
        let (scope, myself, revision) = (self.scope.clone(), myself.clone(), self.children.revision());
        supervisor::detach(async move {
            let found = match &ask {
                Ask::Token(ask) => super::session_row::load_by_token(&scope, &ask.token_hash).await,
                Ask::Stream(open) => super::session_row::load_by_id(&scope, open.session).await,
            };
            let loaded = SessionLoaded { ask, revision, found };
            let _ = myself.cast(TenantMessage::SessionLoaded(Box::new(loaded)));
        });
    }
}
