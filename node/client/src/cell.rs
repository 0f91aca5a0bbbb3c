//! Unlocking a container's cell from its user's device, after checking whose cell it is.
//!
//! The order matters: the host's certificate first, then the host pinned in the vault's manifest, then
//! the statement over the cell's key under exactly that host's key. Only then is anything sealed to it.

mod mapping;
mod volume;

use std::{collections::BTreeSet, time::Duration};

use ocmt_crypto::{
    cell::{CellKeyStatement, ExpectedCell},
    channel::ChannelPlace,
    entry::EntryName,
    unlock::{LeaseExtension, MappedEntry, UnlockKey, UnlockPayload},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{
    Clock as _, ContainerId, ConversationId, IdGen, NodeId, RandomIds, SystemClock, Timestamp, UnlockId,
};

pub use mapping::Mapping;

use crate::{
    ClientError,
    channel::Endpoints,
    client::{idempotency_key, present},
    gateway::Wake,
    vault::Vault,
    wire::time,
};

/// How long an extension may be on its way.
const EXTENSION_TRAVELS: Duration = Duration::from_secs(60);

/// What an unlock gives a cell.
#[derive(Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    /// Variables of the workload.
    pub(crate) mapping: &'a [Mapping],
    /// Names that may be sent to the inbox.
    pub(crate) may_write: &'a [String],
    /// Conversations to go on with, at most 64.
    pub(crate) conversations: &'a [ConversationId],
    /// A sealed volume may be older than the one that was unlocked last, or missing.
    pub(crate) accept_older_volume: bool,
}

/// An unlocked cell, and how to open channels to it.
pub struct UnlockedCell {
    /// Where channels go, and with which keys.
    pub endpoints: Endpoints,
    /// When it locks itself unless the lease is extended.
    pub unlocked_until: Timestamp,
    /// How the container was brought back.
    pub wake: Wake,
}

/// A cell's key whose statement was verified.
struct ProvenCell {
    statement: CellKeyStatement,
    wake: Wake,
    unlocked_until: Option<Timestamp>,
    /// Of its sealed volume, as the node says; 0 for none.
    sealed_volume_bytes: u64,
}

impl Vault {
    /// Wakes a container, checks its cell, and gives it the secrets of `mapping` for `lease`. The first
    /// host of a container is pinned in the vault; another one is refused unless `accept_host`, which
    /// pins it anew.
    ///
    /// # Errors
    /// [`ClientError::OtherHost`], [`ClientError::Node`] if the statement is not to be believed;
    /// [`ClientError::Usage`] if a secret is missing or the cell is unlocked already.
    pub async fn unlock_container(
        &mut self,
        container: ContainerId,
        mapping: &[Mapping],
        lease: Duration,
        accept_host: bool,
    ) -> Result<UnlockedCell, ClientError> {
        let given = Given { mapping, ..Given::default() };
        self.unlock_given(container, given, lease, accept_host).await
    }

    /// As [`Vault::unlock_container`], and lets the workload send entries of the names `may_write`, at most 32, to
    /// the vault's inbox.
    ///
    /// # Errors
    /// As [`Vault::unlock_container`].
    pub async fn unlock_to_write(
        &mut self,
        container: ContainerId,
        mapping: &[Mapping],
        may_write: &[String],
        lease: Duration,
        accept_host: bool,
    ) -> Result<UnlockedCell, ClientError> {
        let given = Given { mapping, may_write, ..Given::default() };
        self.unlock_given(container, given, lease, accept_host).await
    }

