//! Snapshots of a container's volume: their keys are made here, and go to a cell that runs nothing and to no node.
//!
//! Each has a key of its own, kept with the node under the volume key that is an object of the vault. The cell is
//! believed as any cell is: by its host's certificate, and the host that the vault has pinned for the container.

use std::time::Duration;

use ocmt_crypto::{
    cell::CellKeyStatement,
    datakey::DataKey,
    envelope,
    object::volume_key_id,
    snapshot::{Errand, SnapshotPayload, unwrap_key, wrap_key},
    vault::KeyVersions,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, IdGen, RandomIds, SnapshotId, Timestamp};
use serde::Serialize;
use tonic::Code;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    vault::Vault,
    wire::time,
};

/// What is under way is asked after this often, and for this long: a cell may take ten minutes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: u32 = 660;

/// Where a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being taken.
    Taking,
    /// It is there.
    Taken,
    /// A volume is being made from it.
    Restoring,
    /// It is being looked through.
    Verifying,
    /// It was not taken.
    Failed,
}

/// A snapshot. All but its key is the node's word; what is in it is proven when it is opened.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// Which.
    pub id: SnapshotId,
    /// Of which container it was taken.
    pub container: ContainerId,
    /// Of which making of it.
    pub generation: u64,
    /// Where it is.
    pub state: State,
    /// Bytes of ciphertext.
    pub size_bytes: u64,
    /// It was read back, or looked through, and was right.
    pub verified: bool,
    /// It was opened to its end.
    pub opened: bool,
    /// It was taken by schedule.
    pub by_schedule: bool,
    /// Why what was done with it last came to nothing; empty if nothing did.
    pub failure: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    #[serde(skip)]
    pub(crate) wrapped_key: Vec<u8>,
    #[serde(skip)]
    pub(crate) scheduled: Option<Scheduled>,
}

/// What one that was taken by schedule has: it counts for nothing until it is proven.
#[derive(Debug, Clone)]
pub(crate) struct Scheduled {
    pub(crate) sealed_key: Vec<u8>,
    pub(crate) taken: pb::NodeStatement,
    pub(crate) content_hash: Vec<u8>,
}

