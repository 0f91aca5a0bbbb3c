//! Which node said it: statements of nodes, checked against the cluster's certificate authority.
//!
//! The authority's certificate is what a user trusts, from `--ca`. A node's certificate names the node
//! (`ocmt:node:<id>` as URI) and holds the Ed25519 key that its statements are signed by.

use std::time::Duration;

use ocmt_crypto::sign::VerifyKey;
use ocmt_types::{Clock, NodeId, Timestamp};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::ClientError;

/// Object identifier of Ed25519 keys, RFC 8410.
const ED25519: &str = "1.3.101.112";

/// The cluster's certificate authority.
#[derive(Debug, Clone)]
pub struct ClusterCa {
    pem: String,
    anchor: TrustAnchor<'static>,
}

/// A node whose certificate the authority vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenNode {
    /// Its id.
    pub id: NodeId,
    /// What its statements verify under.
    pub key: VerifyKey,
}

impl ClusterCa {
    /// The authority of this PEM text (one certificate).
    ///
    /// # Errors
    /// [`ClientError::Ca`] if it is not one.
    pub fn from_pem(pem: &str) -> Result<Self, ClientError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| ClientError::Ca("not a PEM certificate"))?;
        let anchor = anchor_from_trusted_cert(&der)
            .map_err(|_| ClientError::Ca("not a certificate authority"))?
            .to_owned();
        Ok(Self { pem: pem.to_owned(), anchor })
    }

    /// The authority's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The node of this certificate chain (leaf first, DER), if the authority vouches for it now.
    ///
    /// # Errors
    /// [`ClientError::Node`] for a certificate of another authority, of another time, for another use,
    /// without exactly one node id, or without an Ed25519 key.
    pub fn prove_node(
        &self,
        chain: &[impl AsRef<[u8]>],
        clock: &dyn Clock,
    ) -> Result<ProvenNode, ClientError> {
        self.prove_node_at(chain, clock.now())
    }

    /// The same at another time: when something was signed that was kept since. Whoever has a node's key can say any
    /// time, also one at which its certificate was good.
    ///
    /// # Errors
    /// As [`ClusterCa::prove_node`].
    pub fn prove_node_at(
        &self,
        chain: &[impl AsRef<[u8]>],
        at: Timestamp,
    ) -> Result<ProvenNode, ClientError> {
        let (leaf, above) = chain.split_first().ok_or(ClientError::Node("no certificate"))?;
        let leaf_der = CertificateDer::from(leaf.as_ref());
        let above: Vec<_> = above.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let seconds = u64::try_from(at.millis() / 1000).unwrap_or(0);
        EndEntityCert::try_from(&leaf_der)
            .and_then(|leaf| {
                leaf.verify_for_usage(
                    &[webpki::ring::ECDSA_P256_SHA256, webpki::ring::ED25519],
                    std::slice::from_ref(&self.anchor),
                    &above,
                    UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                    KeyUsage::client_auth(),
                    None,
                    None,
                )
                .map(drop)
            })
            .map_err(|_| ClientError::Node("its certificate is not of this cluster, or not valid now"))?;
        let (_, leaf) = X509Certificate::from_der(leaf.as_ref())
            .map_err(|_| ClientError::Node("its certificate cannot be read"))?;
        Ok(ProvenNode { id: node_id(&leaf)?, key: node_key(&leaf)? })
    }
}

fn node_id(leaf: &X509Certificate<'_>) -> Result<NodeId, ClientError> {
    let names =
        leaf.subject_alternative_name().ok().flatten().map(|extension| &extension.value.general_names);
    let mut ids = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("ocmt:node:"),
        _ => None,
    });
    match (ids.next(), ids.next()) {
        (Some(id), None) => id.parse().map_err(|_| ClientError::Node("its certificate names no node")),
        _ => Err(ClientError::Node("its certificate names no node")),
    }
}

