//! The workload's own HTTP and WebSockets, for containers that opted in (`gateway_plain`).
//!
//! The node speaks the client's protocol with the client and HTTP/1.1 with the workload; between the two stands
//! nothing that either could smuggle through the other: heads are read, cleaned ([`headers`]) and written anew, and
//! lengths are the libraries' own. What passes counts as use by what it means, and not by its bytes: a request, a piece of
//! a body, a message do; a ping does not.

mod answer;
mod headers;
mod pieces;
mod request;
mod socket;
mod stream;

use axum::http::Extensions;
use ocmt_actors::{
    ActorError,
    api::container::{
        Ending, Gateway, Shown, Wake, Way,
        plain::{Word, word},
    },
};
use ocmt_types::ContainerId;
use tokio::sync::mpsc;

pub use self::headers::FROM_WORKLOAD;
use self::stream::ToWorkload;
pub(super) use self::{request::request, socket::socket};
use super::{GatewayState, open};

/// A connection to a workload.
struct Opened {
    wake: Wake,
    stream: ToWorkload,
    words: Words,
    ended: Ending,
}

/// Tells the host what counts.
#[derive(Clone)]
struct Words(mpsc::Sender<axum::body::Bytes>);

impl Words {
    /// In the order of what is written before and after.
    async fn say(&self, it: Word) {
        // a connection that is over counts nothing
        let _ = self.0.send(word(it)).await;
    }
}

/// `often`: for one request of what may be many.
async fn connect(
    state: &GatewayState,
    container: ContainerId,
    (token, often): (&str, bool),
    extensions: &Extensions,
) -> Result<Opened, ActorError> {
    let shown = Shown { container, token, way: Way::Plain, often };
    Ok(Opened::of(open(state, shown, extensions).await?))
}

impl Opened {
    fn of(gateway: Gateway) -> Self {
        let Gateway { wake, to_cell, from_cell, ended } = gateway;
        let words = Words(to_cell.clone());
        Self { wake, stream: ToWorkload::new(to_cell, from_cell), words, ended }
    }
}
