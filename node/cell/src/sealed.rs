//! The sealed volume: in memory while the cell is unlocked, and on its host's disk as ciphertext alone.
//!
//! The working folder is a tmpfs of its own; beside it the host's folder is mounted, with at most two files: the sealing that counts, and one that is
//! being written. A sealing is an archive of the working folder under keys of the unlock (docs/formats-cell-and-recovery.md, "sealed
//! volume"). It is written beside the old one, brought to the disk, and put in its place by one rename: whatever ends the cell,
//! one of the two is there, whole.
//!
//! Nothing here decides when: [`crate::cell`] does, and sees to it that nothing writes meanwhile.

mod chunks;
mod files;
mod told;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use ocmt_crypto::{
    sealed_volume::{HEAD_LEN, SealedHead, VolumeKey, VolumePlace},
    unlock::VolumeUnlock,
};

pub use self::told::Unsealed;
use self::{
    chunks::{Chunks, Sealing},
    told::Last,
};
use crate::archive::{
    ArchiveError,
    pack::{Names, pack},
    unpack::unpack,
};

/// The sealing that counts.
const SEALED: &str = "volume.sealed";
/// The one that is being written.
const NEXT: &str = "volume.sealed.new";
/// The most that is sealed, in bytes: what is in the largest volume, and its names, which take no room there. Past it a workload would fill its host's
/// disk.
const MAX_ARCHIVE: u64 = 256 << 20;

/// Why a sealed volume was not opened, or not sealed. No name and no content of a file is in the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// The unlock brought no key for it.
    #[error(
        "this container has a sealed volume, and the unlock has no key for it: unlock it with `ocmt container unlock`"
    )]
    NoKey,
    /// The unlock is for a container that has one.
    #[error("the unlock has a key for a sealed volume, and this container has none")]
    NoVolume,
    /// It was there, and is not.
    #[error(
        "the sealed volume is missing on its host: put it back there, or unlock with --accept-older-volume and begin an empty one"
    )]
    Missing,
    /// It is one from before an unlock that the client remembers.
    #[error(
        "the sealed volume on the host is older than one that you have unlocked: ask the operator, or unlock with --accept-older-volume and go on from there"
    )]
    Older,
    /// The unlock's serial is not above the one of what is there, which is a client's clock, and told so that the client can go above it.
    #[error(
        "the sealed volume on the host was sealed by an unlock of serial {0}: the next one's has to be greater"
    )]
    Serial(u64),
    /// Damaged, cut off, or another container's.
    #[error("the sealed volume does not open: it is damaged, not whole, or of another container or vault")]
    Damaged,
    /// The host's folder holds something else.
    #[error(
        "the host's folder of this volume holds files of an earlier container: remove the container with --delete-volume, and make it anew"
    )]
    NotEmpty,
    /// What is in it needs more room than it has.
    #[error("what is sealed does not fit into the volume")]
    TooSmall,
    /// The host has no room for another sealing.
    #[error("the host has no room to seal the volume: its folder needs twice the size of the volume")]
    HostFull,
    /// Names of files take too much room.
    #[error("the names of the files in the volume take too much room: it is not sealed before some are gone")]
    TooManyNames,
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(&'static str, io::ErrorKind),
    /// Processes would not stand still, or a file changed while it was copied.
    #[error("the workload did not stand still to be copied")]
    Restless,
    /// Something is in the working folder yet, in clear, where nothing may be.
    #[error("the volume could not be emptied, and the cell ends with what is in it")]
    NotEmptied,
}

impl VolumeError {
    /// The stable reason word that the node passes on.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoKey => "VOLUME_NO_KEY",
            Self::NoVolume => "VOLUME_NONE",
            Self::Missing => "VOLUME_MISSING",
            Self::Older => "VOLUME_OLDER",
            Self::Serial(_) => "VOLUME_SERIAL",
            Self::Damaged => "VOLUME_DAMAGED",
            Self::NotEmpty => "VOLUME_NOT_EMPTY",
            Self::TooSmall => "VOLUME_TOO_SMALL",
            Self::NotEmptied => "VOLUME_NOT_EMPTIED",
            Self::HostFull | Self::TooManyNames | Self::File(..) | Self::Restless => "VOLUME_NOT_SEALED",
        }
    }
}