fn node_key(leaf: &X509Certificate<'_>) -> Result<VerifyKey, ClientError> {
    let key = leaf.public_key();
    let is_ed25519 = key.algorithm.algorithm.to_id_string() == ED25519;
    <[u8; 32]>::try_from(key.subject_public_key.data.as_ref())
        .ok()
        .filter(|_| is_ed25519)
        .map(VerifyKey)
        .ok_or(ClientError::Node("its key is not Ed25519"))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Id as _, ManualClock, Timestamp};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SignatureAlgorithm,
    };
    use time::OffsetDateTime;

    use super::*;

    const DAY: i64 = 86_400;
    pub(crate) const NOW: i64 = 1_800_000_000;

    pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp(NOW * 1000))
    }

    pub(crate) fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        (params.not_before, params.not_after) = (at(NOW - DAY), at(NOW + 365 * DAY));
        CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()).unwrap()
    }

    /// A lawful node certificate; each test breaks one thing of it.
    struct Certificate {
        names: Vec<String>,
        key: &'static SignatureAlgorithm,
        usage: ExtendedKeyUsagePurpose,
        from: i64,
        until: i64,
    }

    impl Default for Certificate {
        fn default() -> Self {
            Self {
                names: vec![format!("ocmt:node:{}", node())],
                key: &PKCS_ED25519,
                usage: ExtendedKeyUsagePurpose::ClientAuth,
                from: NOW - DAY,
                until: NOW + DAY,
            }
        }
    }

    impl Certificate {
        fn issue(self, by: &Authority) -> (Vec<Vec<u8>>, KeyPair) {
            let key = KeyPair::generate_for(self.key).unwrap();
            let mut params = CertificateParams::default();
            let names = self.names.into_iter().map(|name| SanType::URI(name.try_into().unwrap()));
            params.subject_alt_names = names.collect();
            params.extended_key_usages = vec![self.usage];
            (params.not_before, params.not_after) = (at(self.from), at(self.until));
            (vec![params.signed_by(&key, by).unwrap().der().to_vec()], key)
        }
    }

    fn node() -> NodeId {
        NodeId::from_bytes([7; 16])
    }

    /// Whether a certificate of the right authority is taken.
    fn is_taken(certificate: Certificate) -> bool {
        let authority = authority();
        let (chain, _) = certificate.issue(&authority);
        ClusterCa::from_pem(&authority.pem()).unwrap().prove_node(&chain, &clock()).is_ok()
    }

    #[test]
    fn a_node_of_the_cluster_is_proven_with_its_id_and_key() {
        let authority = authority();
        let (chain, key) = Certificate::default().issue(&authority);
        let proven = ClusterCa::from_pem(&authority.pem()).unwrap().prove_node(&chain, &clock()).unwrap();
        assert_eq!(proven.id, node());
        assert_eq!(proven.key.0.as_slice(), key.public_key_raw());
    }

    #[test]
    fn another_authority_proves_nothing_here() {
        let (ours, theirs) = (authority(), authority());
        let (chain, _) = Certificate::default().issue(&theirs);
        let ca = ClusterCa::from_pem(&ours.pem()).unwrap();
        assert!(matches!(ca.prove_node(&chain, &clock()), Err(ClientError::Node(_))));
        // nor does the other authority sent along as an issuer
        let with_issuer = [chain, vec![theirs.der().to_vec()]].concat();
        assert!(ca.prove_node(&with_issuer, &clock()).is_err());
        assert!(ca.prove_node(&Vec::<Vec<u8>>::new(), &clock()).is_err());
    }

    #[test]
    fn a_certificate_that_has_expired_or_has_not_begun_is_refused() {
        assert!(!is_taken(Certificate { until: NOW - 1, ..Certificate::default() }));
        assert!(!is_taken(Certificate { from: NOW + 1, ..Certificate::default() }));
    }

    #[test]
    fn a_certificate_names_exactly_one_node() {
        let name = |id: NodeId| format!("ocmt:node:{id}");
        let other = NodeId::from_bytes([8; 16]);
        for names in [
            vec![],
            vec!["https://node.example/".to_owned()],
            vec!["ocmt:node:7".to_owned()],
            vec![name(node()), name(other)],
        ] {
            assert!(!is_taken(Certificate { names: names.clone(), ..Certificate::default() }), "{names:?}");
        }
    }

    /// 32 bytes that say of which algorithm they are.
    struct PublicKey([u8; 32], &'static SignatureAlgorithm);

    impl rcgen::PublicKeyData for PublicKey {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }

        fn algorithm(&self) -> &'static SignatureAlgorithm {
            self.1
        }
    }

    fn chain_of(node: NodeId, key: &PublicKey, by: &Authority) -> Vec<Vec<u8>> {
        let mut params = CertificateParams::default();
        let name = format!("ocmt:node:{node}");
        params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (at(NOW - DAY), at(NOW + DAY));
        vec![params.signed_by(key, by).unwrap().der().to_vec()]
    }

    /// The certificates of a node that signs with this key.
    pub(crate) fn certified(node: NodeId, key: VerifyKey, by: &Authority) -> Vec<Vec<u8>> {
        chain_of(node, &PublicKey(key.0, &PKCS_ED25519), by)
    }

    #[test]
    fn a_key_as_long_as_one_of_ed25519_is_not_taken_for_one() {
        let authority = authority();
        let chain = chain_of(node(), &PublicKey([4; 32], &PKCS_ECDSA_P256_SHA256), &authority);
        let refused = ClusterCa::from_pem(&authority.pem()).unwrap().prove_node(&chain, &clock());
        assert!(matches!(refused, Err(ClientError::Node("its key is not Ed25519"))), "{refused:?}");
    }

    #[test]
    fn a_key_that_is_not_ed25519_and_a_listeners_certificate_are_refused() {
        assert!(!is_taken(Certificate { key: &PKCS_ECDSA_P256_SHA256, ..Certificate::default() }));
        assert!(!is_taken(Certificate {
            usage: ExtendedKeyUsagePurpose::ServerAuth,
            ..Certificate::default()
        }));
    }

    #[test]
    fn what_is_no_authority_is_refused_as_one() {
        assert!(ClusterCa::from_pem("not a certificate").is_err());
    }
}
