//! Certificate requests (PKCS #10) as the authority takes them: of each the key and, for listeners, the names.
//! Who asks for what is not in them but in what came with them: an invitation, a peer's certificate.

use ocmt_types::Timestamp;
use rcgen::{CertificateSigningRequestParams, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKey, SanType};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};

use super::{Authority, PkiError, ServerNames};

/// Most names of a listener.
const MOST_NAMES: usize = 16;

/// A request whose signature its own key has made.
pub struct Request {
    key: PublicKey,
    names: Vec<SanType>,
}

impl Request {
    /// Reads a request of a node.
    ///
    /// # Errors
    /// [`PkiError::Request`] if it is none, is not signed by its own key, or its key is not Ed25519.
    pub fn of_node(der: &[u8]) -> Result<Self, PkiError> {
        let request = Self::read(der)?;
        if request.key.algorithm() != &PKCS_ED25519 {
            return Err(PkiError::Request("its key is not Ed25519"));
        }
        Ok(request)
    }

    /// Reads a request of an operator.
    ///
    /// # Errors
    /// As [`Request::of_node`], with keys of ECDSA on P-256 taken too.
    pub fn of_operator(der: &[u8]) -> Result<Self, PkiError> {
        let request = Self::read(der)?;
        if ![&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256].contains(&request.key.algorithm()) {
            return Err(PkiError::Request("its key is neither Ed25519 nor ECDSA on P-256"));
        }
        Ok(request)
    }

    /// Reads a request of a listener.
    ///
    /// # Errors
    /// As [`Request::of_operator`], and unless it has 1 to 16 names, each a host's or an address, none with a
    /// wildcard.
    pub fn of_listener(der: &[u8]) -> Result<Self, PkiError> {
        let request = Self::of_operator(der)?;
        let lawful = |name: &SanType| match name {
            SanType::IpAddress(_) => true,
            SanType::DnsName(name) => !name.as_str().contains('*') && name.as_str().len() <= 253,
            _ => false,
        };
        if !(1..=MOST_NAMES).contains(&request.names.len()) || !request.names.iter().all(lawful) {
            return Err(PkiError::Request(
                "a listener has 1 to 16 names, hosts or addresses without a wildcard",
            ));
        }
        Ok(request)
    }

    fn read(der: &[u8]) -> Result<Self, PkiError> {
        let read = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|_| PkiError::Request("it is no PKCS #10 request signed by its own key"))?;
        Ok(Self { key: read.public_key, names: read.params.subject_alt_names })
    }

    /// The names asked for.
    pub fn server_names(&self) -> ServerNames {
        let text = |name: &SanType| match name {
            SanType::IpAddress(ip) => Some(ip.to_string()),
            SanType::DnsName(name) => Some(name.as_str().to_owned()),
            _ => None,
        };
        ServerNames(self.names.iter().filter_map(text).collect())
    }

    /// The key to certify.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// A listener's certificate for the key and names asked for.
    ///
    /// # Errors
    /// [`PkiError::Issue`].
    pub fn issue_listener(
        self,
        authority: &Authority,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, PkiError> {
        authority.issue_listener(self.names, &self.key, now)
    }
}
