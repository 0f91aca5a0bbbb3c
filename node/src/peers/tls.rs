//! TLS between nodes: both sides show a node certificate, and nobody else gets as far as a request.
//!
//! Sessions are never resumed: a resumed one would skip the look at the certificate, and with it the
//! revocation.

use std::sync::Arc;

use ocmt_types::NodeId;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    server::{
        NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Views, node_of};
use crate::pki::Rotating;

/// Why this node's certificate cannot be used among peers.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The TLS library refuses certificate or key.
    #[error("cannot use the node's certificate: {0}")]
    Tls(#[from] Error),
    /// The authority cannot be used to check others.
    #[error("cannot use the cluster's authority: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

/// This node's certificate, and who it believes. Cheap to clone.
#[derive(Clone)]
pub struct PeerTls {
    own: Arc<Rotating>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    views: Views,
}

impl PeerTls {
    /// The node of this certificate, in the cluster of this authority. A certificate that replaces it is
    /// shown from then on; connections that live keep theirs.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(
        own: Arc<Rotating>,
        authority: &CertificateDer<'static>,
        views: Views,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        Ok(Self { own, roots: Arc::new(roots), provider: Arc::new(ring::default_provider()), views })
    }

    /// The listener's side: any node of the cluster that is not revoked.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let chain =
            WebPkiClientVerifier::builder_with_provider(self.roots.clone(), self.provider.clone()).build()?;
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AnyNode { chain, views: self.views.clone() }))
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// The dialling side: exactly this node, speaking exactly this protocol.
    pub(super) fn connector(&self, node: NodeId, alpn: &[u8]) -> Result<TlsConnector, TlsError> {
        let verifier = ThisNode {
            node,
            roots: self.roots.clone(),
            provider: self.provider.clone(),
            views: self.views.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::disabled();
        // nodes are known by their ids, not by names of hosts
        config.enable_sni = false;
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The node in a certificate that the authority vouches for, unless it was revoked.
fn lawful(leaf: &CertificateDer<'_>, views: &Views) -> Result<NodeId, Error> {
    let node =
        node_of(leaf).ok_or(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
    if views.borrow().revoked.contains(&node) {
        return Err(Error::InvalidCertificate(CertificateError::Revoked));
    }
    Ok(node)
}

#[derive(Debug)]
struct AnyNode {
    chain: Arc<dyn ClientCertVerifier>,
    views: Views,
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(leaf, above, now)?;
        lawful(leaf, &self.views).map(|_| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct ThisNode {
    node: NodeId,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    views: Views,
}

impl ServerCertVerifier for ThisNode {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, above, now, algorithms)?;
        if lawful(leaf, &self.views)? == self.node {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
