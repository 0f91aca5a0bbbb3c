//! Checkpoints: the size and root of a tenant's log, signed by a node, as a note of C2SP (`tlog-checkpoint`,
//! `signed-note`), so that whoever keeps logs of others can keep ours.
//!
//! ```text
//! ocmt.audit/0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11
//! 4711
//! <root in base64>
//! chain <chain hash of record 4711 in hexadecimal>
//! at <milliseconds since 1970-01-01T00:00:00Z>
//!
//! — ocmt.node/<node id> <base64 of key id ‖ signature>
//! ```
//!
//! The signature is over the text alone, as the format wants it; no other thing that a node signs begins like it.

use data_encoding::{BASE64, HEXLOWER};
use ocmt_types::{Digest32, NodeId, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    merkle::log::Tree,
    sign::{Signature, SigningKey, VerifyKey},
};

/// Most bytes of a note.
pub const MAX_NOTE: usize = 4096;
const ORIGIN: &str = "ocmt.audit/";
const SIGNER: &str = "ocmt.node/";
const ED25519: u8 = 1;

/// How far a log had come at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log; the cluster's id for its own.
    pub tenant: TenantId,
    /// Its size and root.
    pub tree: Tree,
    /// The chain's hash of its last record.
    pub chain: Digest32,
    /// When it was signed.
    pub at: Timestamp,
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        format!(
            "{ORIGIN}{}\n{}\n{}\nchain {}\nat {}\n",
            self.tenant,
            self.tree.size,
            BASE64.encode(&self.tree.root.0),
            HEXLOWER.encode(&self.chain.0),
            self.at.0
        )
    }

    /// Reads what was signed: the one text of a checkpoint and no other.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = Self::fields(text).ok_or(CryptoError::Refused)?;
        if parsed.text() == text { Ok(parsed) } else { Err(CryptoError::Refused) }
    }

    fn fields(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let tenant = lines.next()?.strip_prefix(ORIGIN)?.parse().ok()?;
        let size = lines.next()?.parse().ok()?;
        let root = digest(&BASE64.decode(lines.next()?.as_bytes()).ok()?)?;
        let chain = digest(&HEXLOWER.decode(lines.next()?.strip_prefix("chain ")?.as_bytes()).ok()?)?;
        let at = Timestamp(lines.next()?.strip_prefix("at ")?.parse().ok()?);
        Some(Self { tenant, tree: Tree { size, root }, chain, at })
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

pub(super) fn note_of(text: &str, node: NodeId, key: &VerifyKey, signature: &Signature) -> String {
    let name = format!("{SIGNER}{node}");
    let signed = [key_id(&name, key).as_slice(), &signature.0].concat();
    format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(&signed))
}

/// The key of a note's signer, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    /// Who: `ocmt.node/<node id>` for a node.
    pub name: String,
    /// The key.
    pub key: VerifyKey,
}

impl NoteKey {
    /// That of a node.
    pub fn of_node(node: NodeId, key: VerifyKey) -> Self {
        Self { name: format!("{SIGNER}{node}"), key }
    }

    /// As others' programs take it: name, key id and key joined by `+`.
    pub fn to_text(&self) -> String {
        let id = HEXLOWER.encode(&key_id(&self.name, &self.key));
        let key = BASE64.encode(&[&[ED25519], self.key.as_bytes().as_slice()].concat());
        format!("{}+{id}+{key}", self.name)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        let parse = || {
            let (name, rest) = text.split_once('+')?;
            let (_, key) = rest.split_once('+')?;
            let key = BASE64.decode(key.as_bytes()).ok()?;
            let key = VerifyKey::try_from(key.strip_prefix(&[ED25519])?).ok()?;
            let parsed = Self { name: name.to_owned(), key };
            (is_name(name) && parsed.to_text() == text).then_some(parsed)
        };
        parse().ok_or(CryptoError::Refused)
    }
}

/// What a note says, if one of `keys` has signed it: its text. Signatures of others are passed over.
///
/// # Errors
/// [`CryptoError::Refused`] if none has, or it is no note, or one that is in the name of a key does not hold.
pub fn open_note<'a>(note: &'a str, keys: &[NoteKey]) -> Result<&'a str> {
    if note.len() > MAX_NOTE || !note.ends_with('\n') {
        return Err(CryptoError::Refused);
    }
    // the last empty line: the text itself may hold some
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(CryptoError::Refused)?;
    let text = &note[..=text.len()];
    let mut found = false;
    for line in signatures.lines() {
        let (name, signed) = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '))
            .ok_or(CryptoError::Refused)?;
        let signed = BASE64.decode(signed.as_bytes()).map_err(|_| CryptoError::Refused)?;
        let (id, signature) = signed.split_first_chunk::<4>().ok_or(CryptoError::Refused)?;
        let ours = keys.iter().find(|key| key.name == name && key_id(&key.name, &key.key) == *id);
        if let Some(ours) = ours {
            ours.key.verify_plain(text.as_bytes(), &Signature::try_from(signature)?)?;
            found = true;
        }
    }
    if found { Ok(text) } else { Err(CryptoError::Refused) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &VerifyKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

pub(super) fn digest(bytes: &[u8]) -> Option<Digest32> {
    Digest32::try_from(bytes).ok()
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
