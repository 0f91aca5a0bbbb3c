//! The changes of containers as they come, and cells that woke locked.

use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, Timestamp};
use serde::Serialize;
use tonic::{Status, Streaming};

use super::view::{Container, State, parse, state};
use crate::{
    Client, ClientError,
    client::id,
    watch::{Source, Watch},
    wire::time,
};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerEvent {
    /// Which container.
    pub id: ContainerId,
    /// Where it came to; absent once it is removed.
    pub state: State,
    /// All of it as it is now; none once it is removed.
    pub container: Option<Container>,
    /// When it was committed.
    pub at: Option<Timestamp>,
    /// Where to go on behind it, also with another program.
    pub resume_token: String,
}

/// What woke a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeCause {
    /// A call.
    Call,
    /// The gateway.
    Gateway,
    /// A schedule.
    Schedule,
    /// Something that this program does not know.
    Other,
}

impl std::fmt::Display for WakeCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// A cell that waits for its user's client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnlockRequest {
    /// Of which container.
    pub container: ContainerId,
    /// What woke it.
    pub cause: WakeCause,
    /// When it woke.
    pub woken_at: Option<Timestamp>,
    /// Until when it stays awake if nothing happens.
    pub wait_until: Option<Timestamp>,
    /// Where to go on behind it.
    pub resume_token: String,
}

struct Containers {
    client: Client,
    only: Option<ContainerId>,
}

impl Source for Containers {
    type Message = pb::WatchContainersResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let container_id = self.only.map(|id| id.to_string()).unwrap_or_default();
        let request = pb::WatchContainersRequest { resume_token, container_id };
        Ok(self.client.containers().watch_containers(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

struct Requests(Client);

impl Source for Requests {
    type Message = pb::WatchUnlockRequestsResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchUnlockRequestsRequest { resume_token };
        Ok(self.0.containers().watch_unlock_requests(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

/// A watch of containers; dropping it ends it.
pub struct ContainerWatch(Watch<Containers>);

/// A watch of cells that wait; dropping it ends it.
pub struct UnlockWatch(Watch<Requests>);

impl Client {
    /// Watches the containers that the caller may see, or one of them, from now or behind the event of `resume_token`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old: list again, then watch from now.
    pub async fn watch_containers(
        &self,
        only: Option<ContainerId>,
        resume_token: &str,
    ) -> Result<ContainerWatch, ClientError> {
        let source = Containers { client: self.clone(), only };
        Watch::start(source, resume_token).await.map(ContainerWatch)
    }

    /// Watches for cells of the caller's own containers that woke locked.
    ///
    /// # Errors
    /// As [`Client::watch_containers`].
    pub async fn watch_unlock_requests(&self, resume_token: &str) -> Result<UnlockWatch, ClientError> {
        Watch::start(Requests(self.clone()), resume_token).await.map(UnlockWatch)
    }
}

impl ContainerWatch {
    /// The next change.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `OUT_OF_RANGE` if this reader fell too far behind, else what ended it.
    pub async fn next(&mut self) -> Result<ContainerEvent, ClientError> {
        let message = self.0.next().await?;
        let changed = message.container.ok_or(ClientError::Answer("container"))?;
        let state = state(changed.state())?;
        Ok(ContainerEvent {
            id: id(&changed.container_id, "container_id")?,
            state,
            // what is removed has no more than its id
            container: changed.spec.is_some().then(|| parse(changed)).transpose()?,
            at: message.at.as_ref().map(time),
            resume_token: message.resume_token,
        })
    }
}

impl UnlockWatch {
    /// The next cell that waits.
    ///
    /// # Errors
    /// As [`ContainerWatch::next`].
    pub async fn next(&mut self) -> Result<UnlockRequest, ClientError> {
        let message = self.0.next().await?;
        let cause = match message.cause() {
            pb::WakeCause::Call => WakeCause::Call,
            pb::WakeCause::Gateway => WakeCause::Gateway,
            pb::WakeCause::Schedule => WakeCause::Schedule,
            pb::WakeCause::Unspecified => WakeCause::Other,
        };
        Ok(UnlockRequest {
            container: id(&message.container_id, "container_id")?,
            cause,
            woken_at: message.woken_at.as_ref().map(time),
            wait_until: message.wait_until.as_ref().map(time),
            resume_token: message.resume_token,
        })
    }
}
