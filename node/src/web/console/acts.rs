//! Having a node give its work away, and giving it work again: asked for on a page of its own, whose form is good once and for this alone.

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use ocmt_proto::v1::{self as pb, cluster_service_server::ClusterService as _};
use ocmt_types::NodeId;
use serde::Deserialize;
use tonic::Status;

use super::{
    super::answer::{html, see_other},
    Console,
    at::At,
    nodes::{find, row},
    view::Act as Page,
};

#[derive(Clone, Copy)]
enum Act {
    Drain,
    Resume,
}

impl Act {
    fn parse(name: &str) -> Option<Self> {
        [Self::Drain, Self::Resume].into_iter().find(|act| act.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Resume => "resume",
        }
    }

    async fn done(self, console: &Console, who: &At, node: NodeId, key: Vec<u8>) -> Result<(), Status> {
        let (node_id, idempotency_key) = (node.to_string(), key.into());
        match self {
            Self::Drain => {
                let asked = pb::DrainNodeRequest { node_id, idempotency_key };
                console.rpc.drain_node(who.call(asked)).await.map(drop)
            }
            Self::Resume => {
                let asked = pb::ResumeNodeRequest { node_id, idempotency_key };
                console.rpc.resume_node(who.call(asked)).await.map(drop)
            }
        }
    }
}

/// Whether it is meant.
pub(super) async fn ask(
    State(console): State<Console>,
    Path((id, act)): Path<(String, String)>,
    who: At,
) -> Response {
    let (Some(act), Ok(node)) = (Act::parse(&act), id.parse::<NodeId>()) else { return who.missing() };
    let found = match find(&console, &who, &id).await {
        Ok(found) => found,
        Err(status) => return who.refused(&status),
    };
    let frame = who.frame();
    let (title, text, button) = match act {
        Act::Drain => (frame.say("node.drain_title"), frame.say("node.drain_text"), frame.say("node.drain")),
        Act::Resume => {
            (frame.say("node.resume_title"), frame.say("node.resume_text"), frame.say("node.resume"))
        }
    };
    let token = console.forms.issue(&who.operator, act.name(), node);
    let page = Page { title, text, button, one: row(&frame, &found), act: act.name(), token: &token, frame };
    html(StatusCode::OK, &page, [])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meant {
    token: String,
}

/// Does it.
pub(super) async fn act(
    State(console): State<Console>,
    Path((id, act)): Path<(String, String)>,
    who: At,
    Form(Meant { token }): Form<Meant>,
) -> Response {
    let (Some(act), Ok(node)) = (Act::parse(&act), id.parse::<NodeId>()) else { return who.missing() };
    let Some(key) = console.forms.key(&token, &who.operator, act.name(), node) else {
        let why = "this form was not made for you, for this act or within the last five minutes: load the page again";
        return who.refused(&Status::permission_denied(why));
    };
    match act.done(&console, &who, node, key).await {
        Ok(()) => see_other(&format!("/console/nodes/{node}"), []),
        Err(status) => who.refused(&status),
    }
}
