//! What a piece of committed work asks of the tenant's actor: applied after the commit and before
//! the caller is answered, so that whoever has the answer also sees the effect.

use ocmt_store::tables::{Schedule, Session};
use ocmt_types::{ConversationId, MessageId, NoticeId, SessionId, SnapshotId, Timestamp, UserId, VaultId};

use crate::{
    api::recovery::CeremonyState,
    host::message::{At, What},
    policy::TenantPolicy,
    ports::Mail,
    quota::Quota,
};

/// One effect beside the durable one.
pub(crate) enum Effect {
    /// The streams of these sessions end now. Whether a session is over, its row says.
    SessionsEnded(Vec<SessionId>),
    /// This session has another token or assurance: the token before is dead, its streams go on.
    SessionRenewed(Box<Session>, TenantPolicy),
    /// All sessions are over in memory, and their streams end now; whether they are in their rows is another matter.
    AllSessionsEnded,
    /// These limits hold.
    QuotaIs(Quota),
    /// The policy is another.
    PolicyChanged(TenantPolicy),
    /// This is for a container, at its host.
    Container(At, Box<What>),
    /// This vault changed: whoever watches it here looks now.
    VaultChanged(VaultId),
    /// This schedule wakes this container, of this user, and is told of it.
    Scheduled(At, UserId, Box<Schedule>),
    /// A container of the tenant changed: whoever watches here looks now.
    ContainersChanged,
    /// A ceremony that this user has to do with moved: whoever watches here looks now.
    CeremonyMoved(UserId),
    /// A recovery ceremony entered this state.
    Ceremony(CeremonyState),
    /// A timer was set: look again at the latest by then.
    TimerSet(Timestamp),
    /// Records of the audit wait for the receiver of its stream; whether it failed the last time.
    StreamAudit {
        /// It did.
        fails: bool,
    },
    /// The object of this snapshot is to go, and then its row.
    DropSnapshot(SnapshotId),
    /// The tenant's rows are gone: leave the record, and end.
    Erased,
    /// Records were appended to this conversation, or it is gone: wake who follows it.
    Appended(ConversationId),
    /// The outbox holds this message: deliver it.
    Posted(MessageId),
    /// Hand this over from memory: it holds a token, and tokens are not stored.
    Mail(Mail),
    /// Hand a stored notice over; the tenant is told when the carrier has it.
    HandOver(NoticeId, Mail),
}
