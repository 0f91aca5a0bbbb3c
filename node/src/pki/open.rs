//! All keys of a node together: found on disk, made where that is lawful, renewed while the node runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ocmt_actors::SealingRing;
use ocmt_crypto::{
    sealing::{SealingKey, SealingKeys},
    sign::VerifyKey,
};
use ocmt_types::{Clock, IdGen, NodeId};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;

use super::{
    Authority, CaCertificate, ListenerIdentity, ListenerKey, NextWanted, NodeIdentity, NodeKey, PkiError,
    Request, ServerNames,
    files::private_dir,
    listener::ClientCertificates,
    next, sealing, tls,
    verify::{Verifier, Wanted},
};
use crate::config::Tls;

/// The keys and certificates of this node. Cheap to clone.
#[derive(Clone)]
pub struct Pki(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    authority: Option<Arc<Authority>>,
    ca: CaCertificate,
    identity: Arc<NodeIdentity>,
    listener: ListenerIdentity,
    sealing: SealingRing,
    /// Held while the generations are read, written and replaced: of two who add one, both are kept.
    changing: Mutex<()>,
}

/// What this node asks the authority for: requests (PKCS #10, DER), each only if it is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanting {
    /// For its identity.
    pub node: Option<Vec<u8>>,
    /// For its listeners.
    pub listener: Option<Vec<u8>>,
}

/// Certificates that answer a [`Wanting`], each a chain with the leaf first; empty where nothing was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Of its identity.
    pub node: Vec<CertificateDer<'static>>,
    /// Of its listeners.
    pub listener: Vec<CertificateDer<'static>>,
}

impl Pki {
    /// Opens `folder`. A node that stands `alone` makes there what is missing, its own authority included; any
    /// other must have been set up by `cluster init` or `join`. With the authority beside it, the certificates
    /// are made anew, for `names`; without, those on disk serve until they are renewed.
    ///
    /// # Errors
    /// [`PkiError`]; each text says what to do.
    pub fn open(
        folder: &Path,
        alone: bool,
        names: ServerNames,
        clock: Arc<dyn Clock>,
        ids: &dyn IdGen,
    ) -> Result<Self, PkiError> {
        private_dir(folder)?;
        let authority = match Authority::load(folder)? {
            None if alone && CaCertificate::load(&folder.join("ca.pem"))?.is_none() => {
                Some(Authority::create(folder, &*clock)?)
            }
            found => found,
        };
        let missing = |what| PkiError::NotOfACluster { folder: folder.into(), what };
        let ca = match &authority {
            Some(authority) => authority.certificate().clone(),
            None => CaCertificate::load(&folder.join("ca.pem"))?.ok_or_else(|| missing("ca.pem"))?,
        };
        // before anything is read: a start that was cut off goes on
        next::take(folder, authority.as_ref(), clock.now())?;
        if let Some(authority) = &authority {
            make_missing(folder, authority, &names, &*clock, ids)?;
        }
        let identity = NodeIdentity::load(folder)?.ok_or_else(|| missing("certificate of the node"))?;
        let listener =
            ListenerIdentity::load(folder, names)?.ok_or_else(|| missing("certificate of the listeners"))?;
        if let Some(authority) = &authority {
            identity.renew(authority, &*clock)?;
            listener.renew(authority, &*clock)?;
        } else if !listener.is_covered() {
            tracing::warn!(
                "the listeners' certificate does not name every host of the configuration: names are given when a node joins"
            );
        }
        let keys = sealing::load(folder)?.ok_or_else(|| PkiError::NoSealingKey(folder.into()))?;
        Ok(Self(Arc::new(Inner {
            folder: folder.into(),
            clock,
            authority: authority.map(Arc::new),
            ca,
            identity: Arc::new(identity),
            listener,
            sealing: SealingRing::new(keys),
            changing: Mutex::default(),
        })))
    }

    /// The folder all of it is in.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The node's name and key.
    pub fn identity(&self) -> Arc<NodeIdentity> {
        self.0.identity.clone()
    }

    /// The authority, on the node that has its key.
    ///
    /// # Errors
    /// [`PkiError::NoAuthority`] on every other.
    pub fn authority(&self) -> Result<Arc<Authority>, PkiError> {
        self.0.authority.clone().ok_or(PkiError::NoAuthority)
    }

