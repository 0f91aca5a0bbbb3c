//! Certificates that a stranger might show at a listener, each wrong in one thing: for tests (case N1).

use std::{sync::Arc, time::Duration};

use ocmt_types::{Clock, NodeId, SystemClock};
use rcgen::{
    CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ED25519, SanType,
};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{Authority, PkiError};

const HOUR: Duration = Duration::from_secs(3600);

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// Nothing: a lawful node.
    Nothing,
    /// It vouches for itself.
    SelfSigned,
    /// It was good until an hour ago.
    Expired,
    /// It will be good in an hour.
    NotYet,
    /// Another authority with the same name issued it.
    OtherAuthority,
    /// For clients alone.
    ClientOnly,
    /// For servers alone.
    ServerOnly,
    /// For no use in particular.
    NoUse,
    /// It names another node.
    OtherNode,
    /// It names an operator.
    Operator,
    /// It names the node and another beside it.
    TwoNodes,
    /// It names nobody.
    Nobody,
}

impl Odd {
    /// Everything a peer listener must refuse on the certificate's own account. [`Odd::OtherNode`] is lawful
    /// there, and wrong for who dialled.
    pub const REFUSED: [Self; 10] = [
        Self::SelfSigned,
        Self::Expired,
        Self::NotYet,
        Self::OtherAuthority,
        Self::ClientOnly,
        Self::ServerOnly,
        Self::NoUse,
        Self::Operator,
        Self::TwoNodes,
        Self::Nobody,
    ];
}

/// A certificate with its key.
pub struct Minted {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

impl Minted {
    /// TLS of a client that shows it and believes whatever answers.
    ///
    /// # Errors
    /// [`PkiError::Tls`].
    pub fn client(&self) -> Result<ClientConfig, PkiError> {
        Ok(gullible()?.with_client_auth_cert(self.chain.clone(), self.key.clone_key())?)
    }
}

/// TLS of a client that shows no certificate and believes whatever answers.
///
/// # Errors
/// [`PkiError::Tls`].
pub fn anonymous() -> Result<ClientConfig, PkiError> {
    Ok(gullible()?.with_no_client_auth())
}

/// A certificate for `node` by `authority`, odd in one thing.
///
/// # Errors
/// [`PkiError::Issue`].
pub fn mint(authority: &Authority, node: NodeId, odd: Odd) -> Result<Minted, PkiError> {
    let (now, key) = (SystemClock.now(), KeyPair::generate_for(&PKCS_ED25519)?);
    let mut params = CertificateParams::default();
    params.subject_alt_names = names(node, odd)?;
    params.extended_key_usages = uses(odd);
    let (from, life) = match odd {
        Odd::Expired => (now - 2 * HOUR, HOUR),
        Odd::NotYet => (now + 2 * HOUR, HOUR),
        _ => (now, HOUR),
    };
    let leaf = match odd {
        Odd::SelfSigned => params.self_signed(&key)?.der().clone(),
        Odd::OtherAuthority => {
            let mut ca = CertificateParams::default();
            ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
            ca.distinguished_name.push(DnType::CommonName, "OCMT cluster CA");
            let other = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
            params.signed_by(&key, &other)?.der().clone()
        }
        _ => authority.issue(params, &key, from, life)?,
    };
    Ok(Minted { chain: vec![leaf], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) })
}

fn names(node: NodeId, odd: Odd) -> Result<Vec<SanType>, PkiError> {
    let uri = |text: String| -> Result<SanType, PkiError> { Ok(SanType::URI(text.try_into()?)) };
    let other = uuid_of_other(node);
    Ok(match odd {
        Odd::OtherNode => vec![uri(format!("ocmt:node:{other}"))?],
        Odd::Operator => vec![uri(format!("ocmt:operator:{node}"))?],
        Odd::TwoNodes => vec![uri(format!("ocmt:node:{node}"))?, uri(format!("ocmt:node:{other}"))?],
        Odd::Nobody => Vec::new(),
        _ => vec![uri(format!("ocmt:node:{node}"))?],
    })
}

fn uuid_of_other(node: NodeId) -> NodeId {
    let mut bytes = *node.as_bytes();
    bytes[15] ^= 1;
    ocmt_types::Id::from_bytes(bytes)
}

fn uses(odd: Odd) -> Vec<ExtendedKeyUsagePurpose> {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    match odd {
        Odd::ClientOnly => vec![ClientAuth],
        Odd::ServerOnly => vec![ServerAuth],
        Odd::NoUse => Vec::new(),
        _ => vec![ServerAuth, ClientAuth],
    }
}

fn gullible() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible)))
}

#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
