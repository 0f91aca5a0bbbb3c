//! Whom a certificate names, and for how long.

use ocmt_crypto::sign::VerifyKey;
use ocmt_types::{NodeId, OperatorId, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::PkiError;

/// Object identifier of Ed25519 keys, RFC 8410.
const ED25519: &str = "1.3.101.112";

/// Whom a certificate of the cluster names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `ocmt:node:<id>`
    Node(NodeId),
    /// `ocmt:operator:<id>`
    Operator(OperatorId),
}

/// The one subject that a certificate names as a URI; none if it names another, or anything beside it. Says
/// nothing about who issued it.
pub fn subject_of(leaf: &CertificateDer<'_>) -> Option<Subject> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let names = &leaf.subject_alternative_name().ok()??.value.general_names;
    let [GeneralName::URI(uri)] = names.as_slice() else { return None };
    if let Some(id) = uri.strip_prefix("ocmt:node:") {
        return id.parse().ok().map(Subject::Node);
    }
    uri.strip_prefix("ocmt:operator:")?.parse().ok().map(Subject::Operator)
}

/// The node that a verified certificate names.
///
/// # Errors
/// [`PkiError::Subject`].
pub fn node_of(leaf: &CertificateDer<'_>) -> Result<NodeId, PkiError> {
    match subject_of(leaf) {
        Some(Subject::Node(id)) => Ok(id),
        _ => Err(PkiError::Subject("the certificate names no node")),
    }
}

/// The operator that a verified certificate names.
///
/// # Errors
/// [`PkiError::Subject`].
pub fn operator_of(leaf: &CertificateDer<'_>) -> Result<OperatorId, PkiError> {
    match subject_of(leaf) {
        Some(Subject::Operator(id)) => Ok(id),
        _ => Err(PkiError::Subject("the certificate names no operator")),
    }
}

/// The key of a certificate as it stands in it, without its algorithm.
pub(super) fn key_of(leaf: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    Some(leaf.public_key().subject_public_key.data.to_vec())
}

/// The Ed25519 key of a certificate; none if it is another.
pub fn verify_key_of(leaf: &CertificateDer<'_>) -> Option<VerifyKey> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let key = leaf.public_key();
    let is_ed25519 = key.algorithm.algorithm.to_id_string() == ED25519;
    <[u8; 32]>::try_from(key.subject_public_key.data.as_ref()).ok().filter(|_| is_ed25519).map(VerifyKey)
}

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// From then on.
    pub from: Timestamp,
    /// No more from then on.
    pub until: Timestamp,
}

impl Lifetime {
    /// What the certificate says.
    ///
    /// # Errors
    /// [`PkiError::Subject`] if it cannot be read.
    pub fn of(leaf: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let (_, leaf) = X509Certificate::from_der(leaf)
            .map_err(|_| PkiError::Subject("the certificate cannot be read"))?;
        let validity = leaf.validity();
        let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
        Ok(Self { from: at(validity.not_before), until: at(validity.not_after) })
    }

    /// Whether it is time for another: a third of the life is left.
    pub fn is_due(self, now: Timestamp) -> bool {
        now + self.until.since(self.from) / 3 >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let life = Lifetime { from: Timestamp(0), until: Timestamp(30_000) };
        assert!(!life.is_due(Timestamp(19_999)));
        assert!(life.is_due(Timestamp(20_000)) && life.is_due(Timestamp(40_000)));
    }
}
