//! The changes of a vault as they come, across cut connections and moves of the tenant.

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, Timestamp, VaultId};
use tonic::{Code, Streaming};

use super::digest;
use crate::{
    Client, ClientError,
    wire::{as_text, time},
};

/// Pauses before watching again, up to the longest; so often without an event in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
const TRIES: u32 = 10;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// An object was written.
    Written,
    /// An object was deleted.
    Deleted,
    /// Slots were added or removed.
    Slots,
    /// A rotation was started.
    RotationStarted,
    /// A rotation was finished: open the vault again.
    Rotated,
    /// Something came into the inbox.
    Inbox,
    /// Something that this program does not know.
    Other,
}

/// An object that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ChangedObject {
    /// Which; of what name, the vault's keys tell.
    #[serde(serialize_with = "as_text")]
    pub id: Digest32,
    /// Its version, or the one it had.
    pub version: u64,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VaultEvent {
    /// What changed.
    pub changed: Changed,
    /// Counter of the manifest after it.
    pub counter: u64,
    /// The object, where it was one.
    pub object: Option<ChangedObject>,
    /// When it was committed.
    pub at: Option<Timestamp>,
    /// Where to go on behind it, also with another program.
    pub resume_token: String,
}

/// A watch; dropping it ends it.
pub struct Watch {
    client: Client,
    vault: VaultId,
    resume_token: String,
    stream: Option<Streaming<pb::WatchVaultResponse>>,
}

impl Client {
    /// Watches a vault, from now or behind the event of `resume_token`. It is watched already when this answers.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old: read the vault anew, then watch from now.
    pub async fn watch_vault(&self, vault: VaultId, resume_token: &str) -> Result<Watch, ClientError> {
        let mut watch =
            Watch { client: self.clone(), vault, resume_token: resume_token.to_owned(), stream: None };
        watch.begin().await?;
        Ok(watch)
    }
}

impl Watch {
    /// The next change. A connection that breaks is made again from the event before.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `OUT_OF_RANGE` if this reader fell too far behind, else what ended it.
    pub async fn next(&mut self) -> Result<VaultEvent, ClientError> {
        let (mut tries, (mut pause, longest)) = (0, PAUSES);
        loop {
            let error = match self.one().await {
                Ok(Some(event)) => return self.event(event),
                Ok(None) => None,
                Err(status) => Some(status),
            };
            self.stream = None;
            tries += 1;
            let may_pass =
                |code| matches!(code, Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Aborted);
            if let Some(status) = error.filter(|status| !may_pass(status.code()) || tries > TRIES) {
                return Err(status.into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn one(&mut self) -> Result<Option<pb::WatchVaultResponse>, tonic::Status> {
        if self.stream.is_none() {
            self.begin().await?;
        }
        match &mut self.stream {
            Some(stream) => stream.message().await,
            None => Ok(None),
        }
    }

    /// Opens the stream; one from now on has begun when it says where.
    async fn begin(&mut self) -> Result<(), tonic::Status> {
        let request = pb::WatchVaultRequest {
            vault_id: self.vault.to_string(),
            resume_token: self.resume_token.clone(),
        };
        let mut stream = self.client.vaults().watch_vault(request).await?.into_inner();
        if self.resume_token.is_empty() {
            let begun = stream.message().await?;
            let begun = begun.ok_or_else(|| tonic::Status::unavailable("the watch ended as it began"))?;
            self.resume_token = begun.resume_token;
        }
        self.stream = Some(stream);
        Ok(())
    }

    fn event(&mut self, event: pb::WatchVaultResponse) -> Result<VaultEvent, ClientError> {
        let changed = match event.kind() {
            pb::VaultEventKind::ObjectWritten => Changed::Written,
            pb::VaultEventKind::ObjectDeleted => Changed::Deleted,
            pb::VaultEventKind::SlotsChanged => Changed::Slots,
            pb::VaultEventKind::RotationStarted => Changed::RotationStarted,
            pb::VaultEventKind::Rotated => Changed::Rotated,
            pb::VaultEventKind::Inbox => Changed::Inbox,
            pb::VaultEventKind::Unspecified | pb::VaultEventKind::Begun => Changed::Other,
        };
        let object = event.object.as_ref();
        let object = object.map(|it| {
            Ok::<_, ClientError>(ChangedObject {
                id: digest(&it.object_id, "object_id")?,
                version: it.version,
            })
        });
        self.resume_token.clone_from(&event.resume_token);
        Ok(VaultEvent {
            changed,
            counter: event.counter,
            object: object.transpose()?,
            at: event.at.as_ref().map(time),
            resume_token: event.resume_token,
        })
    }
}
