//! The next identity key of a node: made beside the present one, certified while that is in use, and taken at a start.
//!
//! | file | what |
//! |---|---|
//! | `node.next.note` | the present key's word for the next one |
//! | `node.next.key` | the next key; that it is there asks for its certificate |
//! | `node.next.pem` | its certificate |
//! | `node.introductions` | the words of all earlier keys, oldest first |
//! | `node.keys` | the public halves of all earlier keys, oldest first |
//!
//! A life of a node has one key, so that a signature and the certificate beside it never are of two. A kill between two steps of
//! [`take`] is made good by the next start.

use std::{fs, path::Path};

use ocmt_crypto::{
    audit::{checkpoint::NoteKey, introduction::Introduction},
    sign::VerifyKey,
};
use ocmt_types::{NodeId, Timestamp};
use rustls_pki_types::CertificateDer;

use super::{
    Authority, Lifetime, NodeIdentity, NodeKey, PkiError, Request, Subject,
    files::{at, read_chain, write_chain, write_private, write_public},
    subject::{key_of, subject_of},
};

const NOTE: &str = "node.next.note";
const KEY: &str = "node.next.key";
const PEM: &str = "node.next.pem";
const INTRODUCTIONS: &str = "node.introductions";
const KEYS: &str = "node.keys";
/// Words of earlier keys that are kept, the last ones.
const MOST_INTRODUCTIONS: usize = 64;

/// How far a change of the node's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextKey {
    /// The key that is in use, or is with the node's next start.
    pub present: NoteKey,
    /// How many came before it.
    pub earlier: usize,
    /// The next one; none if there is no change under way.
    pub next: Option<NoteKey>,
    /// It has its certificate: the next start takes it.
    pub is_certified: bool,
}

/// What a running node asks the authority for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextWanted {
    /// PKCS #10 request of the next key, DER.
    pub request: Vec<u8>,
    /// The present key's word for it.
    pub introduction: String,
}

/// Makes the next key of the node in `folder`, if there is none; how it stands then.
///
/// # Errors
/// [`PkiError`]; [`PkiError::NotOfACluster`] if there is no node.
pub fn prepare_next(folder: &Path, now: Timestamp) -> Result<NextKey, PkiError> {
    let node = present(folder)?;
    if next_of(folder, &node)?.is_none() {
        let seed = zeroize::Zeroizing::new(rand::random::<[u8; 32]>());
        let next = NodeKey::of(&seed)?;
        // an earlier one's, where that was taken away by hand
        forget(&folder.join(PEM))?;
        let said = Introduction { node: node.id(), next: next.public(), at: now };
        write_public(&folder.join(NOTE), node.introduce(&said).as_bytes())?;
        // the key last: without it there is no change
        write_private(&folder.join(KEY), seed.as_slice())?;
    }
    look(folder, &node)
}

/// How the keys of the node in `folder` stand.
///
/// # Errors
/// As [`prepare_next`].
pub fn next_key(folder: &Path) -> Result<NextKey, PkiError> {
    look(folder, &present(folder)?)
}

fn present(folder: &Path) -> Result<NodeIdentity, PkiError> {
    finish(folder)?;
    let missing = || PkiError::NotOfACluster { folder: folder.into(), what: "key of a node" };
    NodeIdentity::load(folder)?.ok_or_else(missing)
}

fn look(folder: &Path, node: &NodeIdentity) -> Result<NextKey, PkiError> {
    let next = next_of(folder, node)?;
    let named = |key: VerifyKey| NoteKey::of_node(node.id(), key);
    Ok(NextKey {
        present: named(node.public()),
        earlier: node.earlier(),
        is_certified: match &next {
            Some(next) => certified(folder, node.id(), next.public())?.is_some(),
            None => false,
        },
        next: next.map(|next| named(next.public())),
    })
}

/// The next key, if the present one has introduced it: what is left of another change is none.
fn next_of(folder: &Path, node: &NodeIdentity) -> Result<Option<NodeKey>, PkiError> {
    let Some(next) = NodeKey::load_from(&folder.join(KEY))? else { return Ok(None) };
    Ok(said(folder, node, next.public())?.map(|_| next))
}

/// The present key's word for `next`.
fn said(folder: &Path, node: &NodeIdentity, next: VerifyKey) -> Result<Option<String>, PkiError> {
    let Some(note) = text(&folder.join(NOTE))? else { return Ok(None) };
    let known = [NoteKey::of_node(node.id(), node.public())];
    let said = Introduction::open(&note, &known).ok();
    Ok(said.filter(|said| said.node == node.id() && said.next == next).map(|_| note))
}

/// The certificate of the next key.
fn certified(
    folder: &Path,
    node: NodeId,
    next: VerifyKey,
) -> Result<Option<Vec<CertificateDer<'static>>>, PkiError> {
    Ok(read_chain(&folder.join(PEM))?.filter(|chain| is_of(chain, node, next)))
}

