#![allow(clippy::unwrap_used)]
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ocmt_actors::NodeSigner as _;
use ocmt_client::{
    audit::{KeptCheckpoint, Trust},
    ca::ClusterCa,
};
use ocmt_crypto::{audit::checkpoint::Checkpoint, merkle::log::Tree};
use ocmt_types::{Clock as _, Digest32, Id as _, ManualClock, RandomIds, SystemClock, TenantId};

use super::*;
use crate::pki::{Pki, ServerNames, tests::joined};

fn open(folder: &Path, alone: bool) -> Pki {
    Pki::open(folder, alone, ServerNames::of(&[], []), Arc::new(SystemClock), &RandomIds).unwrap()
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// A head as a node hands it out.
fn head(of: &Pki, size: u64) -> KeptCheckpoint {
    let (signer, tree) = (of.identity(), Tree { size, root: Digest32([7; 32]) });
    let tenant = TenantId::from_bytes([1; 16]);
    let checkpoint = Checkpoint { tenant, tree, chain: Digest32([8; 32]), at: now() };
    let signature = signer.sign_checkpoint(&checkpoint);
    KeptCheckpoint {
        note: checkpoint.note(signer.node(), &signer.verify_key(), &signature),
        certificates: signer
            .certificate_chain()
            .iter()
            .map(|der| data_encoding::BASE64.encode(der))
            .collect(),
        introductions: signer.introductions(),
    }
}

fn by_key(of: &Pki) -> Trust {
    let signer = of.identity();
    Trust { ca: None, keys: vec![NoteKey::of_node(signer.node(), signer.verify_key())] }
}

/// Old heads stay good, new ones are believed by who knows the old key alone, and by who knows the authority.
#[test]
fn the_node_with_the_authority_takes_its_next_key_at_its_next_start_and_heads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let before = open(dir.path(), true);
    let (old, known) = (head(&before, 1), by_key(&before));
    assert!(old.introductions.is_empty());
    let stands = prepare_next(dir.path(), now()).unwrap();
    assert_eq!(stands.next, prepare_next(dir.path(), now()).unwrap().next, "asked twice it is one");
    assert_eq!(before.next_wanted().unwrap(), None, "beside the authority nobody is asked");
    for n in 1..=2 {
        if n == 2 {
            prepare_next(dir.path(), now()).unwrap();
        }
        let after = open(dir.path(), true);
        assert_eq!(after.identity().id(), before.identity().id());
        assert_ne!(after.identity().verify_key(), before.identity().verify_key());
        let new = head(&after, 2);
        assert_eq!(new.introductions.len(), n);
        let ca = Trust { ca: Some(ClusterCa::from_pem(after.ca().pem()).unwrap()), keys: Vec::new() };
        for trust in [&known, &ca] {
            assert_eq!(old.prove(trust).unwrap().tree.size, 1);
            assert_eq!(new.prove(trust).unwrap().tree.size, 2);
        }
        let bare = KeptCheckpoint { introductions: Vec::new(), ..new };
        assert!(bare.prove(&known).is_err(), "the word of the old key is what counts");
    }
    let stands = next_key(dir.path()).unwrap();
    assert_eq!((stands.earlier, stands.next, stands.is_certified), (2, None, false));
}

/// A node that joined, in its folder, and the one with the authority.
fn two() -> (tempfile::TempDir, Pki, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir.path().join("first"), true);
    let folder = dir.path().join("second");
    drop(joined(&folder, &first));
    (dir, first, folder)
}

