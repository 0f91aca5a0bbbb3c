//! Volumes as containers need them: open before one is made, mounted before it starts, free before they are erased or
//! change their place. Each in its turn at the volume ([`turns`](super::turns)), since it looks at what is there and is mounted and then changes it.

use std::path::{Path, PathBuf};

use ocmt_types::{TenantId, UserId};

use super::{
    DockerConfig, DockerRuntime,
    engine::Engine,
    sized::{self, Ground},
};
use crate::{
    ArchiveErrand, RuntimeError,
    archive::{self, FRESH},
    erasing, volume,
};

/// Refuses a size for volumes on a machine that cannot give them one, and clears what restores have left behind.
pub(super) async fn prepare(engine: &Engine, config: &DockerConfig) -> Result<(), RuntimeError> {
    let engine = engine.process().await.ok();
    let ground = Ground::of(engine);
    // while the engine is away nothing can be tried: each making of a volume says then what is missing
    let tried = config.confinement.volume_bytes.is_some() && engine.is_some();
    volume::on_disk(&config.data_dir, move |data_dir| {
        if tried {
            sized::probe(data_dir, ground).map_err(|error| {
                RuntimeError::Refused(format!(
                    "containers.volume_mib: this machine gives volumes no size ({error}): docs/security/containers.md says what that takes; write 0 for volumes without a bound"
                ))
            })?;
        }
        ground.release_fresh(data_dir)?;
        archive::clear(data_dir)
    })
    .await
}

impl DockerRuntime {
    async fn ground(&self) -> Ground {
        Ground::of(self.engine.process().await.ok())
    }

    /// The folder that a container, or a cell on this errand, gets as its volume.
    pub(super) async fn volume_of(
        &self,
        tenant: TenantId,
        user: UserId,
        errand: Option<ArchiveErrand>,
    ) -> Result<PathBuf, RuntimeError> {
        let bytes = self.config.confinement.volume_bytes;
        self.in_turn(tenant, Some(user), move |data_dir, ground| {
            let present = sized::open(data_dir, (tenant, &user.to_string()), bytes, ground)?;
            if errand != Some(ArchiveErrand::Restore) {
                return Ok(present);
            }
            let fresh = format!("{user}{FRESH}");
            ground.release_of(data_dir, tenant, Some(&[fresh.clone(), fresh.clone()]))?;
            archive::erase(data_dir, tenant, &fresh)?;
            sized::open(data_dir, (tenant, &fresh), bytes, ground)
        })
        .await
    }

    /// Before a start: a machine that was started anew has mounted nothing.
    pub(super) async fn mount_volume(&self, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
        self.in_turn(tenant, Some(user), move |data_dir, ground| {
            sized::ready(data_dir, (tenant, &user.to_string()), ground).map(drop)
        })
        .await
    }

    pub(super) async fn swap_volume_of(&self, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
        self.freed(tenant, Some(user), move |data_dir| archive::swap(data_dir, tenant, user)).await?;
        // in its place; where that fails, the next start tries it again and says why it cannot
        if let Err(error) = self.mount_volume(tenant, user).await {
            tracing::warn!(%tenant, %user, %error, "a restored volume is not mounted yet");
        }
        Ok(())
    }

    pub(super) async fn settle_volume_of(&self, tenant: TenantId, user: UserId) -> Result<(), RuntimeError> {
        self.in_turn(tenant, Some(user), move |data_dir, ground| {
            let fresh = format!("{user}{FRESH}");
            ground.release_of(data_dir, tenant, Some(&[fresh.clone(), fresh]))?;
            archive::settle(data_dir, tenant, user)
        })
        .await
    }

    pub(super) async fn erase_volumes_of(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
    ) -> Result<(), RuntimeError> {
        erasing::unused(&self.adoptable().await?, tenant, user)?;
        self.freed(tenant, user, move |data_dir| erasing::erase(data_dir, tenant, user)).await
    }

    /// Does this to the volumes of a tenant, or of one user of it, that nothing is mounted over any more.
    async fn freed(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
        work: impl FnOnce(&Path) -> Result<(), RuntimeError> + Send + 'static,
    ) -> Result<(), RuntimeError> {
        self.in_turn(tenant, user, move |data_dir, ground| {
            let names = user.map(|user| [user.to_string(), format!("{user}{FRESH}")]);
            ground.release_of(data_dir, tenant, names.as_ref())?;
            work(data_dir)
        })
        .await
    }

    /// See [`Turns::work`](super::turns::Turns::work): the engine is asked for when the turn has come.
    async fn in_turn<T: Send + 'static>(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
        work: impl FnOnce(&Path, Ground) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        self.volumes.work(&self.config.data_dir, (tenant, user), self.ground(), work).await
    }
}
