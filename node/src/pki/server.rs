//! TLS of the client listener: version 1.3 alone, HTTP/2 and HTTP/1.1.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use ocmt_types::Clock;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{Authority, PkiError, authority::named};
use crate::config::Tls;

/// Issued at each start; a node that runs longer is restarted for upgrades before that.
const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// The names the listener is reached under.
#[derive(Debug, Clone, Default)]
pub struct ServerNames(pub Vec<String>);

impl ServerNames {
    /// Loopback, the listener's address, and the host of the public URL.
    pub fn of(listen: IpAddr, public_host: Option<&str>) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !listen.is_unspecified() {
            names.push(listen.to_string());
        }
        names.extend(public_host.map(str::to_owned));
        names.sort();
        names.dedup();
        Self(names)
    }
}

/// The listener's TLS: the operator's certificate if there is one, else one of our own authority.
pub fn tls_config(
    tls: &Tls,
    authority: &Authority,
    names: &ServerNames,
    clock: &dyn Clock,
) -> Result<Arc<ServerConfig>, PkiError> {
    let (chain, key) =
        if tls.certificate.as_os_str().is_empty() { own(authority, names, clock)? } else { given(tls)? };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

type Certified = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(authority: &Authority, names: &ServerNames, clock: &dyn Clock) -> Result<Certified, PkiError> {
    let mut params = CertificateParams::new(names.0.clone())?;
    params.distinguished_name = named("OCMT client listener");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = authority.issue(params, &key, clock.now(), LIFE)?;
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok((vec![certificate.der().clone()], der))
}

fn given(tls: &Tls) -> Result<Certified, PkiError> {
    let content = |path: &Path, what| PkiError::content(path, what);
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| content(&tls.certificate, "a PEM certificate chain"))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|_| content(&tls.key, "a PEM private key"))?;
    Ok((chain, key))
}
