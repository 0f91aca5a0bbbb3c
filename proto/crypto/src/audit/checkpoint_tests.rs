#![allow(clippy::unwrap_used)]
use ocmt_types::Id as _;

use super::*;

fn checkpoint() -> Checkpoint {
    Checkpoint {
        tenant: TenantId::from_bytes([1; 16]),
        tree: Tree { size: 4711, root: Digest32([2; 32]) },
        chain: Digest32([3; 32]),
        at: Timestamp(1_800_000_000_000),
    }
}

fn signed() -> (NoteKey, String) {
    let (node, key) = (NodeId::from_bytes([4; 16]), SigningKey::from_bytes(&[5; 32]));
    let note = checkpoint().note(node, &key.verify_key(), &checkpoint().sign(&key));
    (NoteKey::of_node(node, key.verify_key()), note)
}

/// The example of golang.org/x/mod/sumdb/note, which the format of C2SP was written down from.
#[test]
fn a_note_of_the_formats_first_implementation_opens() {
    let key = NoteKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\n\
                \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    assert!(open_note(note, std::slice::from_ref(&key)).unwrap().ends_with("your problem is.\n"));
    assert!(open_note(&note.replace("think", "thinc"), &[key]).is_err());
}

#[test]
fn a_checkpoint_comes_back_out_of_its_note() {
    let (key, note) = signed();
    let text = open_note(&note, std::slice::from_ref(&key)).unwrap();
    assert_eq!(Checkpoint::parse(text).unwrap(), checkpoint());
    assert_eq!(NoteKey::parse(&key.to_text()).unwrap(), key);
}

#[test]
fn every_changed_byte_of_a_note_is_refused() {
    let (key, note) = signed();
    for at in 0..note.len() {
        for flip in [1, 0x20] {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= flip;
            let Ok(bent) = String::from_utf8(bytes) else { continue };
            assert!(open_note(&bent, std::slice::from_ref(&key)).is_err(), "{at}: {bent}");
        }
    }
}

#[test]
fn a_note_is_good_by_any_key_of_ours_and_by_no_other() {
    let (ours, note) = signed();
    let other = NoteKey::of_node(NodeId::from_bytes([9; 16]), SigningKey::from_bytes(&[6; 32]).verify_key());
    let in_our_name = NoteKey { name: ours.name.clone(), key: other.key };
    open_note(&note, &[other.clone(), ours.clone()]).expect("the key before it and the one after");
    for wrong in [vec![], vec![other], vec![in_our_name]] {
        assert!(open_note(&note, &wrong).is_err());
    }
    // a witness has signed too
    let line = signed().1;
    let line = line.lines().last().unwrap().replace(&ours.name, "witness.example");
    open_note(&format!("{note}{line}\n"), &[ours]).unwrap();
}

/// Beside a good signature too: whoever adds one in a node's name is found.
#[test]
fn a_signature_in_the_name_of_a_known_key_has_to_hold() {
    let (ours, note) = signed();
    let other = Checkpoint { at: Timestamp(1), ..checkpoint() };
    let key = SigningKey::from_bytes(&[5; 32]);
    let of_another = other.note(NodeId::from_bytes([4; 16]), &key.verify_key(), &other.sign(&key));
    let line = of_another.lines().last().unwrap();
    assert!(open_note(&format!("{note}{line}\n"), &[ours]).is_err());
}

#[test]
fn a_checkpoint_has_one_text() {
    let text = checkpoint().text();
    for other in [
        text.replace("4711", "04711"),
        text.replace("4711", "+4711"),
        format!("{text}more\n"),
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        text.replace("chain 03", "chain 0"),
        text.replace("ocmt.audit/", "other.audit/"),
    ] {
        assert!(Checkpoint::parse(&other).is_err(), "{other}");
    }
}
