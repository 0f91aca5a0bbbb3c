//! What a call is: a typed request, who asks, until when, and where the answer goes.
//!
//! `calls!` turns a list of methods of one area into the requests' [`Call`] implementations and the
//! area's message enum, so that adding a method is one line here, its two types, and its handler.

use std::sync::Arc;

use ocmt_types::{Clock, Deadline, RequestId, TenantId};
use tokio::sync::oneshot;

use crate::{admission::Permit, caller::Caller, error::ActorError, meters::Queued};

/// A client's key for a mutation, and the hash of the request it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 16 to 64 bytes chosen by the client.
    pub key: Vec<u8>,
    /// SHA-256 of the request as it came over the wire: the same key with another request is refused.
    pub request_hash: [u8; 32],
}

/// What travels beside a request.
#[derive(Debug, Clone)]
pub struct CallMeta {
    /// When the answer is of no more use.
    pub deadline: Deadline,
    /// Given for mutations that the client may repeat.
    pub idempotency: Option<IdempotencyKey>,
    /// Size of the request in bytes, for admission.
    pub bytes: usize,
}

impl From<Deadline> for CallMeta {
    fn from(deadline: Deadline) -> Self {
        Self { deadline, idempotency: None, bytes: 1024 }
    }
}

/// What a repeat of a call with the same idempotency key gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It runs again: reads, and what is single-use by its own nature.
    Runs,
    /// The stored answer of the first time.
    Replays,
}

/// A typed request of one area's API. Implemented by `calls!` alone.
pub trait Call: Send + Sized + 'static {
    /// What it is answered with.
    type Answer: Send + 'static;
    /// Service and method, as audit records name it.
    const METHOD: &'static str;
    /// What a repeat gets.
    const REPEAT: Repeat;
    /// The answer in the form that is stored for repeats.
    #[doc(hidden)]
    fn encode(answer: &Self::Answer) -> Option<Vec<u8>>;
    /// A stored answer.
    #[doc(hidden)]
    fn decode(stored: &[u8]) -> Option<Self::Answer>;
    /// The message that carries it to the tenant's actor.
    #[doc(hidden)]
    fn into_message(incoming: Incoming<Self>) -> CallMessage;
}

/// Opaque outside of this crate: a call on its way to the tenant's actor.
pub struct CallMessage(pub(crate) Area);

/// The areas of the API; each enum is made by `calls!` in `api/`.
pub(crate) enum Area {
    Auth(crate::api::auth::AuthCall),
    Passkeys(crate::api::passkeys::PasskeysCall),
    Sso(crate::api::sso::SsoCall),
    Tenant(crate::api::tenant::TenantCall),
    Users(crate::api::users::UsersCall),
    Groups(crate::api::groups::GroupsCall),
    GroupVaults(crate::api::group_vaults::GroupVaultsCall),
    GroupUnlocks(crate::api::group_unlocks::GroupUnlocksCall),
    Audit(crate::api::audit::AuditCall),
    Alerts(crate::api::alert::AlertsCall),
    Inbox(crate::api::inbox::InboxCall),
    Vault(crate::api::vault::VaultCall),
    Container(crate::api::container::ContainerCall),
    Schedules(crate::api::schedule::SchedulesCall),
    Snapshots(crate::api::snapshot::SnapshotsCall),
    Watches(crate::api::container_watch::WatchesCall),
    Recovery(crate::api::recovery::RecoveryCall),
    Pairings(crate::api::pairing::PairingsCall),
    Programs(crate::api::programs::ProgramsCall),
    Keys(crate::api::keys::KeysCall),
    Shares(crate::api::shares::SharesCall),
    Capabilities(crate::api::capabilities::CapabilitiesCall),
    Transcripts(crate::api::transcript::TranscriptsCall),
    Connections(crate::api::connections::ConnectionsCall),
}

/// A request with everything that belongs to it. Dropping it unanswered answers it (see [`Reply`]).
pub struct Incoming<C: Call> {
    pub(crate) request: C,
    // boxed: a call passes through the mailboxes of four actors
    pub(crate) caller: Box<Caller>,
    pub(crate) meta: Box<CallMeta>,
    pub(crate) reply: Reply<C::Answer>,
}

