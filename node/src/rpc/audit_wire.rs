//! The audit on the wire.

use std::collections::HashMap;

use ocmt_actors::api::audit::{AuditEntry, AuditOutcome, StatedCheckpoint};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;

use super::convert;

pub(super) fn checkpoint(stated: StatedCheckpoint) -> pb::Checkpoint {
    let it = stated.checkpoint;
    pb::Checkpoint {
        size: it.tree.size,
        root_hash: it.tree.root.0.to_vec().into(),
        chain_hash: it.chain.0.to_vec().into(),
        at: Some(convert::time(it.at)),
        statement: Some(pb::NodeStatement {
            statement: stated.statement.into(),
            certificate_chain_der: stated.certificate_chain.into_iter().map(Into::into).collect(),
        }),
        note: stated.note,
        introductions: stated.introductions,
    }
}

/// In milliseconds, as records have it.
pub(super) fn time(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(at.seconds.saturating_mul(1_000).saturating_add(i64::from(at.nanos) / 1_000_000))
}

pub(super) fn record(entry: AuditEntry) -> pb::AuditRecord {
    let (kind, id) = principal(&entry);
    let mut details: HashMap<_, _> = entry.details.into_iter().collect();
    if kind == pb::PrincipalKind::ApiKey {
        details.insert("user".to_owned(), named(&entry.actor).1.to_owned());
    }
    let address = details.get("from").cloned().unwrap_or_default();
    let outcome = match entry.outcome {
        AuditOutcome::Allowed => pb::Outcome::Ok,
        AuditOutcome::Denied => pb::Outcome::Refused,
        AuditOutcome::Failed => pb::Outcome::Failed,
    };
    pb::AuditRecord {
        sequence: u64::try_from(entry.sequence).unwrap_or(0),
        at: Some(convert::time(entry.at)),
        action: entry.method,
        outcome: outcome.into(),
        reason: if outcome == pb::Outcome::Ok { String::new() } else { entry.result },
        principal_kind: kind.into(),
        principal_id: id,
        object: entry.object,
        address,
        request_id: entry.request,
        details,
        canonical: entry.canonical.into(),
        chain_hash: entry.hash.to_vec().into(),
    }
}

/// Who, by the actor's label as the audit writes it: `kind/id` or `kind:id`. What a user's program did by an API key is
/// the key's; the details have the user.
fn principal(entry: &AuditEntry) -> (pb::PrincipalKind, String) {
    if let Some(key) = entry.by_key() {
        return (pb::PrincipalKind::ApiKey, key.to_owned());
    }
    let (kind, id) = named(&entry.actor);
    let kind = match kind {
        "user" => pb::PrincipalKind::User,
        "container" => pb::PrincipalKind::Container,
        "operator" => pb::PrincipalKind::Operator,
        "anonymous" => pb::PrincipalKind::Anonymous,
        _ => pb::PrincipalKind::System,
    };
    (kind, id.to_owned())
}

fn named(actor: &str) -> (&str, &str) {
    actor.split_once(['/', ':']).unwrap_or((actor, ""))
}
