//! Whom this node believes at the other end: nodes of the cluster on peer connections, operators on theirs.
//!
//! A handshake fails unless the certificate is of the cluster's authority, good now, for the use at hand, and
//! names exactly one subject of the right kind. Of nodes both uses are asked for, so that a certificate for
//! one end alone (an operator's, a listener's) opens no peer connection; and a revoked node has none. All of
//! it is decided here, and nowhere else.

use std::{borrow::Cow, fmt, sync::Arc};

use ocmt_types::{Digest32, NodeId};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{CaCertificate, PkiError, Subject, fingerprint, subject::subject_of};

/// Whether the certificates of a node are honoured no more.
pub type RevokedNodes = Arc<dyn Fn(NodeId) -> bool + Send + Sync>;

/// RFC 5280, 4.2.1.12: id-kp-serverAuth.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// id-kp-clientAuth.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// Who is wanted at the other end.
pub(crate) enum Wanted {
    /// A node that was not revoked; that one, if named.
    Node(Option<NodeId>, RevokedNodes),
    /// An operator. Whether the certificate was revoked is asked with each request.
    Operator,
}

/// Whose word is taken for it.
enum Trusted {
    Authority(TrustAnchor<'static>),
    /// The authority that is sent along and has this fingerprint: all that a node that joins knows of it.
    Fingerprint(Digest32),
}

/// Believes certificates of the cluster's authority.
pub(crate) struct Verifier {
    trusted: Trusted,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
    wanted: Wanted,
}

impl Verifier {
    /// Believes this authority.
    pub(crate) fn new(ca: &CaCertificate, wanted: Wanted) -> Result<Arc<Self>, PkiError> {
        let anchor = anchor_from_trusted_cert(ca.der())
            .map_err(|_| PkiError::Subject("the cluster's certificate is no authority"))?
            .to_owned();
        let hints = vec![DistinguishedName::in_sequence(&anchor.subject)];
        Ok(Self::of(Trusted::Authority(anchor), hints, wanted))
    }

    /// Believes a node whose authority, sent along, has this fingerprint. Who was revoked is not known yet.
    pub(super) fn by_fingerprint(authority: Digest32) -> Arc<Self> {
        let any_node = Wanted::Node(None, Arc::new(|_| false));
        Self::of(Trusted::Fingerprint(authority), Vec::new(), any_node)
    }

    fn of(trusted: Trusted, hints: Vec<DistinguishedName>, wanted: Wanted) -> Arc<Self> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Arc::new(Self { trusted, hints, algorithms, wanted })
    }

    /// The authority to check against, of those known or sent along.
    fn anchor<'a>(&'a self, above: &'a [CertificateDer<'_>]) -> Result<Cow<'a, TrustAnchor<'a>>, Error> {
        let wanted = match &self.trusted {
            Trusted::Authority(anchor) => return Ok(Cow::Borrowed(anchor)),
            Trusted::Fingerprint(wanted) => wanted,
        };
        let sent = above.iter().find(|der| fingerprint(der) == *wanted);
        let anchor = sent.and_then(|der| anchor_from_trusted_cert(der).ok());
        anchor.map(Cow::Owned).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let checked = self.check(leaf, above, now);
        if let Err(error) = &checked {
            tracing::info!(subject = ?subject_of(leaf), %error, "refused a certificate");
        }
        checked
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let uses: &[_] = match self.wanted {
            Wanted::Node(..) => &[SERVER_AUTH, CLIENT_AUTH],
            Wanted::Operator => &[CLIENT_AUTH],
        };
        let anchor = self.anchor(above)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|error| refused(&error))?;
        for usage in uses {
            certificate
                .verify_for_usage(
                    self.algorithms.all,
                    std::slice::from_ref(&*anchor),
                    above,
                    now,
                    KeyUsage::required(usage),
                    None,
                    None,
                )
                .map_err(|error| refused(&error))?;
        }
        match (&self.wanted, subject_of(leaf)) {
            (Wanted::Node(expected, revoked), Some(Subject::Node(node))) => {
                if expected.is_some_and(|expected| expected != node) {
                    return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
                }
                if revoked(node) {
                    return Err(Error::InvalidCertificate(CertificateError::Revoked));
                }
                Ok(())
            }
            (Wanted::Operator, Some(Subject::Operator(_))) => Ok(()),
            _ => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }
}

fn refused(error: &webpki::Error) -> Error {
    Error::InvalidCertificate(match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        _ => CertificateError::BadEncoding,
    })
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(leaf, above, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, above, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
