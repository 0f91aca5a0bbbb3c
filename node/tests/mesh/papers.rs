//! An authority, and certificates of it: lawful ones, and each kind of wrong one.

use std::{sync::Arc, time::Duration};

use ocmt_types::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use tokio_rustls::TlsAcceptor;

pub type Paper = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    Expired,
    NotYet,
    ListenerUse,
    ClientUse,
    NoNode,
    TwoNodes,
    Operator,
}

pub struct Papers {
    issuer: CertifiedIssuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

impl Papers {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        let der = issuer.der().clone();
        Self { issuer, der }
    }

    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub fn node(&self, id: NodeId) -> Paper {
        self.wrong(id, Wrong::Nothing)
    }

    pub fn wrong(&self, id: NodeId, wrong: Wrong) -> Paper {
        let mut names = vec![format!("ocmt:node:{id}")];
        let mut params = CertificateParams::default();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (day, now) = (Duration::from_secs(86_400), OffsetDateTime::now_utc());
        (params.not_before, params.not_after) = (now - day, now + day);
        match wrong {
            Wrong::Nothing => {}
            Wrong::Expired => params.not_after = now - Duration::from_secs(60),
            Wrong::NotYet => params.not_before = now + Duration::from_secs(3600),
            Wrong::ListenerUse => {
                params.extended_key_usages.pop();
            }
            Wrong::ClientUse => {
                params.extended_key_usages.remove(0);
            }
            Wrong::NoNode => names.clear(),
            Wrong::TwoNodes => names.push(format!("ocmt:node:{}", super::node_id(0xee))),
            Wrong::Operator => names = vec![format!("ocmt:operator:{id}")],
        }
        params.subject_alt_names =
            names.into_iter().map(|name| SanType::URI(name.try_into().unwrap())).collect();
        self.sign(&params, &KeyPair::generate_for(&PKCS_ED25519).unwrap())
    }

    /// A certificate that vouches for itself.
    pub fn self_signed(id: NodeId) -> Paper {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(format!("ocmt:node:{id}").try_into().unwrap())];
        let own = params.self_signed(&key).unwrap();
        (vec![own.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Paper {
        let signed = params.signed_by(key, &self.issuer).unwrap();
        (vec![signed.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    pub fn client_listener(&self) -> TlsAcceptor {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let (chain, key) = self.sign(&params, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
        let mut config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// The authority as a client is given it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots
    }
}