/// Where the answer goes. Carries the permit, which ends with it. Dropped without an answer, it
/// answers by itself: INTERNAL with the request's id in the unwinding of a panic; that the outcome is
/// unknown, if the work had begun; else UNAVAILABLE.
pub(crate) struct Reply<T> {
    to: Option<oneshot::Sender<Result<T, ActorError>>>,
    request: RequestId,
    /// Its transaction is open: whoever drops it cannot say that nothing was done.
    begun: bool,
    /// Until somebody takes it up.
    queued: Option<Queued>,
    /// Whose work it is a part of; none where that is not traced.
    span: Option<Box<tracing::Span>>,
    _permit: Option<Permit>,
}

impl<T> Reply<T> {
    pub(crate) fn new(
        request: RequestId,
        permit: Option<Permit>,
    ) -> (Self, oneshot::Receiver<Result<T, ActorError>>) {
        let (to, from) = oneshot::channel();
        let span = Some(tracing::Span::current()).filter(|span| !span.is_disabled()).map(Box::new);
        (Self { to: Some(to), request, begun: false, queued: None, span, _permit: permit }, from)
    }

    /// It is sent now, to be taken up by somebody.
    pub(crate) fn queue(&mut self, queued: Queued) {
        self.queued = Some(queued);
    }

    /// The span of the work, from when it is taken up.
    pub(crate) fn span(&self, method: &'static str, tenant: TenantId) -> tracing::Span {
        let parent = self.span.as_deref().and_then(tracing::Span::id);
        tracing::trace_span!(
            target: crate::TRACE_TARGET,
            parent: parent,
            "actor",
            otel.name = method,
            method,
            %tenant,
            outcome = tracing::field::Empty,
        )
    }

    /// Somebody works on it.
    pub(crate) fn taken_up(&mut self) {
        self.queued = None;
    }

    /// From here on a lost answer means that the effect may be there.
    pub(crate) fn begun(&mut self) {
        self.begun = true;
    }

    /// Nobody listens any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.to.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Ready when nobody listens any more.
    pub(crate) async fn abandoned(&mut self) {
        if let Some(to) = &mut self.to {
            to.closed().await;
        }
    }

    /// Answers; whether anybody still listens does not matter.
    pub(crate) fn send(mut self, answer: Result<T, ActorError>) {
        if let Some(to) = self.to.take() {
            let _ = to.send(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let Some(to) = self.to.take() else { return };
        let answer = if std::thread::panicking() {
            tracing::error!(request = %self.request, "a call panicked");
            ActorError::Internal(self.request)
        } else if self.begun {
            ActorError::OutcomeUnknown
        } else {
            ActorError::unavailable("RESTARTING", "the actor of this tenant is restarting; repeat")
        };
        let _ = to.send(Err(answer));
    }
}

/// Waits for the answer, at most until the deadline.
pub(crate) async fn answer_of<T>(
    clock: &Arc<dyn Clock>,
    deadline: Deadline,
    from: oneshot::Receiver<Result<T, ActorError>>,
) -> Result<T, ActorError> {
    match tokio::time::timeout(deadline.remaining(&**clock), from).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            Err(ActorError::unavailable("RESTARTING", "the actor of this tenant is restarting; repeat"))
        }
        Err(_) => Err(ActorError::DeadlineExceeded),
    }
}