/// Where it is.
#[derive(Debug)]
pub struct SealedVolume {
    /// The working folder, in memory.
    clear: PathBuf,
    /// The host's folder.
    sealed: PathBuf,
    place: VolumePlace,
    most: u64,
    /// How the last sealing went.
    last: Last,
}

/// What an unlock seals it with.
pub struct OpenVolume {
    key: VolumeKey,
    serial: u64,
    /// Digest of what was sealed last.
    last: Mutex<Option<[u8; 32]>>,
}

/// A sealing that is whole and not yet the one that counts.
pub struct Sealed {
    file: File,
    digest: [u8; 32],
}

impl SealedVolume {
    /// The volume of `place` in the folder `clear`, sealed into the folder `sealed`.
    pub fn new(place: VolumePlace, clear: PathBuf, sealed: PathBuf) -> Self {
        Self { clear, sealed, place, most: MAX_ARCHIVE, last: Last::default() }
    }

    /// Opens the sealing that counts into the empty working folder, and seals it anew: from then on there is one of this unlock. Refused,
    /// it leaves the folder empty.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn open(&self, unlock: VolumeUnlock) -> Result<OpenVolume, VolumeError> {
        self.clear()?;
        let opened = self.fill(&unlock).and_then(|()| {
            let open = OpenVolume {
                serial: unlock.serial,
                key: VolumeKey::keep(unlock.current),
                last: Mutex::default(),
            };
            // before there is one of this unlock, a client could not demand it
            self.settle(&open, &self.seal(&open)?)?;
            Ok(open)
        });
        if opened.is_err() {
            self.clear()?;
        }
        opened
    }

    /// The sealing that was there, if the client may take it and the unlock's own will be above it: what the client remembers then is what is sealed.
    fn fill(&self, unlock: &VolumeUnlock) -> Result<(), VolumeError> {
        let path = self.sealed.join(SEALED);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(VolumeError::Damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.begin(unlock),
            Err(error) => return Err(VolumeError::File("the sealed volume", error.kind())),
        }
        let reading = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => VolumeError::Damaged,
            kind => VolumeError::File("the sealed volume", kind),
        };
        let (mut file, mut head) = (File::open(&path).map_err(reading)?, [0; HEAD_LEN]);
        file.read_exact(&mut head).map_err(reading)?;
        let head = SealedHead::open(unlock.keys(), &self.place, &head).map_err(|_| VolumeError::Damaged)?;
        if head.serial < unlock.least {
            return Err(VolumeError::Older);
        }
        if unlock.serial <= head.serial {
            return Err(VolumeError::Serial(head.serial));
        }
        let chunks = Chunks::new(head.opener(&self.place), file);
        let chunks = unpack(chunks, Names::Together, &self.clear).map_err(|error| opening(&error))?;
        chunks.finish().map_err(|error| opening(&error.into()))
    }

    /// A volume that was never sealed.
    fn begin(&self, unlock: &VolumeUnlock) -> Result<(), VolumeError> {
        if unlock.least > 0 {
            return Err(VolumeError::Missing);
        }
        let listing = |error: io::Error| VolumeError::File("the host's folder", error.kind());
        for entry in fs::read_dir(&self.sealed).map_err(listing)? {
            if entry.map_err(listing)?.file_name() != NEXT {
                return Err(VolumeError::NotEmpty);
            }
        }
        Ok(())
    }

    /// Writes a sealing of the working folder beside the one that counts. Nothing may write there meanwhile.
    ///
    /// # Errors
    /// [`VolumeError`], and [`VolumeError::Restless`] where something did write; the one that counts is as it was.
    pub fn seal(&self, open: &OpenVolume) -> Result<Sealed, VolumeError> {
        let sealed = self.write(open);
        if sealed.is_err() {
            // room on the host, and no more: it would be written over
            let _ = fs::remove_file(self.sealed.join(NEXT));
        }
        sealed
    }

    fn write(&self, open: &OpenVolume) -> Result<Sealed, VolumeError> {
        files::open_up(&self.clear).map_err(|error| sealing_failed(&error.into()))?;
        let path = self.sealed.join(NEXT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(writing(&error)),
            _ => {}
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = made.map_err(|error| writing(&error))?;
        let (head, rng) = (SealedHead::fresh(open.serial, &mut rand::rng()), &mut rand::rng());
        let bytes = head.seal(&open.key, &self.place, rng).map_err(|_| VolumeError::Damaged)?;
        file.write_all(&bytes).map_err(|error| writing(&error))?;
        let sealing = Sealing::new(head.sealer(&self.place), file, self.most);
        let (file, digest) = pack(&self.clear, Names::Together, sealing)
            .and_then(|sealing| sealing.finish().map_err(ArchiveError::from))
            .map_err(|error| sealing_failed(&error))?;
        Ok(Sealed { file, digest })
    }

    /// Makes it the one that counts; where nothing has changed since that was written, drops it.
    ///
    /// # Errors
    /// [`VolumeError`]: one of the two counts, and the next sealing settles it.
    pub fn settle(&self, open: &OpenVolume, sealed: &Sealed) -> Result<(), VolumeError> {
        let next = self.sealed.join(NEXT);
        let mut last = open.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == Some(sealed.digest) {
            return fs::remove_file(next).map_err(|error| writing(&error));
        }
        let settled = sealed
            .file
            .sync_all()
            .and_then(|()| fs::rename(next, self.sealed.join(SEALED)))
            .and_then(|()| File::open(&self.sealed)?.sync_all());
        settled.map_err(|error| writing(&error))?;
        *last = Some(sealed.digest);
        Ok(())
    }

    /// Seals the last time of an unlock, also where nothing has changed: what somebody did to the one that counts is undone.
    ///
    /// # Errors
    /// As [`SealedVolume::seal`] and [`SealedVolume::settle`].
    pub fn seal_at_end(&self, open: &OpenVolume) -> Result<(), VolumeError> {
        *open.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.settle(open, &self.seal(open)?)
    }

    /// Empties the working folder.
    ///
    /// # Errors
    /// [`VolumeError::NotEmptied`]: something of it is still there.
    pub fn clear(&self) -> Result<(), VolumeError> {
        files::empty(&self.clear).map_err(|error| {
            tracing::error!(why = %error.kind(), "volume not emptied");
            VolumeError::NotEmptied
        })
    }
}

/// What went wrong while the host's folder was written.
fn writing(error: &io::Error) -> VolumeError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => VolumeError::HostFull,
        kind => VolumeError::File("writing the sealed volume", kind),
    }
}

fn sealing_failed(error: &ArchiveError) -> VolumeError {
    match error {
        ArchiveError::File(_, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            VolumeError::HostFull
        }
        ArchiveError::File(_, io::ErrorKind::FileTooLarge) => VolumeError::TooManyNames,
        ArchiveError::Changed | ArchiveError::File(_, io::ErrorKind::NotFound) => VolumeError::Restless,
        ArchiveError::File(what, kind) => VolumeError::File(what, *kind),
        _ => VolumeError::File("a file of the volume", io::ErrorKind::Other),
    }
}

fn opening(error: &ArchiveError) -> VolumeError {
    match error {
        ArchiveError::File(_, io::ErrorKind::StorageFull) => VolumeError::TooSmall,
        ArchiveError::File(what, kind @ (io::ErrorKind::OutOfMemory | io::ErrorKind::PermissionDenied)) => {
            VolumeError::File(what, *kind)
        }
        _ => VolumeError::Damaged,
    }
}

#[cfg(test)]
mod tests;
