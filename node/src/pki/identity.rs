//! Who this node is: an id, an Ed25519 key and a certificate of the cluster's authority over both.

use std::{path::Path, time::Duration};

use ocmt_actors::NodeSigner;
use ocmt_crypto::sign::{Purpose, Signature, SigningKey, VerifyKey};
use ocmt_types::{Clock, IdGen, NodeId};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::{
    Authority, PkiError,
    authority::named,
    files::{at, read_private, write_private, write_public},
};

/// A node certificate is made anew at each start, so it outlives any run between two upgrades.
const LIFE: Duration = Duration::from_secs(90 * 86_400);
/// RFC 8410: the PKCS #8 head of an Ed25519 private key; the 32-byte seed follows.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The node's name and key.
pub struct NodeIdentity {
    id: NodeId,
    key: SigningKey,
    chain: Vec<CertificateDer<'static>>,
}

impl NodeIdentity {
    /// The identity in `folder`, made if there is none, with a fresh certificate.
    pub fn load_or_create(
        folder: &Path,
        authority: &Authority,
        clock: &dyn Clock,
        ids: &dyn IdGen,
    ) -> Result<Self, PkiError> {
        let id = load_id(&folder.join("node.id"), ids)?;
        let seed = load_seed(&folder.join("node.key"))?;
        let pair = key_pair(&seed)?;
        let certificate = authority.issue(params(id)?, &pair, clock.now(), LIFE)?;
        write_public(&folder.join("node.pem"), certificate.pem().as_bytes())?;
        let chain = vec![certificate.der().clone()];
        Ok(Self { id, key: SigningKey::from_bytes(&seed), chain })
    }

    /// The node's id, the same for as long as its data folder.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The node's certificate, then those above it short of the authority's own.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

impl NodeSigner for NodeIdentity {
    fn node(&self) -> NodeId {
        self.id
    }

    fn verify_key(&self) -> VerifyKey {
        self.key.verify_key()
    }

    fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        self.key.sign(purpose, message)
    }

    fn certificate_chain(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.to_vec()).collect()
    }
}

fn load_id(path: &Path, ids: &dyn IdGen) -> Result<NodeId, PkiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| PkiError::content(path, "a node id")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id: NodeId = ids.id();
            write_public(path, format!("{id}\n").as_bytes())?;
            Ok(id)
        }
        Err(error) => Err(at(path)(error)),
    }
}

fn load_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, PkiError> {
    if let Some(stored) = read_private(path)? {
        return <[u8; 32]>::try_from(stored.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| PkiError::content(path, "a 32-byte Ed25519 seed"));
    }
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    write_private(path, seed.as_slice())?;
    Ok(seed)
}

fn key_pair(seed: &[u8; 32]) -> Result<KeyPair, PkiError> {
    let der = Zeroizing::new([PKCS8_HEAD.as_slice(), seed].concat());
    Ok(KeyPair::try_from(der.as_slice())?)
}

fn params(id: NodeId) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("OCMT node {id}"));
    params.subject_alt_names = vec![SanType::URI(format!("ocmt:node:{id}").try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{RandomIds, SystemClock};

    use super::*;

    #[test]
    fn the_identity_stays_and_its_certificate_names_node_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(dir.path(), &SystemClock).unwrap();
        let first = NodeIdentity::load_or_create(dir.path(), &authority, &SystemClock, &RandomIds).unwrap();
        let again = Authority::load_or_create(dir.path(), &SystemClock).unwrap();
        let second = NodeIdentity::load_or_create(dir.path(), &again, &SystemClock, &RandomIds).unwrap();
        assert_eq!((first.id(), first.verify_key().0), (second.id(), second.verify_key().0));

        let (_, certificate) = x509_parser::parse_x509_certificate(&second.chain()[0]).unwrap();
        assert_eq!(
            certificate.public_key().subject_public_key.data.as_ref(),
            second.verify_key().0.as_slice()
        );
        let (_, ca) = x509_parser::parse_x509_certificate(authority.certificate()).unwrap();
        assert_eq!(certificate.issuer(), ca.subject());
    }
}
