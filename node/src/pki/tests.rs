//! Certificates that change while the node runs, and what is shown to whom. Who gets in is tested at the real
//! peer listener (`tests/peers.rs`).

#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc, time::Duration};

use ocmt_types::{Clock as _, Id as _, ManualClock, NodeId, RandomIds, SystemClock};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::{
    JOIN_NAME, Pki, PkiError, ServerNames, Verifier, Wanted, Wanting, fingerprint, node_of, testing,
};
use crate::config::Tls;

fn open(folder: &Path) -> Pki {
    let names = ServerNames::of(&[], []);
    Pki::open(folder, true, names, Arc::new(SystemClock), &RandomIds).unwrap()
}

type Ends = (client::TlsStream<DuplexStream>, server::TlsStream<DuplexStream>);

/// Shakes hands and sends a byte each way: in TLS 1.3 a client learns that its certificate was refused only
/// with the first answer.
async fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> std::io::Result<Ends> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let both = async {
        let dial = async {
            let mut stream = TlsConnector::from(client).connect(name, near).await?;
            stream.write_all(b"?").await?;
            stream.read_exact(&mut [0]).await?;
            std::io::Result::Ok(stream)
        };
        let take = async {
            let mut stream = TlsAcceptor::from(server).accept(far).await?;
            stream.read_exact(&mut [0]).await?;
            stream.write_all(b"!").await?;
            stream.flush().await?;
            std::io::Result::Ok(stream)
        };
        tokio::try_join!(dial, take)
    };
    tokio::time::timeout(Duration::from_secs(60), both).await.unwrap()
}

fn shown(stream: &client::TlsStream<DuplexStream>) -> &CertificateDer<'static> {
    &stream.get_ref().1.peer_certificates().unwrap()[0]
}

/// The peer listener's door would cut such a connection too, so this is asked of the handshake itself.
#[test]
fn the_handshake_itself_refuses_a_revoked_node() {
    use rustls::server::danger::ClientCertVerifier as _;
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let node = NodeId::from_bytes([7; 16]);
    let minted = testing::mint(&pki.authority().unwrap(), node, testing::Odd::Nothing).unwrap();
    let now = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_millis(
        u64::try_from(SystemClock.now().millis()).unwrap(),
    ));
    let taken = |revoked: NodeId| {
        let wanted = Wanted::Node(None, Arc::new(move |node| node == revoked));
        let verifier = Verifier::new(pki.ca(), wanted).unwrap();
        verifier.verify_client_cert(&minted.chain[0], &[], now).map(drop)
    };
    taken(NodeId::from_bytes([8; 16])).unwrap();
    let revoked = rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked);
    assert_eq!(taken(node).unwrap_err(), revoked);
}

#[tokio::test]
async fn certificates_rotate_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let clock = ManualClock::at(SystemClock.now());
    let names = ServerNames::of(&[], []);
    let pki = Pki::open(dir.path(), true, names, Arc::new(clock.clone()), &RandomIds).unwrap();
    // the node's own certificate is shown to whoever comes to join
    let server = pki.client_server(&Tls::default()).unwrap();
    let client = Arc::new(testing::anonymous().unwrap());
    let (mut before, mut far) = shake(server.clone(), client, JOIN_NAME).await.unwrap();
    let first = shown(&before).clone();
    assert_eq!(pki.wanting().unwrap(), None);
    assert_eq!(pki.identity().chain()[0], first, "nothing was due");

    clock.advance(Duration::from_secs(21 * 86_400));
    assert_eq!(pki.wanting().unwrap(), None, "the authority is here: done at once");
    let renewed = pki.identity().chain()[0].clone();
    assert_ne!(renewed, first);
    // the connection made before lives on its own certificate; a new one gets the new
    before.write_all(b"x").await.unwrap();
    before.flush().await.unwrap();
    far.read_exact(&mut [0]).await.unwrap();
    assert_eq!(shown(&before), &first);
    // another client: the same one would resume its session, which this listener allows
    let another = Arc::new(testing::anonymous().unwrap());
    let (after, _) = shake(server, another, JOIN_NAME).await.unwrap();
    assert_eq!(shown(&after), &renewed);
    let kept = super::files::read_chain(&dir.path().join("node.pem")).unwrap().unwrap();
    assert_eq!(kept[0], renewed, "a restart goes on with it");
}

#[tokio::test]
async fn whoever_comes_to_join_sees_the_nodes_own_certificate_and_the_authoritys() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let server = pki.client_server(&Tls::default()).unwrap();
    let client = Arc::new(testing::anonymous().unwrap());
    let (joining, _) = shake(server.clone(), client.clone(), JOIN_NAME).await.unwrap();
    let chain = joining.get_ref().1.peer_certificates().unwrap();
    assert_eq!(node_of(&chain[0]).unwrap(), pki.identity().id());
    assert_eq!(fingerprint(&chain[1]), pki.ca().fingerprint());
    let (plain, _) = shake(server, client, "localhost").await.unwrap();
    assert!(node_of(shown(&plain)).is_err());
}

/// A node that has no authority: as `join` leaves it.
pub(super) fn joined(folder: &Path, first: &Pki) -> Pki {
    super::private_dir(folder).unwrap();
    super::write_public(&folder.join("ca.pem"), first.ca().pem().as_bytes()).unwrap();
    let (authority, now) = (first.authority().unwrap(), SystemClock.now());
    let id = NodeId::from_bytes([9; 16]);
    let key = super::NodeKey::load_or_create(folder).unwrap();
    let chain = vec![authority.issue_node(id, &key.pair, now).unwrap()];
    super::NodeIdentity::create(folder, id, key, chain).unwrap();
    let names = ServerNames::of(&[], []);
    let key = super::ListenerKey::load_or_create(folder).unwrap();
    let asked = super::Request::of_listener(&key.request(&names).unwrap()).unwrap();
    let chain = vec![asked.issue_listener(&authority, now).unwrap()];
    super::ListenerIdentity::create(folder, names.clone(), key, chain).unwrap();
    super::sealing::store(folder, &first.sealing().now()).unwrap();
    Pki::open(folder, false, names, Arc::new(SystemClock), &RandomIds).unwrap()
}

