//! Signed heads of audits, kept elsewhere, and whom they are believed.

use data_encoding::BASE64;
use ocmt_crypto::audit::{
    checkpoint::{Checkpoint, NoteKey, open_note},
    introduction::Introduction,
};
use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Client, ClientError, ca::ClusterCa, client::present};

/// A signed checkpoint with what shows whose key signed it: keep it where the node cannot change it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCheckpoint {
    /// The signed note (C2SP).
    pub note: String,
    /// The signer's certificate and what is above it, DER in base64; none where its key is known otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// How the signer's keys introduced each other, oldest first; none where it has had one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introductions: Vec<String>,
}

/// Introductions that are looked at, the last ones.
const MOST_INTRODUCTIONS: usize = 64;

/// Who may have signed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Nodes that this authority vouches for, at the time that the checkpoint says.
    pub ca: Option<ClusterCa>,
    /// Keys that are known: those of nodes before and after a change are good side by side.
    pub keys: Vec<NoteKey>,
}

impl Trust {
    /// Believes the keys too that those which are known have introduced, each by the one before.
    pub fn learn(&mut self, introductions: &[String]) {
        let skipped = introductions.len().saturating_sub(MOST_INTRODUCTIONS);
        for note in &introductions[skipped..] {
            let Ok(said) = Introduction::open(note, &self.keys) else { continue };
            let next = NoteKey::of_node(said.node, said.next);
            if !self.keys.contains(&next) {
                self.keys.push(next);
            }
        }
    }
}

impl KeptCheckpoint {
    /// Of a node's answer.
    pub(crate) fn of(it: &pb::Checkpoint) -> Result<Self, ClientError> {
        let statement = present(it.statement.as_ref(), "checkpoint.statement")?;
        let certificates = statement.certificate_chain_der.iter().map(|der| BASE64.encode(der)).collect();
        Ok(Self { note: it.note.clone(), certificates, introductions: it.introductions.clone() })
    }

    /// What is signed, if somebody has who is believed.
    ///
    /// # Errors
    /// [`ClientError::Crypto`], [`ClientError::Node`].
    pub fn prove(&self, trust: &Trust) -> Result<Checkpoint, ClientError> {
        let at = self.claimed()?.at;
        let mut trust = trust.clone();
        trust.learn(&self.introductions);
        Ok(Checkpoint::parse(&signed_text(&self.note, &self.certificates, &trust, at)?)?)
    }

    /// What it says, proven or not.
    ///
    /// # Errors
    /// [`ClientError::Answer`], [`ClientError::Crypto`] if it says nothing.
    pub fn claimed(&self) -> Result<Checkpoint, ClientError> {
        let (text, _) = self.note.split_once("\n\n").ok_or(ClientError::Answer("checkpoint.note"))?;
        Ok(Checkpoint::parse(&format!("{text}\n"))?)
    }

    /// One line of a file.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_line(&self) -> Result<String, ClientError> {
        let line = super::FileLine::Checkpoint { checkpoint: self.clone() };
        serde_json::to_string(&line).map_err(|_| ClientError::Answer("checkpoint"))
    }

    /// Reads a file of checkpoints: lines of [`KeptCheckpoint::to_line`], or one bare note.
    ///
    /// # Errors
    /// [`ClientError::Audit`].
    pub fn read(text: &str) -> Result<Vec<Self>, ClientError> {
        if text.starts_with("ocmt.audit/") {
            return Ok(vec![Self { note: text.to_owned(), ..Self::default() }]);
        }
        // a line that was torn when it was written takes no other with it
        let lines = text.lines().filter_map(|line| super::read_export(line).ok());
        let kept: Vec<Self> = lines.flat_map(|export| export.checkpoints).collect();
        if kept.is_empty() { Err(super::BadAudit::Line(1).into()) } else { Ok(kept) }
    }
}

/// The text of a note, if somebody signed it who is believed: at the time that it says, of nodes.
pub(super) fn signed_text(
    note: &str,
    certificates: &[String],
    trust: &Trust,
    at: Timestamp,
) -> Result<String, ClientError> {
    if let Ok(text) = open_note(note, &trust.keys) {
        return Ok(text.to_owned());
    }
    let ca = trust.ca.as_ref().ok_or(ClientError::Node("no key is known that signed the checkpoint"))?;
    let chain: Vec<Vec<u8>> = certificates
        .iter()
        .map(|der| BASE64.decode(der.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|_| ClientError::Node("the checkpoint's certificates cannot be read"))?;
    let node = ca.prove_node_at(&chain, at)?;
    Ok(open_note(note, &[NoteKey::of_node(node.id, node.key)])?.to_owned())
}

impl Client {
    /// The signed head of the tenant's audit, proven to be of a node of the cluster.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_checkpoint(&self) -> Result<(KeptCheckpoint, Checkpoint), ClientError> {
        let answer = self.audit().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
        let kept = KeptCheckpoint::of(&present(answer.checkpoint, "checkpoint")?)?;
        let checkpoint = kept.prove(&self.audit_trust())?;
        if checkpoint.tenant != self.identity()?.tenant {
            return Err(ClientError::Answer("checkpoint"));
        }
        Ok((kept, checkpoint))
    }

    /// Who may have signed the audit's heads: nodes of the cluster.
    pub fn audit_trust(&self) -> Trust {
        Trust { ca: Some(self.target().ca.clone()), keys: Vec::new() }
    }

    /// Asks for a proof that record `sequence` is in the log of a checkpoint, and checks it against these canonical bytes.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if it is not; else what the node refuses.
    pub async fn audit_includes(
        &self,
        checkpoint: &Checkpoint,
        sequence: u64,
        canonical: &[u8],
    ) -> Result<(), ClientError> {
        let ask = pb::ProveInclusionRequest { sequence, size: checkpoint.tree.size };
        let proof = self.audit().prove_inclusion(ask).await?.into_inner();
        Ok(checkpoint.tree.includes(sequence.saturating_sub(1), canonical, &path(&proof.path)?)?)
    }

    /// Asks for a proof that the log of `old` is the beginning of that of `new`, and checks it.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if it is not; else what the node refuses.
    pub async fn audit_extends(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), ClientError> {
        let ask = pb::ProveConsistencyRequest { old_size: old.tree.size, new_size: new.tree.size };
        let proof = self.audit().prove_consistency(ask).await?.into_inner();
        Ok(new.tree.extends(&old.tree, &path(&proof.path)?)?)
    }
}

fn path(hashes: &[bytes::Bytes]) -> Result<Vec<ocmt_types::Digest32>, ClientError> {
    let hash = |bytes: &bytes::Bytes| {
        ocmt_types::Digest32::try_from(bytes.as_ref()).map_err(|_| ClientError::Answer("path"))
    };
    hashes.iter().map(hash).collect()
}
