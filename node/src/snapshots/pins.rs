//! Which schedules of snapshots this host has taken from its users: a line of text in a file of each, in the data folder.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use futures_util::FutureExt as _;
use ocmt_actors::{PinCall, PinError, SchedulePin, SchedulePins};
use ocmt_crypto::sign::VerifyKey;
use ocmt_types::{Digest32, TenantId, UserId};
use tokio::task::spawn_blocking;

/// Longest line, in bytes: two times 64 digits, a number and what is between them.
const LONGEST: usize = 160;

/// One folder. One at a time reads and writes there, so that what is checked is what is followed.
#[derive(Debug, Clone)]
pub(super) struct FolderPins {
    root: PathBuf,
    turn: Arc<Mutex<()>>,
}

impl FolderPins {
    /// Of this path, which is made with the first of them.
    pub(super) fn of(root: PathBuf) -> Self {
        Self { root, turn: Arc::default() }
    }

    fn file(&self, tenant: TenantId, user: UserId) -> PathBuf {
        self.root.join(tenant.to_string()).join(user.to_string())
    }

    fn in_turn(&self, work: impl FnOnce() -> Result<(), PinError> + Send + 'static) -> PinCall<'static> {
        let turn = Arc::clone(&self.turn);
        async move {
            let done = spawn_blocking(move || {
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                work()
            });
            done.await.map_err(|_| PinError::Disk("it was cut off".to_owned()))?
        }
        .boxed()
    }
}

impl SchedulePins for FolderPins {
    fn take(&self, tenant: TenantId, user: UserId, pin: SchedulePin) -> PinCall<'_> {
        let file = self.file(tenant, user);
        self.in_turn(move || {
            if let Some(before) = read(&file)? {
                pin.may_follow(&before)?;
                if before == pin {
                    return Ok(());
                }
            }
            write(&file, &pin).map_err(|error| disk(&error))
        })
    }

    fn forget(&self, tenant: TenantId, user: Option<UserId>) -> PinCall<'_> {
        let folder = self.root.join(tenant.to_string());
        self.in_turn(move || {
            let removed = match user {
                Some(user) => std::fs::remove_file(folder.join(user.to_string())),
                None => std::fs::remove_dir_all(folder),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(&error)),
                _ => Ok(()),
            }
        })
    }
}

fn disk(error: &io::Error) -> PinError {
    PinError::Disk(error.kind().to_string())
}

/// What was taken last; none if nothing ever was. A file that says nothing is no leave to begin anew.
fn read(file: &Path) -> Result<Option<SchedulePin>, PinError> {
    match std::fs::read_to_string(file) {
        Ok(line) => parse(&line).map(Some).ok_or_else(|| PinError::Disk("its file is damaged".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk(&error)),
    }
}

fn parse(line: &str) -> Option<SchedulePin> {
    let line = line.strip_suffix('\n').filter(|line| line.len() <= LONGEST)?;
    let mut words = line.split(' ');
    let (identity, number, digest) = (words.next()?, words.next()?, words.next()?);
    let bytes = |hex: &str| <[u8; 32]>::try_from(HEXLOWER.decode(hex.as_bytes()).ok()?).ok();
    let pin = SchedulePin {
        identity: VerifyKey(bytes(identity)?),
        number: number.parse().ok()?,
        digest: Digest32(bytes(digest)?),
    };
    words.next().is_none().then_some(pin)
}

fn line(pin: &SchedulePin) -> String {
    let hex = |bytes: &[u8; 32]| HEXLOWER.encode(bytes);
    format!("{} {} {}\n", hex(&pin.identity.0), pin.number, hex(&pin.digest.0))
}

/// Whole and on the disk, or as it was.
fn write(file: &Path, pin: &SchedulePin) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let fresh = file.with_extension("fresh");
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    to.write_all(line(pin).as_bytes())?;
    to.sync_all()?;
    std::fs::rename(&fresh, file)?;
    File::open(folder)?.sync_all()?;
    // the folder of a tenant is an entry of the one above
    File::open(folder.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    fn pin(identity: u8, number: u64, digest: u8) -> SchedulePin {
        SchedulePin { identity: VerifyKey([identity; 32]), number, digest: Digest32([digest; 32]) }
    }

    fn refused(taken: &Result<(), PinError>) -> bool {
        matches!(taken, Err(PinError::Refused(_)))
    }

    #[tokio::test]
    async fn a_host_keeps_who_signed_first_and_takes_no_lower_number_over_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let ids: &dyn IdGen = &RandomIds;
        let (tenant, ann, bob): (TenantId, UserId, UserId) = (ids.id(), ids.id(), ids.id());
        let open = || FolderPins::of(root.path().join("schedules"));
        open().take(tenant, ann, pin(1, 7, 1)).await.unwrap();
        for again in [pin(1, 7, 1), pin(1, 9, 2), pin(1, 9, 2)] {
            open().take(tenant, ann, again).await.unwrap();
        }
        for (what, other) in [
            ("another signer", pin(2, 100, 3)),
            ("a lower number", pin(1, 7, 1)),
            ("another one of the number", pin(1, 9, 3)),
        ] {
            assert!(refused(&open().take(tenant, ann, other).await), "{what}");
        }
        open().take(tenant, ann, pin(1, 10, 4)).await.unwrap();
        open().take(tenant, bob, pin(2, 1, 5)).await.unwrap();
        let file = open().file(tenant, ann);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "a file of each");

        open().forget(tenant, Some(ann)).await.unwrap();
        open().forget(tenant, Some(ann)).await.unwrap();
        open().take(tenant, ann, pin(3, 1, 6)).await.unwrap();
        assert!(refused(&open().take(tenant, bob, pin(3, 2, 6)).await), "another one's is kept");
        open().forget(tenant, None).await.unwrap();
        open().take(tenant, bob, pin(3, 2, 6)).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_damaged_lets_nobody_begin_anew() {
        let root = tempfile::tempdir().unwrap();
        let ids: &dyn IdGen = &RandomIds;
        let (tenant, ann): (TenantId, UserId) = (ids.id(), ids.id());
        let pins = FolderPins::of(root.path().to_owned());
        pins.take(tenant, ann, pin(1, 7, 1)).await.unwrap();
        let good = std::fs::read_to_string(pins.file(tenant, ann)).unwrap();
        assert_eq!(parse(&good), Some(pin(1, 7, 1)));
        for bad in ["", "\n", good.trim_end(), &good[2..], &format!("{} more\n", good.trim_end())] {
            std::fs::write(pins.file(tenant, ann), bad).unwrap();
            let said = pins.take(tenant, ann, pin(1, 8, 2)).await;
            assert!(matches!(said, Err(PinError::Disk(_))), "{bad:?}");
        }
    }
}
