//! What the frame writes into the tenant's audit chain: every call, done or refused.

use std::sync::Arc;

use ocmt_crypto::audit::{Actor, AuditRecord, MAX_DETAILS, Outcome};
use ocmt_types::{Digest32, NodeId, OperatorId};
use sha2::{Digest as _, Sha256};

use crate::{
    caller::{Assurance, Caller, Principal},
    effect::Effect,
    env::Scope,
    error::ActorError,
    tenant::{alert, audit::stream},
    work::Work,
};

/// Name of the detail that holds the stable reason of a refusal.
const REASON: &str = "reason";
/// Name of the detail that holds the API key by which a user's program asked. Nothing else writes one of this name.
pub(crate) const BY_KEY: &str = "api_key";
/// Names of the details that say what the session was signed in with, and from which network address the call came.
const ASSURANCE: &str = "assurance";
const FROM: &str = "from";

/// Writes the record of a call that is about to be committed, in its transaction.
pub(crate) async fn success(work: &mut Work, method: &'static str) -> Result<(), ActorError> {
    let (object, details) = (std::mem::take(&mut work.object), std::mem::take(&mut work.details));
    note(work, method, object, Outcome::Allowed, details).await
}

/// Writes a record of one's own (timers, messages of other tenants), in the transaction of the work.
pub(crate) async fn note(
    work: &mut Work,
    action: &str,
    object: String,
    outcome: Outcome,
    mut details: Vec<(String, String)>,
) -> Result<(), ActorError> {
    let caller = &work.standing.caller;
    of_whom(caller, &mut details);
    let record = AuditRecord {
        tenant: work.ownership.tenant,
        at: work.now,
        request: caller.request,
        actor: actor(caller, work.env.node),
        action: action.to_owned(),
        object,
        outcome,
        details,
    };
    work.tx.audit(&record).await?;
    let env = Arc::clone(&work.env);
    if alert::raise(&mut work.tx, &env, &record, work.now).await? {
        work.then(Effect::TimerSet(work.now));
    }
    if let Some(at) = stream::recorded(&mut work.tx, &env, work.now).await? {
        work.then(Effect::TimerSet(at));
    }
    Ok(())
}

/// Writes the record of a refused call, in a transaction of its own: the call's was rolled back.
pub(crate) async fn refusal(
    scope: &Scope,
    caller: &Caller,
    method: &'static str,
    error: &ActorError,
) -> Result<(), ActorError> {
    let mut details = vec![(REASON.to_owned(), error.reason().to_owned())];
    of_whom(caller, &mut details);
    let record = AuditRecord {
        tenant: scope.ownership.tenant,
        at: scope.env.now(),
        request: caller.request,
        actor: actor(caller, scope.env.node),
        action: method.to_owned(),
        object: String::new(),
        outcome: outcome(error),
        details,
    };
    let mut tx = scope.fenced().await?;
    tx.audit(&record).await?;
    // its timer is found by the next look at the rows
    alert::raise(&mut tx, &scope.env, &record, record.at).await?;
    stream::recorded(&mut tx, &scope.env, record.at).await?;
    tx.commit().await?;
    scope.recorded();
    Ok(())
}

/// The same in the transaction of the call, whose writes stay.
pub(crate) async fn kept_refusal(
    work: &mut Work,
    method: &'static str,
    error: &ActorError,
) -> Result<(), ActorError> {
    let (object, mut details) = (std::mem::take(&mut work.object), std::mem::take(&mut work.details));
    details.push((REASON.to_owned(), error.reason().to_owned()));
    note(work, method, object, outcome(error), details).await
}

/// What is done in the name of a user by a token of a program or an API key is told apart; of a session, with what it
/// was signed in. Then from where.
fn of_whom(caller: &Caller, details: &mut Vec<(String, String)>) {
    let mut more = Vec::new();
    match caller.principal {
        Principal::Program(program) => details.push(("program".to_owned(), program.token.to_string())),
        Principal::Key(key) => details.push((BY_KEY.to_owned(), key.key.to_string())),
        Principal::User(who) => more.push((ASSURANCE.to_owned(), assurance(who.assurance).to_owned())),
        Principal::Operator(_) | Principal::Anonymous | Principal::System => {}
    }
    more.extend(caller.addr.map(|from| (FROM.to_owned(), from.to_string())));
    // a record holds so many and no more: what the act has to say of itself comes first
    more.truncate(MAX_DETAILS.saturating_sub(details.len()));
    details.extend(more);
}

fn assurance(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Inert => "inert",
        Assurance::PendingMfa => "pending_mfa",
        Assurance::Recovery => "recovery",
        Assurance::Link => "link",
        Assurance::Mfa => "mfa",
    }
}

fn outcome(error: &ActorError) -> Outcome {
    match error {
        ActorError::NotFound
        | ActorError::Unauthenticated(_)
        | ActorError::PermissionDenied(_)
        | ActorError::StepUpRequired => Outcome::Denied,
        _ => Outcome::Failed,
    }
}

/// What a record says of the result: `OK`, or the reason of the refusal.
pub(crate) fn result_of(record: &AuditRecord) -> String {
    let reason = record.details.iter().find(|(name, _)| name == REASON).map(|(_, value)| value.clone());
    match (record.outcome, reason) {
        (Outcome::Allowed, _) => "OK".to_owned(),
        (_, Some(reason)) => reason,
        (Outcome::Denied, None) => "DENIED".to_owned(),
        (Outcome::Failed, None) => "FAILED".to_owned(),
    }
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(bytes).into())
}

fn actor(caller: &Caller, node: NodeId) -> Actor {
    match &caller.principal {
        Principal::User(who) => Actor::User(who.user),
        // the record's details name the token
        Principal::Program(program) => Actor::User(program.user),
        Principal::Key(key) => Actor::User(key.user),
        Principal::Operator(subject) => {
            // of an operator of the cluster the id is the same as in the cluster's own chain
            if let Ok(operator) = subject.parse::<OperatorId>() {
                return Actor::Operator(*operator.as_bytes());
            }
            let digest = sha256(subject.as_bytes()).0;
            let mut id = [0; 16];
            id.copy_from_slice(&digest[..16]);
            Actor::Operator(id)
        }
        Principal::Anonymous => Actor::Anonymous,
        Principal::System => Actor::Node(node),
    }
}
