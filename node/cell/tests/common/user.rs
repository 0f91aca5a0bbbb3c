//! The user's side of an unlock: entries of a vault, the check of the cell's key, the payload.

use ocmt_crypto::{
    cell::{CellKeyOffer, CellKeyStatement, ExpectedCell},
    channel::ChannelPlace,
    codec::Writer,
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    entry::EntryName,
    kind::Kind,
    object::VaultObject,
    seal::SealSecretKey,
    sign::SigningKey,
    unlock::{
        Continued, ConversationKey, LeaseExtension, MappedEntry, UnlockKey, UnlockPayload, VolumeUnlock,
    },
};
use ocmt_proto::cell::v1::{GetKeyRequest, SealedObject, UnlockRequest};
use ocmt_types::{Clock as _, Digest32, NodeId, SystemClock, Timestamp, UnlockId, VaultId};
use tonic::Status;

use super::{Client, TestCell, id};

pub struct User {
    pub vk: VaultKey,
    pub vault: VaultId,
    pub channel_key: SealSecretKey,
    pub inbox: SealSecretKey,
    /// What the next unlock lets the workload send to the vault.
    pub may_write: Vec<EntryName>,
    /// Conversations that it lets the cell go on with, with the epoch and the bytes of their key.
    pub talks: Vec<(Continued, u32, [u8; 32])>,
    /// Serial of the next unlock, and the least that it takes, of a cell with a sealed volume.
    pub volume: Option<(u64, u64)>,
    node: NodeId,
    node_key: SigningKey,
}

/// An unlock that was made ready, and can be sent once or more often.
pub struct Ready {
    pub unlock: UnlockId,
    pub key: UnlockKey,
    pub statement: CellKeyStatement,
    pub request: UnlockRequest,
}

fn key_of((known, key_epoch, key): &(Continued, u32, [u8; 32])) -> ConversationKey {
    let (conversation, key) = (known.conversation, DataKey::from_bytes(*key));
    ConversationKey { conversation, key_epoch: *key_epoch, key }
}

impl User {
    pub fn new() -> Self {
        let rng = &mut rand::rng();
        Self {
            vk: VaultKey::generate(1, rng),
            vault: id(),
            channel_key: SealSecretKey::generate(rng),
            inbox: SealSecretKey::generate(rng),
            may_write: Vec::new(),
            talks: Vec::new(),
            volume: None,
            node: id(),
            node_key: SigningKey::generate(rng),
        }
    }

    /// The node's part and the client's: a statement of the cell's key that has been checked.
    pub async fn statement(&self, cell: &TestCell, client: &mut Client) -> CellKeyStatement {
        let offer = client.get_key(GetKeyRequest {}).await.unwrap().into_inner().offer;
        let now = SystemClock.now();
        let offer = CellKeyOffer::open(&offer, &cell.start, &cell.place, now).unwrap();
        let signed = CellKeyStatement::sign(&offer, self.node, &self.node_key);
        let expected =
            ExpectedCell { tenant: cell.place.tenant, container: cell.place.container, node: self.node, now };
        CellKeyStatement::verify(&signed, &self.node_key.verify_key(), &expected).unwrap()
    }

    pub async fn ready(
        &self,
        cell: &TestCell,
        client: &mut Client,
        variables: &[(&str, &[u8])],
        lease_ms: u64,
    ) -> Ready {
        let statement = self.statement(cell, client).await;
        let scope = VaultScope { tenant: cell.place.tenant, vault: self.vault };
        let objects: Vec<VaultObject> =
            (1..).zip(variables).map(|(n, (name, value))| self.object(scope, n, name, value)).collect();
        let entries = variables.iter().zip(&objects).map(|((name, _), object)| MappedEntry {
            name: (*name).to_owned(),
            object: object.object_id,
            version: object.version,
            data_key: object.data_key(scope, &self.vk).unwrap(),
        });
        let rng = &mut rand::rng();
        let payload = UnlockPayload {
            unlock: id(),
            vault: self.vault,
            entries: entries.collect(),
            conversations: self.talks.iter().map(key_of).collect(),
            volume_key: None,
            inbox: self.inbox.public(),
            unlock_key: UnlockKey::generate(rng),
            channel_key: self.channel_key.public(),
            manifest_counter: 1,
            manifest_root: Digest32([1; 32]),
            lease_ms,
            start_workload: true,
            may_write: self.may_write.clone(),
            continued: self.talks.iter().map(|(known, ..)| *known).collect(),
            volume: self.volume.map(|(serial, least)| VolumeUnlock {
                current: (1, DataKey::from_bytes([0x5a; 32])),
                earlier: Vec::new(),
                serial,
                least,
            }),
        };
        let sealed = |object: &VaultObject| SealedObject {
            object_id: object.object_id.0.to_vec().into(),
            version: object.version,
            body: object.body.clone().into(),
        };
        let request = UnlockRequest {
            unlock_id: payload.unlock.to_string(),
            sealed_payload: payload.seal(&statement, rng).unwrap().into(),
            objects: objects.iter().map(sealed).collect(),
        };
        Ready { unlock: payload.unlock, key: payload.unlock_key, statement, request }
    }

    pub async fn unlock(
        &self,
        cell: &TestCell,
        client: &mut Client,
        variables: &[(&str, &[u8])],
    ) -> Result<Ready, Status> {
        let ready = self.ready(cell, client, variables, 600_000).await;
        client.unlock(ready.request.clone()).await?;
        Ok(ready)
    }

    /// The same unlock as someone sees it who does not have its key.
    pub fn ready_of(&self, other: &Ready) -> Ready {
        Ready {
            unlock: other.unlock,
            key: UnlockKey::generate(&mut rand::rng()),
            statement: other.statement,
            request: other.request.clone(),
        }
    }

    pub fn channel_place(&self, cell: &TestCell, unlock: UnlockId) -> ChannelPlace {
        ChannelPlace {
            tenant: cell.place.tenant,
            container: cell.place.container,
            generation: cell.place.generation,
            unlock,
        }
    }

    fn object(&self, scope: VaultScope, n: u8, name: &str, value: &[u8]) -> VaultObject {
        // the plaintext of an entry, as docs/formats.md has it
        let mut entry = Writer::object(Kind::ENTRY, 1);
        entry.var(name.as_bytes()).i64(0).u8(0).u8(0).var(value);
        let place = ObjectPlace { scope, object: Digest32([n; 32]), version: 7 };
        VaultObject::seal(&place, &self.vk, entry.as_bytes(), &mut rand::rng()).unwrap()
    }
}

pub fn extension(ready: &Ready, serial: u64, lease_ms: u64) -> Vec<u8> {
    let expires = Timestamp(SystemClock.now().0 + 60_000);
    LeaseExtension { unlock: ready.unlock, serial, lease_ms, expires }.seal(&ready.key).unwrap()
}
