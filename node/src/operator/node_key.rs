//! A node's identity key in the cluster's audit: which one counts, since the node has had more than one.
//!
//! The node itself says so when it has taken the next one, with the word of the one before. From then on the authority certifies
//! the earlier no more.

use ocmt_actors::NodeSigner as _;
use ocmt_crypto::audit::{AuditRecord, checkpoint::NoteKey, introduction::Introduction};
use ocmt_store::{ClusterAct, Store, StoreError};
use ocmt_types::{Clock, IdGen, NodeId};

use crate::pki::Pki;

const ACTION: &str = "node.key";
const KEY: &str = "key";

/// The key that the node has said is the present one; none if it has had one alone.
pub(super) async fn told_key(store: &Store, node: NodeId) -> Result<Option<String>, StoreError> {
    let row = store.operators().noted(ACTION, &format!("node/{node}")).await?;
    let record = row.and_then(|row| AuditRecord::from_bytes(&row.record).ok());
    let details = record.map(|record| record.details).unwrap_or_default();
    Ok(details.into_iter().find(|(name, _)| name == KEY).map(|(_, key)| key))
}

/// Says that this node's present key is the one that counts, if it has had others and has not said so; whether all is said.
pub(super) async fn tell_key(
    store: &Store,
    pki: &Pki,
    clock: &dyn Clock,
    ids: &dyn IdGen,
) -> Result<bool, StoreError> {
    let identity = pki.identity();
    let introductions = identity.introductions();
    let Some(last) = introductions.last() else { return Ok(true) };
    let node = identity.id();
    let present = NoteKey::of_node(node, identity.verify_key()).to_text();
    let told = told_key(store, node).await?;
    if told.as_ref() == Some(&present) {
        return Ok(true);
    }
    // the words are as this node's disk has them: which keys it has had
    let had: Vec<String> = introductions.iter().filter_map(|note| introduced(note)).collect();
    if told.is_some_and(|told| !had.contains(&told)) {
        tracing::error!(
            "this node has a later key than its disk knows of: the disk is of before. Put the later one back, or revoke the node and let a new one join"
        );
        return Ok(true);
    }
    // whoever verifies what the earlier key has signed finds it here
    let before = pki.key_before().ok().flatten().unwrap_or_default();
    let details = vec![
        (KEY.to_owned(), present),
        ("before".to_owned(), before),
        ("introduced".to_owned(), last.clone()),
    ];
    let act = ClusterAct::of_node(node, clock.now(), ids.id(), ACTION, format!("node/{node}"), details);
    store.operators().record(&act).await?;
    tracing::info!("the cluster's audit has this node's key, which took the place of another");
    Ok(true)
}