fn is_of(chain: &[CertificateDer<'_>], node: NodeId, key: VerifyKey) -> bool {
    chain.first().is_some_and(|leaf| {
        subject_of(leaf) == Some(Subject::Node(node)) && key_of(leaf).as_deref() == Some(key.0.as_slice())
    })
}

/// What the authority is asked for: nothing unless there is a next key without a certificate, or with one that ends soon.
pub(super) fn wanted(
    folder: &Path,
    node: &NodeIdentity,
    now: Timestamp,
) -> Result<Option<NextWanted>, PkiError> {
    let Some(next) = next_of(folder, node)? else { return Ok(None) };
    let chain = certified(folder, node.id(), next.public())?;
    let life = chain.as_ref().and_then(|chain| chain.first()).and_then(|leaf| Lifetime::of(leaf).ok());
    if life.is_some_and(|life| !life.is_due(now)) {
        return Ok(None);
    }
    let Some(introduction) = said(folder, node, next.public())? else { return Ok(None) };
    Ok(Some(NextWanted { request: next.request()?, introduction }))
}

/// Keeps the certificate of the next key.
pub(super) fn install(
    folder: &Path,
    node: &NodeIdentity,
    chain: &[CertificateDer<'static>],
) -> Result<(), PkiError> {
    let next = next_of(folder, node)?.ok_or(PkiError::Subject("there is no next key"))?;
    if !is_of(chain, node.id(), next.public()) {
        return Err(PkiError::Subject("the certificate is not of this node and its next key"));
    }
    write_chain(&folder.join(PEM), chain)
}

/// A certificate for the next key of a node that shows `present`.
pub(super) fn certify(
    authority: &Authority,
    node: NodeId,
    present: VerifyKey,
    wanted: &NextWanted,
    now: Timestamp,
) -> Result<CertificateDer<'static>, PkiError> {
    let request = Request::of_node(&wanted.request)?;
    let said = Introduction::open(&wanted.introduction, &[NoteKey::of_node(node, present)])
        .map_err(|_| PkiError::Request("the key of the node's certificate has not introduced it"))?;
    if rcgen::PublicKeyData::der_bytes(request.key()) != said.next.0 {
        return Err(PkiError::Request("it is not of the key that was introduced"));
    }
    authority.issue_node(node, request.key(), now)
}

/// Takes the next key in the place of the present one, if it has its certificate; the authority beside it makes that now. Before the
/// node's identity is loaded.
pub(super) fn take(folder: &Path, authority: Option<&Authority>, now: Timestamp) -> Result<(), PkiError> {
    finish(folder)?;
    let Some(node) = NodeIdentity::load(folder)? else { return Ok(()) };
    let Some(next) = next_of(folder, &node)? else { return Ok(()) };
    if let Some(authority) = authority {
        write_chain(&folder.join(PEM), &[authority.issue_node(node.id(), &next.pair, now)?])?;
    }
    let chain = certified(folder, node.id(), next.public())?;
    let life = chain.as_ref().and_then(|chain| chain.first()).map(Lifetime::of).transpose()?;
    let Some(note) = said(folder, &node, next.public())? else { return Ok(()) };
    if life.is_none_or(|life| life.until <= now) {
        tracing::info!("the node's next key has no certificate yet: it is taken at a later start");
        return Ok(());
    }
    let mut keys = earlier(folder)?;
    if keys.last() != Some(&named(&node)) {
        keys.push(named(&node));
        keys.drain(..keys.len().saturating_sub(MOST_INTRODUCTIONS));
        write_public(&folder.join(KEYS), &serde_json::to_vec(&keys).unwrap_or_default())?;
    }
    let mut told = introductions(folder)?;
    if told.last() != Some(&note) {
        told.push(note);
        told.drain(..told.len().saturating_sub(MOST_INTRODUCTIONS));
        let text = serde_json::to_vec(&told).unwrap_or_default();
        write_public(&folder.join(INTRODUCTIONS), &text)?;
    }
    fs::rename(folder.join(KEY), folder.join("node.key")).map_err(at(&folder.join(KEY)))?;
    finish(folder)?;
    tracing::info!(before = %named(&node), "the node has taken its next key");
    Ok(())
}

fn named(node: &NodeIdentity) -> String {
    NoteKey::of_node(node.id(), node.public()).to_text()
}

/// The key was taken, its certificate not yet.
fn finish(folder: &Path) -> Result<(), PkiError> {
    let (Some(key), Some(chain)) = (NodeKey::load(folder)?, read_chain(&folder.join(PEM))?) else {
        return Ok(());
    };
    let is_ours = chain.first().and_then(key_of).as_deref() == Some(key.public().0.as_slice());
    if is_ours {
        fs::rename(folder.join(PEM), folder.join("node.pem")).map_err(at(&folder.join(PEM)))?;
        forget(&folder.join(NOTE))?;
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// The words of earlier keys, oldest first.
pub(super) fn introductions(folder: &Path) -> Result<Vec<String>, PkiError> {
    list(&folder.join(INTRODUCTIONS), "the introductions of a node's keys")
}

/// The earlier keys, oldest first, as a note's key is written.
pub(super) fn earlier(folder: &Path) -> Result<Vec<String>, PkiError> {
    list(&folder.join(KEYS), "the earlier keys of a node")
}

fn list(path: &Path, what: &'static str) -> Result<Vec<String>, PkiError> {
    let Some(text) = text(path)? else { return Ok(Vec::new()) };
    serde_json::from_str(&text).map_err(|_| PkiError::content(path, what))
}

fn text(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn forget(path: &Path) -> Result<(), PkiError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
