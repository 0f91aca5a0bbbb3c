//! A connection to one node: made within a second or not at all, cut when that node is no longer the one.

use std::{sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{Peer, PeerTls, View, Views};
use crate::server::CutStream;

/// Peers stand in one network: who does not answer in this time is away, and the call may go elsewhere.
const CONNECT: Duration = Duration::from_secs(1);
const HANDSHAKE: Duration = Duration::from_secs(1);

pub(super) type PeerStream = CutStream<TlsStream<TcpStream>>;

/// Protocols of a dialled connection.
pub(super) const H2: &[u8] = b"h2";
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Dials `peer`; the text says what did not work.
pub(super) async fn dial(
    tls: &PeerTls,
    views: &Views,
    peer: &Peer,
    protocol: &[u8],
) -> Result<PeerStream, String> {
    if !is_current(&views.borrow(), peer) {
        return Err("it is revoked, or another life of it has begun".to_owned());
    }
    let tcp = timeout(CONNECT, TcpStream::connect(&peer.addr)).await;
    let tcp = tcp.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())?;
    // with Nagle on, small answers wait for 40 ms
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let connector = tls.connector(peer.node_id, protocol).map_err(|error| error.to_string())?;
    // no name is checked by it: the id in the certificate is
    let name = ServerName::try_from("node.ocmt.invalid").map_err(|error| error.to_string())?;
    let stream = timeout(HANDSHAKE, connector.connect(name, tcp)).await;
    let stream = stream.map_err(|_| "no TLS answer".to_owned())?.map_err(|error| error.to_string())?;
    if stream.get_ref().1.alpn_protocol() != Some(protocol) {
        return Err("it does not speak the protocol".to_owned());
    }
    Ok(CutStream::new(stream, Box::pin(until_replaced(views.clone(), peer.clone()))))
}

/// Ends when the peer is revoked or declared dead, or another life of it stands in the view.
async fn until_replaced(mut views: Views, peer: Peer) {
    if views.wait_for(|view: &Arc<View>| !is_current(view, &peer)).await.is_err() {
        // no view will come any more: this node itself is ending
        std::future::pending::<()>().await;
    }
}

/// Whether this life of the peer is a member.
pub(super) fn is_current(view: &View, peer: &Peer) -> bool {
    !view.revoked.contains(&peer.node_id)
        && view.nodes.get(&peer.node_id).is_some_and(|known| known.incarnation == peer.incarnation)
}
