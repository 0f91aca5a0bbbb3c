//! The manifest: what a vault holds, signed, so that roll-back, omission and swapped slot keys show.

use ocmt_types::{ContainerId, ConversationId, Digest32, NodeId, SlotId};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    kind::Kind,
    merkle,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
    slot::SlotKind,
};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("manifest");
/// Most objects of a vault that are not the keyring: entries, conversation and volume keys.
pub const MAX_ENTRIES: usize = 10_000;
/// Most objects of a vault.
pub const MAX_OBJECTS: usize = MAX_ENTRIES + 1;
/// Most key slots.
pub const MAX_SLOTS: usize = 255;
/// Most containers whose host is pinned.
pub const MAX_HOSTS: usize = 64;
/// Most open conversations that are anchored.
pub const MAX_ANCHORS: usize = 1024;
/// The longest manifest, in bytes.
pub const MAX_LEN: usize = 256 + MAX_SLOTS * 49 + MAX_HOSTS * 32 + MAX_ANCHORS * 40;

/// One object version as the manifest's tree holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Which object.
    pub object_id: Digest32,
    /// Which version of it.
    pub version: u64,
    /// SHA-256 of its body.
    pub body_hash: Digest32,
}

/// A key slot as the manifest proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotKey {
    /// Which slot.
    pub id: SlotId,
    /// Of which kind.
    pub kind: SlotKind,
    /// Its public key.
    pub public: SealPublicKey,
}

/// The node that a container runs on, as its user confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPin {
    /// The container.
    pub container: ContainerId,
    /// The node.
    pub node: NodeId,
}

/// How far an open conversation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The conversation.
    pub conversation: ConversationId,
    /// Records it had.
    pub records: u64,
    /// The tag of the last one.
    pub last_tag: [u8; 16],
}

/// What a vault holds at one counter. Lists are sorted by their ids, without doubles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Grows with every change.
    pub counter: u64,
    /// The key epoch.
    pub epoch: u32,
    /// Objects under the root.
    pub objects: u32,
    /// Merkle root over the leaves, sorted by object id.
    pub root: Digest32,
    /// The key slots.
    pub slots: Vec<SlotKey>,
    /// The pinned hosts.
    pub hosts: Vec<HostPin>,
    /// The anchored conversations.
    pub anchors: Vec<Anchor>,
}

impl Manifest {
    /// Canonical bytes with the vault signing key's signature at their end.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past a bound.
    pub fn sign(&self, scope: &VaultScope, key: &SigningKey) -> Result<Vec<u8>> {
        bound("key slots", self.slots.len(), MAX_SLOTS)?;
        bound("pinned hosts", self.hosts.len(), MAX_HOSTS)?;
        bound("anchored conversations", self.anchors.len(), MAX_ANCHORS)?;
        let mut out = Writer::object(Kind::MANIFEST, VERSION);
        out.u64(self.counter).u32(self.epoch).u32(self.objects).fixed(&self.root.0);
        out.count(self.slots.len());
        for slot in &self.slots {
            out.id(slot.id).u8(slot.kind as u8).fixed(slot.public.as_bytes());
        }
        out.count(self.hosts.len());
        for host in &self.hosts {
            out.id(host.container).id(host.node);
        }
        out.count(self.anchors.len());
        for anchor in &self.anchors {
            out.id(anchor.conversation).u64(anchor.records).fixed(&anchor.last_tag);
        }
        let signature = key.sign(PURPOSE, &message(scope, out.as_bytes()));
        out.fixed(&signature.0);
        Ok(out.into_vec())
    }

    /// Puts a good signature under any body.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn sign_body(scope: &VaultScope, key: &SigningKey, body: &[u8]) -> Vec<u8> {
        [body, key.sign(PURPOSE, &message(scope, body)).0.as_slice()].concat()
    }

    /// Verifies and reads a manifest of `scope`, signed by `key`. Counter, root and slots are for the
    /// caller to hold against what it knows.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(bytes: &[u8], scope: &VaultScope, key: &VerifyKey) -> Result<Self> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        if bytes.len() > MAX_LEN {
            return Err(CryptoError::Refused);
        }
        key.verify(PURPOSE, &message(scope, body), &Signature(*signature))?;
        let mut reader = Reader::object(body, Kind::MANIFEST, VERSION)?;
        let manifest = Self::read(&mut reader)?;
        reader.finish()?;
        let ascending = manifest.slots.is_sorted_by(|a, b| a.id < b.id)
            && manifest.hosts.is_sorted_by(|a, b| a.container < b.container)
            && manifest.anchors.is_sorted_by(|a, b| a.conversation < b.conversation);
        if ascending { Ok(manifest) } else { Err(CryptoError::Refused) }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (counter, epoch, objects) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let root = Digest32(reader.array()?);
        let slots = (0..reader.count(MAX_SLOTS, 49)?)
            .map(|_| {
                let (id, kind) = (reader.id()?, SlotKind::from_byte(reader.u8()?)?);
                Ok(SlotKey { id, kind, public: SealPublicKey(reader.array()?) })
            })
            .collect::<Result<_>>()?;
        let hosts = (0..reader.count(MAX_HOSTS, 32)?)
            .map(|_| Ok(HostPin { container: reader.id()?, node: reader.id()? }))
            .collect::<Result<_>>()?;
        let anchors = (0..reader.count(MAX_ANCHORS, 40)?)
            .map(|_| {
                let (conversation, records) = (reader.id()?, reader.u64()?);
                Ok(Anchor { conversation, records, last_tag: reader.array()? })
            })
            .collect::<Result<_>>()?;
        Ok(Self { counter, epoch, objects, root, slots, hosts, anchors })
    }

    /// Whether these leaves, in any order, are all and only what it holds.
    pub fn proves(&self, leaves: &[Leaf]) -> bool {
        u32::try_from(leaves.len()) == Ok(self.objects) && root(leaves).is_ok_and(|root| root == self.root)
    }

    /// The pinned host of a container.
    pub fn host_of(&self, container: ContainerId) -> Option<NodeId> {
        self.hosts.iter().find(|host| host.container == container).map(|host| host.node)
    }
}

/// The Merkle root over leaves, in any order. A leaf is: object id 32, version `u64`, body hash 32.
///
/// # Errors
/// [`CryptoError::Refused`] if an object is there twice, or there are more than [`MAX_OBJECTS`].
pub fn root(leaves: &[Leaf]) -> Result<Digest32> {
    let mut sorted = leaves.to_vec();
    sorted.sort_unstable();
    if sorted.len() > MAX_OBJECTS || !sorted.is_sorted_by(|a, b| a.object_id < b.object_id) {
        return Err(CryptoError::Refused);
    }
    let hashes: Vec<Digest32> = sorted
        .iter()
        .map(|leaf| {
            let mut out = Writer::with_capacity(72);
            out.fixed(&leaf.object_id.0).u64(leaf.version).fixed(&leaf.body_hash.0);
            merkle::leaf_hash(out.as_bytes())
        })
        .collect();
    Ok(merkle::root(&hashes))
}

/// SHA-256 of a signed manifest: what a client keeps of the newest it has seen.
pub fn hash(signed: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(signed).into())
}

fn message(scope: &VaultScope, body: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(32 + body.len());
    scope.write(&mut out);
    out.fixed(body);
    out.into_vec()
}

fn bound(what: &'static str, len: usize, max: usize) -> Result<()> {
    if len <= max { Ok(()) } else { Err(CryptoError::TooLarge { what, max: max as u64 }) }
}
