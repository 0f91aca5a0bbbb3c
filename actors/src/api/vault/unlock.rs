//! Unlocking: the hand-out of key slots, what may have to be waited for, and the proof.

use ocmt_crypto::{sign::Signature, slot::SlotKind};
use ocmt_types::{Digest32, HandoutId, SlotId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

/// Hand the key slots out; the caller's own vault's without an id.
#[derive(Debug, Clone)]
pub struct GetKeySlots {
    /// Which vault.
    pub vault: Option<VaultId>,
    /// What it is to be opened with; none asks for all.
    pub kind: Option<SlotKind>,
    /// Kept on the device that asks: slots that were waited for are for who shows it again.
    pub claim: Option<[u8; 32]>,
}

/// A slot as the node keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSlot {
    /// Canonical.
    pub slot: Vec<u8>,
    /// Which.
    pub id: SlotId,
    /// As `ocmt_crypto::slot::SlotKind` numbers it.
    pub kind: u8,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Answer of [`GetKeySlots`]: all that is needed to try a secret, on the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handout {
    /// Which vault.
    pub vault: VaultId,
    /// Its slots.
    pub slots: Vec<StoredSlot>,
    /// Of the present vault key.
    pub key_epoch: u32,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// Canonical successions, oldest first.
    pub successions: Vec<Vec<u8>>,
    /// Names it for [`ReportUnlock`].
    pub handout: HandoutId,
    /// What the proof of unlocking must cover.
    pub challenge: Digest32,
    /// What slots cost at the least by the policy: memory in MiB, and passes.
    pub least_cost: (u32, u32),
}

/// Answer of [`ReportUnlock`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The slots that [`GetKeySlots`] may have kept back.
    pub slots: Vec<StoredSlot>,
}

/// Prove that a hand-out led to an unlock.
#[derive(Debug, Clone)]
pub struct ReportUnlock {
    /// Which vault.
    pub vault: VaultId,
    /// Which hand-out.
    pub handout: HandoutId,
    /// Which slot was used.
    pub slot: SlotId,
    /// By the vault signing key over the challenge.
    pub proof: Signature,
    /// The slot that was used with its lock renewed; none if it is up to date.
    pub renewed: Option<Vec<u8>>,
}

/// Somebody in a session of the owner's asked for slots that are not handed out unheard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRequest {
    /// Which.
    pub id: HandoutId,
    /// Of which kind; none for all.
    pub kind: Option<SlotKind>,
    /// When.
    pub asked_at: Timestamp,
    /// From when on who asked gets them.
    pub ready_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// The owner has refused it.
    pub refused: bool,
    /// They were handed out.
    pub handed_out: bool,
    /// The client that asked as it called itself.
    pub client: String,
}

/// Refuse it: nothing is handed out for it any more.
#[derive(Debug, Clone)]
pub struct RefuseSlotRequest {
    /// Which vault; none for the caller's own.
    pub vault: Option<VaultId>,
    /// Which request; none for the one there is.
    pub request: Option<HandoutId>,
}
