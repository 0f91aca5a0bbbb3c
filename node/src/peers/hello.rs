//! The first words on a connection: who are you, and which version of the protocol do we speak.

use std::time::Duration;

use bytes::Bytes;
use ocmt_proto::v1::{HelloRequest, HelloResponse, node_service_client::NodeServiceClient};
use ocmt_types::{Incarnation, NodeId};
use tokio::time::timeout;

use super::{Link, Local, Peer, Views};
use crate::software::Software;

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
    let Software { version, protocols } = &local.software;
    let request = HelloRequest {
        cluster_id: local.cluster.to_string(),
        node_id: local.node.to_string(),
        incarnation: Bytes::copy_from_slice(&local.incarnation.0),
        min_protocol: *protocols.start(),
        max_protocol: *protocols.end(),
        version: version.clone(),
        view_version: u64::try_from(view_version).unwrap_or(0),
    };
    let answer = timeout(HELLO, node.hello(request)).await.map_err(|_| "no answer to Hello".to_owned())?;
    check(&answer.map_err(|status| status.message().to_owned())?.into_inner(), peer, &local.software)
}

fn check(answer: &HelloResponse, peer: &Peer, software: &Software) -> Result<u32, String> {
    if answer.node_id != peer.node_id.to_string() {
        return Err("another node answers there".to_owned());
    }
    if answer.incarnation.as_ref() != peer.incarnation.0.as_slice() {
        return Err("another life of the node answers there".to_owned());
    }
    if !software.protocols.contains(&answer.protocol) {
        return Err(format!(
            "it wants to speak version {} of the peer protocol; this node runs {software}",
            answer.protocol
        ));
    }
    Ok(answer.protocol)
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
