//! A certificate that is replaced while connections are made with it: each handshake takes the current one,
//! and connections made before go on with theirs.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Lifetime, PkiError};

/// The current certificate and its key.
pub struct Rotating {
    current: RwLock<Arc<CertifiedKey>>,
}

impl Rotating {
    /// Begins with this chain, leaf first.
    ///
    /// # Errors
    /// [`PkiError::Tls`] if the key is of no use or another than the certificate's.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Result<Self, PkiError> {
        let key = rustls::crypto::ring::sign::any_supported_type(key)?;
        Ok(Self { current: RwLock::new(Arc::new(certified(chain, &key)?)) })
    }

    /// Takes another certificate of the same key from now on.
    ///
    /// # Errors
    /// [`PkiError::Tls`] if it is of another key; the current one stays.
    pub fn replace(&self, chain: Vec<CertificateDer<'static>>) -> Result<(), PkiError> {
        self.show(certified(chain, &self.current().key)?);
        Ok(())
    }

    /// Takes another certificate of another key from now on.
    ///
    /// # Errors
    /// As [`Rotating::new`]; the current one stays.
    pub fn replace_key(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'static>,
    ) -> Result<(), PkiError> {
        self.show(certified(chain, &rustls::crypto::ring::sign::any_supported_type(key)?)?);
        Ok(())
    }

    fn show(&self, next: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    /// The certificate in use.
    pub fn current(&self) -> Arc<CertifiedKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its life; nothing if it cannot be read.
    pub(super) fn lifetime(&self) -> Option<Lifetime> {
        self.current().cert.first().and_then(|leaf| Lifetime::of(leaf).ok())
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &Arc<dyn SigningKey>,
) -> Result<CertifiedKey, PkiError> {
    let certified = CertifiedKey::new(chain, key.clone());
    certified.keys_match()?;
    Ok(certified)
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotating").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Rotating {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Rotating {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
