//! Connections of one's containers to other people's services. The node lists and ends them; it hands out no address to begin one
//! at: only a client that has the vault open can tell the cell's own from one that a node made.

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_actors::{
    ActorError,
    api::{
        connections::{ConnectionInfo, Disconnect, ListConnections},
        container::ListContainers,
    },
};
use ocmt_crypto::connect::{ProviderName, tokens_entry};
use ocmt_types::ContainerId;
use serde::Deserialize;

use super::{
    super::{
        answer::{html, refused},
        frame::Frame,
        pages::{Entered, Guest, Pages, Visitor},
    },
    act, then,
    view::{Connections, OneConnection},
};

const HERE: &str = "/app/connections";
/// As many as one call answers.
const PAGE: u32 = 100;

#[derive(Deserialize)]
pub(super) struct Told {
    /// The provider of what was ended just now.
    ended: Option<String>,
    /// Whether the provider took it.
    revoked: Option<bool>,
}

/// Those of all one's own containers.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(told): Query<Told>,
    Entered { visitor, guest }: Entered,
) -> Response {
    match gathered(&pages, &guest).await {
        Ok(all) => {
            let frame = visitor.frame().of_user();
            let connections = all.into_iter().map(|one| row(&frame, one)).collect();
            // of an address that somebody made up nothing is repeated but the name that a provider may have
            let ended = told.ended.and_then(|provider| ProviderName::new(&provider).ok());
            let (csrf, cookie) = visitor.own_csrf();
            let page = Connections {
                frame,
                connections,
                revoked: told.revoked == Some(true),
                ended: ended.map(|provider| tokens_entry(&provider)),
                csrf: &csrf,
            };
            html(StatusCode::OK, &page, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

async fn gathered(pages: &Pages, guest: &Guest) -> Result<Vec<ConnectionInfo>, ActorError> {
    let own = Some(guest.me.user);
    let page = move |after| async move {
        let ask = ListContainers { user: own, after, limit: PAGE };
        pages.ask(&guest.caller, ask).await.map(|page| (page.containers, page.next))
    };
    let mut all = Vec::new();
    for container in Pages::all(page).await? {
        all.extend(of(pages, guest, container.id).await?);
    }
    Ok(all)
}

async fn of(pages: &Pages, guest: &Guest, container: ContainerId) -> Result<Vec<ConnectionInfo>, ActorError> {
    let page = move |after| async move {
        let ask = ListConnections { container, after, limit: PAGE };
        pages.ask(&guest.caller, ask).await.map(|page| (page.connections, page.next))
    };
    Pages::all(page).await
}

fn row(frame: &Frame, one: ConnectionInfo) -> OneConnection {
    let scopes = match one.scopes.as_slice() {
        [] => frame.say("connection.no_scopes").to_owned(),
        some => some.join(" "),
    };
    OneConnection {
        id: one.connection.to_string(),
        container: one.container.to_string(),
        provider: one.provider,
        scopes,
        made: frame.at(one.created_at),
        renewed: one
            .refreshed_at
            .map_or_else(|| frame.say("connection.never").to_owned(), |time| frame.at(time)),
        unfiled: one.unfiled,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    connection: String,
    /// With whom, to be named afterwards.
    provider: String,
    /// As a box that was ticked sends it.
    anyway: Option<String>,
    csrf: String,
}

/// Ends one at its provider, and forgets it.
pub(super) async fn end(State(pages): State<Pages>, visitor: Visitor, Form(one): Form<One>) -> Response {
    let asks = || Some(Disconnect { connection: one.connection.parse().ok()?, anyway: one.anyway.is_some() });
    let to = act(&pages, &visitor, &one.csrf, asks).await.map(|ended| {
        let provider = ProviderName::new(&one.provider).map(|name| name.to_string()).unwrap_or_default();
        format!("{HERE}?ended={provider}&revoked={}", ended.revoked)
    });
    then(to, &visitor)
}