    /// The authority's certificate.
    pub fn ca(&self) -> &CaCertificate {
        &self.0.ca
    }

    /// The generations of the sealing key, for the actors.
    pub fn sealing(&self) -> SealingRing {
        self.0.sealing.clone()
    }

    /// Holds these generations from now on: on disk first.
    fn hold(&self, keys: SealingKeys) -> Result<(), PkiError> {
        sealing::store(&self.0.folder, &keys)?;
        self.0.sealing.replace(keys);
        Ok(())
    }

    /// Makes a generation of the sealing key and holds it beside those before; does nothing if it is held.
    ///
    /// # Errors
    /// [`PkiError::File`]; nothing has changed then.
    pub fn make_generation(&self, generation: u32) -> Result<(), PkiError> {
        self.hold_also([SealingKey::generate(generation, &mut rand::rng())])
    }

    /// Holds further generations; those held stay as they are.
    ///
    /// # Errors
    /// [`PkiError::File`]; nothing has changed then.
    pub fn hold_also(&self, more: impl IntoIterator<Item = SealingKey>) -> Result<(), PkiError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = SealingKeys::new(more);
        for held in self.0.sealing.now().generations() {
            keys.insert(held.duplicate());
        }
        self.hold(keys)
    }

    /// Erases all generations before this one, here and on disk, if it is held itself.
    ///
    /// # Errors
    /// [`PkiError::File`]; nothing has changed then.
    pub fn erase_before(&self, generation: u32) -> Result<(), PkiError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.0.sealing.now();
        if held.generations().all(|key| key.generation() != generation) {
            return Ok(());
        }
        let stay = held.generations().filter(|key| key.generation() >= generation);
        self.hold(SealingKeys::new(stay.map(SealingKey::duplicate)))
    }

    /// TLS of the client listener: version 1.3 alone, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`PkiError`] if the operator's own certificate cannot be used.
    pub fn client_server(&self, given: &Tls) -> Result<Arc<ServerConfig>, PkiError> {
        let Inner { identity, listener, ca, .. } = &*self.0;
        let shown =
            ClientCertificates::new(given, listener.certificate(), identity.certificate(), ca.der().clone())?;
        let config = tls::server()?.with_no_client_auth().with_cert_resolver(Arc::new(shown));
        Ok(tls::with_protocols(config))
    }

    /// TLS of the operator listener: an operator's certificate is asked for.
    ///
    /// # Errors
    /// [`PkiError`] if the authority's certificate cannot be used.
    pub fn operator_server(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let verifier = Verifier::new(&self.0.ca, Wanted::Operator)?;
        tls::verifying_server(verifier, self.0.listener.certificate())
    }

    /// What is to be renewed now; nothing most of the time. Where the authority is, it is done at once.
    ///
    /// # Errors
    /// [`PkiError`]; the certificates in use stay.
    pub fn wanting(&self) -> Result<Option<Wanting>, PkiError> {
        let Inner { identity, listener, clock, authority, .. } = &*self.0;
        let (node, names) = (identity.is_due(&**clock), listener.is_due(&**clock));
        if let Some(authority) = authority {
            if node {
                identity.renew(authority, &**clock)?;
            }
            if names || !listener.is_covered() {
                listener.renew(authority, &**clock)?;
            }
            return Ok(None);
        }
        if !node && !names {
            return Ok(None);
        }
        Ok(Some(Wanting {
            node: node.then(|| identity.request()).transpose()?,
            listener: names.then(|| listener.request()).transpose()?,
        }))
    }

    /// What the authority is to be asked for of the node's next key; nothing most of the time. Beside the authority the next start
    /// makes it.
    ///
    /// # Errors
    /// [`PkiError`] if what is there cannot be read.
    pub fn next_wanted(&self) -> Result<Option<NextWanted>, PkiError> {
        let Inner { folder, identity, clock, authority, .. } = &*self.0;
        if authority.is_some() { Ok(None) } else { next::wanted(folder, identity, clock.now()) }
    }

    /// The key before the present one, as a note's key is written; none for a node that has had one.
    ///
    /// # Errors
    /// [`PkiError`] if what is there cannot be read.
    pub fn key_before(&self) -> Result<Option<String>, PkiError> {
        Ok(next::earlier(&self.0.folder)?.pop())
    }

    /// Keeps the certificate of the next key for the node's next start.
    ///
    /// # Errors
    /// [`PkiError`] if it is of another key.
    pub fn install_next(&self, chain: &[CertificateDer<'static>]) -> Result<(), PkiError> {
        next::install(&self.0.folder, &self.0.identity, chain)
    }

    /// Certifies the next key of a node that shows `present`, by whose word it is that.
    ///
    /// # Errors
    /// As [`Pki::renew_for`].
    pub fn certify_next(
        &self,
        node: NodeId,
        present: &VerifyKey,
        wanted: &NextWanted,
    ) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        let (authority, now) = (self.authority()?, self.0.clock.now());
        Ok(vec![next::certify(&authority, node, *present, wanted, now)?])
    }

    /// Takes renewed certificates in.
    ///
    /// # Errors
    /// [`PkiError`] if one is not of this node's keys; the certificate in use stays.
    pub fn install(&self, renewed: Renewed) -> Result<(), PkiError> {
        if !renewed.node.is_empty() {
            self.0.identity.install(renewed.node)?;
        }
        if !renewed.listener.is_empty() {
            self.0.listener.install(renewed.listener)?;
        }
        Ok(())
    }

    /// Answers a node of the cluster, known by its certificate, which holds `key`, and whose listeners were
    /// given `names` when it was let in.
    ///
    /// # Errors
    /// [`PkiError::NoAuthority`] where the key is not; [`PkiError::Request`], also for a request of another key
    /// than the node has, or with another name than it was given.
    pub fn renew_for(
        &self,
        node: NodeId,
        key: &VerifyKey,
        names: &ServerNames,
        wanting: &Wanting,
    ) -> Result<Renewed, PkiError> {
        let (authority, now) = (self.authority()?, self.0.clock.now());
        let mut renewed = Renewed::default();
        if let Some(der) = &wanting.node {
            let request = Request::of_node(der)?;
            if rcgen::PublicKeyData::der_bytes(request.key()) != key.0 {
                return Err(PkiError::Request("it is not of the key in the node's certificate"));
            }
            renewed.node = vec![authority.issue_node(node, request.key(), now)?];
        }
        if let Some(der) = &wanting.listener {
            let request = Request::of_listener(der)?;
            request.server_names().check_within(names)?;
            renewed.listener = vec![request.issue_listener(&authority, now)?];
        }
        Ok(renewed)
    }
}

