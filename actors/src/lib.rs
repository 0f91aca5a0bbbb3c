//! Supervised actors, one for each tenant, session, vault and container.
//!
//! A tenant's state is reached by one way alone: a message to that tenant's actor, and that message
//! carries who asks ([`Caller`]). The public face is [`System`] and the request types in [`api`].
//!
//! ```text
//! NodeSupervisor (node/)
//! ├── TenantSupervisor (tenants/)        activates on demand, restarts, puts to sleep
//! │   └── TenantActor * (tenant/)        one lane of work, children, timers, post
//! │       ├── SessionActor *             one live session: deadlines, open streams
//! │       ├── VaultActor *               one vault: slots, entries, manifest, rotation
//! │       └── CeremonyActor *            one recovery ceremony
//! ├── HostSupervisor (host/)             this machine's containers
//! │   └── ContainerActor *               one container: life, wake queue, cell, idle clock
//! ├── AlertDispatcher (alert/)           hands mails and notices over
//! └── ReminderActor (reminder/)          wakes tenants whose timers are due
//! ```
//!
//! # The way of a call
//!
//! `system.tenant(t).call(caller, meta, request)` takes a permit ([`admission`]), wraps the request in
//! a `call::Incoming` (caller, deadline, idempotency key, reply) and sends it root → supervisor → tenant.
//! `tenant/dispatch.rs` has one line per method: it puts `work::run` into the tenant's *lane*, or
//! forwards to a child that has a lane of its own. `work::run` is the frame around every handler:
//! deadline, fenced transaction, standing of the caller (session alive, role today), replay of
//! repeats, **your handler**, audit record, commit; then the actor applies the effects and answers.
//!
//! # Adding an area (vault, container, recovery)
//!
//! 1. `api/<area>.rs`: request and answer types, and `calls! { Area: AreaCall of "AreaService" { read |
//!    write | once Request => Answer, … } }`. `write` answers are serde-serialisable and replayed for
//!    repeated idempotency keys, so they hold no secret; `once` is never stored.
//! 2. A handler per request: `impl Handle for Request { async fn handle(self, work: &mut Work) -> … }` in
//!    the folder of the actor that owns the state (`tenant/vault/handlers/slots.rs`). Everything is read
//!    and written through `work.tx` (typed rows); time is `work.now`, ids `work.env.id()`. Load the object
//!    first, then `work.authorize_found(Action::…, found, |row| Object::of(row.owner))?`. Set `work.object`
//!    for the audit record. Await nothing but the store while the transaction is open: it holds up every
//!    tenant on SQLite. Need the network in between? Two pieces of work with the network between them, on
//!    a lane of your own, or `supervisor::task` that casts the result back.
//! 3. `authorize.rs`: an `Action` and its line in `rule`.
//! 4. A child actor: a folder under `tenant/` (`mod.rs`, `message.rs`, `state.rs` pure, `handlers/`), its
//!    map in `tenant/children.rs` (a `Key`, `start_…`, a line in `gone`), its calls forwarded in
//!    `tenant/dispatch.rs`. It has a `Lane<ItsMessage, Outcome>`; on `Finished` it sends the outcome up
//!    with `TenantMessage::FromChild`, which applies effects and answers. Session is the smallest example.
//!    Memory of an actor is a cache: whatever a handler decides on it reads in its transaction, since a
//!    restarted actor's predecessor may still have a commit in flight.
//! 5. Later: `work.set_timer("area.kind", subject, at, payload)`, fired in `tenant/handlers/timers.rs` (one
//!    line per kind). Another tenant: `work.post(tenant, "area.kind", body)`, taken in
//!    `tenant/handlers/post.rs`; `work.answer_after = Some(message)` answers the caller only after it was
//!    taken there (such a handler must be repeatable). A person: `handlers::notices::write`. Streams and
//!    live children: an [`effect`] applied by the tenant's actor.
//! 6. Errors: [`ActorError`], with a stable upper-case reason. A terminal one (fence lost, outcome unknown)
//!    stops the tenant by itself, and the next message activates it from the truth.

mod administer;
mod admission;
mod agent_policy;
mod alert;
pub mod api;
mod audit;
mod authorize;
mod call;
mod caller;
mod clip;
mod effect;
mod email;
mod env;
mod error;
mod host;
mod kept;
mod lane;
mod letter;
mod lobby;
mod meters;
mod node;
mod passkeys;
mod policy;
mod ports;
mod quota;
mod reminder;
mod supervisor;
mod system;
mod tenant;
mod tenants;
mod watch;
mod work;

#[cfg(test)]
mod tests;

/// Target of the spans that are traced, of the finest level: how long a call waited for its tenant's actor, and was worked on there.
pub const TRACE_TARGET: &str = "ocmt_trace";

pub use administer::ActingOperator;
pub use admission::AdmissionLimits;
pub use call::{Call, CallMeta, IdempotencyKey, Repeat};
pub use caller::{Caller, Principal, Program, SignedIn};
pub use email::normalised as normalised_email;
pub use env::{Limits, OnDrift, SystemConfig};
pub use error::ActorError;
pub use host::{GATEWAY_OVERLAP, dead_man, stop_all};
pub use letter::{OperatorAct, OperatorAnswer};
pub use passkeys::Passkeys;
pub use policy::Mode;
pub use ports::{
    Alone, Answering, CellCall, CellChannel, CellConnection, CellConnections, CellError, CellGot,
    CellInboxItem, CellInboxSettled, CellLink, CellOffer, CellPass, CellPolicy, CellStatus, CellTarget,
    CellTranscripts, CellUnlock, CellWant, CellWanted, CellWish, HostSeen, HostStanding, LockReason, Mail,
    MailBody, MailError, Mailer, Neighbours, NodeSigner, Pieces, PinCall, PinError, RemoteChannel,
    SchedulePin, SchedulePins, SealingRing, SnapshotStore, SnapshotStoreError, Snapshots, StoreCall,
};
pub use quota::{Quota, QuotaChange};
pub use system::{StreamEnd, StreamGuard, System, TenantHandle};
pub use tenant::{sso::BAD_SSO, transcript::follow::TranscriptWake};
pub use watch::Told;
