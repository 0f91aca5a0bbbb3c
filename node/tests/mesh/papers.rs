//! An authority, and certificates of it: lawful ones, and each kind of wrong one.

use std::sync::Arc;

use ocmt::pki::{
    Authority, CaCertificate,
    testing::{Minted, Odd, mint},
};
use ocmt_types::{Clock as _, NodeId, SystemClock};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

pub struct Papers {
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Papers {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path(), &SystemClock).unwrap();
        Self { authority, _folder: folder }
    }

    pub fn authority(&self) -> &CaCertificate {
        self.authority.certificate()
    }

    pub fn node(&self, id: NodeId) -> Minted {
        self.odd(id, Odd::Nothing)
    }

    pub fn odd(&self, id: NodeId, odd: Odd) -> Minted {
        mint(&self.authority, id, odd).unwrap()
    }

    pub fn client_listener(&self) -> TlsAcceptor {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let names = CertificateParams::new(names).unwrap().subject_alt_names;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let leaf = self.authority.issue_listener(names, &key, SystemClock.now()).unwrap();
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// The authority as a client is given it.
    pub fn pem(&self) -> String {
        self.authority().pem().to_owned()
    }

    pub fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority().der().clone()).unwrap();
        roots
    }
}