/// The key that a word is for.
fn introduced(note: &str) -> Option<String> {
    let (text, _) = note.split_once("\n\n")?;
    let said = Introduction::parse(&format!("{text}\n")).ok()?;
    Some(NoteKey::of_node(said.node, said.next).to_text())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{path::Path, sync::Arc};

    use ocmt_proto::v1 as pb;
    use ocmt_store::testing::id;
    use ocmt_types::{RandomIds, SystemClock, Timestamp};
    use tonic::Code;

    use super::*;
    use crate::{
        operator::KeyDesk,
        pki::{
            NodeIdentity, NodeKey, Request, ServerNames, node_of, prepare_next, private_dir, verify_key_of,
        },
    };

    fn open(folder: &Path) -> Pki {
        Pki::open(folder, true, ServerNames::of(&[], []), Arc::new(SystemClock), &RandomIds).unwrap()
    }

    async fn tell(store: &Store, pki: &Pki) -> bool {
        tell_key(store, pki, &SystemClock, &RandomIds).await.unwrap()
    }

    async fn told(store: &Store) -> usize {
        let rows = store.operators().audit_page(0, 100).await.unwrap();
        rows.iter().filter(|row| row.action == ACTION).count()
    }

    #[tokio::test]
    async fn a_key_that_was_replaced_is_recorded_once_and_certified_no_more() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Store::sim());
        let cluster = store.cluster().cluster(id(9), Timestamp(0)).await.unwrap().cluster_id;
        let first = open(dir.path());
        assert!(tell(&store, &first).await);
        assert_eq!(told(&store).await, 0, "one key alone is nothing to say");
        let desk = KeyDesk::new(store.clone(), first.clone(), cluster);
        let (node, old) = (first.identity().id(), first.identity().verify_key());
        let asks = |key| {
            let asked = pb::RenewCertificateRequest::default();
            let desk = desk.clone();
            async move { desk.renew(node, &key, asked).await }
        };
        asks(old).await.unwrap();
        prepare_next(dir.path(), SystemClock.now()).unwrap();
        asks(old).await.unwrap();

        let second = open(dir.path());
        assert!(tell(&store, &second).await && tell(&store, &second).await);
        assert_eq!(told(&store).await, 1);
        assert_eq!(asks(old).await.unwrap_err().code(), Code::PermissionDenied);
        asks(second.identity().verify_key()).await.unwrap();
        // the disk of before does not bring its key back
        assert!(tell(&store, &first).await);
        assert_eq!(told(&store).await, 1);
        prepare_next(dir.path(), SystemClock.now()).unwrap();
        let third = open(dir.path());
        tell(&store, &third).await;
        tell(&store, &second).await;
        assert_eq!(told(&store).await, 2, "a copy of an earlier disk says nothing");
        let rows = store.operators().audit_page(0, 100).await.unwrap();
        let first_told = AuditRecord::from_bytes(&rows[0].record).unwrap().details;
        let before = NoteKey::of_node(node, old).to_text();
        assert!(first_told.contains(&("before".to_owned(), before)), "{first_told:?}");
        let present = NoteKey::of_node(node, third.identity().verify_key()).to_text();
        assert_eq!(told_key(&store, node).await.unwrap(), Some(present));
    }

    /// As a node without the authority asks over its link.
    #[tokio::test]
    async fn the_desk_certifies_a_next_key_by_the_word_of_the_one_that_is_shown() {
        let (dir, store) = (tempfile::tempdir().unwrap(), Store::sim());
        let cluster = store.cluster().cluster(id(9), Timestamp(0)).await.unwrap().cluster_id;
        let first = open(&dir.path().join("first"));
        let desk = KeyDesk::new(store.clone(), first.clone(), cluster);
        let (node, folder) = (id::<NodeId>(2), dir.path().join("second"));
        private_dir(&folder).unwrap();
        let key = NodeKey::load_or_create(&folder).unwrap();
        let asked = Request::of_node(&key.request().unwrap()).unwrap();
        let authority = first.authority().unwrap();
        let chain = vec![authority.issue_node(node, asked.key(), SystemClock.now()).unwrap()];
        let present = NodeIdentity::create(&folder, node, key, chain).unwrap().verify_key();
        let stands = prepare_next(&folder, SystemClock.now()).unwrap();
        // the next key as a key of its own, for its request
        let next = dir.path().join("next");
        private_dir(&next).unwrap();
        std::fs::copy(folder.join("node.next.key"), next.join("node.key")).unwrap();
        let request = pb::RenewCertificateRequest {
            next_request_der: NodeKey::load_or_create(&next).unwrap().request().unwrap().into(),
            next_introduction: std::fs::read_to_string(folder.join("node.next.note")).unwrap(),
            ..Default::default()
        };
        let given = desk.renew(node, &present, request.clone()).await.unwrap();
        assert!(given.certificate_chain_der.is_empty() && given.listener_chain_der.is_empty());
        let leaf = rustls_pki_types::CertificateDer::from(given.next_chain_der[0].to_vec());
        let certified = NoteKey::of_node(node, verify_key_of(&leaf).unwrap());
        assert_eq!((Some(certified), node_of(&leaf).unwrap()), (stands.next, node));
        let other = first.identity().verify_key();
        for (shown, word) in [
            (&other, request.next_introduction.clone()),
            (&present, String::new()),
            (&present, request.next_introduction.replace("at ", "at 1")),
        ] {
            let request = pb::RenewCertificateRequest { next_introduction: word, ..request.clone() };
            assert_eq!(desk.renew(node, shown, request).await.unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
