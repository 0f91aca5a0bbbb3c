//! WatchCluster: nodes and ownership as they change.
//!
//! It compares pictures, a second apart; of ownership a page of them ([`Laps`]). A resume token is a digest of what its reader has seen of each node:
//! what has changed since comes first, whichever node is asked and whenever; so no token is too old.

use std::{collections::BTreeMap, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use ocmt_actors::ActorError;
use ocmt_proto::v1 as pb;
use ocmt_store::{StoreError, tables::TenantOwner};
use ocmt_types::NodeId;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{
    OperatorRpc,
    access::{Asking, NO_CERTIFICATE, refuse, stored},
    describe,
    laps::Laps,
};
use crate::{rpc::convert, tasks};

const EVERY: Duration = Duration::from_secs(1);
/// Most nodes a token can tell of: 6 bytes each, in base64, of 512.
const MOST: usize = 60;
/// What of a node's digest a token carries.
const MARK: usize = 6;

type Marks = BTreeMap<NodeId, [u8; MARK]>;
pub(super) type Changes = BoxStream<pb::WatchClusterResponse>;

impl OperatorRpc {
    pub(super) async fn watch(
        &self,
        request: Request<pb::WatchClusterRequest>,
    ) -> Result<Response<Changes>, Status> {
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/WatchCluster", &[]).await?;
        let token = request.get_ref().resume_token.clone();
        let mut seen = match token.as_str() {
            "" => Seen::Nothing,
            token => Seen::Token(parse(token)?),
        };
        let ((events, to_reader), (revoke, revoked)) = (mpsc::channel(16), oneshot::channel());
        let rpc = self.clone();
        tasks::spawn(async move {
            let telling = async {
                let (mut last, mut laps) = (None::<Marks>, Laps::default());
                loop {
                    let looked = async {
                        let (nodes, version) = describe::nodes(&rpc.parts).await?;
                        let nodes = seen.news(&mut last, nodes, version);
                        Ok([nodes, rpc.moved(&mut laps, version, last.as_ref()).await?].concat())
                    };
                    let news = match looked.await {
                        Ok(news) => news,
                        Err(error) => {
                            events.send(Err(stored(&error))).await.ok();
                            return;
                        }
                    };
                    for event in news {
                        if events.send(Ok(event)).await.is_err() {
                            return;
                        }
                    }
                    tokio::select! {
                        () = tokio::time::sleep(EVERY) => {}
                        () = events.closed() => return,
                    }
                }
            };
            tokio::select! {
                biased;
                ended = rpc.over(&asking) => drop(revoke.send(ended)),
                () = telling => {}
            }
        });
        Ok(Response::new(until(ReceiverStream::new(to_reader), revoked)))
    }

    /// Ready when the operator may not be told any more. A database that is away says nothing of that.
    async fn over(&self, asking: &Asking) -> Status {
        loop {
            match self.still(asking).await {
                Ok(true) => tokio::time::sleep(EVERY).await,
                Ok(false) => return refuse(&ActorError::Unauthenticated(NO_CERTIFICATE)),
                Err(error) => return stored(&error),
            }
        }
    }

    /// Tenants that have another owner, with the token of the nodes that were told before.
    async fn moved(
        &self,
        laps: &mut Laps,
        version: i64,
        told: Option<&Marks>,
    ) -> Result<Vec<pb::WatchClusterResponse>, StoreError> {
        let moved = laps.look(&self.parts.store).await?;
        if moved.is_empty() {
            return Ok(Vec::new());
        }
        let living = self.parts.store.cluster().living_nodes().await?;
        let resume_token = told.map(token).unwrap_or_default();
        let event = |owner: &TenantOwner| {
            let placement = describe::placement(owner, &living);
            pb::WatchClusterResponse {
                view_version: u64::try_from(version).unwrap_or(0),
                change: Some(pb::watch_cluster_response::Change::Placement(placement)),
                resume_token: resume_token.clone(),
            }
        };
        Ok(moved.iter().map(event).collect())
    }
}

/// The events until it is said why there are no more: before those that still wait.
fn until<E: Send + 'static>(
    events: impl Stream<Item = Result<E, Status>> + Send + 'static,
    revoked: oneshot::Receiver<Status>,
) -> BoxStream<E> {
    let why = revoked.map(Result::ok).shared();
    let said = why.clone();
    let revoked = async move {
        if said.await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    let last = stream::once(why).filter_map(async |why| why.map(Err));
    events.take_until(Box::pin(revoked)).chain(last).boxed()
}

/// What the reader knows when it begins.
enum Seen {
    /// Nothing: it gets all nodes as they are, then what changes.
    Nothing,
    /// The marks of its token, in the order of the nodes' ids; taken as none where they do not fit.
    Token(Vec<[u8; MARK]>),
}

impl Seen {
    fn news(
        &mut self,
        last: &mut Option<Marks>,
        nodes: BTreeMap<NodeId, pb::Node>,
        version: i64,
    ) -> Vec<pb::WatchClusterResponse> {
        let now: Marks = nodes.iter().map(|(id, node)| (*id, mark(node))).collect();
        let before = last.take().unwrap_or_else(|| match self {
            Self::Nothing => Marks::new(),
            // a node is known by its mark, whatever its place: a mark that is there was seen
            Self::Token(marks) => {
                now.iter().filter(|(_, mark)| marks.contains(mark)).map(|(id, mark)| (*id, *mark)).collect()
            }
        });
        let mut known = before.clone();
        let mut news = Vec::new();
        for (id, node) in nodes {
            if before.get(&id) != now.get(&id) {
                known.insert(id, mark(&node));
                news.push((id, node));
            }
        }
        known.retain(|id, _| now.contains_key(id));
        let token = token(&known);
        *last = Some(now);
        let event = |(_, node): (NodeId, pb::Node)| pb::WatchClusterResponse {
            view_version: u64::try_from(version).unwrap_or(0),
            change: Some(pb::watch_cluster_response::Change::Node(node)),
            resume_token: token.clone(),
        };
        news.into_iter().map(event).collect()
    }
}

/// What of a node counts as a change: not its lease counter, which moves all the time.
fn mark(node: &pb::Node) -> [u8; MARK] {
    let still = pb::Node { lease_renewals: 0, certificate_expires_at: None, ..node.clone() };
    let digest = Sha256::digest(still.encode_to_vec());
    std::array::from_fn(|at| digest[at])
}

fn token(marks: &Marks) -> String {
    let bytes: Vec<u8> = marks.values().take(MOST).flatten().copied().collect();
    BASE64URL_NOPAD.encode(&bytes)
}

fn parse(token: &str) -> Result<Vec<[u8; MARK]>, Status> {
    let wrong = || convert::invalid("resume_token", "is not one of ours");
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| wrong())?;
    let (marks, rest) = bytes.as_chunks::<MARK>();
    if rest.is_empty() { Ok(marks.to_vec()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn who_was_revoked_is_told_that_and_nothing_that_still_waits() {
        for revoked in [true, false] {
            let ((events, to_reader), (revoke, over)) = (mpsc::channel(2), oneshot::channel());
            for event in [1, 2] {
                events.send(Ok(event)).await.unwrap();
            }
            drop(events);
            if revoked {
                revoke.send(Status::unauthenticated("revoked")).unwrap();
            } else {
                drop(revoke);
            }
            let told: Vec<Option<i32>> =
                until(ReceiverStream::new(to_reader), over).map(Result::ok).collect().await;
            assert_eq!(told, if revoked { vec![None] } else { vec![Some(1), Some(2)] });
        }
    }
}
