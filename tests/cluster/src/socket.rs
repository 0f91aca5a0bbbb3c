//! One WebSocket to somebody's container through a node of our choice, that nobody makes again: what its client
//! is told when that node goes.

use std::time::Duration;

use anyhow::{Context as _, bail};
use ocmt_client::{
    Client, ClientError,
    connect::Target,
    gateway::{Gateway, Incoming},
};
use ocmt_proto::v1 as pb;
use ocmt_types::ContainerId;

use crate::{account::fresh_key, cluster::Cluster, talk::Talk};

/// Longer than a test.
const TOKEN_S: i64 = 900;
/// How long a connection and its end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The right to connect to one container, in one session: a gateway token.
pub struct Pass {
    /// To which.
    pub container: ContainerId,
    token: String,
}

impl Pass {
    /// For the container that `talk` is with, in the same session.
    ///
    /// # Errors
    /// No token is given.
    pub async fn of(talk: &Talk) -> anyhow::Result<Self> {
        Self::of_session(&talk.client, talk.container.id).await
    }

    /// For a container, in this session.
    ///
    /// # Errors
    /// No token is given.
    pub async fn of_session(client: &Client, container: ContainerId) -> anyhow::Result<Self> {
        let request = pb::IssueGatewayTokenRequest {
            container_id: container.to_string(),
            lifetime: Some(prost_types::Duration { seconds: TOKEN_S, nanos: 0 }),
            idempotency_key: fresh_key(),
        };
        let answer = client.containers().issue_gateway_token(request).await?;
        Ok(Self { container, token: answer.into_inner().token })
    }

    /// Connects through this node and no other.
    ///
    /// # Errors
    /// The node does not take it.
    pub async fn open(&self, cluster: &Cluster, node: usize) -> Result<Gateway, ClientError> {
        let target: Target = cluster.target(node);
        let gateway = Box::pin(Gateway::connect(&target, self.container, &self.token, PATIENCE)).await?;
        match gateway.wake().kind.as_str() {
            "none" => Ok(gateway),
            kind => Err(ClientError::Usage(format!("the container was woken: {kind}"))),
        }
    }
}

/// Waits for the end of a WebSocket on which nothing is said; its close code.
///
/// # Errors
/// It breaks without a close, or does not end.
pub async fn closed(gateway: &mut Gateway) -> anyhow::Result<u16> {
    match tokio::time::timeout(PATIENCE, gateway.receive()).await.context("the WebSocket hangs")?? {
        Incoming::Closed(code, _) => Ok(code),
        Incoming::Frame(_) => bail!("the cell said something"),
    }
}
