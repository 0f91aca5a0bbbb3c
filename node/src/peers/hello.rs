//! The first words on a connection: who are you, and which version of the protocol do we speak.

use std::time::Duration;

use bytes::Bytes;
use ocmt_proto::v1::{HelloRequest, HelloResponse, node_service_client::NodeServiceClient};
use ocmt_types::{Incarnation, NodeId};
use tokio::time::timeout;

use super::{Link, Local, Peer, Views};

/// Versions of the peer protocol that this software speaks. A version is dropped one release after its
/// successor came, so that neighbours in a rolling upgrade always share one.
pub(super) const PROTOCOLS: std::ops::RangeInclusive<u32> = 1..=1;

const HELLO: Duration = Duration::from_secs(1);
/// A node that has just registered is known here with the next look at the cluster, which a Hello waits for:
/// less than the other side waits for its answer.
const NEWS: Duration = Duration::from_millis(800);

/// Introduces this node on a fresh link; the version to speak.
pub(super) async fn introduce(
    mut node: NodeServiceClient<Link>,
    local: &Local,
    peer: &Peer,
    view_version: i64,
) -> Result<u32, String> {
    let request = HelloRequest {
        cluster_id: local.cluster.to_string(),
        node_id: local.node.to_string(),
        incarnation: Bytes::copy_from_slice(&local.incarnation.0),
        min_protocol: *PROTOCOLS.start(),
        max_protocol: *PROTOCOLS.end(),
        version: local.version.clone(),
        view_version: u64::try_from(view_version).unwrap_or(0),
    };
    let answer = timeout(HELLO, node.hello(request)).await.map_err(|_| "no answer to Hello".to_owned())?;
    check(&answer.map_err(|status| status.message().to_owned())?.into_inner(), peer)
}

fn check(answer: &HelloResponse, peer: &Peer) -> Result<u32, String> {
    if answer.node_id != peer.node_id.to_string() {
        return Err("another node answers there".to_owned());
    }
    if answer.incarnation.as_ref() != peer.incarnation.0.as_slice() {
        return Err("another life of the node answers there".to_owned());
    }
    if !PROTOCOLS.contains(&answer.protocol) {
        return Err(format!("it wants to speak version {} of the peer protocol", answer.protocol));
    }
    Ok(answer.protocol)
}

/// The version to speak with a caller of these; none in common is none.
pub(super) fn agree(min: u32, max: u32) -> Option<u32> {
    let highest = max.min(*PROTOCOLS.end());
    (highest >= min.max(*PROTOCOLS.start())).then_some(highest)
}

/// Whether this is a living life of that node, as far as this node sees within a moment. A certificate alone
/// opens nothing: whoever was let in and never registered, or is dead, is no part of the cluster.
pub(super) async fn is_living(views: &Views, node: NodeId, incarnation: Incarnation) -> bool {
    let mut views = views.clone();
    let seen = views.wait_for(|view| view.living(node, incarnation).is_some());
    timeout(NEWS, seen).await.is_ok_and(|seen| seen.is_ok())
}

/// The incarnation in a message.
pub(super) fn incarnation(bytes: &[u8]) -> Option<Incarnation> {
    bytes.try_into().ok().map(Incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_spoken() {
        assert_eq!(agree(1, 1), Some(1));
        assert_eq!(agree(1, 7), Some(1), "a newer neighbour that still speaks ours");
        assert_eq!(agree(2, 7), None, "a neighbour two releases ahead");
        assert_eq!(agree(3, 1), None, "an empty range");
    }
}
