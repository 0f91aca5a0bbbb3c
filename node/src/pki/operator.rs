//! An operator's own keys, in a folder of theirs: `operator.key`, `operator.pem`, `ca.pem`.

use std::path::{Path, PathBuf};

use ocmt_types::{Clock, OperatorId};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::{
    Authority, PkiError,
    files::{at, private_dir, read_chain, read_private, write_chain, write_private, write_public},
    subject::operator_of,
};

const FIRST: &str = "first-operator.pem";

/// What an operator shows, as PEM.
pub struct OperatorFiles {
    /// The cluster's authority.
    pub ca: String,
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Zeroizing<String>,
}

impl OperatorFiles {
    /// Those in `folder`.
    ///
    /// # Errors
    /// [`PkiError::File`] if one is not there, [`PkiError::Exposed`] if others may read the key.
    pub fn load(folder: &Path) -> Result<Self, PkiError> {
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(at(&path))
        };
        let (ca, certificate, path) = (text("ca.pem")?, text("operator.pem")?, folder.join("operator.key"));
        let missing = || at(&path)(std::io::Error::from(std::io::ErrorKind::NotFound));
        let key = read_private(&path)?.ok_or_else(missing)?;
        let key = std::str::from_utf8(&key).map_err(|_| PkiError::content(&path, "a PEM key"))?;
        Ok(Self { ca, certificate, key: Zeroizing::new(key.to_owned()) })
    }
}

/// A key for an operator who has no certificate yet.
pub struct OperatorKey {
    folder: PathBuf,
    pair: KeyPair,
}

impl OperatorKey {
    /// A fresh key, kept in `folder`.
    ///
    /// # Errors
    /// [`PkiError::SetUp`] if there is one.
    pub fn create(folder: &Path) -> Result<Self, PkiError> {
        Self::of(folder, &PKCS_ED25519)
    }

    /// The same for a browser: ECDSA on P-256, since none shows a certificate of Ed25519.
    ///
    /// # Errors
    /// As [`OperatorKey::create`].
    pub fn create_for_browser(folder: &Path) -> Result<Self, PkiError> {
        Self::of(folder, &PKCS_ECDSA_P256_SHA256)
    }

    fn of(folder: &Path, algorithm: &'static SignatureAlgorithm) -> Result<Self, PkiError> {
        private_dir(folder)?;
        let path = folder.join("operator.key");
        if path.exists() {
            return Err(PkiError::SetUp(folder.into()));
        }
        let pair = KeyPair::generate_for(algorithm)?;
        let pem = Zeroizing::new(pair.serialize_pem());
        write_private(&path, pem.as_bytes())?;
        Ok(Self { folder: folder.into(), pair })
    }

    /// Asks for a certificate (PKCS #10, DER).
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn request(&self) -> Result<Vec<u8>, PkiError> {
        Ok(CertificateParams::default().serialize_request(&self.pair)?.der().to_vec())
    }

    /// Keeps the certificate beside the key, and the authority's.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn finish(self, chain: &[CertificateDer<'static>], ca_pem: &str) -> Result<(), PkiError> {
        write_public(&self.folder.join("ca.pem"), ca_pem.as_bytes())?;
        write_chain(&self.folder.join("operator.pem"), chain)
    }
}

/// Makes the first operator of a cluster: the key in `out`, the certificate there and, for the node's first
/// start to list, in the node's own `folder`.
///
/// # Errors
/// [`PkiError::SetUp`] if there is one in `out`.
pub fn first_operator(
    folder: &Path,
    out: &Path,
    authority: &Authority,
    id: OperatorId,
    clock: &dyn Clock,
) -> Result<(), PkiError> {
    let key = OperatorKey::create(out)?;
    let chain = vec![authority.issue_operator(id, &key.pair, clock.now())?];
    write_chain(&folder.join(FIRST), &chain)?;
    key.finish(&chain, authority.certificate().pem())
}

/// Makes the first operator of a cluster whose authority is in `folder` and that was not set up by `cluster
/// init`.
///
/// # Errors
/// [`PkiError::NoAuthority`]; [`PkiError::SetUp`] if there is one in `out`.
pub fn later_first_operator(
    folder: &Path,
    out: &Path,
    id: OperatorId,
    clock: &dyn Clock,
) -> Result<(), PkiError> {
    let authority = Authority::load(folder)?.ok_or(PkiError::NoAuthority)?;
    first_operator(folder, out, &authority, id, clock)
}

/// The certificate of the operator that `cluster init` made here; none elsewhere.
///
/// # Errors
/// [`PkiError::Content`] if the file holds another.
pub fn first_operator_of(folder: &Path) -> Result<Option<(OperatorId, CertificateDer<'static>)>, PkiError> {
    let path = folder.join(FIRST);
    let Some(chain) = read_chain(&path)? else { return Ok(None) };
    let leaf = chain.into_iter().next().ok_or_else(|| PkiError::content(&path, "a certificate"))?;
    Ok(Some((operator_of(&leaf)?, leaf)))
}