#[test]
fn a_node_without_the_authority_goes_on_with_its_key_until_the_next_is_certified_by_the_word_of_this_one() {
    let (_dir, first, folder) = two();
    let before = open(&folder, false);
    assert_eq!(before.next_wanted().unwrap(), None);
    prepare_next(&folder, now()).unwrap();
    let present = before.identity().verify_key();
    assert_eq!(open(&folder, false).identity().verify_key(), present, "it has no certificate yet");
    let wanted = before.next_wanted().unwrap().unwrap();
    let (id, stranger) = (before.identity().id(), first.identity().verify_key());
    let refused = |of: NodeId, shown: &VerifyKey, wanted: &NextWanted| {
        matches!(first.certify_next(of, shown, wanted), Err(PkiError::Request(_)))
    };
    assert!(refused(id, &stranger, &wanted), "another key than the certificate's");
    assert!(refused(NodeId::from_bytes([8; 16]), &present, &wanted), "another node's name");
    let other = NextWanted { request: before.identity().request().unwrap(), ..wanted.clone() };
    assert!(refused(id, &present, &other), "a key that was not introduced");
    assert!(matches!(before.certify_next(id, &present, &wanted), Err(PkiError::NoAuthority)));

    let chain = first.certify_next(id, &present, &wanted).unwrap();
    assert!(
        before.install_next(&before.identity().chain()).is_err(),
        "the present one's is not the next one's"
    );
    before.install_next(&chain).unwrap();
    assert_eq!(before.next_wanted().unwrap(), None);
    assert!(next_key(&folder).unwrap().is_certified);
    assert_eq!(before.identity().verify_key(), present, "a life has one key");
    let after = open(&folder, false);
    assert_eq!(after.identity().chain(), chain);
    assert_eq!(head(&after, 3).prove(&by_key(&before)).unwrap().tree.size, 3);
}

#[test]
fn a_next_keys_certificate_that_ended_is_asked_for_again_and_not_taken() {
    let (_dir, first, folder) = two();
    let before = open(&folder, false);
    prepare_next(&folder, now()).unwrap();
    let wanted = before.next_wanted().unwrap().unwrap();
    let present = before.identity().verify_key();
    let chain = first.certify_next(before.identity().id(), &present, &wanted).unwrap();
    before.install_next(&chain).unwrap();
    let late = ManualClock::at(now() + Duration::from_secs(31 * 86_400));
    let late = Pki::open(&folder, false, ServerNames::of(&[], []), Arc::new(late), &RandomIds).unwrap();
    assert_eq!(late.identity().verify_key(), present);
    assert!(late.next_wanted().unwrap().is_some());
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap())).collect()
}

/// Killed after the word was kept, after the key was taken, and before both: the next start ends with the new key.
#[test]
fn a_kill_at_any_step_is_made_good_by_the_next_start() {
    let (_dir, first, folder) = two();
    let before = open(&folder, false);
    prepare_next(&folder, now()).unwrap();
    let wanted = before.next_wanted().unwrap().unwrap();
    let present = before.identity().verify_key();
    before.install_next(&first.certify_next(before.identity().id(), &present, &wanted).unwrap()).unwrap();
    let (whole, next) = (files(&folder), next_key(&folder).unwrap().next.unwrap());
    for step in 0..3 {
        for (name, content) in &whole {
            let mode =
                if name.ends_with(".key") || name.ends_with(".keys") { write_private } else { write_public };
            mode(&folder.join(name), content).unwrap();
        }
        forget(&folder.join(INTRODUCTIONS)).unwrap();
        if step >= 1 {
            let told = serde_json::to_vec(&[&wanted.introduction]).unwrap();
            write_public(&folder.join(INTRODUCTIONS), &told).unwrap();
        }
        if step >= 2 {
            fs::rename(folder.join(KEY), folder.join("node.key")).unwrap();
        }
        let after = open(&folder, false);
        assert_eq!(
            NoteKey::of_node(after.identity().id(), after.identity().verify_key()),
            next,
            "step {step}"
        );
        assert_eq!(
            after.identity().introductions(),
            std::slice::from_ref(&wanted.introduction),
            "step {step}"
        );
        let left: Vec<String> = files(&folder).into_keys().filter(|name| name.contains("next")).collect();
        assert_eq!(left, Vec::<String>::new(), "step {step}");
    }
}

#[test]
fn a_key_that_was_put_there_without_the_present_ones_word_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let before = open(dir.path(), true);
    write_private(&dir.path().join(KEY), &[5; 32]).unwrap();
    assert_eq!(next_key(dir.path()).unwrap().next, None);
    assert_eq!(open(dir.path(), true).identity().verify_key(), before.identity().verify_key());
}
