//! Files that nobody else may read, written whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::PkiError;

/// Makes `path` with mode 0700 if it is not there.
pub fn private_dir(path: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// The content of a private file, or `None` if there is no such file.
pub(crate) fn read_private(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, PkiError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let mode = file.metadata().map_err(at(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PkiError::Exposed { path: path.into(), mode });
    }
    let mut content = zeroize::Zeroizing::new(Vec::new());
    file.read_to_end(&mut content).map_err(at(path))?;
    Ok(Some(content))
}

/// Writes a private file beside its place, then moves it there.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o600)
}

/// Writes a file that anybody may read.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    write(path, content, 0o644)
}

/// Writes certificates, the leaf first.
pub(super) fn write_chain(path: &Path, chain: &[CertificateDer<'static>]) -> Result<(), PkiError> {
    let pem: String = chain.iter().map(pem_of).collect();
    write_public(path, pem.as_bytes())
}

/// A certificate as text.
pub fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let body = data_encoding::BASE64.encode(certificate);
    let lines = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

/// The certificates in a PEM file, or `None` if there is no such file.
pub(super) fn read_chain(path: &Path) -> Result<Option<Vec<CertificateDer<'static>>>, PkiError> {
    let pem = match fs::read(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(Some(chain)),
        _ => Err(PkiError::content(path, "PEM certificates")),
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), PkiError> {
    let beside = path.with_extension("new");
    // left behind by a crash: the mode of an existing file would win over ours
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&beside)(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(at(&beside))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&beside))?;
    fs::rename(&beside, path).map_err(at(path))?;
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(at(folder))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> PkiError + use<> {
    let path = path.to_owned();
    move |source| PkiError::File { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_private_file_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        write_private(&path, b"x").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap().as_slice(), b"x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(PkiError::Exposed { mode: 0o640, .. })));
    }
}
