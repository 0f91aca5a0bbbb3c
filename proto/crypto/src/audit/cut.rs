//! Cuts: that the oldest records of a tenant's log were pruned by its policy, said and signed by the node that did it.
//!
//! ```text
//! ocmt.audit-cut/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11
//! 2048
//! <root of the log of 2048 records in base64>
//! chain <chain hash of record 2048 in hexadecimal>
//! kept <milliseconds that records are kept>
//! policy <number of the record that set the policy> <hash of its leaf in hexadecimal>
//! at <milliseconds since 1970-01-01T00:00:00Z>
//!
//! — ocmt.node/<node id> <base64 of key id ‖ signature>
//! ```
//!
//! A note like a [checkpoint](super::checkpoint), and never to be taken for one: a head says how far a log had come, and gives
//! nobody leave to take from it.

use data_encoding::{BASE64, HEXLOWER};
use ocmt_types::{Digest32, NodeId, TenantId, Timestamp};

use super::checkpoint::{digest, note_of};
use crate::{
    CryptoError, Result,
    merkle::log::Tree,
    sign::{Signature, SigningKey, VerifyKey},
};

const ORIGIN: &str = "ocmt.audit-cut/";

/// Up to where a log was pruned, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Whose log.
    pub tenant: TenantId,
    /// The log of the records that were pruned.
    pub tree: Tree,
    /// The chain's hash of the last of them.
    pub chain: Digest32,
    /// How long records are kept, in milliseconds.
    pub kept_ms: u64,
    /// The number of the record that set this; it was not pruned.
    pub policy: u64,
    /// The hash of its leaf.
    pub policy_leaf: Digest32,
    /// When it was done.
    pub at: Timestamp,
}

impl Cut {
    /// What is signed.
    pub fn text(&self) -> String {
        format!(
            "{ORIGIN}{}\n{}\n{}\nchain {}\nkept {}\npolicy {} {}\nat {}\n",
            self.tenant,
            self.tree.size,
            BASE64.encode(&self.tree.root.0),
            HEXLOWER.encode(&self.chain.0),
            self.kept_ms,
            self.policy,
            HEXLOWER.encode(&self.policy_leaf.0),
            self.at.0
        )
    }

    /// Reads what was signed: the one text of a cut and no other.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = Self::fields(text).ok_or(CryptoError::Refused)?;
        // the record that set the policy is behind the cut
        if parsed.text() == text && parsed.policy > parsed.tree.size {
            Ok(parsed)
        } else {
            Err(CryptoError::Refused)
        }
    }

    fn fields(text: &str) -> Option<Self> {
        let hex = |text: &str| digest(&HEXLOWER.decode(text.as_bytes()).ok()?);
        let mut lines = text.lines();
        let tenant = lines.next()?.strip_prefix(ORIGIN)?.parse().ok()?;
        let size = lines.next()?.parse().ok()?;
        let root = digest(&BASE64.decode(lines.next()?.as_bytes()).ok()?)?;
        let chain = hex(lines.next()?.strip_prefix("chain ")?)?;
        let kept_ms = lines.next()?.strip_prefix("kept ")?.parse().ok()?;
        let (policy, leaf) = lines.next()?.strip_prefix("policy ")?.split_once(' ')?;
        let (policy, policy_leaf) = (policy.parse().ok()?, hex(leaf)?);
        let at = Timestamp(lines.next()?.strip_prefix("at ")?.parse().ok()?);
        Some(Self { tenant, tree: Tree { size, root }, chain, kept_ms, policy, policy_leaf, at })
    }

    /// Signs it with a node's identity key.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        key.sign_plain(self.text().as_bytes())
    }

    /// The note that `node`, whose key is `key`, has signed.
    pub fn note(&self, node: NodeId, key: &VerifyKey, signature: &Signature) -> String {
        note_of(&self.text(), node, key, signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;
    use crate::audit::checkpoint::{Checkpoint, NoteKey, open_note};

    fn cut() -> Cut {
        Cut {
            tenant: TenantId::from_bytes([1; 16]),
            tree: Tree { size: 256, root: Digest32([2; 32]) },
            chain: Digest32([3; 32]),
            kept_ms: 7_776_000_000,
            policy: 300,
            policy_leaf: Digest32([4; 32]),
            at: Timestamp(9),
        }
    }

    #[test]
    fn a_cut_is_read_as_it_was_signed_and_by_whom() {
        let (key, node) = (SigningKey::from_bytes(&[5; 32]), NodeId::from_bytes([6; 16]));
        let cut = cut();
        let note = cut.note(node, &key.verify_key(), &cut.sign(&key));
        let text = open_note(&note, &[NoteKey::of_node(node, key.verify_key())]).unwrap();
        assert_eq!(Cut::parse(text).unwrap(), cut);
        let other = SigningKey::from_bytes(&[7; 32]).verify_key();
        assert!(open_note(&note, &[NoteKey::of_node(node, other)]).is_err());
        let forged = note.replace("\n256\n", "\n512\n");
        assert!(open_note(&forged, &[NoteKey::of_node(node, key.verify_key())]).is_err());
    }

    #[test]
    fn v1_v2_every_changed_byte_and_every_other_length_of_a_note_is_refused() {
        let (key, node) = (SigningKey::from_bytes(&[5; 32]), NodeId::from_bytes([6; 16]));
        let (note, known) = (
            cut().note(node, &key.verify_key(), &cut().sign(&key)),
            [NoteKey::of_node(node, key.verify_key())],
        );
        let opens = |note: &str| open_note(note, &known).is_ok_and(|text| Cut::parse(text).is_ok());
        assert!(opens(&note));
        for at in 0..note.len() {
            assert!(!note.is_char_boundary(at) || !opens(&note[..at]), "the first {at} bytes");
            for flip in [1, 0x20] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= flip;
                assert!(!String::from_utf8(bytes).is_ok_and(|bent| opens(&bent)), "byte {at}");
            }
        }
    }

    #[test]
    fn a_head_is_no_cut_and_a_cut_no_head() {
        let cut = cut();
        let head = Checkpoint { tenant: cut.tenant, tree: cut.tree, chain: cut.chain, at: cut.at };
        assert!(Cut::parse(&head.text()).is_err() && Checkpoint::parse(&cut.text()).is_err());
    }

    #[test]
    fn one_text_is_a_cut_and_none_that_prunes_its_own_policy() {
        let text = cut().text();
        for (from, to) in
            [("\n256\n", "\n0256\n"), ("at 9", "at +9"), ("kept ", "kept  "), ("\nat 9\n", "\nat 9\n\n")]
        {
            assert!(Cut::parse(&text.replace(from, to)).is_err(), "{from:?}");
        }
        assert!(Cut::parse(&Cut { policy: 256, ..cut() }.text()).is_err());
    }
}
