//! What the client and operator listeners show: a certificate of the cluster's authority for the names the
//! node is reached under, or on the client listener the operator's own (`[tls]`); and the node's own
//! certificate to whoever comes to join.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ocmt_types::Clock;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, DnsName, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    Authority, Lifetime, PkiError, Rotating,
    files::{read_chain, read_private, write_chain, write_private},
    subject::key_of,
};
use crate::config::Tls;

/// The server name under which a new node asks for the node's own certificate with the authority's behind it:
/// it knows the authority's fingerprint and nothing else. No host has this name (RFC 6762 reserves `.internal`
/// for such uses).
pub const JOIN_NAME: &str = "join.ocmt.internal";

/// The names a node is reached under, of its listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerNames(pub Vec<String>);

impl ServerNames {
    /// Loopback, the addresses listened on, and further hosts, each once.
    pub fn of(listen: &[IpAddr], hosts: impl IntoIterator<Item = String>) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(listen.iter().filter(|ip| !ip.is_unspecified()).map(ToString::to_string));
        names.extend(hosts.into_iter().filter(|host| !host.is_empty()));
        names.sort();
        names.dedup();
        Self(names)
    }
}

/// The host or address that `text` is, as a certificate names it.
///
/// # Errors
/// It is something else; the text says what.
pub fn host_name(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let why = if text.contains('/') {
        "it is a URL"
    } else if text.contains(':') {
        "it has a port"
    } else if text.contains('*') || DnsName::try_from(text).is_err() {
        "it is neither a host's name nor an address"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("{why}: write the host alone, as in node-1.example.org or 192.0.2.1"))
}

impl ServerNames {
    /// Those of these names that are not in `lawful`, for people.
    pub fn beyond(&self, lawful: &Self) -> String {
        let known = |name: &&String| lawful.0.iter().any(|lawful| lawful.eq_ignore_ascii_case(name));
        self.0.iter().filter(|name| !known(name)).cloned().collect::<Vec<_>>().join(", ")
    }

    /// As they are stored: one a line.
    pub fn to_text(&self) -> String {
        self.0.join("\n")
    }

    /// What [`ServerNames::to_text`] made.
    pub fn from_text(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    /// Whether none of these names is outside of `lawful`. Hosts are compared without regard to case.
    ///
    /// # Errors
    /// [`PkiError::Request`] if one is.
    pub fn check_within(&self, lawful: &Self) -> Result<(), PkiError> {
        let known = |name: &String| lawful.0.iter().any(|lawful| lawful.eq_ignore_ascii_case(name));
        if self.0.iter().all(known) {
            return Ok(());
        }
        Err(PkiError::Request("it has a name that was not given to this node when it was let in"))
    }
}

/// The listeners' key, made when the node was, and its certificate.
pub struct ListenerIdentity {
    pair: KeyPair,
    names: ServerNames,
    pem: PathBuf,
    certificate: Arc<Rotating>,
}

impl ListenerIdentity {
    /// The one in `folder`; none if there is no certificate. `names` is what it should be good for.
    pub(super) fn load(folder: &Path, names: ServerNames) -> Result<Option<Self>, PkiError> {
        let pem = folder.join("listener.pem");
        let Some(chain) = read_chain(&pem)? else { return Ok(None) };
        let Some(key) = ListenerKey::load(folder)? else { return Ok(None) };
        Self::from_parts(pem, names, key, chain).map(Some)
    }

    /// Keeps a certificate that the authority has made for this key.
    pub fn create(
        folder: &Path,
        names: ServerNames,
        key: ListenerKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, PkiError> {
        let pem = folder.join("listener.pem");
        let made = Self::from_parts(pem, names, key, chain)?;
        write_chain(&made.pem, &made.certificate.current().cert)?;
        Ok(made)
    }

    fn from_parts(
        pem: PathBuf,
        names: ServerNames,
        key: ListenerKey,
        chain: Vec<CertificateDer<'static>>,
    ) -> Result<Self, PkiError> {
        let der = PrivateKeyDer::Pkcs8(key.0.serialize_der().into());
        let certificate = Arc::new(Rotating::new(chain, &der)?);
        Ok(Self { pair: key.0, names, pem, certificate })
    }

    pub(super) fn certificate(&self) -> Arc<Rotating> {
        self.certificate.clone()
    }

    /// Whether another certificate is wanted: the life nears its end.
    pub(super) fn is_due(&self, clock: &dyn Clock) -> bool {
        self.certificate.lifetime().is_none_or(|life: Lifetime| life.is_due(clock.now()))
    }

    /// Whether the certificate names all that it should.
    pub(super) fn is_covered(&self) -> bool {
        self.names.check_within(&self.named()).is_ok()
    }

    /// The names in the certificate.
    fn named(&self) -> ServerNames {
        self.certificate.current().cert.first().map(names_of).unwrap_or_default()
    }

    /// Asks for another certificate of this key, for the names that it has: they were given when the node was
    /// let in, and no others are had later.
    pub(super) fn request(&self) -> Result<Vec<u8>, PkiError> {
        request(&self.pair, &self.named())
    }

    /// Takes a renewed certificate in: on disk first, then for new handshakes.
    pub(super) fn install(&self, chain: Vec<CertificateDer<'static>>) -> Result<(), PkiError> {
        if chain.first().and_then(key_of).as_deref() != Some(self.pair.public_key_raw()) {
            return Err(PkiError::Subject("the renewed certificate is not of the listeners' key"));
        }
        write_chain(&self.pem, &chain)?;
        self.certificate.replace(chain)
    }

    /// A certificate from the authority beside it.
    pub(super) fn renew(&self, authority: &Authority, clock: &dyn Clock) -> Result<(), PkiError> {
        let names = CertificateParams::new(self.names.0.clone())?.subject_alt_names;
        self.install(vec![authority.issue_listener(names, &self.pair, clock.now())?])
    }
}

/// The listeners' key, before or without a certificate.
pub struct ListenerKey(pub(super) KeyPair);

impl ListenerKey {
    fn load(folder: &Path) -> Result<Option<Self>, PkiError> {
        let path = folder.join("listener.key");
        let Some(pem) = read_private(&path)? else { return Ok(None) };
        let pem = std::str::from_utf8(&pem).map_err(|_| PkiError::content(&path, "a PEM key"))?;
        Ok(Some(Self(KeyPair::from_pem(pem)?)))
    }

