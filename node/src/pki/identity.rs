//! Who this node is: an id, an Ed25519 key and a certificate of the cluster's authority over both.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ocmt_actors::NodeSigner;
use ocmt_crypto::{
    audit::{checkpoint::Checkpoint, cut::Cut, introduction::Introduction},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};
use ocmt_types::{Clock, NodeId};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{
    Authority, Lifetime, PkiError, Rotating, Subject,
    files::{at, read_chain, read_private, write_chain, write_private, write_public},
    next,
    subject::{key_of, subject_of},
};

/// RFC 8410: the PKCS #8 head of an Ed25519 private key; the 32-byte seed follows.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The node's name and key. Its certificate may be replaced while the node runs.
pub struct NodeIdentity {
    id: NodeId,
    key: SigningKey,
    pair: KeyPair,
    pem: PathBuf,
    certificate: Arc<Rotating>,
    /// The words of earlier keys for the next ones.
    introductions: Vec<String>,
}

impl NodeIdentity {
    /// The identity in `folder`; none if there is no id, or no certificate of it.
    pub fn load(folder: &Path) -> Result<Option<Self>, PkiError> {
        let Some(id) = load_id(&folder.join("node.id"))? else { return Ok(None) };
        let Some(key) = NodeKey::load(folder)? else { return Ok(None) };
        let Some(chain) = read_chain(&folder.join("node.pem"))? else { return Ok(None) };
        Self::from_parts(folder, id, key, chain).map(Some)
    }

    /// Keeps an identity: the authority has made `chain` for `id` and this key.
    pub fn create(
        folder: &Path,
        id: NodeId,
        key: NodeKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, PkiError> {
        let identity = Self::from_parts(folder, id, key, chain)?;
        write_public(&folder.join("node.id"), format!("{id}\n").as_bytes())?;
        write_chain(&identity.pem, &identity.chain())?;
        Ok(identity)
    }

    fn from_parts(
        folder: &Path,
        id: NodeId,
        key: NodeKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, PkiError> {
        let pem = folder.join("node.pem");
        if chain.first().and_then(subject_of) != Some(Subject::Node(id)) {
            return Err(PkiError::content(&pem, "the certificate of this node's id"));
        }
        let der = PrivateKeyDer::Pkcs8(key.pair.serialize_der().into());
        let certificate = Arc::new(Rotating::new(chain, &der)?);
        let introductions = next::introductions(folder)?;
        Ok(Self { id, key: key.key, pair: key.pair, pem, certificate, introductions })
    }

    /// The node's id, the same for as long as its data folder.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The public half of its key.
    pub(super) fn public(&self) -> VerifyKey {
        self.key.verify_key()
    }

    /// How many keys it has had before.
    pub(super) fn earlier(&self) -> usize {
        self.introductions.len()
    }

    /// Its key's word for the next one.
    pub(super) fn introduce(&self, said: &Introduction) -> String {
        said.note(&self.key)
    }

    /// The certificate in use, for handshakes.
    pub fn certificate(&self) -> Arc<Rotating> {
        self.certificate.clone()
    }

    /// The certificate in use, then those above it short of the authority's own.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.certificate.current().cert.clone()
    }

    /// Whether a third of the certificate's life is left, or less.
    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        self.certificate.lifetime().is_none_or(|life| life.is_due(clock.now()))
    }

    /// Until when the certificate in use is good.
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.certificate.lifetime()
    }

    /// Asks for a certificate of this node's key (PKCS #10, DER).
    pub(super) fn request(&self) -> Result<Vec<u8>, PkiError> {
        request(&self.pair)
    }

    /// Takes a renewed certificate in: on disk first, then for new handshakes.
    pub(super) fn install(&self, chain: Vec<CertificateDer<'static>>) -> Result<(), PkiError> {
        let ours = chain.first().filter(|leaf| {
            subject_of(leaf) == Some(Subject::Node(self.id))
                && key_of(leaf).as_deref() == Some(self.key.verify_key().0.as_slice())
        });
        if ours.is_none() {
            return Err(PkiError::Subject("the renewed certificate is not of this node and its key"));
        }
        write_chain(&self.pem, &chain)?;
        self.certificate.replace(chain)
    }

    /// A certificate for this node from the authority beside it.
    pub(super) fn renew(&self, authority: &Authority, clock: &dyn Clock) -> Result<(), PkiError> {
        self.install(vec![authority.issue_node(self.id, &self.pair, clock.now())?])
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

    fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Signature {
        checkpoint.sign(&self.key)
    }

    fn sign_cut(&self, cut: &Cut) -> Signature {
        cut.sign(&self.key)
    }

    fn certificate_chain(&self) -> Vec<Vec<u8>> {
        self.chain().iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn introductions(&self) -> Vec<String> {
        self.introductions.clone()
    }
}

/// A node's Ed25519 key, before or without a certificate.
pub struct NodeKey {
    key: SigningKey,
    pub(super) pair: KeyPair,
}

impl NodeKey {
    /// The key in `folder`; none if there is none.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, PkiError> {
        Self::load_from(&folder.join("node.key"))
    }

    /// The key in this file.
    pub(super) fn load_from(path: &Path) -> Result<Option<Self>, PkiError> {
        let Some(stored) = read_private(path)? else { return Ok(None) };
        let seed = <[u8; 32]>::try_from(stored.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| PkiError::content(path, "a 32-byte Ed25519 seed"))?;
        Self::of(&seed).map(Some)
    }

    /// The public half.
    pub(super) fn public(&self) -> VerifyKey {
        self.key.verify_key()
    }

    /// The key in `folder`, made if there is none.
    pub fn load_or_create(folder: &Path) -> Result<Self, PkiError> {
        if let Some(key) = Self::load(folder)? {
            return Ok(key);
        }
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        write_private(&folder.join("node.key"), seed.as_slice())?;
        Self::of(&seed)
    }

    /// The key of this seed.
    pub(super) fn of(seed: &[u8; 32]) -> Result<Self, PkiError> {
        let der = Zeroizing::new([PKCS8_HEAD.as_slice(), seed].concat());
        Ok(Self { key: SigningKey::from_bytes(seed), pair: KeyPair::try_from(der.as_slice())? })
    }

    /// Asks for a certificate of this key (PKCS #10, DER).
    pub fn request(&self) -> Result<Vec<u8>, PkiError> {
        request(&self.pair)
    }
}

fn request(pair: &KeyPair) -> Result<Vec<u8>, PkiError> {
    Ok(CertificateParams::default().serialize_request(pair)?.der().to_vec())
}

fn load_id(path: &Path) -> Result<Option<NodeId>, PkiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| PkiError::content(path, "a node id")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}
