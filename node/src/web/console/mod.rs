//! The console: what operators see of their cluster in a browser, on the operator listener and with their certificate.
//!
//! It shows what the operators' gRPC says, by the same calls, what the database has of audits and containers, and what this node knows of itself. It names no secret, since none of
//! that does. What it changes is a node's drain, which is undone by a click; what destroys something takes two steps in a terminal.
//!
//! | route | what |
//! |---|---|
//! | `GET /console` | the cluster at a glance |
//! | `GET /console/nodes`, `…/{id}` | nodes with their leases and load, as they change |
//! | `GET`, `POST /console/nodes/{id}/{act}` | asks, and drains a node or gives it work again |
//! | `GET /console/events` | nodes as they change, as server-sent events that go on where they were left |
//! | `GET /console/placement` | which node owns which tenant |
//! | `GET /console/tenants`, `…/{id}` | tenants, and what of their limits is used |
//! | `GET /console/work` | containers by state, wakes, ceremonies, limits |
//! | `GET /console/alerts`, `/console/audit`, `…/heads` | the cluster's own audit, what of it is an alert, where all audits end |
//! | `GET /console/findings` | what the security audit finds |

mod acts;
mod at;
mod events;
mod findings;
mod forms;
mod nodes;
mod overview;
mod placement;
mod router;
mod samples;
mod tenants;
mod trail;
mod view;
mod work;

use std::sync::Arc;

use ocmt_store::Store;
use ocmt_types::{Clock, NodeId};
use tokio::sync::Semaphore;

pub use self::router::{console, is_console};
use self::{findings::Looked, forms::Forms};
use crate::{
    config::Config,
    operator::{OperatorRpc, stored},
};

/// Browsers that are told of changes at once: each has the database looked at every second.
const MOST_STREAMS: usize = 16;
/// Entries of one page of a list.
const MOST: i32 = 50;

/// What a node shows of itself there.
pub struct Ground {
    /// Durable state.
    pub store: Store,
    /// What it counts, as `/metrics` says it.
    pub counts: Box<dyn Fn() -> String + Send + Sync>,
    /// What it runs with.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Which node.
    pub node: NodeId,
}

/// What the console stands on. Cheap to clone.
#[derive(Clone)]
struct Console {
    rpc: OperatorRpc,
    ground: Arc<Ground>,
    forms: Arc<Forms>,
    streams: Arc<Semaphore>,
    looked: Arc<Looked>,
}

#[cfg(test)]
mod tests;
