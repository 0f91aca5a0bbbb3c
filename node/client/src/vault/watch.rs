//! The changes of a vault as they come, across cut connections and moves of the tenant.

use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, Timestamp, VaultId};
use tonic::{Status, Streaming};

use super::digest;
use crate::{
    Client, ClientError,
    watch::{self, Source},
    wire::{as_text, time},
};

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

struct Changes {
    client: Client,
    vault: VaultId,
}

impl Source for Changes {
    type Message = pb::WatchVaultResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchVaultRequest { vault_id: self.vault.to_string(), resume_token };
        Ok(self.client.vaults().watch_vault(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

/// A watch; dropping it ends it.
pub struct Watch(watch::Watch<Changes>);

impl Client {
    /// Watches a vault, from now or behind the event of `resume_token`. It is watched already when this answers.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old: read the vault anew, then watch from now.
    pub async fn watch_vault(&self, vault: VaultId, resume_token: &str) -> Result<Watch, ClientError> {
        let source = Changes { client: self.clone(), vault };
        watch::Watch::start(source, resume_token).await.map(Watch)
    }
}

impl Watch {
    /// The next change. A connection that breaks is made again from the event before.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: `OUT_OF_RANGE` if this reader fell too far behind, else what ended it.
    pub async fn next(&mut self) -> Result<VaultEvent, ClientError> {
        event(self.0.next().await?)
    }
}

fn event(event: pb::WatchVaultResponse) -> Result<VaultEvent, ClientError> {
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
        Ok::<_, ClientError>(ChangedObject { id: digest(&it.object_id, "object_id")?, version: it.version })
    });
    Ok(VaultEvent {
        changed,
        counter: event.counter,
        object: object.transpose()?,
        at: event.at.as_ref().map(time),
        resume_token: event.resume_token,
    })
}
