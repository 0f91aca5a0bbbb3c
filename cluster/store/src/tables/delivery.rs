//! What has to happen later or elsewhere: timers, messages between tenants, notices to people.

use ocmt_types::{MessageId, NoticeId, TenantId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A durable timer. To fire is to compare with this row, so an early, late or double firing is harmless.
    pub struct Timer: tenant("timers") {
        key {
            /// What is due, in the actor's words.
            kind: String,
            /// For what, usually an id as text; empty if the kind says it all.
            subject: String,
        }
        /// When.
        due_at: Timestamp,
        /// What the actor wants to find again.
        payload: Vec<u8>,
    } index(due_at);

    /// A message to another tenant, written with the change that causes it and kept until it is delivered.
    pub struct Outbox: tenant("outbox") {
        key {
            /// Which message; the receiver takes each once.
            message_id: MessageId,
        }
        /// To whom.
        to_tenant: TenantId,
        /// What it is, in the actors' words.
        kind: String,
        /// What it says, in the actors' own encoding.
        body: Vec<u8>,
        /// When it was written.
        created_at: Timestamp,
        /// Failed attempts so far.
        attempts: i64,
        /// Not to be tried again before then.
        next_attempt_at: Timestamp,
    } index(next_attempt_at);

    /// A message from another tenant that was taken, with the answer given, so that a repeat gets the same.
    pub struct Inbox: tenant("inbox") {
        key {
            /// From whom.
            from_tenant: TenantId,
            /// Which message.
            message_id: MessageId,
        }
        /// What it is, in the actors' words.
        kind: String,
        /// What was answered.
        answer: Vec<u8>,
        /// When it was taken.
        received_at: Timestamp,
    } index(tenant_id, received_at);

    /// A notice to a person on a verified channel. It never holds a link or a token: those are not kept.
    pub struct Notice: tenant("notices") {
        key {
            /// Which notice.
            notice_id: NoticeId,
        }
        /// To which user of this tenant, if it is to one.
        user_id: Option<UserId>,
        /// To which address.
        address: String,
        /// What it is, in the actors' words.
        kind: String,
        /// Its subject, an id as text.
        subject: String,
        /// What it says, in the actor's own encoding.
        body: Vec<u8>,
        /// When it was written.
        created_at: Timestamp,
        /// Failed attempts so far.
        attempts: i64,
        /// When it is to be tried next; none when it was handed over or given up.
        next_attempt_at: Option<Timestamp>,
        /// When the channel took it; delays of ceremonies count from here.
        handed_over_at: Option<Timestamp>,
    } index(next_attempt_at) index(tenant_id, subject);
}
