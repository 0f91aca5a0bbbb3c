//! Between the wire's messages and the vault's types.

use ocmt_crypto::{manifest::Leaf, object::VaultObject};
use ocmt_proto::v1 as pb;
use ocmt_types::Digest32;

use super::Vault;
use crate::{ClientError, client::present};

/// Objects asked for at once.
const BATCH: usize = 48;

pub(crate) fn to_pb(object: &VaultObject) -> pb::VaultObject {
    pb::VaultObject {
        object_id: object.object_id.0.to_vec().into(),
        version: object.version,
        wrapped_key: object.wrapped_key.clone().into(),
        body: object.body.clone().into(),
    }
}

pub(crate) fn to_object(object: pb::VaultObject) -> Result<VaultObject, ClientError> {
    Ok(VaultObject {
        object_id: digest(&object.object_id, "object_id")?,
        version: object.version,
        wrapped_key: object.wrapped_key.into(),
        body: object.body.into(),
    })
}

pub(crate) fn digest(bytes: &[u8], field: &'static str) -> Result<Digest32, ClientError> {
    bytes.try_into().map_err(|_| ClientError::Answer(field))
}

pub(super) fn to_leaf(head: &pb::VaultObjectHead) -> Result<Leaf, ClientError> {
    Ok(Leaf {
        object_id: digest(&head.object_id, "object_id")?,
        version: head.version,
        body_hash: digest(&head.body_hash, "body_hash")?,
    })
}

/// Argon2id takes a fifth of a second of one core: not on a thread that serves others.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ClientError::Usage("the computation was cut short".to_owned()))
}

impl Vault {
    /// One object as it is stored.
    pub(crate) async fn object(&self, id: Digest32) -> Result<VaultObject, ClientError> {
        let request = pb::GetEntryRequest {
            vault_id: self.id().to_string(),
            object_id: id.0.to_vec().into(),
            version: 0,
        };
        let answer = self.client.vaults().get_entry(request).await?.into_inner();
        to_object(present(answer.object, "object")?)
    }

    /// Several objects as they are stored; one that is missing is an error, since the manifest has it.
    pub(crate) async fn objects(&self, ids: &[Digest32]) -> Result<Vec<VaultObject>, ClientError> {
        let mut objects = Vec::with_capacity(ids.len());
        for some in ids.chunks(BATCH) {
            let request = pb::BatchGetEntriesRequest {
                vault_id: self.id().to_string(),
                object_ids: some.iter().map(|id| id.0.to_vec().into()).collect(),
            };
            let answer = self.client.vaults().batch_get_entries(request).await?.into_inner();
            if answer.objects.len() != some.len() {
                return Err(ClientError::Answer("objects"));
            }
            for object in answer.objects {
                objects.push(to_object(object)?);
            }
        }
        Ok(objects)
    }
}
