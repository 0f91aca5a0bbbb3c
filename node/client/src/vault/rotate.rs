//! Rotation: a new vault key and signing key, every object taken over, and the old key gone.

use ocmt_crypto::{
    object::volume_key_id,
    vault::{Completed, Rotation, RotationMode},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, Digest32, SlotId};

use super::{Added, Arrived, Vault, to_pb};
use crate::{
    ClientError,
    client::{idempotency_key, present},
};

/// Objects re-encrypted and sent at once.
const BATCH: usize = 48;

/// What still goes by the keys of before when a vault has new ones.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct NotRenewed {
    /// Containers whose schedule of snapshots rests, and why.
    pub schedules: Vec<(ContainerId, String)>,
    /// Containers whose sealed volume is under the volume key of before until its next unlock.
    pub volumes: Vec<ContainerId>,
}

impl Vault {
    /// Looks what a rotation of this mode has left to its user.
    ///
    /// # Errors
    /// [`ClientError`]; the vault has its new keys all the same.
    pub async fn not_renewed(&self, mode: RotationMode) -> Result<NotRenewed, ClientError> {
        self.left(mode, None).await
    }

    /// Looks what a recovery by guardians will leave to its user: it makes new keys, ends the session, and signs no schedule anew.
    ///
    /// # Errors
    /// [`ClientError`], also if the session is good for the recovery alone.
    pub async fn not_renewed_by_recovery(&self) -> Result<NotRenewed, ClientError> {
        self.left(RotationMode::Rekey, Some("the vault has other keys")).await
    }

