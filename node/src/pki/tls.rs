//! What every TLS of a node has in common: version 1.3 alone, and nobody believed by an earlier handshake.
//!
//! Sessions are never resumed where certificates are looked at: a resumed one would go on with a certificate
//! that was revoked or has ended meanwhile.

use std::sync::Arc;

use rustls::{
    ClientConfig, ConfigBuilder, ServerConfig, WantsVerifier,
    client::{Resumption, WantsClientCert},
    crypto::ring,
    server::NoServerSessionStorage,
    version::TLS13,
};

use super::{PkiError, verify::Verifier};

const HTTP2_AND_1: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A listener's.
pub(super) fn server() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, PkiError> {
    let provider = Arc::new(ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?)
}

/// Of a listener that lets nobody in but whom `verifier` believes, and shows `own`.
pub(crate) fn verifying_server(
    verifier: Arc<Verifier>,
    own: Arc<dyn rustls::server::ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, PkiError> {
    let mut config = server()?.with_client_cert_verifier(verifier).with_cert_resolver(own);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(with_protocols(config))
}

/// Towards whom `verifier` believes.
pub(super) fn client(
    verifier: Arc<Verifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, PkiError> {
    let provider = Arc::new(ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// The same, speaking this protocol alone and showing `own`.
pub(crate) fn verifying_client(
    verifier: Arc<Verifier>,
    own: Arc<dyn rustls::client::ResolvesClientCert>,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, PkiError> {
    let mut config = client(verifier)?.with_client_cert_resolver(own);
    config.resumption = Resumption::disabled();
    // nodes are known by their ids, not by names of hosts
    config.enable_sni = false;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// HTTP/2 and HTTP/1.1.
pub(super) fn with_protocols(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = HTTP2_AND_1.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
