//! Introductions: the next key of a node, said and signed by the one before, so that whoever knows an old key of a node believes
//! the heads that its later ones sign.
//!
//! ```text
//! ocmt.node-key/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11
//! ocmt.node/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11+<key id>+<the next key, as a note's key is written>
//! at <milliseconds since 1970-01-01T00:00:00Z>
//!
//! — ocmt.node/<node id> <base64 of key id ‖ signature of the key before>
//! ```
//!
//! A note like a [checkpoint](super::checkpoint), and never to be taken for one.

use ocmt_types::{NodeId, Timestamp};

use super::checkpoint::{NoteKey, note_of, open_note};
use crate::{
    CryptoError, Result,
    sign::{SigningKey, VerifyKey},
};

const ORIGIN: &str = "ocmt.node-key/";

/// Which key comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introduction {
    /// Whose.
    pub node: NodeId,
    /// The next one.
    pub next: VerifyKey,
    /// When it was said.
    pub at: Timestamp,
}

impl Introduction {
    /// What is signed.
    pub fn text(&self) -> String {
        let next = NoteKey::of_node(self.node, self.next).to_text();
        format!("{ORIGIN}{}\n{next}\nat {}\n", self.node, self.at.0)
    }

    /// The note that the key before signs.
    pub fn note(&self, before: &SigningKey) -> String {
        let text = self.text();
        note_of(&text, self.node, &before.verify_key(), &before.sign_plain(text.as_bytes()))
    }

    /// What a note introduces, if a key of the same node signed it that is among `known`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], [`CryptoError`] if the signature does not hold.
    pub fn open(note: &str, known: &[NoteKey]) -> Result<Self> {
        let (claimed, _) = note.split_once("\n\n").ok_or(CryptoError::Refused)?;
        let claimed = Self::parse(&format!("{claimed}\n"))?;
        let name = NoteKey::of_node(claimed.node, claimed.next).name;
        let own: Vec<NoteKey> = known.iter().filter(|key| key.name == name).cloned().collect();
        Self::parse(open_note(note, &own)?)
    }

    /// Reads what was signed: the one text of an introduction and no other.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = Self::fields(text).ok_or(CryptoError::Refused)?;
        if parsed.text() == text { Ok(parsed) } else { Err(CryptoError::Refused) }
    }

    fn fields(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let node = lines.next()?.strip_prefix(ORIGIN)?.parse().ok()?;
        let next = NoteKey::parse(lines.next()?).ok()?.key;
        let at = Timestamp(lines.next()?.strip_prefix("at ")?.parse().ok()?);
        Some(Self { node, next, at })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Digest32, Id as _, TenantId};

    use super::*;
    use crate::{audit::checkpoint::Checkpoint, merkle::log::Tree};

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn known(node: NodeId, n: u8) -> Vec<NoteKey> {
        vec![NoteKey::of_node(node, key(n).verify_key())]
    }

    #[test]
    fn the_key_before_introduces_the_next_and_nobody_else_does() {
        let (node, other) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let said = Introduction { node, next: key(6).verify_key(), at: Timestamp(9) };
        let note = said.note(&key(5));
        assert_eq!(Introduction::open(&note, &known(node, 5)).unwrap(), said);
        assert!(Introduction::open(&note, &known(node, 6)).is_err(), "a key introduces itself");
        assert!(Introduction::open(&note, &known(other, 5)).is_err(), "another node's key");
        assert!(Introduction::open(&note, &[]).is_err());
        assert!(Introduction::open(&note.replace("at 9", "at 8"), &known(node, 5)).is_err());
        let foreign = Introduction { node: other, ..said }.text();
        let foreign = note_of(&foreign, node, &key(5).verify_key(), &key(5).sign_plain(foreign.as_bytes()));
        assert!(Introduction::open(&foreign, &known(node, 5)).is_err(), "of another node");
    }

    #[test]
    fn v1_v2_every_changed_byte_and_every_other_length_of_a_note_is_refused() {
        let node = NodeId::from_bytes([1; 16]);
        let note = Introduction { node, next: key(6).verify_key(), at: Timestamp(9) }.note(&key(5));
        let known = known(node, 5);
        assert!(Introduction::open(&note, &known).is_ok());
        for at in 0..note.len() {
            let cut = note.is_char_boundary(at) && Introduction::open(&note[..at], &known).is_ok();
            assert!(!cut, "the first {at} bytes");
            for flip in [1, 0x20] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(bent) = String::from_utf8(bytes) else { continue };
                assert!(Introduction::open(&bent, &known).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_head_and_an_introduction_are_never_taken_for_each_other() {
        let node = NodeId::from_bytes([1; 16]);
        let said = Introduction { node, next: key(6).verify_key(), at: Timestamp(9) };
        assert!(Checkpoint::parse(&said.text()).is_err());
        let head = Checkpoint {
            tenant: TenantId::from_bytes([1; 16]),
            tree: Tree { size: 1, root: Digest32([2; 32]) },
            chain: Digest32([3; 32]),
            at: Timestamp(9),
        };
        assert!(Introduction::parse(&head.text()).is_err());
        assert_eq!(Introduction::parse(&said.text()).unwrap(), said);
        for text in
            [said.text() + "\n", said.text().replace("at 9", "at 09"), said.text().replacen('+', " ", 1)]
        {
            assert!(Introduction::parse(&text).is_err(), "{text:?}");
        }
    }
}