#[test]
fn a_node_without_the_authority_asks_for_its_renewal_and_takes_only_its_own() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(a.path());
    let folder = b.path().join("pki");
    drop(joined(&folder, &first));
    let clock = ManualClock::at(SystemClock.now() + Duration::from_secs(21 * 86_400));
    let names = ServerNames::of(&[], []);
    let second = Pki::open(&folder, false, names.clone(), Arc::new(clock), &RandomIds).unwrap();
    assert!(matches!(second.authority(), Err(PkiError::NoAuthority)));
    let wanting = second.wanting().unwrap().unwrap();
    assert!(wanting.node.is_some() && wanting.listener.is_some());

    use ocmt_actors::NodeSigner as _;
    let (id, key) = (second.identity().id(), second.identity().verify_key());
    let foreign = first.renew_for(id, &first.identity().verify_key(), &names, &wanting);
    assert!(matches!(foreign, Err(PkiError::Request(_))), "another key than the certificate's");
    let for_another = first.renew_for(NodeId::from_bytes([8; 16]), &key, &names, &wanting).unwrap();
    assert!(matches!(second.install(for_another), Err(PkiError::Subject(_))));
    let renewed = first.renew_for(id, &key, &names, &wanting).unwrap();
    second.install(renewed.clone()).unwrap();
    assert_eq!(second.identity().chain(), renewed.node);
    assert!(matches!(second.renew_for(id, &key, &names, &wanting), Err(PkiError::NoAuthority)));
}

#[test]
fn a_listener_is_certified_for_the_names_it_was_given_and_for_no_other() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(a.path());
    let second = joined(&b.path().join("pki"), &first);
    use ocmt_actors::NodeSigner as _;
    let (id, key) = (second.identity().id(), second.identity().verify_key());
    let given = ServerNames::of(&[], ["node9.example".to_owned()]);
    let listener = super::ListenerKey::load_or_create(&b.path().join("pki")).unwrap();
    let renew = |names: &[&str], given: &ServerNames| {
        let names = ServerNames(names.iter().map(|name| (*name).to_owned()).collect());
        let wanting = Wanting { node: None, listener: Some(listener.request(&names).unwrap()) };
        first.renew_for(id, &key, given, &wanting)
    };
    assert_eq!(renew(&["localhost", "127.0.0.1", "NODE9.example"], &given).unwrap().listener.len(), 1);
    for foreign in ["node1.example", "ocmt.example", "203.0.113.1", "x.node9.example"] {
        let refused = renew(&["localhost", foreign], &given);
        assert!(matches!(refused, Err(PkiError::Request(_))), "{foreign}");
    }
    let none = renew(&["localhost"], &ServerNames::default());
    assert!(matches!(none, Err(PkiError::Request(_))), "a node that was given no names");
}

#[test]
fn a_node_asks_for_the_names_in_its_certificate_whatever_its_configuration_says() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, folder) = (open(a.path()), b.path().join("pki"));
    drop(joined(&folder, &first));
    let clock = ManualClock::at(SystemClock.now() + Duration::from_secs(21 * 86_400));
    let others = ServerNames::of(&[], ["node1.example".to_owned()]);
    let second = Pki::open(&folder, false, others, Arc::new(clock), &RandomIds).unwrap();
    let asked = second.wanting().unwrap().unwrap().listener.unwrap();
    let asked = super::Request::of_listener(&asked).unwrap().server_names();
    asked.check_within(&ServerNames::of(&[], [])).unwrap();
}

#[test]
fn of_a_generation_there_is_one_key_whoever_makes_it_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let key_of = |generation| {
        let keys = pki.sealing().now();
        let held = keys.generations().find(|key| key.generation() == generation);
        held.map(|key| *key.expose())
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for generation in 2..=100 {
                    pki.make_generation(generation).unwrap();
                    let made = key_of(generation).expect("made and not held");
                    for _ in 0..10 {
                        assert_eq!(key_of(generation), Some(made), "generation {generation} was made twice");
                    }
                }
            });
        }
    });
    let kept = super::sealing::load(dir.path()).unwrap().unwrap();
    assert_eq!(kept.generations().count(), 100);
    for key in kept.generations() {
        assert_eq!(key_of(key.generation()), Some(*key.expose()), "the disk holds another");
    }
}

#[test]
fn a_node_of_a_cluster_does_not_start_in_an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pki");
    let opened = Pki::open(&folder, false, ServerNames::of(&[], []), Arc::new(SystemClock), &RandomIds);
    assert!(matches!(opened, Err(PkiError::NotOfACluster { .. })));
}

#[test]
fn the_identity_stays_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let id = open(dir.path()).identity().id();
    assert_eq!(open(dir.path()).identity().id(), id);
}

#[test]
fn nothing_is_erased_for_a_generation_that_is_not_held() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path());
    let held = || {
        let keys = super::sealing::load(dir.path()).unwrap().unwrap();
        keys.generations().map(ocmt_crypto::sealing::SealingKey::generation).collect::<Vec<_>>()
    };
    pki.erase_before(2).unwrap();
    assert_eq!(held(), [1]);
    pki.make_generation(2).unwrap();
    pki.erase_before(2).unwrap();
    assert_eq!(held(), [2]);
}
