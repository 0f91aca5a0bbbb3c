//! What a container's workload prints. It goes sealed from the cell to its user, so the node writes a page that says whose cell that is,
//! and the browser opens the channel (`node/web/js/page/log.js`).

use axum::{Form, extract::State, http::StatusCode, response::Response};
use data_encoding::HEXLOWER;
use ocmt_actors::{ActorError, api::container::GetCellKey};
use ocmt_types::ContainerId;
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        assets::Script,
        pages::{Pages, Visitor},
    },
    view::Log,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    container: String,
    csrf: String,
}

/// Asks for the cell's key, which wakes the container: so it is a form's.
pub(super) async fn show(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    match stated(&pages, &visitor, &one).await {
        Ok(page) => html(StatusCode::OK, &page, [visitor.own_csrf().1]),
        Err(error) => refused(&error, &visitor),
    }
}

/// Browsers read no certificates: whoever serves this page answers for the host's key, as for the page's code.
async fn stated(pages: &Pages, visitor: &Visitor, one: &One) -> Result<Log, ActorError> {
    let caller = pages.sender(visitor, &one.csrf).await?;
    let container: ContainerId = one.container.parse().map_err(|_| ActorError::NotFound)?;
    let stated = pages.ask(&caller, GetCellKey { container }).await?;
    let node = pages.ca.prove_node(&stated.certificate_chain, &*pages.clock).map_err(|error| {
        tracing::warn!(%error, "a cell's key is of no node");
        ActorError::unavailable(
            "HOST_UNPROVEN",
            "the container's host has shown no certificate of this cluster",
        )
    })?;
    let frame = visitor.frame().of_user();
    Ok(Log {
        frame: if stated.unlocked { frame.running(Script::Log) } else { frame },
        unlocked: stated.unlocked,
        tenant: caller.tenant().to_string(),
        container: container.to_string(),
        statement: HEXLOWER.encode(&stated.statement),
        node: HEXLOWER.encode(node.id.as_bytes()),
        node_key: HEXLOWER.encode(&node.key.0),
    })
}
