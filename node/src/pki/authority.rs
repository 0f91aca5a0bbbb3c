//! The cluster's certificate authority. Its key lies on one node, where `cluster init` ran or where the first
//! start made it; every other node has its certificate alone.

use std::{path::Path, time::Duration};

use ocmt_types::{Clock, Digest32, NodeId, OperatorId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{
    PkiError,
    files::{at, read_private, write_private, write_public},
};

const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Nodes renew at two thirds, so the authority's node may be away for ten days.
const NODE_LIFE: Duration = Duration::from_secs(30 * 86_400);
const OPERATOR_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Certificates start this much earlier, for clients whose clock is behind.
const BACKDATE: Duration = Duration::from_secs(3600);

/// The authority's certificate: what everybody in the cluster believes.
#[derive(Clone)]
pub struct CaCertificate {
    der: CertificateDer<'static>,
    pem: String,
}

impl CaCertificate {
    /// The certificate in this file; none if there is no such file.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, PkiError> {
        match std::fs::read_to_string(path) {
            Ok(pem) => Self::from_pem(pem, path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }

    fn from_pem(pem: String, path: &Path) -> Result<Self, PkiError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| PkiError::content(path, "a PEM certificate"))?;
        Ok(Self { der, pem })
    }

    /// The certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The same in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of it: what an invitation names.
    pub fn fingerprint(&self) -> Digest32 {
        fingerprint(&self.der)
    }
}

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Digest32 {
    Digest32(Sha256::digest(certificate).into())
}

/// Issues certificates of nodes, listeners and operators.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CaCertificate,
}

impl Authority {
    /// The authority whose key is in `folder`; none if there is no key.
    pub fn load(folder: &Path) -> Result<Option<Self>, PkiError> {
        let (key_path, pem_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let Some(key) = read_private(&key_path)? else { return Ok(None) };
        let key = std::str::from_utf8(&key).map_err(|_| PkiError::content(&key_path, "a PEM key"))?;
        let certificate = CaCertificate::load(&pem_path)?
            .ok_or_else(|| PkiError::content(&pem_path, "the certificate of ca.key"))?;
        Self::from_parts(KeyPair::from_pem(key)?, certificate).map(Some)
    }

    /// A fresh authority, kept in `folder`.
    pub fn create(folder: &Path, clock: &dyn Clock) -> Result<Self, PkiError> {
        let (key_path, pem_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
        let pem = CertifiedIssuer::self_signed(ca_params(clock.now()), key)?.pem();
        // the key last: without it the next start makes both anew
        write_public(&pem_path, pem.as_bytes())?;
        write_private(&key_path, key_pem.as_bytes())?;
        Self::from_parts(KeyPair::from_pem(&key_pem)?, CaCertificate::from_pem(pem, &pem_path)?)
    }

    fn from_parts(key: KeyPair, certificate: CaCertificate) -> Result<Self, PkiError> {
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&certificate.pem, key)?, certificate })
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// A node's certificate: for both ends of a peer connection.
    pub fn issue_node(
        &self,
        id: NodeId,
        key: &impl PublicKeyData,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let mut params = named(&format!("OCMT node {id}"));
        params.subject_alt_names = vec![SanType::URI(format!("ocmt:node:{id}").try_into()?)];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, key, now, NODE_LIFE)
    }

    /// A certificate of the listeners of a node that is reached under these names.
    pub fn issue_listener(
        &self,
        names: Vec<SanType>,
        key: &impl PublicKeyData,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let mut params = named("OCMT listener");
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, key, now, NODE_LIFE)
    }

    /// An operator's certificate.
    pub fn issue_operator(
        &self,
        id: OperatorId,
        key: &impl PublicKeyData,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let mut params = named(&format!("OCMT operator {id}"));
        params.subject_alt_names = vec![SanType::URI(format!("ocmt:operator:{id}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, key, now, OPERATOR_LIFE)
    }

    /// A certificate for `key`, valid for `life` from now.
    pub(super) fn issue(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        now: Timestamp,
        life: Duration,
    ) -> Result<CertificateDer<'static>, PkiError> {
        (params.not_before, params.not_after) = validity(now, life);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // rcgen's own is a hash of the key: the same for each renewal
        params.serial_number = Some(SerialNumber::from(rand::random::<[u8; 16]>().to_vec()));
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }
}

fn ca_params(now: Timestamp) -> CertificateParams {
    let mut params = named("OCMT cluster CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_LIFE);
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params
}

fn validity(now: Timestamp, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let at = |t: Timestamp| {
        OffsetDateTime::from_unix_timestamp(t.millis() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (at(now - BACKDATE), at(now + life))
}
