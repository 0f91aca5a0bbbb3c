//! Where the ciphertext of snapshots lies, as the configuration says: a folder, or what speaks S3.

mod folder;
mod http;
mod pins;
mod s3;

use std::{path::PathBuf, sync::Arc};

use ocmt_actors::{SnapshotStore, Snapshots};
use ocmt_types::{SnapshotId, TenantId};

use crate::{
    config::{Config, SnapshotPlace},
    secret_file, tls,
};

use folder::Folder;
use pins::FolderPins;

/// The store that the configuration names; none if it names none.
///
/// # Errors
/// What is wrong with it, and in which setting; no secret.
pub(crate) fn open(config: &Config) -> Result<Option<Snapshots>, String> {
    let it = &config.snapshots;
    let store: Arc<dyn SnapshotStore> = match it.place() {
        None => return Ok(None),
        Some(SnapshotPlace::Folder(path)) => Arc::new(Folder::open(path)?),
        Some(SnapshotPlace::S3 { bucket, prefix }) => {
            let secret = secret_file::read(&it.s3_secret_key_file).map_err(|error| error.to_string())?;
            let tls = tls::trusting(&it.s3_ca_file)
                .map_err(|problem| format!("snapshots.s3_ca_file: {problem}"))?;
            Arc::new(s3::S3::open(it, (bucket, prefix), secret, tls, config.node.mode.is_relaxed())?)
        }
    };
    let pins = Arc::new(FolderPins::of(config.node.data_dir.join("schedules")));
    Ok(Some(Snapshots { store, per_user: it.per_user, most_bytes: u64::from(it.most_mib) << 20, pins }))
}

/// Its name: `TENANT/SNAPSHOT`. Both are ids, so that nothing of it is anybody's choice.
fn name(tenant: TenantId, snapshot: SnapshotId) -> PathBuf {
    PathBuf::from(tenant.to_string()).join(snapshot.to_string())
}