    /// `each` is why every schedule will rest, if it will.
    async fn left(&self, mode: RotationMode, each: Option<&str>) -> Result<NotRenewed, ClientError> {
        let (me, own) = (self.client.identity()?.user, self.identity_key());
        let mut left = NotRenewed::default();
        let containers = self.client.list_containers().await?;
        for container in containers.into_iter().filter(|container| container.user == me) {
            let id = container.id;
            if container.sealed_volume_bytes > 0 {
                let has_key = self.open.leaves().any(|leaf| leaf.object_id == volume_key_id(id));
                if has_key && mode == RotationMode::Rekey {
                    left.volumes.push(id);
                }
                continue;
            }
            match self.client.snapshot_schedule(id, &own).await {
                Ok(Some(found)) if !found.rests.is_empty() => left.schedules.push((id, found.rests)),
                Ok(Some(_)) => left.schedules.extend(each.map(|why| (id, why.to_owned()))),
                Ok(None) => {}
                Err(error) if error.reason().as_deref() == Some("SNAPSHOTS_OFF") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Rotates: drops the slots `drop`, adds those of `add`, and converts every object. An unfinished
    /// rotation of this device that does the same is gone on with; any other is dropped with all it staged. A re-keying gives the inbox a new key too, so what
    /// waits there and can be filed is filed first: what was filed.
    ///
    /// # Errors
    /// [`ClientError`]; nothing has changed then but what was filed, or all of it.
    pub async fn rotate(
        &mut self,
        mode: RotationMode,
        drop: &[SlotId],
        add: Vec<Added>,
        reason: &str,
    ) -> Result<Vec<Arrived>, ClientError> {
        let filed = match mode {
            RotationMode::Rekey => self.file_before_rekeying().await?,
            RotationMode::Rewrap => Vec::new(),
        };
        let completed = self.stage(mode, drop, &add, reason).await?;
        self.finish(completed).await?;
        // the rotation is done whatever comes of this: a schedule that is not signed anew rests, and says so
        let _ = Box::pin(self.renew_snapshot_schedules()).await;
        Ok(filed)
    }

    /// An attempt: what programs send, a quota, or a rotation that was cut off must not hold a re-keying up. What is
    /// not filed is lost then, and the inbox names it so.
    pub(crate) async fn file_before_rekeying(&mut self) -> Result<Vec<Arrived>, ClientError> {
        match self.file_inbox().await {
            Err(error @ ClientError::Connect { .. }) => Err(error),
            Err(error) if error.code() == Some(tonic::Code::Unauthenticated) => Err(error),
            Err(_) => Ok(Vec::new()),
            filed => filed,
        }
    }

    /// Stages a rotation with all its objects; nothing counts before it is finished. Its id, and what
    /// finishes it.
    pub(crate) async fn stage(
        &self,
        mode: RotationMode,
        drop: &[SlotId],
        add: &[Added],
        reason: &str,
    ) -> Result<(String, Completed), ClientError> {
        // a new way to open it is made anew each time, so nothing of before fits
        let unfinished = if add.is_empty() { self.unfinished(mode, drop).await? } else { None };
        let (rotation_id, mut rotation) = match unfinished {
            Some(unfinished) => unfinished,
            None => self.begin(mode, drop, add, reason).await?,
        };
        for ids in rotation.left().chunks(BATCH) {
            let batch = self.convert(&mut rotation, mode, ids).await?;
            self.put_staged(&rotation_id, batch).await?;
        }
        Ok((rotation_id, rotation.finish()?))
    }

    async fn begin(
        &self,
        mode: RotationMode,
        drop: &[SlotId],
        add: &[Added],
        reason: &str,
    ) -> Result<(String, Rotation<'_>), ClientError> {
        let new: Vec<_> = add.iter().map(Added::slot).collect();
        // one Argon2id for each new passphrase: a client does nothing else meanwhile
        let rotation =
            tokio::task::block_in_place(|| self.open.begin_rotation(mode, drop, &new, &mut rand::rng()))?;
        let start = rotation.start();
        self.state.begin_rotation(self.id(), &self.open.seen(), &start.verify_key)?;
        let request = pb::BeginRotationRequest {
            vault_id: self.id().to_string(),
            new_key_epoch: start.epoch,
            new_verify_key: start.verify_key.0.to_vec().into(),
            succession: start.succession.clone().into(),
            mode: mode_to_pb(mode).into(),
            staged_slots: start.slots.iter().cloned().map(Into::into).collect(),
            reason: reason.to_owned(),
            replace_unfinished: true,
            idempotency_key: idempotency_key(),
        };
        let answer = self.client.vaults().begin_rotation(request).await?.into_inner();
        let rotation_id = present(answer.rotation, "rotation")?.rotation_id;
        let keyring = pb::RotationBatch { keys: Vec::new(), objects: vec![to_pb(&rotation.start().keyring)] };
        self.put_staged(&rotation_id, keyring).await?;
        Ok((rotation_id, rotation))
    }

    /// Some objects under the new keys.
    async fn convert(
        &self,
        rotation: &mut Rotation<'_>,
        mode: RotationMode,
        ids: &[Digest32],
    ) -> Result<pb::RotationBatch, ClientError> {
        let mut batch = pb::RotationBatch::default();
        for object in self.objects(ids).await? {
            let converted = rotation.convert(&object, &mut rand::rng())?;
            match mode {
                RotationMode::Rekey => batch.objects.push(to_pb(&converted)),
                RotationMode::Rewrap => batch.keys.push(pb::RewrappedKey {
                    object_id: converted.object_id.0.to_vec().into(),
                    version: converted.version,
                    wrapped_key: converted.wrapped_key.clone().into(),
                }),
            }
        }
        Ok(batch)
    }

    /// Each batch is there once this returns, also if the next one never comes.
    async fn put_staged(&self, rotation_id: &str, batch: pb::RotationBatch) -> Result<(), ClientError> {
        use pb::put_rewrapped_keys_request::Part;
        let start = pb::RotationStart {
            vault_id: self.id().to_string(),
            rotation_id: rotation_id.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let parts = [Part::Start(start), Part::Batch(batch)];
        let parts = parts.map(|part| pb::PutRewrappedKeysRequest { part: Some(part) });
        self.client.vaults().put_rewrapped_keys(tokio_stream::iter(parts)).await?;
        Ok(())
    }

    async fn finish(&mut self, (rotation_id, completed): (String, Completed)) -> Result<(), ClientError> {
        let request = pb::FinishRotationRequest {
            vault_id: self.id().to_string(),
            rotation_id,
            slots: completed.slots.iter().cloned().map(Into::into).collect(),
            manifest: completed.manifest.clone().into(),
            group_set: Vec::new().into(),
            group_parts: Vec::new(),
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().finish_rotation(request).await?;
        self.adopt(completed)?;
        self.state.end_rotation(self.id())
    }

    /// Takes over a rotation that the node has committed.
    pub(crate) fn adopt(&mut self, completed: Completed) -> Result<(), ClientError> {
        self.open.complete(completed)?;
        self.state.saw(self.id(), &self.open.seen())
    }
}

pub(super) const fn mode_to_pb(mode: RotationMode) -> pb::RotationMode {
    match mode {
        RotationMode::Rewrap => pb::RotationMode::Rewrap,
        RotationMode::Rekey => pb::RotationMode::Rekey,
    }
}
