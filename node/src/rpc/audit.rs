//! AuditService: a tenant's own trail.

use std::collections::HashMap;

use ocmt_actors::api::audit::{AuditEntry, QueryAudit};
use ocmt_proto::v1::{self as pb, audit_service_server::AuditService};
use tonic::{Request, Response, async_trait};

use super::{Answer, Rpc, convert};

#[async_trait]
impl AuditService for Rpc {
    async fn query_audit(&self, request: Request<pb::QueryAuditRequest>) -> Answer<pb::QueryAuditResponse> {
        let it = request.get_ref();
        if !it.ascending {
            return Err(convert::invalid("ascending", "must be set: records are read oldest first for now"));
        }
        let filter = it.filter.clone().unwrap_or_default();
        let cannot = filter.from.is_some()
            || filter.until.is_some()
            || !filter.object.is_empty()
            || !filter.outcomes.is_empty()
            || filter.actions.len() > 1;
        if cannot {
            return Err(convert::invalid("filter", "takes one action and one user for now"));
        }
        let after = match it.page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| convert::invalid("page_token", "is not one of ours"))?),
        };
        let ask = QueryAudit {
            after,
            limit: convert::page_size(it.page_size, 50),
            method: filter.actions.first().cloned(),
            user: convert::optional_id(&filter.principal_id, "filter.principal_id")?,
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::QueryAuditResponse {
            records: page.records.into_iter().map(record).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }
}

fn record(entry: AuditEntry) -> pb::AuditRecord {
    let ok = entry.result == "OK";
    let (kind, id) = principal(&entry);
    let mut details: HashMap<_, _> = entry.details.into_iter().collect();
    if kind == pb::PrincipalKind::ApiKey {
        details.insert("user".to_owned(), named(&entry.actor).1.to_owned());
    }
    pb::AuditRecord {
        sequence: u64::try_from(entry.sequence).unwrap_or(0),
        at: Some(convert::time(entry.at)),
        action: entry.method,
        outcome: if ok { pb::Outcome::Ok } else { pb::Outcome::Refused }.into(),
        reason: if ok { String::new() } else { entry.result },
        principal_kind: kind.into(),
        principal_id: id,
        object: entry.object,
        details,
        canonical: entry.canonical.into(),
        chain_hash: entry.hash.to_vec().into(),
        ..Default::default()
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
