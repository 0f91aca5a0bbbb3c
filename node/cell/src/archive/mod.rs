//! The cell that runs nothing: it reads a volume into a snapshot, or opens one into a fresh volume, and ends.
//!
//! It is started beside a container that does not run, with the volume and no network, workload or channel. All goes
//! over standard input and output in frames ([`Frame`]): the start secret in; its key out, as any cell offers it; the
//! snapshot payload in; then sealed chunks, out of it or into it; and last a word whether all of it was done. Where no
//! client is there, what its user has signed ahead of time comes in for the payload, and the key that it made goes out
//! sealed to that user. What happens to files is in [`pack`] and [`unpack`]. It tells its host nothing of what is in
//! the volume but how much.

mod frames;
pub(crate) mod opened;
pub(crate) mod pack;
pub(crate) mod unpack;

use std::{
    io::{Read, Write},
    path::Path,
};

use ocmt_crypto::{
    cell::{CellKey, CellPlace, StartSecret},
    datakey::DataKey,
    snapshot::{ChunkOpener, ChunkSealer, Errand, Frame, MAX_PAYLOAD, SnapshotPlace},
    snapshot_schedule::ScheduleOrder,
};
use ocmt_types::{SnapshotId, Timestamp};

use self::{
    frames::{ChunkReader, ChunkWriter},
    pack::Names,
};

/// On whose word it does something, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// A client seals a key to it, for this.
    Client(Errand),
    /// Nobody is there: it takes a snapshot as its user's schedule says.
    Schedule,
}

/// Why nothing came of it. The texts are for the host: no name and no content of a file is in them.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The host did not say what it should, or stopped speaking.
    #[error("the host broke off")]
    Host,
    /// The payload is not for this start of the cell, or for something else than it was started for.
    #[error("the sealed key is for another cell, or for something else")]
    NotForThisCell,
    /// The snapshot is not whole: damaged, cut off, out of order, or another one's.
    #[error("the snapshot does not open: it is damaged, not whole, or not this one")]
    Snapshot,
    /// Something wrote into the volume meanwhile.
    #[error("a file of the volume changed while it was read")]
    Changed,
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(&'static str, std::io::ErrorKind),
}

impl From<std::io::Error> for ArchiveError {
    fn from(error: std::io::Error) -> Self {
        // what a reader or writer of chunks said goes through the archive as an error of its own
        match error.get_ref().and_then(|inner| inner.downcast_ref::<frames::Cut>()) {
            Some(frames::Cut::Host) => Self::Host,
            Some(frames::Cut::Snapshot) => Self::Snapshot,
            None => Self::File("a file of the volume", error.kind()),
        }
    }
}

/// Does its one errand over `input` and `output`, with the volume at `volume`. The guard is on already.
///
/// # Errors
/// [`ArchiveError`]; the host has been told.
pub fn run(
    (place, asked): (CellPlace, AskedBy),
    start: &StartSecret,
    now: Timestamp,
    volume: &Path,
    (mut input, mut output): (impl Read, impl Write),
) -> Result<(), ArchiveError> {
    let done = serve((place, asked), start, now, volume, &mut input, &mut output);
    match &done {
        Ok(()) => frames::write(&mut output, Frame::Done, b"")?,
        // a host that is gone need not hear it
        Err(error) => drop(frames::write(&mut output, Frame::Failed, error.to_string().as_bytes())),
    }
    done
}

fn serve(
    (place, asked): (CellPlace, AskedBy),
    start: &StartSecret,
    now: Timestamp,
    volume: &Path,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), ArchiveError> {
    let mut boot_nonce = [0; 32];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut boot_nonce);
    let cell = CellKey::generate(place, boot_nonce, &mut rand::rng());
    let offer = cell.offer(start, now).map_err(|_| ArchiveError::NotForThisCell)?;
    frames::write(output, Frame::Offer, &offer)?;
    let given = match frames::read(input)? {
        (Frame::Payload, given) if given.len() <= MAX_PAYLOAD => given,
        _ => return Err(ArchiveError::Host),
    };
    let errand = match asked {
        AskedBy::Client(errand) => errand,
        AskedBy::Schedule => {
            let order =
                ScheduleOrder::admit(&given, start, &place).map_err(|_| ArchiveError::NotForThisCell)?;
            return take_as(&order, place, volume, output);
        }
    };
    let payload = cell.snapshot(&given).map_err(|_| ArchiveError::NotForThisCell)?;
    if payload.errand != errand {
        return Err(ArchiveError::NotForThisCell);
    }
    let at = SnapshotPlace { tenant: place.tenant, snapshot: payload.snapshot };
    match errand {
        Errand::Take => take(place, (payload.snapshot, &payload.key), volume, output),
        Errand::Restore => {
            let chunks = ChunkReader::new(ChunkOpener::new(at, &payload.key), input);
            unpack::unpack(chunks, Names::Apart, volume)?.finish()
        }
        Errand::Verify => {
            let chunks = ChunkReader::new(ChunkOpener::new(at, &payload.key), input);
            unpack::look_through(chunks)?.finish()
        }
    }
}

fn take(
    place: CellPlace,
    (snapshot, key): (SnapshotId, &DataKey),
    volume: &Path,
    output: &mut impl Write,
) -> Result<(), ArchiveError> {
    let place = SnapshotPlace { tenant: place.tenant, snapshot };
    pack::pack(volume, Names::Apart, ChunkWriter::new(ChunkSealer::new(place, key), output))?.finish()
}

/// With a key of its own, which leaves it sealed to whom the schedule names, and is gone with it.
fn take_as(
    order: &ScheduleOrder,
    place: CellPlace,
    volume: &Path,
    output: &mut impl Write,
) -> Result<(), ArchiveError> {
    let rng = &mut rand::rng();
    let key = DataKey::generate(rng);
    // a key that nothing can be sealed to is found before the volume is read
    let sealed = order.schedule.seal_key(order.snapshot, &key, rng);
    let sealed = sealed.map_err(|_| ArchiveError::NotForThisCell)?;
    take(place, (order.snapshot, &key), volume, output)?;
    frames::write(output, Frame::Key, &sealed)
}

#[cfg(test)]
mod tests;