/// The node whose keys are in `folder` and the latest generation of the sealing key that it holds; none if there
/// are no keys.
pub(crate) fn sealing_of(folder: &Path) -> Result<Option<(NodeId, u32)>, PkiError> {
    let (identity, keys) = (NodeIdentity::load(folder)?, sealing::load(folder)?);
    Ok(identity.zip(keys.and_then(|keys| keys.latest())).map(|(identity, latest)| (identity.id(), latest)))
}

/// What a first start or `cluster init` makes where the authority is.
fn make_missing(
    folder: &Path,
    authority: &Authority,
    names: &ServerNames,
    clock: &dyn Clock,
    ids: &dyn IdGen,
) -> Result<(), PkiError> {
    let is_new = NodeIdentity::load(folder)?.is_none();
    // before the identity: a node that has one and lost this key gets no other, under which nothing of before would open
    if is_new && sealing::load(folder)?.is_none() {
        sealing::store(folder, &sealing::first())?;
    }
    if is_new {
        let (id, key) = (ids.id(), NodeKey::load_or_create(folder)?);
        let chain = vec![authority.issue_node(id, &key.pair, clock.now())?];
        NodeIdentity::create(folder, id, key, chain)?;
    }
    if ListenerIdentity::load(folder, names.clone())?.is_none() {
        let key = ListenerKey::load_or_create(folder)?;
        let chain = vec![Request::of_listener(&key.request(names)?)?.issue_listener(authority, clock.now())?];
        ListenerIdentity::create(folder, names.clone(), key, chain)?;
    }
    Ok(())
}
