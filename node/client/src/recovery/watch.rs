//! Ceremonies as they move, across cut connections and moves of the tenant.

use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use serde::Serialize;
use tonic::{Status, Streaming};

use super::{Ceremony, ceremony::parse};
use crate::{
    Client, ClientError,
    client::present,
    watch::{Source, Watch},
    wire::time,
};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CeremonyEvent {
    /// The ceremony after it.
    pub ceremony: Ceremony,
    /// When it was committed.
    pub at: Option<Timestamp>,
    /// Where to go on behind it, also with another program.
    pub resume_token: String,
}

struct Ceremonies(Client);

impl Source for Ceremonies {
    type Message = pb::WatchCeremoniesResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchCeremoniesRequest { resume_token };
        Ok(self.0.recovery().watch_ceremonies(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

/// A watch; dropping it ends it.
pub struct CeremonyWatch(Watch<Ceremonies>);

impl Client {
    /// Watches the ceremonies that the caller has to do with as owner, requester or guardian, from now or behind the
    /// event of `resume_token`. They are watched already when this answers.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old: list again, then watch from now.
    pub async fn watch_ceremonies(&self, resume_token: &str) -> Result<CeremonyWatch, ClientError> {
        Watch::start(Ceremonies(self.clone()), resume_token).await.map(CeremonyWatch)
    }
}

impl CeremonyWatch {
    /// The next change. A connection that breaks is made again from the event before.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `OUT_OF_RANGE` if this reader fell too far behind, else what ended it.
    pub async fn next(&mut self) -> Result<CeremonyEvent, ClientError> {
        let message = self.0.next().await?;
        Ok(CeremonyEvent {
            ceremony: parse(present(message.ceremony, "ceremony")?)?,
            at: message.at.as_ref().map(time),
            resume_token: message.resume_token,
        })
    }
}