impl Client {
    /// All snapshots of a container's user, those of earlier containers too.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_snapshots(&self, container: ContainerId) -> Result<Vec<Snapshot>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListSnapshotsRequest { container_id: container.to_string(), page_size: 100, page_token };
            let page = self.containers().list_snapshots(request).await?.into_inner();
            for snapshot in page.snapshots {
                all.push(parse(snapshot)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                all.sort_by_key(|snapshot| snapshot.created_at);
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Deletes one. Needs step-up.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_snapshot(&self, snapshot: SnapshotId) -> Result<(), ClientError> {
        let request = pb::DeleteSnapshotRequest {
            snapshot_id: snapshot.to_string(),
            idempotency_key: idempotency_key(),
        };
        self.containers().delete_snapshot(request).await?;
        Ok(())
    }

    /// One that is listed; none if it is not.
    async fn snapshot(
        &self,
        container: ContainerId,
        snapshot: SnapshotId,
    ) -> Result<Option<Snapshot>, ClientError> {
        Ok(self.list_snapshots(container).await?.into_iter().find(|one| one.id == snapshot))
    }
}

impl Vault {
    /// Takes a snapshot of a stopped container's volume; back when it is there and was read back.
    ///
    /// # Errors
    /// As [`Vault::unlock_container`]; [`ClientError::Refused`] with `CONTAINER_RUNNING` if it is not stopped.
    pub async fn take_snapshot(
        &mut self,
        container: ContainerId,
        accept_host: bool,
    ) -> Result<Snapshot, ClientError> {
        if self.client().container(container).await?.sealed_volume_bytes > 0 {
            // before a volume key is made: a first unlock is told by its absence
            return Err(of_a_sealed_volume());
        }
        let versions = self.volume_key(container, true).await?;
        let (ids, rng): (&dyn IdGen, _) = (&RandomIds, &mut rand::rng());
        let (snapshot, key): (SnapshotId, _) = (ids.id(), DataKey::generate(rng));
        let (version, volume_key) = &versions.current;
        let wrapped_key = wrap_key((*version, volume_key), self.keys().scope(), snapshot, &key, rng)?;
        let cell = self.archive_cell(container, Errand::Take, accept_host).await?;
        let payload = SnapshotPayload { errand: Errand::Take, snapshot, key };
        let request = pb::CreateSnapshotRequest {
            container_id: container.to_string(),
            snapshot_id: snapshot.to_string(),
            wrapped_key: wrapped_key.into(),
            sealed_payload: payload.seal(&cell, &mut rand::rng())?.into(),
            cell_key: cell.key().0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let asked = self.client().containers().create_snapshot(request).await;
        if let Err(error) = asked {
            self.goes_on(container, snapshot, State::Taking, error.into()).await?;
        }
        let taken =
            self.client().snapshot(container, snapshot).await?.ok_or(ClientError::Answer("snapshot"))?;
        match taken.state {
            State::Failed => Err(ClientError::Usage(format!("no snapshot was taken: {}", taken.failure))),
            _ => Ok(taken),
        }
    }

    /// Puts a snapshot in the place of a stopped container's volume, whatever is in that; the container's generation
    /// then.
    ///
    /// # Errors
    /// As [`Vault::take_snapshot`]; [`ClientError::Usage`] if it was not restored, and nothing was changed.
    pub async fn restore_snapshot(
        &mut self,
        container: ContainerId,
        snapshot: SnapshotId,
        accept_host: bool,
    ) -> Result<u64, ClientError> {
        let before = self.client().container(container).await?.generation;
        self.open_snapshot(container, snapshot, Errand::Restore, accept_host).await?;
        let now = self.client().container(container).await?.generation;
        if now > before {
            return Ok(now);
        }
        Err(ClientError::Usage("whether the snapshot was restored is not known: look at the list".to_owned()))
    }

    /// Has a snapshot opened to its end by a cell, which writes nothing.
    ///
    /// # Errors
    /// As [`Vault::restore_snapshot`].
    pub async fn verify_snapshot(
        &mut self,
        container: ContainerId,
        snapshot: SnapshotId,
        accept_host: bool,
    ) -> Result<(), ClientError> {
        self.open_snapshot(container, snapshot, Errand::Verify, accept_host).await
    }

    async fn open_snapshot(
        &mut self,
        container: ContainerId,
        snapshot: SnapshotId,
        errand: Errand,
        accept_host: bool,
    ) -> Result<(), ClientError> {
        let known = self.client().snapshot(container, snapshot).await?;
        let known = known.ok_or_else(|| ClientError::Usage(format!("you have no snapshot {snapshot}")))?;
        let key = match &known.scheduled {
            Some(scheduled) => self.scheduled_key(&known, scheduled).await?,
            None => self.snapshot_key(&known).await?,
        };
        let cell = self.archive_cell(container, errand, accept_host).await?;
        let payload = SnapshotPayload { errand, snapshot, key };
        let request = pb::RestoreSnapshotRequest {
            container_id: container.to_string(),
            snapshot_id: snapshot.to_string(),
            sealed_payload: payload.seal(&cell, &mut rand::rng())?.into(),
            verify_only: errand == Errand::Verify,
            cell_key: cell.key().0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let Err(error) = self.client().containers().restore_snapshot(request).await else { return Ok(()) };
        let state = if errand == Errand::Verify { State::Verifying } else { State::Restoring };
        let settled = self.goes_on(container, snapshot, state, error.into()).await?;
        if settled.failure.is_empty() {
            return Ok(());
        }
        Err(ClientError::Usage(format!("nothing came of it, and nothing was changed: {}", settled.failure)))
    }

    /// The node works longer than one call may take: looks until it is done. Another error is that of the call.
    async fn goes_on(
        &self,
        container: ContainerId,
        snapshot: SnapshotId,
        busy: State,
        error: ClientError,
    ) -> Result<Snapshot, ClientError> {
        if error.code() != Some(Code::DeadlineExceeded) {
            return Err(error);
        }
        let mut was_busy = false;
        for _ in 0..LOOKS {
            match self.client().snapshot(container, snapshot).await? {
                Some(shown) if shown.state == busy => was_busy = true,
                // one that is made may have been made before the first look
                Some(shown) if was_busy || busy == State::Taking => return Ok(shown),
                _ => return Err(error),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(error)
    }

    /// The key of a snapshot, from under whichever version of its container's volume key wrapped it.
    async fn snapshot_key(&mut self, snapshot: &Snapshot) -> Result<DataKey, ClientError> {
        let versions = self.volume_key(snapshot.container, false).await?;
        let epoch = u64::from(envelope::parse(&snapshot.wrapped_key)?.key_epoch);
        let mut all = versions.earlier.iter().chain([&versions.current]);
        let (version, key) = all
            .find(|(version, _)| *version == epoch)
            .ok_or_else(|| ClientError::Usage("this vault has not the key of that snapshot".to_owned()))?;
        Ok(unwrap_key((*version, key), self.keys().scope(), snapshot.id, &snapshot.wrapped_key)?)
    }

    /// The volume key of a container, as the vault's manifest proves it; made if it is not there and is to be.
    pub(crate) async fn volume_key(
        &mut self,
        container: ContainerId,
        make: bool,
    ) -> Result<KeyVersions, ClientError> {
        let object = volume_key_id(container);
        if !self.keys().leaves().any(|leaf| leaf.object_id == object) {
            if !make {
                return Err(ClientError::Usage("this vault has not the key of that snapshot".to_owned()));
            }
            let mut edit = self.keys().edit();
            edit.create_volume_key(container, &mut rand::rng())?;
            let change = edit.finish()?;
            if let Some(made) = change.objects.iter().find(|made| made.object_id == object) {
                self.state().sends_volume_key(container, made.leaf().body_hash)?;
            }
            self.commit(change).await?;
        }
        let object = self.object(object).await?;
        Ok(self.keys().key_versions(&object)?)
    }

    /// A cell that runs nothing, started for this, and believed.
    async fn archive_cell(
        &mut self,
        container: ContainerId,
        errand: Errand,
        accept_host: bool,
    ) -> Result<CellKeyStatement, ClientError> {
        let errand = match errand {
            Errand::Take => pb::SnapshotErrand::Take,
            Errand::Restore => pb::SnapshotErrand::Restore,
            Errand::Verify => pb::SnapshotErrand::Verify,
        };
        let request =
            pb::GetSnapshotCellKeyRequest { container_id: container.to_string(), errand: errand.into() };
        let answer = self.client().containers().get_snapshot_cell_key(request).await?.into_inner();
        self.believe(container, &present(answer.statement, "statement")?, accept_host).await
    }
}

pub(crate) fn of_a_sealed_volume() -> ClientError {
    ClientError::Usage("there are no snapshots of a sealed volume".to_owned())
}

fn parse(snapshot: pb::Snapshot) -> Result<Snapshot, ClientError> {
    let state = match snapshot.state() {
        pb::SnapshotState::Taking => State::Taking,
        pb::SnapshotState::Taken => State::Taken,
        pb::SnapshotState::Restoring => State::Restoring,
        pb::SnapshotState::Verifying => State::Verifying,
        pb::SnapshotState::Failed => State::Failed,
        pb::SnapshotState::Unspecified => return Err(ClientError::Answer("state")),
    };
    Ok(Snapshot {
        id: id(&snapshot.snapshot_id, "snapshot_id")?,
        container: id(&snapshot.container_id, "container_id")?,
        generation: snapshot.generation,
        state,
        size_bytes: snapshot.size_bytes,
        verified: snapshot.verified,
        failure: snapshot.failure,
        created_at: time(&present(snapshot.created_at, "created_at")?),
        wrapped_key: snapshot.wrapped_key.into(),
        opened: snapshot.opened,
        by_schedule: snapshot.taken.is_some(),
        scheduled: snapshot.taken.map(|taken| Scheduled {
            sealed_key: snapshot.sealed_key.into(),
            taken,
            content_hash: snapshot.content_hash.into(),
        }),
    })
}
