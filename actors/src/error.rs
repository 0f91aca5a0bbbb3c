//! What a call to an actor may fail with. One table in `node` maps it to gRPC status and HTTP problem.

mod wire;

use std::{borrow::Cow, time::Duration};

use ocmt_types::{NodeId, RequestId};

/// Why a call failed. Messages name what was wrong and what to do, and never another party's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// No such object, or not the caller's: the two are never told apart.
    #[error("not found")]
    NotFound,
    /// The credential is missing, unknown, expired, ended or of the wrong kind.
    #[error("sign in again: {0}")]
    Unauthenticated(&'static str),
    /// The caller is known and may not do this to an object he may know of.
    #[error("not allowed: {0}")]
    PermissionDenied(&'static str),
    /// The session's last proof of presence is too long ago for this act, or was without the account's second
    /// factor.
    #[error(
        "confirm this with `ocmt step-up`: it wants a recent sign-in, with the second factor if the account has one"
    )]
    StepUpRequired,
    /// A field of the request is wrong, whatever the state is.
    #[error("{field}: {why}")]
    InvalidArgument {
        /// The field, as the wire names it.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// The request is right, the state is not: `reason` is stable, `why` says what to do.
    #[error("{why}")]
    FailedPrecondition {
        /// Stable upper-case reason.
        reason: Cow<'static, str>,
        /// What stands in the way.
        why: String,
    },
    /// The object is there already.
    #[error("{0} exists already")]
    AlreadyExists(&'static str),
    /// Somebody else wrote first: read again and repeat.
    #[error("changed meanwhile: {0}; read it again and repeat")]
    Aborted(&'static str),
    /// A limit was reached.
    #[error("{why}")]
    ResourceExhausted {
        /// Stable upper-case reason.
        reason: &'static str,
        /// Which limit.
        why: String,
        /// When a retry can succeed; none if waiting does not help.
        retry_after: Option<Duration>,
    },
    /// What was asked for from some point on is not kept from there any more.
    #[error("{0}")]
    OutOfRange(&'static str),
    /// The caller's deadline passed before the work was taken up.
    #[error("the deadline passed before the work was done")]
    DeadlineExceeded,
    /// Cannot be answered now; a retry may be.
    #[error("unavailable: {why}")]
    Unavailable {
        /// Stable upper-case reason.
        reason: &'static str,
        /// What is missing.
        why: String,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// This tenant is not worked on here, and nothing of the call was read or done: ask its owner.
    #[error("this tenant is worked on by another node, or is on its way to one; repeat")]
    NotOwner {
        /// Who has it, if that is known; none while it moves.
        owner: Option<NodeId>,
    },
    /// The connection was lost at the commit: it may or may not have happened. A retry with the
    /// same idempotency key finds out.
    #[error("the outcome is unknown; repeat with the same idempotency key")]
    OutcomeUnknown,
    /// A fault of ours; the id finds it in the logs.
    #[error("internal error {0}")]
    Internal(RequestId),
    /// Not built yet.
    #[error("not there yet: {0}")]
    Unimplemented(&'static str),
}

impl ActorError {
    /// A wrong field.
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidArgument { field, why: why.into() }
    }

    /// A state that forbids the call.
    pub fn precondition(reason: impl Into<Cow<'static, str>>, why: impl Into<String>) -> Self {
        Self::FailedPrecondition { reason: reason.into(), why: why.into() }
    }

    /// A limit that waiting does not lift.
    pub fn exhausted(reason: &'static str, why: impl Into<String>) -> Self {
        Self::ResourceExhausted { reason, why: why.into(), retry_after: None }
    }

    /// Something is away for a while.
    pub fn unavailable(reason: &'static str, why: impl Into<String>) -> Self {
        Self::Unavailable { reason, why: why.into(), retry_after: Some(Duration::from_millis(200)) }
    }

    /// This node's lease is in doubt: what it knows may be out of date, so it neither reads nor writes.
    pub fn no_lease() -> Self {
        Self::unavailable(NO_LEASE, "this node's lease is in doubt; repeat, or ask another node")
    }

    /// The ownership ended under work that was under way: a part of it may have been done before.
    pub(crate) fn moved() -> Self {
        Self::unavailable(MOVED, "this tenant moved to another node meanwhile; repeat")
    }

    /// The same error when it met the first look at the state: if the ownership had ended, then nothing was
    /// read or done, and the call may go to the owner unchanged.
    pub(crate) fn before_it_was_read(self) -> Self {
        match self {
            Self::Unavailable { reason: MOVED, .. } => Self::NotOwner { owner: None },
            other => other,
        }
    }

    /// The stable string that clients match on (`google.rpc.ErrorInfo.reason`, domain `ocmt`).
    pub fn reason(&self) -> &str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::PermissionDenied(_) => "PERMISSION_DENIED",
            Self::StepUpRequired => "STEP_UP_REQUIRED",
            Self::InvalidArgument { .. } => "INVALID_ARGUMENT",
            Self::FailedPrecondition { reason, .. } => reason,
            Self::ResourceExhausted { reason, .. } | Self::Unavailable { reason, .. } => reason,
            Self::AlreadyExists(_) => "ALREADY_EXISTS",
            Self::Aborted(_) => "CHANGED_MEANWHILE",
            Self::OutOfRange(_) => "OUT_OF_RANGE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotOwner { .. } => NOT_OWNER,
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Internal(_) => "INTERNAL",
            Self::Unimplemented(_) => "UNIMPLEMENTED",
        }
    }

    /// Whether the same request may succeed later without the caller changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NotOwner { .. } | Self::OutcomeUnknown => true,
            Self::ResourceExhausted { retry_after, .. } => retry_after.is_some(),
            _ => false,
        }
    }

    /// Whether the effect may have happened although the call failed.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown | Self::Internal(_) | Self::DeadlineExceeded)
    }

    /// How long to wait before a retry, where one makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ResourceExhausted { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            Self::NotOwner { .. } => Some(Duration::from_millis(50)),
            Self::OutcomeUnknown => Some(Duration::from_millis(200)),
            _ => None,
        }
    }

    /// Whether the tenant is another node's by now.
    pub(crate) fn is_moved(&self) -> bool {
        matches!(self, Self::NotOwner { .. } | Self::Unavailable { reason: MOVED, .. })
    }

    /// Whether the actor that met it must stop and be activated again from the stored truth.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_moved() || matches!(self, Self::OutcomeUnknown)
    }

    /// Whether asking again, as often as one likes, meets the same answer. A receiver that is busy refuses, and
    /// says nothing about what it was sent: whoever took that for an answer would act on a word never given.
    pub(crate) fn is_final(&self) -> bool {
        self.is_refusal() && !self.is_retryable() && !matches!(self, Self::Aborted(_))
    }

    /// Whether it says something about the caller's request (and is audited as a refusal), rather
    /// than about us.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Unavailable { .. }
                | Self::NotOwner { .. }
                | Self::OutcomeUnknown
                | Self::Internal(_)
                | Self::DeadlineExceeded
        )
    }
}

/// Reason of an answer of a node that does not have the tenant.
const NOT_OWNER: &str = "NOT_OWNER";
/// Reason of an answer of a node whose lease is in doubt.
const NO_LEASE: &str = "NO_LEASE";
/// Reason of an answer from work whose ownership ended in the middle.
const MOVED: &str = "MOVED";