    /// Wakes a container, checks its cell, and gives it all of this; a sealed volume at a serial above this one.
    async fn unlock_above(
        &mut self,
        container: ContainerId,
        given: Given<'_>,
        lease: Duration,
        accept_host: bool,
        above: u64,
    ) -> Result<UnlockedCell, ClientError> {
        let Given { mapping, may_write, conversations, accept_older_volume } = given;
        let names: BTreeSet<EntryName> =
            may_write.iter().map(|name| EntryName::new(name)).collect::<Result<_, _>>()?;
        let cell = self.prove_cell(container, accept_host).await?;
        if cell.statement.unlock().is_some() {
            return Err(ClientError::Usage(
                "the cell is unlocked already: lock it first to give it other secrets".to_owned(),
            ));
        }
        let ids: &dyn IdGen = &RandomIds;
        let unlock: UnlockId = ids.id();
        let entries = self.mapped(mapping).await?;
        let refs: BTreeSet<_> = entries.iter().map(|entry| (entry.object, entry.version)).collect();
        let (mut keys, mut continued) = (Vec::new(), Vec::new());
        for conversation in conversations.iter().copied().collect::<BTreeSet<_>>() {
            let (some, at) = Box::pin(self.hand_over(conversation, container)).await?;
            // the end of it was read: a node that cuts what a cell has said off is found out up to here
            self.note_conversation(conversation, at.at, false).await?;
            keys.extend(some);
            continued.push(at);
        }
        let volume = if self.has_sealed_volume(container, cell.sealed_volume_bytes)? {
            Some(self.volume_unlock(container, accept_older_volume, above).await?)
        } else {
            None
        };
        let sealed = volume.as_ref().map(|volume| (volume.serial, u64::from(volume.current.0)));
        let may_write: Vec<EntryName> = names.into_iter().collect();
        if !may_write.is_empty() {
            // before the cell can send any
            self.let_write(unlock, container, may_write.clone()).await?;
        }
        let payload = UnlockPayload {
            may_write,
            conversations: keys,
            continued,
            volume,
            ..self.payload(unlock, entries, lease)
        };
        let request = pb::UnlockCellRequest {
            container_id: container.to_string(),
            unlock_id: unlock.to_string(),
            sealed_payload: payload.seal(&cell.statement, &mut rand::rng())?.into(),
            vault_id: self.id().to_string(),
            objects: refs
                .into_iter()
                .map(|(object, version)| pb::VaultObjectRef { object_id: object.0.to_vec().into(), version })
                .collect(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().containers().unlock_cell(request).await?.into_inner();
        if let Some((serial, version)) = sealed {
            // the cell has sealed it so before it answered
            self.state().unlocked_volume(container, serial, version)?;
        }
        Ok(UnlockedCell {
            endpoints: self.endpoints(&cell.statement, unlock),
            unlocked_until: time(&present(answer.unlocked_until, "unlocked_until")?),
            wake: cell.wake,
        })
    }

    /// The way into a cell that this user unlocked before, from this device or another; `None` if it is
    /// locked. Wakes the container.
    ///
    /// # Errors
    /// As [`Vault::unlock_container`].
    pub async fn attach_container(
        &mut self,
        container: ContainerId,
        accept_host: bool,
    ) -> Result<Option<UnlockedCell>, ClientError> {
        let cell = self.prove_cell(container, accept_host).await?;
        Ok(cell.statement.unlock().map(|unlock| UnlockedCell {
            endpoints: self.endpoints(&cell.statement, unlock),
            unlocked_until: cell.unlocked_until.unwrap_or_default(),
            wake: cell.wake,
        }))
    }

    /// Makes the lease of an unlocked cell `lease` long from now, longer or shorter; the new end.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the cell is locked; else as [`Vault::unlock_container`].
    pub async fn extend_unlock(
        &mut self,
        container: ContainerId,
        lease: Duration,
    ) -> Result<Timestamp, ClientError> {
        let cell = self.prove_cell(container, false).await?;
        let Some(unlock) = cell.statement.unlock() else {
            return Err(ClientError::Usage("the cell is locked: unlock it first".to_owned()));
        };
        let now = SystemClock.now();
        let extension = LeaseExtension {
            unlock,
            serial: u64::try_from(now.millis()).unwrap_or(0),
            lease_ms: lease_ms(lease),
            expires: now + EXTENSION_TRAVELS,
        };
        let request = pb::ExtendUnlockRequest {
            container_id: container.to_string(),
            extension: extension.seal(&self.unlock_key(unlock))?.into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().containers().extend_unlock(request).await?.into_inner();
        Ok(time(&present(answer.unlocked_until, "unlocked_until")?))
    }

    /// Wakes the container and verifies its cell's key.
    async fn prove_cell(
        &mut self,
        container: ContainerId,
        accept_host: bool,
    ) -> Result<ProvenCell, ClientError> {
        // asking for the key wakes it too, and says to the node that whoever unlocks it is here
        let request = pb::GetCellKeyRequest { container_id: container.to_string() };
        let answer = self.client().containers().get_cell_key(request).await?;
        let wake = Wake::of(answer.metadata())?;
        let answer = answer.into_inner();
        let woken = self.client().container(container).await?;
        let stated = present(answer.statement, "statement")?;
        let statement = self.believe(container, &stated, accept_host).await?;
        let (unlocked_until, sealed_volume_bytes) = (woken.unlocked_until, woken.sealed_volume_bytes);
        Ok(ProvenCell { statement, wake, unlocked_until, sealed_volume_bytes })
    }

    /// Verifies the statement over a cell's key, and that it is of the host that is pinned for the container.
    pub(crate) async fn believe(
        &mut self,
        container: ContainerId,
        stated: &pb::NodeStatement,
        accept_host: bool,
    ) -> Result<CellKeyStatement, ClientError> {
        let node =
            self.client().target().ca.prove_node(&stated.certificate_chain_der, self.client().clock())?;
        let claimed = CellKeyStatement::claimed_node(&stated.statement)
            .map_err(|_| ClientError::Node("it cannot be read"))?;
        if claimed != node.id {
            return Err(ClientError::Node("it is not of the node that signed it"));
        }
        let expected = ExpectedCell {
            tenant: self.keys().scope().tenant,
            container,
            node: node.id,
            now: SystemClock.now(),
        };
        let statement = CellKeyStatement::verify(&stated.statement, &node.key, &expected)
            .map_err(|_| ClientError::Node("its signature, container or time is wrong"))?;
        self.hold_to_pin(container, node.id, accept_host).await?;
        Ok(statement)
    }

    /// The host that is pinned for a container; none before its first unlock.
    pub fn pinned_host(&self, container: ContainerId) -> Option<NodeId> {
        self.keys().manifest().host_of(container)
    }

    /// Holds a proven host against the one pinned for the container, and pins it where that is lawful.
    async fn hold_to_pin(
        &mut self,
        container: ContainerId,
        host: NodeId,
        accept_host: bool,
    ) -> Result<(), ClientError> {
        match judge_host(self.keys().manifest().host_of(container), host, accept_host)? {
            Pin::Keep => Ok(()),
            Pin::Write => {
                let mut edit = self.keys().edit();
                edit.pin_host(container, host);
                let change = edit.finish()?;
                self.commit(change).await
            }
        }
    }

    async fn mapped(&self, mapping: &[Mapping]) -> Result<Vec<MappedEntry>, ClientError> {
        let mut ids = Vec::with_capacity(mapping.len());
        for item in mapping {
            ids.push(self.entry_id(&item.secret)?);
        }
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let objects = self.objects(&distinct).await?;
        let mut entries = Vec::with_capacity(mapping.len());
        for (item, id) in mapping.iter().zip(ids) {
            let object =
                objects.iter().find(|object| object.object_id == id).ok_or(ClientError::Answer("objects"))?;
            entries.push(MappedEntry {
                name: item.variable.clone(),
                object: id,
                version: object.version,
                data_key: self.keys().data_key(object)?,
            });
        }
        Ok(entries)
    }

    fn payload(&self, unlock: UnlockId, entries: Vec<MappedEntry>, lease: Duration) -> UnlockPayload {
        let (keyring, manifest) = (self.keys().keyring(), self.keys().manifest());
        UnlockPayload {
            unlock,
            vault: self.id(),
            entries,
            conversations: Vec::new(),
            volume_key: None,
            inbox: keyring.inbox.public(),
            unlock_key: self.unlock_key(unlock),
            channel_key: keyring.channel.public(),
            manifest_counter: manifest.counter,
            manifest_root: manifest.root,
            lease_ms: lease_ms(lease),
            start_workload: true,
            may_write: Vec::new(),
            continued: Vec::new(),
            volume: None,
        }
    }

    /// Derived from the vault and the unlock's id, so that any of the user's devices can extend it.
    pub(crate) fn unlock_key(&self, unlock: UnlockId) -> UnlockKey {
        UnlockKey::from(self.keys().keyring().inbox_mac_key(unlock))
    }

    fn endpoints(&self, cell: &CellKeyStatement, unlock: UnlockId) -> Endpoints {
        let place = cell.place();
        Endpoints {
            place: ChannelPlace {
                tenant: place.tenant,
                container: place.container,
                generation: place.generation,
                unlock,
            },
            cell: *cell.key(),
            own: self.keys().keyring().channel.duplicate(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Pin {
    Keep,
    Write,
}

fn judge_host(pinned: Option<NodeId>, host: NodeId, accept: bool) -> Result<Pin, ClientError> {
    match pinned {
        Some(pinned) if pinned == host => Ok(Pin::Keep),
        Some(pinned) if !accept => {
            Err(ClientError::OtherHost { pinned: pinned.to_string(), now: host.to_string() })
        }
        Some(_) | None => Ok(Pin::Write),
    }
}

fn lease_ms(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn the_first_host_is_pinned_and_another_needs_the_users_word() {
        let (here, there) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        assert_eq!(judge_host(None, here, false).unwrap(), Pin::Write);
        assert_eq!(judge_host(Some(here), here, false).unwrap(), Pin::Keep);
        assert!(matches!(judge_host(Some(here), there, false), Err(ClientError::OtherHost { .. })));
        assert_eq!(judge_host(Some(here), there, true).unwrap(), Pin::Write);
    }
}
