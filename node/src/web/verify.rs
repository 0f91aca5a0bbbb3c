//! One record of one's own audit with what proves it: the browser does the rest (`node/web/js/page/audit.js`).
//!
//! Each call for a proof is in the audit itself, so it is a form's, of one record.

use axum::{Form, extract::State, http::StatusCode, response::Response};
use data_encoding::HEXLOWER;
use ocmt_actors::{
    ActorError,
    api::{
        audit::{GetCheckpoint, ProveInclusion, QueryAudit},
        auth::WhoAmI,
    },
};
use serde::Deserialize;

use super::{
    answer::{html, refused},
    assets::Script,
    pages::{Pages, Visitor},
    view::Verify,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    number: i64,
    csrf: String,
}

pub(super) async fn show(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    match proven(&pages, &visitor, &one).await {
        Ok(page) => html(StatusCode::OK, &page, [visitor.own_csrf().1]),
        Err(error) => refused(&error, &visitor),
    }
}

/// Browsers read no certificates: whoever serves this page answers for the key of the node that signed, as for the page's code.
async fn proven(pages: &Pages, visitor: &Visitor, one: &One) -> Result<Verify, ActorError> {
    let caller = pages.sender(visitor, &one.csrf).await?.caller;
    let user = pages.ask(&caller, WhoAmI).await?.user;
    let own = QueryAudit {
        after: Some(one.number.saturating_add(1)),
        limit: 1,
        user: Some(user),
        descending: true,
        ..QueryAudit::default()
    };
    let found = pages.ask(&caller, own).await?.records.into_iter().next();
    let record = found.filter(|record| record.sequence == one.number).ok_or(ActorError::NotFound)?;
    let stated = pages.ask(&caller, GetCheckpoint).await?;
    let sequence = u64::try_from(record.sequence).map_err(|_| ActorError::NotFound)?;
    let size = stated.checkpoint.tree.size;
    let proof = pages.ask(&caller, ProveInclusion { sequence, size }).await?;
    let node = pages.ca.prove_node(&stated.certificate_chain, &*pages.clock).map_err(|error| {
        tracing::warn!(%error, "a head of an audit is of no node");
        ActorError::unavailable(
            "NODE_UNPROVEN",
            "the node that signed has shown no certificate of this cluster",
        )
    })?;
    let path: Vec<String> = proof.path.iter().map(|hash| HEXLOWER.encode(&hash.0)).collect();
    Ok(Verify {
        frame: visitor.frame().of_user().unswitched().running(Script::Audit),
        tenant: caller.tenant().to_string(),
        user: user.to_string(),
        sequence,
        canonical: HEXLOWER.encode(&record.canonical),
        path: path.join(" "),
        note: stated.note,
        node: node.id.to_string(),
        node_key: HEXLOWER.encode(&node.key.0),
    })
}
