//! The one-time start secret: 32 bytes on standard input, after the start, so that they are in no
//! configuration. Read without a buffer that would keep a copy; then standard input is `/dev/null`.

use std::{io, os::fd::AsFd};

use ocmt_types::Secret;
use zeroize::Zeroize as _;

use crate::CellError;

/// Length of the start secret in bytes.
pub const START_SECRET_LEN: usize = 32;

/// Reads the start secret from `source`, blocking until it is whole. Bytes after it stay unread.
///
/// # Errors
/// [`CellError::StartSecret`] if the input ends before 32 bytes; [`CellError::Io`] if it fails.
pub fn read_from(source: impl AsFd) -> Result<Secret<[u8; START_SECRET_LEN]>, CellError> {
    let mut bytes = [0u8; START_SECRET_LEN];
    let mut filled = 0;
    while filled < START_SECRET_LEN {
        match rustix::io::read(&source, &mut bytes[filled..]) {
            Ok(0) => {
                bytes.zeroize();
                return Err(CellError::StartSecret("standard input ended before 32 bytes"));
            }
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                bytes.zeroize();
                return Err(CellError::Io { what: "read the start secret", source: errno.into() });
            }
        }
    }
    let secret = Secret::new(bytes);
    bytes.zeroize();
    Ok(secret)
}

/// Puts `/dev/null` in place of standard input, which closes the pipe the secret came through.
///
/// # Errors
/// [`CellError::Io`] if there is no `/dev/null` or it cannot be put there.
pub fn close_stdin() -> Result<(), CellError> {
    let closing = |source| CellError::Io { what: "close standard input", source };
    let null = std::fs::File::open("/dev/null").map_err(closing)?;
    rustix::stdio::dup2_stdin(&null).map_err(|errno| closing(io::Error::from(errno)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    #[test]
    fn takes_exactly_32_bytes_and_leaves_the_rest_unread() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[7; 40]).unwrap();
        drop(writer);
        assert_eq!(read_from(&reader).unwrap().expose(), &[7; 32]);
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut &reader, &mut rest).unwrap();
        assert_eq!(rest.len(), 8);
    }

    #[test]
    fn a_secret_in_two_pieces_is_whole_and_a_short_one_is_refused() {
        let (reader, mut writer) = io::pipe().unwrap();
        let feeder = std::thread::spawn(move || {
            writer.write_all(&[1; 20]).unwrap();
            writer.write_all(&[1; 12]).unwrap();
        });
        assert_eq!(read_from(&reader).unwrap().expose(), &[1; 32]);
        feeder.join().unwrap();

        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[1; 31]).unwrap();
        drop(writer);
        assert!(matches!(read_from(&reader), Err(CellError::StartSecret(_))));
    }
}
