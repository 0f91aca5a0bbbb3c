//! Believes one certificate and no other: that of the node that is asked.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// A client that believes the server with this certificate: whoever shows it and signs with its key, whatever its name and
/// whoever vouches for it.
///
/// # Errors
/// None of the versions can be spoken.
pub(crate) fn client_believing(
    leaf: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, Error> {
    let provider = ring::default_provider();
    let client = ClientConfig::builder_with_provider(Arc::new(provider.clone()));
    let verifier = Arc::new(Exactly { leaf, provider });
    let client = client.with_protocol_versions(versions)?.dangerous();
    Ok(client.with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct Exactly {
    leaf: CertificateDer<'static>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.leaf {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("it shows another certificate than the configuration gives it".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
