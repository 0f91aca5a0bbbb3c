//! Nodes among themselves: the peer listener, and the pool of connections to other nodes' peer listeners.
//!
//! Every connection is TLS 1.3 with node certificates on both sides. The one that dials takes nobody but
//! the node it meant (`ocmt:node:<id>` in the certificate), the one that listens takes every node of the
//! cluster, and neither takes a revoked one: on connecting, and on links that live when the view says so.
//!
//! Four connections to each peer keep lanes apart: what keeps the cluster alive (letters, orders) never waits
//! behind users' bytes nor behind letters that are held, nor channels to cells behind calls. Streams, messages and windows are bounded, so that a slow reader costs its own
//! window and nothing else. WebSockets go over HTTP/1.1 connections of their own, one each: RFC 8441 is not
//! spoken. There are never so many of those that a link finds no room.

mod ask;
mod body;
mod dial;
mod gather;
mod hello;
mod link;
mod listener;
mod pool;
mod service;
mod tls;

pub use ask::AskError;
pub use body::PeerBody;
pub use link::Link;
pub use listener::{PEER_LIMITS, PeerDoor, PeerNode, UPGRADES, Upgrades, routes};
pub use ocmt_cluster::{Peer, Route, View};
pub use pool::{Lane, Pool, PoolError, Unsent};
pub use service::{Inbox, NodeRpc};
pub use tls::PeerTls;

use std::sync::Arc;

use ocmt_types::{ClusterId, Incarnation, NodeId};
use tokio::sync::watch;

use crate::software::Software;

/// Who this node is among its peers.
#[derive(Debug, Clone)]
pub struct Local {
    /// Of which cluster: a node of another is refused even under the same authority.
    pub cluster: ClusterId,
    /// Which node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Its release.
    pub software: Software,
}

/// The cluster as this node sees it, always the newest.
pub type Views = watch::Receiver<Arc<View>>;