impl Area {
    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        match self {
            Self::Auth(call) => call.caller(),
            Self::Passkeys(call) => call.caller(),
            Self::Sso(call) => call.caller(),
            Self::Tenant(call) => call.caller(),
            Self::Users(call) => call.caller(),
            Self::Groups(call) => call.caller(),
            Self::GroupVaults(call) => call.caller(),
            Self::GroupUnlocks(call) => call.caller(),
            Self::Audit(call) => call.caller(),
            Self::Alerts(call) => call.caller(),
            Self::Inbox(call) => call.caller(),
            Self::Vault(call) => call.caller(),
            Self::Container(call) => call.caller(),
            Self::Schedules(call) => call.caller(),
            Self::Snapshots(call) => call.caller(),
            Self::Watches(call) => call.caller(),
            Self::Recovery(call) => call.caller(),
            Self::Pairings(call) => call.caller(),
            Self::Programs(call) => call.caller(),
            Self::Keys(call) => call.caller(),
            Self::Shares(call) => call.caller(),
            Self::Capabilities(call) => call.caller(),
            Self::Transcripts(call) => call.caller(),
            Self::Connections(call) => call.caller(),
        }
    }

    /// Service and method.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Auth(call) => call.method(),
            Self::Passkeys(call) => call.method(),
            Self::Sso(call) => call.method(),
            Self::Tenant(call) => call.method(),
            Self::Users(call) => call.method(),
            Self::Groups(call) => call.method(),
            Self::GroupVaults(call) => call.method(),
            Self::GroupUnlocks(call) => call.method(),
            Self::Audit(call) => call.method(),
            Self::Alerts(call) => call.method(),
            Self::Inbox(call) => call.method(),
            Self::Vault(call) => call.method(),
            Self::Container(call) => call.method(),
            Self::Schedules(call) => call.method(),
            Self::Snapshots(call) => call.method(),
            Self::Watches(call) => call.method(),
            Self::Recovery(call) => call.method(),
            Self::Pairings(call) => call.method(),
            Self::Programs(call) => call.method(),
            Self::Keys(call) => call.method(),
            Self::Shares(call) => call.method(),
            Self::Capabilities(call) => call.method(),
            Self::Transcripts(call) => call.method(),
            Self::Connections(call) => call.method(),
        }
    }

    /// There is no actor for it.
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Auth(call) => call.refuse(error),
            Self::Passkeys(call) => call.refuse(error),
            Self::Sso(call) => call.refuse(error),
            Self::Tenant(call) => call.refuse(error),
            Self::Users(call) => call.refuse(error),
            Self::Groups(call) => call.refuse(error),
            Self::GroupVaults(call) => call.refuse(error),
            Self::GroupUnlocks(call) => call.refuse(error),
            Self::Audit(call) => call.refuse(error),
            Self::Alerts(call) => call.refuse(error),
            Self::Inbox(call) => call.refuse(error),
            Self::Vault(call) => call.refuse(error),
            Self::Container(call) => call.refuse(error),
            Self::Schedules(call) => call.refuse(error),
            Self::Snapshots(call) => call.refuse(error),
            Self::Watches(call) => call.refuse(error),
            Self::Recovery(call) => call.refuse(error),
            Self::Pairings(call) => call.refuse(error),
            Self::Programs(call) => call.refuse(error),
            Self::Keys(call) => call.refuse(error),
            Self::Shares(call) => call.refuse(error),
            Self::Capabilities(call) => call.refuse(error),
            Self::Transcripts(call) => call.refuse(error),
            Self::Connections(call) => call.refuse(error),
        }
    }
}

/// Lists the methods of an area: `read` (runs again on a repeat), `write` (the stored answer is
/// replayed; the answer is serde-serialisable and holds no secret), `once` (a mutation that is
/// single-use by its own nature or answers with a secret: never stored).
macro_rules! calls {
    ($(#[$doc:meta])* $area:ident: $message:ident of $service:literal { $($kind:ident $call:ident => $answer:ty),+ $(,)? }) => {
        $(#[$doc])*
        pub(crate) enum $message {
            $($call($crate::call::Incoming<$call>),)+
        }

        impl $message {
            /// Who asks.
            pub(crate) fn caller(&self) -> &$crate::caller::Caller {
                match self { $(Self::$call(incoming) => &incoming.caller,)+ }
            }

            /// Service and method.
            pub(crate) fn method(&self) -> &'static str {
                match self { $(Self::$call(_) => <$call as $crate::call::Call>::METHOD,)+ }
            }

            /// The tenant has no actor: everybody gets the same error.
            pub(crate) fn refuse(self, error: $crate::error::ActorError) {
                match self { $(Self::$call(incoming) => incoming.reply.send(Err(error)),)+ }
            }
        }

        $(impl $crate::call::Call for $call {
            type Answer = $answer;
            const METHOD: &'static str = concat!($service, "/", stringify!($call));
            const REPEAT: $crate::call::Repeat = calls!(@repeat $kind);
            fn encode(answer: &$answer) -> Option<Vec<u8>> {
                calls!(@encode $kind answer)
            }
            fn decode(stored: &[u8]) -> Option<$answer> {
                calls!(@decode $kind stored)
            }
            fn into_message(incoming: $crate::call::Incoming<Self>) -> $crate::call::CallMessage {
                $crate::call::CallMessage($crate::call::Area::$area($message::$call(incoming)))
            }
        })+
    };
    (@repeat read) => { $crate::call::Repeat::Runs };
    (@repeat once) => { $crate::call::Repeat::Runs };
    (@repeat write) => { $crate::call::Repeat::Replays };
    (@encode write $answer:ident) => { serde_json::to_vec($answer).ok() };
    (@encode $other:ident $answer:ident) => {{ let _ = $answer; None }};
    (@decode write $stored:ident) => { serde_json::from_slice($stored).ok() };
    (@decode $other:ident $stored:ident) => {{ let _ = $stored; None }};
}
pub(crate) use calls;