    /// The key in `folder`, made if there is none.
    pub fn load_or_create(folder: &Path) -> Result<Self, PkiError> {
        if let Some(key) = Self::load(folder)? {
            return Ok(key);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let pem = Zeroizing::new(key.serialize_pem());
        write_private(&folder.join("listener.key"), pem.as_bytes())?;
        Ok(Self(key))
    }

    /// Asks for a certificate of this key for these names (PKCS #10, DER).
    pub fn request(&self, names: &ServerNames) -> Result<Vec<u8>, PkiError> {
        request(&self.0, names)
    }
}

fn request(pair: &KeyPair, names: &ServerNames) -> Result<Vec<u8>, PkiError> {
    Ok(CertificateParams::new(names.0.clone())?.serialize_request(pair)?.der().to_vec())
}

/// Hosts and addresses that a certificate is good for.
fn names_of(leaf: &CertificateDer<'_>) -> ServerNames {
    use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
    let ip = |bytes: &[u8]| match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    };
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return ServerNames::default() };
    let names = leaf.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => ip(bytes).map(|ip| ip.to_string()),
        _ => None,
    };
    ServerNames(names.into_iter().flatten().filter_map(text).collect())
}

/// What the client listener shows to whom.
pub(super) struct ClientCertificates {
    /// To everybody.
    shown: Arc<dyn ResolvesServerCert>,
    /// To a node that joins, with the authority's behind it.
    node: Arc<Rotating>,
    ca: CertificateDer<'static>,
}

impl ClientCertificates {
    pub(super) fn new(
        tls: &Tls,
        own: Arc<Rotating>,
        node: Arc<Rotating>,
        ca: CertificateDer<'static>,
    ) -> Result<Self, PkiError> {
        let shown: Arc<dyn ResolvesServerCert> =
            if tls.certificate.as_os_str().is_empty() { own } else { Arc::new(given(tls)?) };
        Ok(Self { shown, node, ca })
    }
}

impl ResolvesServerCert for ClientCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.server_name() != Some(JOIN_NAME) {
            return self.shown.resolve(hello);
        }
        let current = self.node.current();
        let chain = current.cert.iter().cloned().chain([self.ca.clone()]).collect();
        Some(Arc::new(CertifiedKey::new(chain, current.key.clone())))
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificates").finish_non_exhaustive()
    }
}

/// The operator's own certificate.
fn given(tls: &Tls) -> Result<Rotating, PkiError> {
    let content = |path: &Path, what| PkiError::content(path, what);
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| content(&tls.certificate, "a PEM certificate chain"))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|_| content(&tls.key, "a PEM private key"))?;
    Rotating::new(chain, &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_or_an_address_and_nothing_around_it() {
        for (text, name) in [
            ("node-1.ocmt.example", Some("node-1.ocmt.example")),
            ("node-1", Some("node-1")),
            ("127.0.0.14", Some("127.0.0.14")),
            ("::1", Some("::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("bad name!", None),
            ("", None),
            ("127.0.0.14:7444", None),
            ("node-1:7444", None),
            ("https://node-1.ocmt.example", None),
            ("*.ocmt.example", None),
        ] {
            assert_eq!(host_name(text).ok().as_deref(), name, "{text}");
        }
        assert!(host_name("node-1:7444").is_err_and(|why| why.contains("port")));
        assert!(host_name("https://node-1").is_err_and(|why| why.contains("URL")));
    }
}
