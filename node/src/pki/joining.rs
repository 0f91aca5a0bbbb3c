//! Coming into a cluster: keys made here, certificates that come back, and whom to believe meanwhile.

use std::path::{Path, PathBuf};

use ocmt_crypto::{
    join::open_sealing_keys,
    seal::{SealPublicKey, SealSecretKey},
};
use ocmt_types::{ClusterId, Digest32, NodeId};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;

use super::{
    ListenerIdentity, ListenerKey, NodeIdentity, NodeKey, PkiError, ServerNames,
    authority::fingerprint,
    files::{private_dir, write_public},
    sealing, tls,
    verify::Verifier,
};

/// A node that asks to come in.
pub struct Joining {
    folder: PathBuf,
    names: ServerNames,
    node: NodeKey,
    listener: ListenerKey,
    sealing: SealSecretKey,
}

/// What the cluster answered.
pub struct Admission {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// The authority's certificate.
    pub ca: CertificateDer<'static>,
    /// This node's certificate, leaf first.
    pub node_chain: Vec<CertificateDer<'static>>,
    /// That of its listeners.
    pub listener_chain: Vec<CertificateDer<'static>>,
    /// The sealing keys, sealed to it.
    pub sealed: Vec<u8>,
}

impl Joining {
    /// Makes keys in `folder`, for a node that is reached under these names.
    ///
    /// # Errors
    /// [`PkiError::SetUp`] if the folder is of a cluster already.
    pub fn prepare(folder: &Path, names: ServerNames) -> Result<Self, PkiError> {
        private_dir(folder)?;
        if folder.join("node.pem").exists() || folder.join("ca.key").exists() {
            return Err(PkiError::SetUp(folder.into()));
        }
        Ok(Self {
            folder: folder.into(),
            names,
            node: NodeKey::load_or_create(folder)?,
            listener: ListenerKey::load_or_create(folder)?,
            sealing: SealSecretKey::generate(&mut rand::rng()),
        })
    }

    /// Asks for the node's certificate (PKCS #10, DER).
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn node_request(&self) -> Result<Vec<u8>, PkiError> {
        self.node.request()
    }

    /// Asks for that of its listeners (PKCS #10, DER).
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn listener_request(&self) -> Result<Vec<u8>, PkiError> {
        self.listener.request(&self.names)
    }

    /// What the sealing keys are to be sealed to.
    pub fn recipient(&self) -> SealPublicKey {
        self.sealing.public()
    }

    /// Keeps what came back; the node's certificate last, so that a folder that has it has everything.
    ///
    /// # Errors
    /// [`PkiError`] if the answer is not of the authority named by `expected`, or not for these keys.
    pub fn finish(self, expected: Digest32, admission: Admission) -> Result<(), PkiError> {
        let Self { folder, names, node, listener, sealing: secret } = self;
        if fingerprint(&admission.ca) != expected {
            return Err(PkiError::Subject("the answer names another authority than the invitation"));
        }
        let keys = open_sealing_keys(&secret, admission.cluster, admission.node, &admission.sealed)
            .ok()
            .filter(|keys| keys.latest().is_some())
            .ok_or(PkiError::Subject("the sealing keys in the answer do not open"))?;
        write_public(&folder.join("ca.pem"), super::pem_of(&admission.ca).as_bytes())?;
        sealing::store(&folder, &keys)?;
        ListenerIdentity::create(&folder, names, listener, admission.listener_chain)?;
        NodeIdentity::create(&folder, admission.node, node, admission.node_chain)?;
        Ok(())
    }
}

/// TLS towards a node of the cluster whose authority has this fingerprint; nothing else is known of it. The
/// server name is [`JOIN_NAME`](super::JOIN_NAME).
///
/// # Errors
/// [`PkiError::Tls`].
pub fn joining_client(authority: Digest32) -> Result<ClientConfig, PkiError> {
    let mut config = tls::client(Verifier::by_fingerprint(authority))?.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
