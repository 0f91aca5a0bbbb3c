//! One's own cell as its host states it: what a container prints and what somebody types into it go sealed between the cell and its user,
//! so the node writes pages that say whose cell that is, and the browser opens the channel (`node/web/js/page/cell_ends.js`).

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use data_encoding::HEXLOWER;
use ocmt_actors::{ActorError, api::container::GetCellKey};
use ocmt_types::ContainerId;
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        assets::Script,
        frame::Frame,
        pages::{Pages, Visitor},
    },
    view::{Cell, Log, Terminal},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    container: String,
    csrf: String,
}

/// What its workload prints. Asks for the cell's key, which wakes the container: so it is a form's.
pub(super) async fn log(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    shown(&pages, &visitor, &one, Script::Log, |frame, cell| Log { frame, cell }).await
}

/// A terminal in it; for which the same is asked.
pub(super) async fn terminal(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    shown(&pages, &visitor, &one, Script::Terminal, |frame, cell| Terminal { frame, cell }).await
}

/// The page, with its script where there is a cell that would answer.
async fn shown<T: Template>(
    pages: &Pages,
    visitor: &Visitor,
    one: &One,
    script: Script,
    page: impl FnOnce(Frame, Cell) -> T,
) -> Response {
    match stated(pages, visitor, one).await {
        Ok(cell) => {
            let frame = visitor.frame().of_user();
            let frame = if cell.unlocked { frame.running(script) } else { frame };
            html(StatusCode::OK, &page(frame, cell), [visitor.own_csrf().1])
        }
        Err(error) => refused(&error, visitor),
    }
}

/// Browsers read no certificates: whoever serves this page answers for the host's key, as for the page's code.
async fn stated(pages: &Pages, visitor: &Visitor, one: &One) -> Result<Cell, ActorError> {
    let caller = pages.sender(visitor, &one.csrf).await?.caller;
    let container: ContainerId = one.container.parse().map_err(|_| ActorError::NotFound)?;
    let stated = pages.ask(&caller, GetCellKey { container }).await?;
    let node = pages.ca.prove_node(&stated.certificate_chain, &*pages.clock).map_err(|error| {
        tracing::warn!(%error, "a cell's key is of no node");
        ActorError::unavailable(
            "HOST_UNPROVEN",
            "the container's host has shown no certificate of this cluster",
        )
    })?;
    Ok(Cell {
        unlocked: stated.unlocked,
        tenant: caller.tenant().to_string(),
        container: container.to_string(),
        statement: HEXLOWER.encode(&stated.statement),
        node: HEXLOWER.encode(node.id.as_bytes()),
        node_key: HEXLOWER.encode(&node.key.0),
    })
}
