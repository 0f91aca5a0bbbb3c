//! The cluster's certificate authority, made on first start where there is none.

use std::{path::Path, time::Duration};

use ocmt_types::{Clock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;

use super::{
    PkiError,
    files::{read_private, write_private, write_public},
};

const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Certificates start this much earlier, for clients whose clock is behind.
const BACKDATE: Duration = Duration::from_secs(3600);

/// Issues certificates of nodes and listeners.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// The authority in `folder`, made if there is none.
    pub fn load_or_create(folder: &Path, clock: &dyn Clock) -> Result<Self, PkiError> {
        let (key_path, pem_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        if let Some(key) = read_private(&key_path)? {
            let key = std::str::from_utf8(&key).map_err(|_| PkiError::content(&key_path, "a PEM key"))?;
            let pem = std::fs::read_to_string(&pem_path).map_err(super::files::at(&pem_path))?;
            return Self::from_parts(KeyPair::from_pem(key)?, pem, &pem_path);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
        let ca = CertifiedIssuer::self_signed(ca_params(clock.now()), key)?;
        let pem = ca.pem();
        // the key last: without it the next start makes both anew
        write_public(&pem_path, pem.as_bytes())?;
        write_private(&key_path, key_pem.as_bytes())?;
        Self::from_parts(KeyPair::from_pem(&key_pem)?, pem, &pem_path)
    }

    fn from_parts(key: KeyPair, pem: String, path: &Path) -> Result<Self, PkiError> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| PkiError::content(path, "a PEM certificate"))?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&pem, key)?, certificate, pem })
    }

    /// The authority's certificate, which clients trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `key`, valid for `life` from now.
    pub(super) fn issue(
        &self,
        mut params: CertificateParams,
        key: &impl rcgen::PublicKeyData,
        now: Timestamp,
        life: Duration,
    ) -> Result<rcgen::Certificate, PkiError> {
        (params.not_before, params.not_after) = validity(now, life);
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?)
    }
}

fn ca_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("OCMT cluster CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_LIFE);
    params
}

pub(super) fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn validity(now: Timestamp, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let at = |t: Timestamp| {
        OffsetDateTime::from_unix_timestamp(t.millis() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (at(now - BACKDATE), at(now + life))
}
