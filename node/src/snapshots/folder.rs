//! Snapshots in a folder that all nodes of the cluster see: one machine, or a file system that they share.
//!
//! `object_store` has such a store too, but does not wait for the disk; here an object is safe on it before the row
//! says that it is there.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use futures_util::{FutureExt as _, StreamExt as _};
use ocmt_actors::{Pieces, SnapshotStore, SnapshotStoreError, StoreCall};
use ocmt_types::{SnapshotId, TenantId};
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

use super::name;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// One folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Of this path; made, for this user alone, if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(root: PathBuf) -> Result<Self, String> {
        make(&root).map_err(|error| format!("snapshots.store: {}: {error}", root.display()))?;
        Ok(Self { root })
    }

    async fn write_all(&self, name: PathBuf, mut pieces: Pieces) -> Result<(), SnapshotStoreError> {
        let (whole, part) = (self.root.join(&name), self.root.join(name.with_extension("part")));
        let begun = part.clone();
        let mut file = blocking(move || {
            make(begun.parent().unwrap_or(Path::new("/")))?;
            // what a writer that was cut off has left is written over
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(begun)
        })
        .await?;
        while let Some(piece) = pieces.next().await {
            let written = match piece {
                Ok(piece) => blocking(move || file.write_all(&piece).map(|()| file)).await,
                Err(error) => Err(error),
            };
            file = match written {
                Ok(file) => file,
                Err(error) => {
                    // nothing reads it; a leftover is written over, or goes with its snapshot
                    let _ = blocking(move || std::fs::remove_file(part)).await;
                    return Err(error);
                }
            };
        }
        blocking(move || {
            file.sync_all()?;
            std::fs::rename(&part, &whole)?;
            File::open(whole.parent().unwrap_or(Path::new("/")))?.sync_all()
        })
        .await
    }
}

impl SnapshotStore for Folder {
    fn write(&self, tenant: TenantId, snapshot: SnapshotId, pieces: Pieces) -> StoreCall<'_, ()> {
        self.write_all(name(tenant, snapshot), pieces).boxed()
    }

    fn read(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, Pieces> {
        let path = self.root.join(name(tenant, snapshot));
        async move {
            let file = blocking(move || File::open(path)).await?;
            let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
            Ok(pieces.map(|piece| piece.map_err(|error| said(&error))).boxed())
        }
        .boxed()
    }

    fn delete(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, ()> {
        let path = self.root.join(name(tenant, snapshot));
        async move {
            blocking(move || {
                gone(std::fs::remove_file(path.with_extension("part")))?;
                gone(std::fs::remove_file(&path))?;
                // of the tenant's last one; another one that is there keeps it
                let _ = std::fs::remove_dir(path.parent().unwrap_or(Path::new("/")));
                Ok(())
            })
            .await
        }
        .boxed()
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn said(error: &io::Error) -> SnapshotStoreError {
    SnapshotStoreError(error.kind().to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SnapshotStoreError> {
    let done = spawn_blocking(work).await.map_err(|_| SnapshotStoreError("was cut off".to_owned()))?;
    done.map_err(|error| said(&error))
}

/// Pieces from memory.
#[cfg(test)]
pub(super) fn pieces(of: &[&'static [u8]]) -> Pieces {
    let of: Vec<_> = of.iter().map(|piece| Ok(bytes::Bytes::from_static(piece))).collect();
    futures_util::stream::iter(of).boxed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use futures_util::{TryStreamExt as _, stream};
    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    fn ids() -> (TenantId, SnapshotId) {
        let ids: &dyn IdGen = &RandomIds;
        (ids.id(), ids.id())
    }

    async fn content(store: &Folder, (tenant, snapshot): (TenantId, SnapshotId)) -> Vec<u8> {
        let pieces: Vec<_> = store.read(tenant, snapshot).await.unwrap().try_collect().await.unwrap();
        pieces.concat()
    }

    #[tokio::test]
    async fn an_object_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::open(root.path().join("deep/store")).unwrap();
        let (tenant, snapshot) = ids();
        let broken = stream::iter([
            Ok(bytes::Bytes::from_static(b"half")),
            Err(SnapshotStoreError("the cell broke off".to_owned())),
        ]);
        let refused = store.write(tenant, snapshot, broken.boxed()).await.unwrap_err();
        assert_eq!(refused.0, "the cell broke off");
        assert!(store.read(tenant, snapshot).await.is_err());
        let folder = store.root.join(tenant.to_string());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left");
        store.write(tenant, snapshot, pieces(&[b"who", b"le"])).await.unwrap();
        assert_eq!(content(&store, (tenant, snapshot)).await, b"whole");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(snapshot.to_string()))), (0o700, 0o600));
        store.delete(tenant, snapshot).await.unwrap();
        store.delete(tenant, snapshot).await.unwrap();
        assert!(!folder.exists() && store.read(tenant, snapshot).await.is_err());
    }

    #[tokio::test]
    async fn nobody_reads_an_object_that_is_being_written() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::open(root.path().to_owned()).unwrap();
        let ((tenant, snapshot), reader) = (ids(), store.clone());
        let looks = stream::once(async move {
            assert!(reader.read(tenant, snapshot).await.is_err(), "half of it is there");
            Ok(bytes::Bytes::from_static(b"le"))
        });
        store.write(tenant, snapshot, pieces(&[b"who"]).chain(looks).boxed()).await.unwrap();
        assert_eq!(content(&store, (tenant, snapshot)).await, b"whole");
    }

    #[tokio::test]
    async fn what_a_writer_left_that_was_killed_is_neither_read_nor_kept() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::open(root.path().to_owned()).unwrap();
        let (tenant, snapshot) = ids();
        let folder = root.path().join(tenant.to_string());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(format!("{snapshot}.part")), "half of it, and longer").unwrap();
        assert!(store.read(tenant, snapshot).await.is_err());
        store.write(tenant, snapshot, pieces(&[b"whole"])).await.unwrap();
        assert_eq!(content(&store, (tenant, snapshot)).await, b"whole");
        std::fs::write(folder.join(format!("{snapshot}.part")), "half").unwrap();
        store.delete(tenant, snapshot).await.unwrap();
        assert!(!folder.exists());
    }
}
